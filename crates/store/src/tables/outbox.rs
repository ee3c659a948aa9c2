//! What is to be sent.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ConnectorId, ConversationId, LineId, MessageId, OutboxId, RoomId, UserId};
use swingbridge_domain::store::{
    Lane, NewOutboxRow, OutboxHead, OutboxRow, OutboxState, Result, StoreError, Target,
};

fn state_word(state: OutboxState) -> &'static str {
    match state {
        OutboxState::Queued => "queued",
        OutboxState::Sending => "sending",
        OutboxState::Parked => "parked",
        OutboxState::Held => "held",
    }
}

fn read_state(word: &str) -> Option<OutboxState> {
    [
        OutboxState::Queued,
        OutboxState::Sending,
        OutboxState::Parked,
        OutboxState::Held,
    ]
    .into_iter()
    .find(|state| state_word(*state) == word)
}

fn read_target(row: &dyn Row, column: usize) -> Result<Target> {
    Ok(match row.maybe_text(column)? {
        None => Target::Homeserver,
        Some(connector) => Target::Connector(ConnectorId::new(connector)),
    })
}

/// From two columns: the kind, and what it names.
fn read_lane(row: &dyn Row, column: usize) -> Result<Lane> {
    let name = row.text(column + 1)?;
    let damaged = || StoreError::Damaged("an outbox row has a lane that does not exist".into());
    match row.text(column)? {
        "conversation" => name
            .parse()
            .map(|id| Lane::Conversation(ConversationId(id)))
            .map_err(|_| damaged()),
        "room" => Ok(Lane::Room(RoomId::new(name))),
        "user" => Ok(Lane::User(UserId::new(name))),
        "line" => Ok(Lane::Line(LineId::new(name))),
        _ => Err(damaged()),
    }
}

fn outbox_row(row: &dyn Row) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: OutboxId(row.int(0)?),
        target: read_target(row, 1)?,
        lane: read_lane(row, 2)?,
        message: row.maybe_int(4)?.map(MessageId),
        state: row.word(5, read_state)?,
        attempts: row.narrow(6)?,
        not_before: Timestamp(row.int(7)?),
        created_at: Timestamp(row.int(8)?),
        expires_at: row.maybe_int(9)?.map(Timestamp),
        sealed: row.bytes(10)?.to_vec(),
    })
}

pub(super) fn push(db: &mut dyn Statements, row: &NewOutboxRow) -> Result<OutboxId> {
    let connector = match &row.target {
        Target::Homeserver => None,
        Target::Connector(connector) => Some(connector.as_str()),
    };
    let number;
    let (kind, lane) = match &row.lane {
        Lane::Conversation(id) => {
            number = id.to_string();
            ("conversation", number.as_str())
        }
        Lane::Room(room) => ("room", room.as_str()),
        Lane::User(user) => ("user", user.as_str()),
        Lane::Line(line) => ("line", line.as_str()),
    };
    db.insert(
        "INSERT INTO outbox (connector, lane_kind, lane, message, state, not_before, created_at, expires_at, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            connector.into(),
            kind.into(),
            lane.into(),
            row.message.map(|message| message.0).into(),
            state_word(row.state).into(),
            row.not_before.0.into(),
            row.created_at.0.into(),
            row.expires_at.map(|at| at.0).into(),
            row.sealed[..].into(),
        ],
    )
    .map(OutboxId)
}

pub(super) fn heads(db: &mut dyn Statements) -> Result<Vec<OutboxHead>> {
    all(
        db,
        "SELECT id, connector, lane_kind, lane, state, not_before FROM outbox ORDER BY id",
        &[],
        |row| {
            Ok(OutboxHead {
                id: OutboxId(row.int(0)?),
                target: read_target(row, 1)?,
                lane: read_lane(row, 2)?,
                state: row.word(4, read_state)?,
                not_before: Timestamp(row.int(5)?),
            })
        },
    )
}

pub(super) fn by_id(db: &mut dyn Statements, id: OutboxId) -> Result<Option<OutboxRow>> {
    first(
        db,
        "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
         FROM outbox WHERE id = ?1",
        &[id.0.into()],
        outbox_row,
    )
}

/// What goes to a phone network comes before what tells the homeserver about it.
pub(super) fn by_message(db: &mut dyn Statements, message: MessageId) -> Result<Option<OutboxRow>> {
    first(
        db,
        "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
         FROM outbox WHERE message = ?1 ORDER BY CASE WHEN connector IS NULL THEN 1 ELSE 0 END, id LIMIT 1",
        &[message.0.into()],
        outbox_row,
    )
}

pub(super) fn set_state(db: &mut dyn Statements, id: OutboxId, state: OutboxState) -> Result<()> {
    db.execute(
        "UPDATE outbox SET state = ?2 WHERE id = ?1",
        &[id.0.into(), state_word(state).into()],
    )?;
    Ok(())
}

pub(super) fn postpone(
    db: &mut dyn Statements,
    id: OutboxId,
    not_before: Timestamp,
    counts: bool,
) -> Result<()> {
    db.execute(
        "UPDATE outbox SET state = 'queued', not_before = ?2, attempts = attempts + ?3 WHERE id = ?1",
        &[id.0.into(), not_before.0.into(), i64::from(counts).into()],
    )?;
    Ok(())
}

pub(super) fn expired(db: &mut dyn Statements, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>> {
    all(
        db,
        "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
         FROM outbox WHERE expires_at <= ?1 AND state <> 'sending' ORDER BY expires_at, id LIMIT ?2",
        &[now.0.into(), i64::from(limit).into()],
        outbox_row,
    )
}

pub(super) fn held(db: &mut dyn Statements, conversation: Option<ConversationId>) -> Result<Vec<OutboxRow>> {
    let Some(conversation) = conversation else {
        return all(
            db,
            "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
             FROM outbox WHERE state = 'held' ORDER BY id",
            &[],
            outbox_row,
        );
    };
    all(
        db,
        "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
         FROM outbox WHERE state = 'held' AND lane_kind = 'conversation' AND lane = ?1 ORDER BY id",
        &[conversation.to_string().as_str().into()],
        outbox_row,
    )
}

pub(super) fn leaving(db: &mut dyn Statements, writer: &UserId) -> Result<Vec<OutboxRow>> {
    all(
        db,
        "SELECT id, connector, lane_kind, lane, message, state, attempts, not_before, created_at, expires_at, sealed
         FROM outbox
         WHERE connector IS NOT NULL AND state = 'queued'
            AND message IN (SELECT id FROM messages WHERE direction = 'out' AND sender = ?1)
         ORDER BY id",
        &[writer.as_str().into()],
        outbox_row,
    )
}

pub(super) fn remove(db: &mut dyn Statements, id: OutboxId) -> Result<()> {
    db.execute("DELETE FROM outbox WHERE id = ?1", &[id.0.into()])?;
    Ok(())
}
