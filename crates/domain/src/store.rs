//! The port of the store: what must not be lost, and no more.
//!
//! Work on the store is a *job*: a function that reads and writes [`Tables`]. A store runs many jobs in one
//! transaction (group commit) on a thread of its own, each in a savepoint; a job is answered after the commit.
//! Nothing here holds a body or an address in the clear: those are bytes sealed with [`crate::secret::Keys`].

use crate::clock::Timestamp;
use crate::consent::{Asked, Consent, Downgrade, Question};
use crate::delivery::State;
use crate::id::{
    AssemblyId, ConnectorId, ContactId, ConversationId, EventId, InboxId, LineId, MessageId, NetworkId,
    OutboxId, RoomId, SessionId, UserId,
};
use crate::inbox::Membership;
use crate::path::{Leg, Path, Protection, Scheme, Standing};
use futures_channel::oneshot;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A durable store. One contract suite runs against every one of them.
pub trait Store: Send + Sync {
    /// Queues `job`. Jobs run in the order in which they were queued, on the store's thread. The queue has no bound:
    /// callers bound what they submit. A store that is dropped still runs what is queued.
    fn submit(&self, job: Box<dyn Job>);

    /// Takes no more jobs, runs those that are queued, and lets go of the database; returns when that is done. Called once
    /// at the end: whoever still holds the store then holds a closed one. Blocks.
    fn close(&self);
}

/// Work to do in a transaction.
pub trait Job: Send {
    /// Does the work; its writes are undone when it fails or panics, and other jobs go on. Must not wait for anything.
    ///
    /// # Errors
    /// Its own, or that of a function of `tables`. A job is undone after such an error even when it answers `Ok`:
    /// engines differ in what they would keep.
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError>;
    /// Called once, after the commit, or with the error for which there was none. On the store's thread: must not wait
    /// for anything.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Why a job was not committed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It may pass: a full disk, a lost connection, a lock. Nothing of the job was kept.
    #[error("the database cannot take it now: {0}")]
    Unavailable(String),
    /// The database's contents make no sense, or a key is the wrong one. A person must act.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The job itself failed.
    #[error("{0}")]
    Failed(String),
    #[error("the store is closed")]
    Closed,
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Runs `work` as a job and waits for its commit.
///
/// # Errors
/// As [`StoreError`] says; nothing was kept.
pub async fn run<T, F>(store: &dyn Store, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Tables) -> Result<T, StoreError> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    store.submit(Box::new(Closure {
        work: Some(work),
        value: None,
        sender,
    }));
    receiver.await.unwrap_or(Err(StoreError::Closed))
}

struct Closure<T, F> {
    work: Option<F>,
    value: Option<T>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Closure<T, F>
where
    T: Send,
    F: FnOnce(&mut dyn Tables) -> Result<T, StoreError> + Send,
{
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError> {
        let work = self
            .work
            .take()
            .ok_or_else(|| StoreError::Failed("a job ran twice".into()))?;
        self.value = Some(work(tables)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Closure { value, sender, .. } = *self;
        let result = committed.and_then(|()| value.ok_or(StoreError::Closed));
        // Nobody waits any more: the work is committed all the same.
        let _ = sender.send(result);
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A contact: a remote address, known by a blind index of its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub index: [u8; 32],
    /// The canonical address, sealed under [`seal::ADDRESS`].
    pub address: Vec<u8>,
    /// The ghost's pseudonym; it stays when the site key is rotated.
    pub ghost: String,
    /// Name and picture, where a network or an address book gave them, sealed under [`seal::CARD`].
    pub card: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub line: LineId,
    pub contact: ContactId,
    /// `None` until the room is made, and again after `delete-portal`.
    pub room: Option<RoomId>,
    /// Counts the rooms that the conversation has had, so that a deleted room's alias is not used again.
    pub generation: i64,
    pub created_at: Timestamp,
    pub last_at: Timestamp,
    pub trust: Trust,
}

/// What is known and was said of how well a conversation is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// How well the last message was protected that people were told of; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// What protects events between us and the clients in the conversation's room; `None` while there is no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Protection>,
    /// The conversation's own rule, set by its people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<Downgrade>,
    /// What the room was asked, and has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The legs from the contact's phone to us that the last message took, where its connector says so of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
    /// Messages go by another line for a while, since the conversation's own does not reach the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detour: Option<Detour>,
}

/// Another line that messages of a conversation go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detour {
    pub line: LineId,
    /// When the conversation's own line is tried again.
    pub until: Timestamp,
}

/// The key by which a contact is known, as it was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub contact: ContactId,
    pub scheme: Scheme,
    pub fingerprint: String,
    /// Where it was seen.
    pub connector: ConnectorId,
    pub at: Timestamp,
    /// Another one that was seen since, and that is not trusted (yet).
    pub changed: Option<String>,
    /// The other one was judged, and is not trusted.
    pub rejected: bool,
}

/// A contact's wish to get no more texts from an address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// A blind index of our own address: a line that is renamed, or moved to another connector, keeps it.
    pub own: [u8; 32],
    pub contact: ContactId,
    pub by: SuppressedBy,
    pub at: Timestamp,
}

/// How a wish became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressedBy {
    /// The contact wrote STOP, or another word for it.
    Contact,
    /// The network or the provider told.
    Network,
}

impl SuppressedBy {
    pub fn word(self) -> &'static str {
        match self {
            SuppressedBy::Contact => "contact",
            SuppressedBy::Network => "network",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [SuppressedBy::Contact, SuppressedBy::Network]
            .into_iter()
            .find(|by| by.word() == word)
    }
}

/// What is counted, and over which period: a keyed digest that the engine makes.
pub type TallyKey = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From Matrix to a phone.
    Out,
    /// From a phone to Matrix.
    In,
}

/// What is known of a message; never what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub direction: Direction,
    /// The Matrix event: the one that was sent to the phone, or the one made of what came.
    pub event: Option<EventId>,
    /// Which user of ours wrote it: in a room, or on the phone itself.
    pub sender: Option<UserId>,
    pub state: State,
    /// Why it is in this state, in words for the sender.
    pub detail: Option<String>,
    pub segments: u16,
    pub encoding: Option<String>,
    /// The way that it took, or will take as things are.
    pub path: Option<Path>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One part of an outbound message, as the network knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRecord {
    pub connector: ConnectorId,
    pub network_id: NetworkId,
    pub message: MessageId,
    pub index: u16,
    pub state: State,
}

/// A receipt that came before the answer that gives its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyReceipt {
    pub connector: ConnectorId,
    pub network_id: NetworkId,
    /// The receipt, sealed under [`seal::INBOX`].
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
}

/// Something that arrived and was not processed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    pub id: InboxId,
    /// The [`crate::inbox::What`], sealed under [`seal::INBOX`].
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
}

/// An inbox row that could not be processed, kept for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuriedRow {
    pub row: InboxRow,
    pub error: String,
}

/// Where an outbox row goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Homeserver,
    Connector(ConnectorId),
}

/// The order that an outbox row keeps: rows of one lane leave one after the other, lanes do not wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    Conversation(ConversationId),
    /// A room that belongs to no conversation (management, space, inbox).
    Room(RoomId),
    /// What belongs to a user before there is a room.
    User(UserId),
    /// What belongs to a line as a whole.
    Line(LineId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxState {
    Queued,
    /// Handed to a connector. Found after a crash it becomes uncertain.
    Sending,
    /// Uncertain or refused; kept until the sender's retry or its end.
    Parked,
    /// Waits for somebody's word.
    Held,
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: OutboxId,
    pub target: Target,
    pub lane: Lane,
    pub message: Option<MessageId>,
    pub state: OutboxState,
    pub attempts: u32,
    pub not_before: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// The payload, sealed under [`seal::OUTBOX`].
    pub sealed: Vec<u8>,
}

/// A new outbox row; the store gives the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutboxRow {
    pub target: Target,
    pub lane: Lane,
    pub message: Option<MessageId>,
    pub not_before: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub sealed: Vec<u8>,
}

/// What the dispatcher must know of a queued row to keep the order; read once at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxHead {
    pub id: OutboxId,
    pub target: Target,
    pub lane: Lane,
    pub state: OutboxState,
    pub not_before: Timestamp,
}

/// An inbound message whose parts are still coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    pub id: AssemblyId,
    pub conversation: ConversationId,
    /// Reference, width and total of the parts, as one key.
    pub key: String,
    pub total: u8,
    /// The message made of it when it was shown with a gap.
    pub message: Option<MessageId>,
    pub started_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssemblyPart {
    pub index: u8,
    /// The text, sealed under [`seal::PART`].
    pub sealed: Vec<u8>,
}

/// An entry of the audit log as it is stored; [`crate::audit`] says what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub number: i64,
    pub entry: Vec<u8>,
    /// Binds the entry and the one before it.
    pub mac: Vec<u8>,
}

/// How much of a kind is kept; for the retention report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The table, or `outbox (homeserver)`, `outbox (networks)` and `outbox (parked)`.
    pub table: &'static str,
    pub rows: u64,
    /// The least recent of it, where rows have a time: of messages and conversations that of the last change.
    pub oldest: Option<Timestamp>,
}

/// What a room without a conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomRole {
    Management(UserId),
    Space(LineId),
    /// The shared inbox of a line, or another room that the bot was invited to.
    Other,
}

/// Something to do later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Show an incomplete message with its gaps.
    AssemblyDue(AssemblyId),
    /// Forget the parts.
    AssemblyGone(AssemblyId),
    /// Some parts of a message were reported as delivered and the others never: take them as delivered too.
    PartsSettle(MessageId),
    /// A message that its network took has not reached the phone for long enough: it goes another way, if it can be taken back.
    Overdue(MessageId),
    /// A receipt that matches nothing.
    EarlyReceiptGone(ConnectorId, NetworkId),
}

/// How full the queues are; for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// `inbox`, `homeserver`, or the connector's name.
    pub queue: String,
    pub rows: u64,
    pub oldest: Option<Timestamp>,
}

/// How many messages of a line wait to be sent on; for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDepth {
    pub line: LineId,
    pub direction: Direction,
    pub rows: u64,
    pub oldest: Option<Timestamp>,
}

/// The contexts under which bytes are sealed, so that one kind can not be put in place of another.
pub mod seal {
    pub const ADDRESS: &str = "address";
    pub const CARD: &str = "card";
    pub const INBOX: &str = "inbox";
    pub const OUTBOX: &str = "outbox";
    pub const PART: &str = "part";
}

/// Reads and writes within one transaction. All of it is plain data access; decisions are the engine's.
pub trait Tables {
    // Inbox

    /// Remembers `key` and answers whether it is new. Keys are kept for `retention` and then forgotten by [`Tables::prune`].
    fn remember(&mut self, key: &[u8], now: Timestamp) -> Result<bool>;
    /// Applies the rule of [`crate::inbox::Dedupe::Digest`] and remembers this delivery; answers whether it is new.
    fn remember_delivery(
        &mut self,
        connector: &ConnectorId,
        session: SessionId,
        sequence: u32,
        digest: &[u8; 16],
        now: Timestamp,
    ) -> Result<bool>;
    fn session_started(&mut self, connector: &ConnectorId, session: SessionId, now: Timestamp) -> Result<()>;
    fn session_ended(&mut self, connector: &ConnectorId, session: SessionId, now: Timestamp) -> Result<()>;
    /// Ends all sessions that have not ended (the program was killed): each at its last delivery.
    fn sessions_lost(&mut self) -> Result<()>;
    fn inbox_push(&mut self, sealed: Vec<u8>, received_at: Timestamp) -> Result<InboxId>;
    /// The oldest rows, in order.
    fn inbox_oldest(&mut self, limit: u32) -> Result<Vec<InboxRow>>;
    fn inbox_remove(&mut self, id: InboxId) -> Result<()>;
    /// Takes a row that can not be processed out of the way.
    fn inbox_bury(&mut self, id: InboxId, error: &str) -> Result<()>;
    fn inbox_buried(&mut self, limit: u32) -> Result<Vec<BuriedRow>>;
    /// Puts buried rows back at the end of the inbox; answers how many.
    fn inbox_exhume(&mut self) -> Result<u64>;

    // Contacts and conversations

    fn contact(&mut self, id: ContactId) -> Result<Option<Contact>>;
    fn contact_by_index(&mut self, index: &[u8; 32]) -> Result<Option<Contact>>;
    fn contact_by_ghost(&mut self, ghost: &str) -> Result<Option<Contact>>;
    fn contact_add(&mut self, index: &[u8; 32], address: &[u8], ghost: &str) -> Result<ContactId>;
    fn contact_set_card(&mut self, id: ContactId, card: &[u8]) -> Result<()>;
    fn conversation(&mut self, id: ConversationId) -> Result<Option<Conversation>>;
    fn conversation_by_room(&mut self, room: &RoomId) -> Result<Option<Conversation>>;
    /// Finds a conversation by an alias: `thread` is a blind index of a network's thread id, or of the contact.
    fn conversation_by_alias(&mut self, line: &LineId, thread: &[u8; 32]) -> Result<Option<Conversation>>;
    fn conversation_add(
        &mut self,
        line: &LineId,
        contact: ContactId,
        now: Timestamp,
    ) -> Result<ConversationId>;
    /// The conversation belongs to another line from now on. Its aliases stay.
    fn conversation_set_line(&mut self, id: ConversationId, line: &LineId) -> Result<()>;
    /// Lets a conversation be with another contact: a group whose network calls it something else now.
    fn conversation_set_contact(&mut self, id: ConversationId, contact: ContactId) -> Result<()>;
    /// Adds or moves an alias.
    fn alias_set(&mut self, line: &LineId, thread: &[u8; 32], conversation: ConversationId) -> Result<()>;
    fn conversation_set_room(&mut self, id: ConversationId, room: Option<&RoomId>) -> Result<()>;
    /// A new generation, without a room.
    fn conversation_renew(&mut self, id: ConversationId) -> Result<()>;
    /// Gives a line another id: its conversations, aliases and space go along. `to` must be an id without conversations.
    fn line_rename(&mut self, from: &LineId, to: &LineId) -> Result<()>;
    /// Notes a message; what is older than the latest changes nothing.
    fn conversation_touch(&mut self, id: ConversationId, now: Timestamp) -> Result<()>;
    fn conversation_set_trust(&mut self, id: ConversationId, trust: &Trust) -> Result<()>;
    /// The latest first. `line` narrows it.
    fn conversations(&mut self, line: Option<&LineId>, limit: u32) -> Result<Vec<Conversation>>;

    // Consent, questions and keys

    /// Writes what `consent.user` said of the line or conversation; what they said before is replaced.
    fn consent_set(&mut self, consent: &Consent) -> Result<()>;
    /// What `user` said of a line and of its conversations.
    fn consents_of(&mut self, user: &UserId, line: Option<&LineId>) -> Result<Vec<Consent>>;
    /// Who agreed to terms of this version for the conversation or its whole line; the latest first, a few of them.
    fn consents_for(
        &mut self,
        line: &LineId,
        conversation: ConversationId,
        version: &str,
    ) -> Result<Vec<Consent>>;
    fn question_add(&mut self, event: &EventId, question: &Question, now: Timestamp) -> Result<()>;
    fn question(&mut self, event: &EventId) -> Result<Option<Question>>;
    fn pin(&mut self, contact: ContactId, scheme: Scheme) -> Result<Option<Pin>>;
    fn pins(&mut self, contact: ContactId) -> Result<Vec<Pin>>;
    fn pin_set(&mut self, pin: &Pin) -> Result<()>;
    /// Rows that wait for somebody's word, in their order; of one conversation, or of all.
    fn outbox_held(&mut self, conversation: Option<ConversationId>) -> Result<Vec<OutboxRow>>;
    /// Rows to phones that are queued and that `writer` wrote, in their order.
    fn outbox_leaving(&mut self, writer: &UserId) -> Result<Vec<OutboxRow>>;

    // Opt-out and limits

    fn suppression(&mut self, own: &[u8; 32], contact: ContactId) -> Result<Option<Suppression>>;
    /// Writes it; the first one stays.
    fn suppression_set(&mut self, suppression: &Suppression) -> Result<()>;
    /// Answers whether there was one.
    fn suppression_lift(&mut self, own: &[u8; 32], contact: ContactId) -> Result<bool>;
    /// The latest first.
    fn suppressions(&mut self, limit: u32) -> Result<Vec<Suppression>>;
    /// Adds to what was counted at `at`, which is where a period begins, or any other moment.
    fn tally_add(&mut self, key: &TallyKey, at: Timestamp, amount: i64) -> Result<()>;
    /// What was counted from `from` to before `to`, in order.
    fn tallies(&mut self, key: &TallyKey, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, i64)>>;
    /// Forgets what was counted before `before`, a bounded number at a time; answers how many.
    fn prune_tallies(&mut self, before: Timestamp) -> Result<u64>;

    // Rooms

    fn room_role(&mut self, room: &RoomId) -> Result<Option<RoomRole>>;
    fn room_set_role(&mut self, room: &RoomId, role: &RoomRole) -> Result<()>;
    /// The room that was given this role last.
    fn room_by_role(&mut self, role: &RoomRole) -> Result<Option<RoomId>>;
    fn room_forget(&mut self, room: &RoomId) -> Result<()>;
    /// The last known membership of a user who is not ours.
    fn member_set(&mut self, room: &RoomId, user: &UserId, membership: Membership) -> Result<()>;
    fn members(&mut self, room: &RoomId) -> Result<Vec<(UserId, Membership)>>;

    // Messages

    fn message(&mut self, id: MessageId) -> Result<Option<MessageRecord>>;
    fn message_by_event(&mut self, event: &EventId) -> Result<Option<MessageRecord>>;
    /// `id` of the record is ignored; the store gives one.
    fn message_add(&mut self, record: &MessageRecord) -> Result<MessageId>;
    /// Writes `event`, `state`, `detail`, `segments`, `encoding` and `updated_at`.
    fn message_update(&mut self, record: &MessageRecord) -> Result<()>;
    /// The latest outbound messages of a conversation, newest first.
    fn messages_of(&mut self, conversation: ConversationId, limit: u32) -> Result<Vec<MessageRecord>>;
    fn part_add(&mut self, part: &PartRecord) -> Result<()>;
    /// The newest part with this id (some networks give an id twice).
    fn part_by_network_id(&mut self, connector: &ConnectorId, id: &NetworkId) -> Result<Option<PartRecord>>;
    fn parts_of(&mut self, message: MessageId) -> Result<Vec<PartRecord>>;
    fn part_set_state(&mut self, part: &PartRecord, state: State) -> Result<()>;
    fn early_receipt_add(&mut self, receipt: &EarlyReceipt) -> Result<()>;
    fn early_receipts_take(&mut self, connector: &ConnectorId, id: &NetworkId) -> Result<Vec<EarlyReceipt>>;

    // Assemblies of inbound parts

    fn assembly(&mut self, id: AssemblyId) -> Result<Option<Assembly>>;
    fn assembly_by_key(&mut self, conversation: ConversationId, key: &str) -> Result<Option<Assembly>>;
    fn assembly_add(
        &mut self,
        conversation: ConversationId,
        key: &str,
        total: u8,
        now: Timestamp,
    ) -> Result<AssemblyId>;
    fn assembly_set_message(&mut self, id: AssemblyId, message: MessageId) -> Result<()>;
    /// Adds a part; answers `false` when that part was there.
    fn assembly_part_add(&mut self, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<bool>;
    fn assembly_parts(&mut self, id: AssemblyId) -> Result<Vec<AssemblyPart>>;
    /// Removes it with its parts.
    fn assembly_remove(&mut self, id: AssemblyId) -> Result<()>;

    // Outbox

    fn outbox_push(&mut self, row: &NewOutboxRow) -> Result<OutboxId>;
    /// All rows, oldest first, without their payload.
    fn outbox_heads(&mut self) -> Result<Vec<OutboxHead>>;
    fn outbox(&mut self, id: OutboxId) -> Result<Option<OutboxRow>>;
    /// The row that carries a message: the one for a connector where there are several, else the oldest.
    fn outbox_by_message(&mut self, message: MessageId) -> Result<Option<OutboxRow>>;
    fn outbox_set_state(&mut self, id: OutboxId, state: OutboxState) -> Result<()>;
    /// Back to the queue, not before `not_before`; `counts` adds an attempt.
    fn outbox_postpone(&mut self, id: OutboxId, not_before: Timestamp, counts: bool) -> Result<()>;
    /// Queued and parked rows whose `expires_at` is over, oldest first.
    fn outbox_expired(&mut self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>>;
    /// Erases the row and its body.
    fn outbox_remove(&mut self, id: OutboxId) -> Result<()>;

    // The audit log: plain rows. `crate::audit` binds them to each other.

    /// Fails when there is a row with this number.
    fn audit_push(&mut self, row: &AuditRow) -> Result<()>;
    /// The row with the highest number.
    fn audit_last(&mut self) -> Result<Option<AuditRow>>;
    /// Rows with a higher number than `after`, in order.
    fn audit_rows(&mut self, after: i64, limit: u32) -> Result<Vec<AuditRow>>;
    /// Erases the rows up to this number.
    fn audit_forget(&mut self, through: i64) -> Result<()>;

    // Timers and small things

    fn timer_set(&mut self, timer: &Timer, due: Timestamp) -> Result<()>;
    /// Removes and gives the timers that are due, oldest first.
    fn timers_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Timer>>;
    /// When the next timer is due.
    fn timer_next(&mut self) -> Result<Option<Timestamp>>;
    fn setting(&mut self, name: &str) -> Result<Option<String>>;
    fn setting_set(&mut self, name: &str, value: &str) -> Result<()>;
    /// The inbox and the homeserver always, connectors when something waits for them; parked rows do not wait.
    fn queue_depths(&mut self) -> Result<Vec<QueueDepth>>;
    /// The lines for which messages wait in the outbox, those alone; parked ones do not wait.
    fn line_depths(&mut self) -> Result<Vec<LineDepth>>;
    /// Forgets what was remembered for deduplication before `before`, and the records of messages that ended before it:
    /// nothing changed since, and no outbox row or assembly waits for them. A bounded number at a time, so that no
    /// other job waits long; answers how many, so call it again until that is zero.
    fn prune(&mut self, before: Timestamp) -> Result<u64>;
    /// Erases buried rows that arrived before `before`, with what they hold; answers how many.
    fn prune_buried(&mut self, before: Timestamp) -> Result<u64>;
    /// How much is kept of everything.
    fn holdings(&mut self) -> Result<Vec<Holding>>;
}
