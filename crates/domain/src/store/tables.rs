//! Plain data access, within one transaction.

use super::{
    Assembly, AssemblyPart, AuditRow, BuriedRow, Contact, Conversation, EarlyReceipt, Holding, InboxRow,
    LineDepth, MessageRecord, NewOutboxRow, OutboxHead, OutboxRow, OutboxState, PartRecord, Pin, QueueDepth,
    Result, RoomRole, Suppression, TallyKey, Timer, Trust,
};
use crate::clock::Timestamp;
use crate::consent::{Consent, Question};
use crate::delivery::State;
use crate::id::{
    AssemblyId, ConnectorId, ContactId, ConversationId, EventId, InboxId, LineId, MessageId, NetworkId,
    OutboxId, RoomId, SessionId, UserId,
};
use crate::inbox::Membership;
use crate::path::Scheme;

/// Reads and writes within one transaction. All of it is plain data access; decisions are the engine's.
pub trait Tables {
    // Inbox

    /// Remembers `key` and answers whether it is new. Keys are kept for `retention` and then forgotten by [`Tables::prune`].
    fn remember(&mut self, key: &[u8], now: Timestamp) -> Result<bool>;
    /// The same for what says when it was sent, in places of their own: what was sent together is kept together, so that many of them
    /// cost little more than one. A key that [`Tables::remember`] has is not new here either. Those are forgotten of which both moments
    /// are before.
    fn remember_event(&mut self, sent_at: Timestamp, key: &[u8], now: Timestamp) -> Result<bool>;
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
    /// Replaces what is kept of a part.
    fn assembly_part_set(&mut self, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<()>;
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
