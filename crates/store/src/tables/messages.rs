//! Records of messages and of their parts, and receipts that came before their time.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::{ConnectorId, ConversationId, EventId, MessageId, NetworkId, UserId};
use swingbridge_domain::path::Path;
use swingbridge_domain::store::{Direction, EarlyReceipt, MessageRecord, PartRecord, Result};

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "out",
        Direction::In => "in",
    }
}

fn read_direction(word: &str) -> Option<Direction> {
    match word {
        "out" => Some(Direction::Out),
        "in" => Some(Direction::In),
        _ => None,
    }
}

fn message(row: &dyn Row) -> Result<MessageRecord> {
    Ok(MessageRecord {
        id: MessageId(row.int(0)?),
        conversation: ConversationId(row.int(1)?),
        direction: row.word(2, read_direction)?,
        event: row.maybe_text(3)?.map(EventId::new),
        sender: row.maybe_text(4)?.map(UserId::new),
        state: row.word(5, State::from_word)?,
        detail: row.maybe_text(6)?.map(str::to_owned),
        segments: row.narrow(7)?,
        encoding: row.maybe_text(8)?.map(str::to_owned),
        created_at: Timestamp(row.int(9)?),
        updated_at: Timestamp(row.int(10)?),
        path: row.maybe_text(11)?.and_then(Path::from_code),
    })
}

pub(super) fn by_id(db: &mut dyn Statements, id: MessageId) -> Result<Option<MessageRecord>> {
    first(
        db,
        "SELECT id, conversation, direction, event, sender, state, detail, segments, encoding,
            created_at, updated_at, path
         FROM messages WHERE id = ?1",
        &[id.0.into()],
        message,
    )
}

pub(super) fn by_event(db: &mut dyn Statements, event: &EventId) -> Result<Option<MessageRecord>> {
    first(
        db,
        "SELECT id, conversation, direction, event, sender, state, detail, segments, encoding,
            created_at, updated_at, path
         FROM messages WHERE event = ?1 ORDER BY id DESC LIMIT 1",
        &[event.as_str().into()],
        message,
    )
}

pub(super) fn add(db: &mut dyn Statements, record: &MessageRecord) -> Result<MessageId> {
    let path = record.path.as_ref().map(Path::code);
    db.insert(
        "INSERT INTO messages (conversation, direction, event, sender, state, detail, segments, encoding,
            created_at, updated_at, path)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        &[
            record.conversation.0.into(),
            direction_word(record.direction).into(),
            record.event.as_ref().map(EventId::as_str).into(),
            record.sender.as_ref().map(UserId::as_str).into(),
            record.state.word().into(),
            record.detail.as_deref().into(),
            i64::from(record.segments).into(),
            record.encoding.as_deref().into(),
            record.created_at.0.into(),
            record.updated_at.0.into(),
            path.as_deref().into(),
        ],
    )
    .map(MessageId)
}

pub(super) fn update(db: &mut dyn Statements, record: &MessageRecord) -> Result<()> {
    let path = record.path.as_ref().map(Path::code);
    let values = [
        record.id.0.into(),
        record.event.as_ref().map(EventId::as_str).into(),
        record.state.word().into(),
        record.detail.as_deref().into(),
        i64::from(record.segments).into(),
        record.encoding.as_deref().into(),
        record.updated_at.0.into(),
        path.as_deref().into(),
    ];
    // The event mostly stays what it was; written all the same, it would be taken out of its index and put back.
    let same = db.execute(
        "UPDATE messages SET state = ?3, detail = ?4, segments = ?5, encoding = ?6, updated_at = ?7, path = ?8
         WHERE id = ?1 AND event = ?2",
        &values,
    )?;
    if same == 0 {
        db.execute(
            "UPDATE messages SET event = ?2, state = ?3, detail = ?4, segments = ?5, encoding = ?6, updated_at = ?7, path = ?8
             WHERE id = ?1",
            &values,
        )?;
    }
    Ok(())
}

pub(super) fn latest_out(
    db: &mut dyn Statements,
    conversation: ConversationId,
    limit: u32,
) -> Result<Vec<MessageRecord>> {
    all(
        db,
        "SELECT id, conversation, direction, event, sender, state, detail, segments, encoding,
            created_at, updated_at, path
         FROM messages WHERE conversation = ?1 AND direction = 'out' ORDER BY id DESC LIMIT ?2",
        &[conversation.0.into(), i64::from(limit).into()],
        message,
    )
}

fn part(row: &dyn Row) -> Result<PartRecord> {
    Ok(PartRecord {
        connector: ConnectorId::new(row.text(0)?),
        network_id: NetworkId::new(row.text(1)?),
        message: MessageId(row.int(2)?),
        index: row.narrow(3)?,
        state: row.word(4, State::from_word)?,
    })
}

pub(super) fn part_add(db: &mut dyn Statements, part: &PartRecord) -> Result<()> {
    db.execute(
        "INSERT INTO parts (connector, network_id, message, idx, state) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[
            part.connector.as_str().into(),
            part.network_id.as_str().into(),
            part.message.0.into(),
            i64::from(part.index).into(),
            part.state.word().into(),
        ],
    )?;
    Ok(())
}

pub(super) fn part_by_network_id(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    id: &NetworkId,
) -> Result<Option<PartRecord>> {
    first(
        db,
        "SELECT connector, network_id, message, idx, state FROM parts
         WHERE network_id = ?1 AND connector = ?2 ORDER BY id DESC LIMIT 1",
        &[id.as_str().into(), connector.as_str().into()],
        part,
    )
}

pub(super) fn parts_of(db: &mut dyn Statements, message: MessageId) -> Result<Vec<PartRecord>> {
    all(
        db,
        "SELECT connector, network_id, message, idx, state FROM parts WHERE message = ?1 ORDER BY idx, id",
        &[message.0.into()],
        part,
    )
}

pub(super) fn part_set_state(db: &mut dyn Statements, part: &PartRecord, state: State) -> Result<()> {
    db.execute(
        "UPDATE parts SET state = ?5 WHERE network_id = ?1 AND connector = ?2 AND message = ?3 AND idx = ?4",
        &[
            part.network_id.as_str().into(),
            part.connector.as_str().into(),
            part.message.0.into(),
            i64::from(part.index).into(),
            state.word().into(),
        ],
    )?;
    Ok(())
}

pub(super) fn early_receipt_add(db: &mut dyn Statements, receipt: &EarlyReceipt) -> Result<()> {
    db.execute(
        "INSERT INTO early_receipts (connector, network_id, sealed, received_at) VALUES (?1, ?2, ?3, ?4)",
        &[
            receipt.connector.as_str().into(),
            receipt.network_id.as_str().into(),
            receipt.sealed[..].into(),
            receipt.received_at.0.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn early_receipts_take(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    id: &NetworkId,
) -> Result<Vec<EarlyReceipt>> {
    let key = [id.as_str().into(), connector.as_str().into()];
    let receipts = all(
        db,
        "SELECT sealed, received_at FROM early_receipts WHERE network_id = ?1 AND connector = ?2 ORDER BY id",
        &key,
        |row| {
            Ok(EarlyReceipt {
                connector: connector.clone(),
                network_id: id.clone(),
                sealed: row.bytes(0)?.to_vec(),
                received_at: Timestamp(row.int(1)?),
            })
        },
    )?;
    if !receipts.is_empty() {
        db.execute(
            "DELETE FROM early_receipts WHERE network_id = ?1 AND connector = ?2",
            &key,
        )?;
    }
    Ok(receipts)
}
