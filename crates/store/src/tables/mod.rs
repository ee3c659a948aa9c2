//! The tables, by group. Each function is one or a few statements and exists once for both engines.

mod assemblies;
mod audit;
mod contacts;
mod conversations;
mod holdings;
mod inbox;
mod limits;
mod messages;
mod outbox;
mod rooms;
mod timers;
mod trust;

use crate::writer::Session;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::consent::{Consent, Question};
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::Membership;
use swingbridge_domain::path::Scheme;
use swingbridge_domain::store::*;

impl Tables for Session<'_> {
    fn remember(&mut self, key: &[u8], now: Timestamp) -> Result<bool> {
        inbox::remember(self, key, now)
    }

    fn remember_event(&mut self, sent_at: Timestamp, key: &[u8], now: Timestamp) -> Result<bool> {
        inbox::remember_event(self, sent_at, key, now)
    }

    fn remember_delivery(
        &mut self,
        connector: &ConnectorId,
        session: SessionId,
        sequence: u32,
        digest: &[u8; 16],
        now: Timestamp,
    ) -> Result<bool> {
        inbox::remember_delivery(self, connector, session, sequence, digest, now)
    }

    fn session_started(&mut self, connector: &ConnectorId, session: SessionId, now: Timestamp) -> Result<()> {
        inbox::session_started(self, connector, session, now)
    }

    fn session_ended(&mut self, connector: &ConnectorId, session: SessionId, now: Timestamp) -> Result<()> {
        inbox::session_ended(self, connector, session, now)
    }

    fn sessions_lost(&mut self) -> Result<()> {
        inbox::sessions_lost(self)
    }

    fn inbox_push(&mut self, sealed: Vec<u8>, received_at: Timestamp) -> Result<InboxId> {
        inbox::push(self, &sealed, received_at)
    }

    fn inbox_oldest(&mut self, limit: u32) -> Result<Vec<InboxRow>> {
        inbox::oldest(self, limit)
    }

    fn inbox_remove(&mut self, id: InboxId) -> Result<()> {
        inbox::remove(self, id)
    }

    fn inbox_bury(&mut self, id: InboxId, error: &str) -> Result<()> {
        inbox::bury(self, id, error)
    }

    fn inbox_buried(&mut self, limit: u32) -> Result<Vec<BuriedRow>> {
        inbox::buried(self, limit)
    }

    fn inbox_exhume(&mut self) -> Result<u64> {
        inbox::exhume(self)
    }

    fn contact(&mut self, id: ContactId) -> Result<Option<Contact>> {
        contacts::by_id(self, id)
    }

    fn contact_by_index(&mut self, index: &[u8; 32]) -> Result<Option<Contact>> {
        contacts::by_index(self, index)
    }

    fn contact_by_ghost(&mut self, ghost: &str) -> Result<Option<Contact>> {
        contacts::by_ghost(self, ghost)
    }

    fn contact_add(&mut self, index: &[u8; 32], address: &[u8], ghost: &str) -> Result<ContactId> {
        contacts::add(self, index, address, ghost)
    }

    fn contact_set_card(&mut self, id: ContactId, card: &[u8]) -> Result<()> {
        contacts::set_card(self, id, card)
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<Conversation>> {
        conversations::by_id(self, id)
    }

    fn conversation_by_room(&mut self, room: &RoomId) -> Result<Option<Conversation>> {
        conversations::by_room(self, room)
    }

    fn conversation_by_alias(&mut self, line: &LineId, thread: &[u8; 32]) -> Result<Option<Conversation>> {
        conversations::by_alias(self, line, thread)
    }

    fn conversation_add(
        &mut self,
        line: &LineId,
        contact: ContactId,
        now: Timestamp,
    ) -> Result<ConversationId> {
        conversations::add(self, line, contact, now)
    }

    fn conversation_set_line(&mut self, id: ConversationId, line: &LineId) -> Result<()> {
        conversations::set_line(self, id, line)
    }

    fn conversation_set_contact(&mut self, id: ConversationId, contact: ContactId) -> Result<()> {
        conversations::set_contact(self, id, contact)
    }

    fn alias_set(&mut self, line: &LineId, thread: &[u8; 32], conversation: ConversationId) -> Result<()> {
        conversations::alias_set(self, line, thread, conversation)
    }

    fn conversation_set_room(&mut self, id: ConversationId, room: Option<&RoomId>) -> Result<()> {
        conversations::set_room(self, id, room)
    }

    fn conversation_renew(&mut self, id: ConversationId) -> Result<()> {
        conversations::renew(self, id)
    }

    fn line_rename(&mut self, from: &LineId, to: &LineId) -> Result<()> {
        conversations::rename_line(self, from, to)
    }

    fn conversation_set_trust(&mut self, id: ConversationId, trust: &Trust) -> Result<()> {
        conversations::set_trust(self, id, trust)
    }

    fn consent_set(&mut self, consent: &Consent) -> Result<()> {
        trust::consent_set(self, consent)
    }

    fn consents_of(&mut self, user: &UserId, line: Option<&LineId>) -> Result<Vec<Consent>> {
        trust::consents_of(self, user, line)
    }

    fn consents_for(
        &mut self,
        line: &LineId,
        conversation: ConversationId,
        version: &str,
    ) -> Result<Vec<Consent>> {
        trust::consents_for(self, line, conversation, version)
    }

    fn question_add(&mut self, event: &EventId, question: &Question, now: Timestamp) -> Result<()> {
        trust::question_add(self, event, question, now)
    }

    fn question(&mut self, event: &EventId) -> Result<Option<Question>> {
        trust::question(self, event)
    }

    fn pin(&mut self, contact: ContactId, scheme: Scheme) -> Result<Option<Pin>> {
        trust::pin(self, contact, scheme)
    }

    fn pins(&mut self, contact: ContactId) -> Result<Vec<Pin>> {
        trust::pins(self, contact)
    }

    fn pin_set(&mut self, pin: &Pin) -> Result<()> {
        trust::pin_set(self, pin)
    }

    fn outbox_held(&mut self, conversation: Option<ConversationId>) -> Result<Vec<OutboxRow>> {
        outbox::held(self, conversation)
    }

    fn outbox_leaving(&mut self, writer: &UserId) -> Result<Vec<OutboxRow>> {
        outbox::leaving(self, writer)
    }

    fn suppression(&mut self, own: &[u8; 32], contact: ContactId) -> Result<Option<Suppression>> {
        limits::suppression(self, own, contact)
    }

    fn suppression_set(&mut self, suppression: &Suppression) -> Result<()> {
        limits::suppression_set(self, suppression)
    }

    fn suppression_lift(&mut self, own: &[u8; 32], contact: ContactId) -> Result<bool> {
        limits::suppression_lift(self, own, contact)
    }

    fn suppressions(&mut self, limit: u32) -> Result<Vec<Suppression>> {
        limits::suppressions(self, limit)
    }

    fn tally_add(&mut self, key: &TallyKey, at: Timestamp, amount: i64) -> Result<()> {
        limits::tally_add(self, key, at, amount)
    }

    fn tallies(&mut self, key: &TallyKey, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, i64)>> {
        limits::tallies(self, key, from, to)
    }

    fn prune_tallies(&mut self, before: Timestamp) -> Result<u64> {
        limits::prune(self, before)
    }

    fn conversation_touch(&mut self, id: ConversationId, now: Timestamp) -> Result<()> {
        conversations::touch(self, id, now)
    }

    fn conversations(&mut self, line: Option<&LineId>, limit: u32) -> Result<Vec<Conversation>> {
        conversations::latest(self, line, limit)
    }

    fn room_role(&mut self, room: &RoomId) -> Result<Option<RoomRole>> {
        rooms::role(self, room)
    }

    fn room_set_role(&mut self, room: &RoomId, role: &RoomRole) -> Result<()> {
        rooms::set_role(self, room, role)
    }

    fn room_by_role(&mut self, role: &RoomRole) -> Result<Option<RoomId>> {
        rooms::by_role(self, role)
    }

    fn room_forget(&mut self, room: &RoomId) -> Result<()> {
        rooms::forget(self, room)
    }

    fn member_set(&mut self, room: &RoomId, user: &UserId, membership: Membership) -> Result<()> {
        rooms::member_set(self, room, user, membership)
    }

    fn members(&mut self, room: &RoomId) -> Result<Vec<(UserId, Membership)>> {
        rooms::members(self, room)
    }

    fn message(&mut self, id: MessageId) -> Result<Option<MessageRecord>> {
        messages::by_id(self, id)
    }

    fn message_by_event(&mut self, event: &EventId) -> Result<Option<MessageRecord>> {
        messages::by_event(self, event)
    }

    fn message_add(&mut self, record: &MessageRecord) -> Result<MessageId> {
        messages::add(self, record)
    }

    fn message_update(&mut self, record: &MessageRecord) -> Result<()> {
        messages::update(self, record)
    }

    fn messages_of(&mut self, conversation: ConversationId, limit: u32) -> Result<Vec<MessageRecord>> {
        messages::latest_out(self, conversation, limit)
    }

    fn part_add(&mut self, part: &PartRecord) -> Result<()> {
        messages::part_add(self, part)
    }

    fn part_by_network_id(&mut self, connector: &ConnectorId, id: &NetworkId) -> Result<Option<PartRecord>> {
        messages::part_by_network_id(self, connector, id)
    }

    fn parts_of(&mut self, message: MessageId) -> Result<Vec<PartRecord>> {
        messages::parts_of(self, message)
    }

    fn part_set_state(&mut self, part: &PartRecord, state: State) -> Result<()> {
        messages::part_set_state(self, part, state)
    }

    fn early_receipt_add(&mut self, receipt: &EarlyReceipt) -> Result<()> {
        messages::early_receipt_add(self, receipt)
    }

    fn early_receipts_take(&mut self, connector: &ConnectorId, id: &NetworkId) -> Result<Vec<EarlyReceipt>> {
        messages::early_receipts_take(self, connector, id)
    }

    fn assembly(&mut self, id: AssemblyId) -> Result<Option<Assembly>> {
        assemblies::by_id(self, id)
    }

    fn assembly_by_key(&mut self, conversation: ConversationId, key: &str) -> Result<Option<Assembly>> {
        assemblies::by_key(self, conversation, key)
    }

    fn assembly_add(
        &mut self,
        conversation: ConversationId,
        key: &str,
        total: u8,
        now: Timestamp,
    ) -> Result<AssemblyId> {
        assemblies::add(self, conversation, key, total, now)
    }

    fn assembly_set_message(&mut self, id: AssemblyId, message: MessageId) -> Result<()> {
        assemblies::set_message(self, id, message)
    }

    fn assembly_part_add(&mut self, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<bool> {
        assemblies::part_add(self, id, index, sealed)
    }

    fn assembly_part_set(&mut self, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<()> {
        assemblies::part_set(self, id, index, sealed)
    }

    fn assembly_parts(&mut self, id: AssemblyId) -> Result<Vec<AssemblyPart>> {
        assemblies::parts(self, id)
    }

    fn assembly_remove(&mut self, id: AssemblyId) -> Result<()> {
        assemblies::remove(self, id)
    }

    fn outbox_push(&mut self, row: &NewOutboxRow) -> Result<OutboxId> {
        outbox::push(self, row)
    }

    fn outbox_heads(&mut self) -> Result<Vec<OutboxHead>> {
        outbox::heads(self)
    }

    fn outbox(&mut self, id: OutboxId) -> Result<Option<OutboxRow>> {
        outbox::by_id(self, id)
    }

    fn outbox_by_message(&mut self, message: MessageId) -> Result<Option<OutboxRow>> {
        outbox::by_message(self, message)
    }

    fn outbox_set_state(&mut self, id: OutboxId, state: OutboxState) -> Result<()> {
        outbox::set_state(self, id, state)
    }

    fn outbox_postpone(&mut self, id: OutboxId, not_before: Timestamp, counts: bool) -> Result<()> {
        outbox::postpone(self, id, not_before, counts)
    }

    fn outbox_expired(&mut self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>> {
        outbox::expired(self, now, limit)
    }

    fn outbox_remove(&mut self, id: OutboxId) -> Result<()> {
        outbox::remove(self, id)
    }

    fn audit_push(&mut self, row: &AuditRow) -> Result<()> {
        audit::push(self, row)
    }

    fn audit_last(&mut self) -> Result<Option<AuditRow>> {
        audit::last(self)
    }

    fn audit_rows(&mut self, after: i64, limit: u32) -> Result<Vec<AuditRow>> {
        audit::rows(self, after, limit)
    }

    fn audit_forget(&mut self, through: i64) -> Result<()> {
        audit::forget(self, through)
    }

    fn timer_set(&mut self, timer: &Timer, due: Timestamp) -> Result<()> {
        timers::set(self, timer, due)
    }

    fn timers_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Timer>> {
        timers::take_due(self, now, limit)
    }

    fn timer_next(&mut self) -> Result<Option<Timestamp>> {
        timers::next(self)
    }

    fn setting(&mut self, name: &str) -> Result<Option<String>> {
        timers::setting(self, name)
    }

    fn setting_set(&mut self, name: &str, value: &str) -> Result<()> {
        timers::setting_set(self, name, value)
    }

    fn queue_depths(&mut self) -> Result<Vec<QueueDepth>> {
        timers::queue_depths(self)
    }

    fn line_depths(&mut self) -> Result<Vec<LineDepth>> {
        timers::line_depths(self)
    }

    fn prune(&mut self, before: Timestamp) -> Result<u64> {
        timers::prune(self, before)
    }

    fn prune_buried(&mut self, before: Timestamp) -> Result<u64> {
        inbox::prune_buried(self, before)
    }

    fn holdings(&mut self) -> Result<Vec<Holding>> {
        holdings::all(self)
    }
}
