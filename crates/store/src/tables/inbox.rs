//! What arrived, and what tells it from its own repetition.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ConnectorId, InboxId, SessionId};
use swingbridge_domain::inbox::{REDELIVERY_WINDOW, UNSURE_BEFORE_END};
use swingbridge_domain::store::{BuriedRow, InboxRow, Result};

pub(super) fn remember(db: &mut dyn Statements, key: &[u8], now: Timestamp) -> Result<bool> {
    let written = db.execute(
        "INSERT INTO seen (key, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        &[key.into(), now.0.into()],
    )?;
    Ok(written == 1)
}

pub(super) fn remember_event(
    db: &mut dyn Statements,
    sent_at: Timestamp,
    key: &[u8],
    now: Timestamp,
) -> Result<bool> {
    let written = db.execute(
        "INSERT INTO events (sent_at, key, at)
         SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM seen WHERE key = ?2)
         ON CONFLICT DO NOTHING",
        &[sent_at.0.into(), key.into(), now.0.into()],
    )?;
    Ok(written == 1)
}

pub(super) fn remember_delivery(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    session: SessionId,
    sequence: u32,
    digest: &[u8; 16],
    now: Timestamp,
) -> Result<bool> {
    let written = db.execute(
        "INSERT INTO deliveries (connector, digest, session, sequence, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        &[
            connector.as_str().into(),
            digest[..].into(),
            session.0.into(),
            i64::from(sequence).into(),
            now.0.into(),
        ],
    )?;
    if written == 0 {
        return Ok(false);
    }
    let started_at = first(
        db,
        "SELECT started_at FROM sessions WHERE connector = ?1 AND session = ?2",
        &[connector.as_str().into(), session.0.into()],
        |row| row.int(0),
    )?;
    let Some(started_at) = started_at else {
        // Its beginning was not told: it is a session all the same, and can end or be lost.
        session_started(db, connector, session, now)?;
        return take_earlier(db, connector, session, digest).map(|taken| !taken);
    };
    if now.since(Timestamp(started_at)) > REDELIVERY_WINDOW {
        return Ok(true);
    }
    take_earlier(db, connector, session, digest).map(|taken| !taken)
}

/// Matches this delivery with one of an earlier session that may not have been answered, once.
fn take_earlier(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    session: SessionId,
    digest: &[u8; 16],
) -> Result<bool> {
    let unsure = i64::try_from(UNSURE_BEFORE_END.as_millis()).unwrap_or(i64::MAX);
    let earlier = first(
        db,
        "SELECT deliveries.session, deliveries.sequence
         FROM deliveries JOIN sessions
           ON sessions.connector = deliveries.connector AND sessions.session = deliveries.session
         WHERE deliveries.connector = ?1 AND deliveries.digest = ?2 AND deliveries.session <> ?3
           AND deliveries.matched = 0 AND sessions.ended_at - deliveries.at < ?4
         ORDER BY deliveries.at, deliveries.session, deliveries.sequence LIMIT 1",
        &[
            connector.as_str().into(),
            digest[..].into(),
            session.0.into(),
            unsure.into(),
        ],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let Some((session, sequence)) = earlier else {
        return Ok(false);
    };
    db.execute(
        "UPDATE deliveries SET matched = 1
         WHERE connector = ?1 AND digest = ?2 AND session = ?3 AND sequence = ?4",
        &[
            connector.as_str().into(),
            digest[..].into(),
            session.into(),
            sequence.into(),
        ],
    )?;
    Ok(true)
}

pub(super) fn session_started(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    session: SessionId,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "INSERT INTO sessions (connector, session, started_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        &[connector.as_str().into(), session.0.into(), now.0.into()],
    )?;
    Ok(())
}

pub(super) fn session_ended(
    db: &mut dyn Statements,
    connector: &ConnectorId,
    session: SessionId,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE sessions SET ended_at = ?3 WHERE connector = ?1 AND session = ?2 AND ended_at IS NULL",
        &[connector.as_str().into(), session.0.into(), now.0.into()],
    )?;
    Ok(())
}

pub(super) fn sessions_lost(db: &mut dyn Statements) -> Result<()> {
    db.execute(
        "UPDATE sessions SET ended_at = coalesce(
            (SELECT max(deliveries.at) FROM deliveries
             WHERE deliveries.connector = sessions.connector AND deliveries.session = sessions.session),
            started_at)
         WHERE ended_at IS NULL",
        &[],
    )?;
    Ok(())
}

pub(super) fn push(db: &mut dyn Statements, sealed: &[u8], received_at: Timestamp) -> Result<InboxId> {
    db.insert(
        "INSERT INTO inbox (sealed, received_at) VALUES (?1, ?2)",
        &[sealed.into(), received_at.0.into()],
    )
    .map(InboxId)
}

fn row(row: &dyn Row) -> Result<InboxRow> {
    Ok(InboxRow {
        id: InboxId(row.int(0)?),
        sealed: row.bytes(1)?.to_vec(),
        received_at: Timestamp(row.int(2)?),
    })
}

pub(super) fn oldest(db: &mut dyn Statements, limit: u32) -> Result<Vec<InboxRow>> {
    all(
        db,
        "SELECT id, sealed, received_at FROM inbox ORDER BY id LIMIT ?1",
        &[i64::from(limit).into()],
        row,
    )
}

pub(super) fn remove(db: &mut dyn Statements, id: InboxId) -> Result<()> {
    db.execute("DELETE FROM inbox WHERE id = ?1", &[id.0.into()])?;
    Ok(())
}

pub(super) fn bury(db: &mut dyn Statements, id: InboxId, error: &str) -> Result<()> {
    db.execute(
        "INSERT INTO buried (id, sealed, received_at, error)
         SELECT id, sealed, received_at, ?2 FROM inbox WHERE id = ?1",
        &[id.0.into(), error.into()],
    )?;
    remove(db, id)
}

pub(super) fn buried(db: &mut dyn Statements, limit: u32) -> Result<Vec<BuriedRow>> {
    all(
        db,
        "SELECT id, sealed, received_at, error FROM buried ORDER BY id LIMIT ?1",
        &[i64::from(limit).into()],
        |columns| {
            Ok(BuriedRow {
                row: row(columns)?,
                error: columns.text(3)?.to_owned(),
            })
        },
    )
}

pub(super) fn exhume(db: &mut dyn Statements) -> Result<u64> {
    let rows = db.execute(
        "INSERT INTO inbox (sealed, received_at) SELECT sealed, received_at FROM buried ORDER BY id",
        &[],
    )?;
    db.execute("DELETE FROM buried", &[])?;
    Ok(rows)
}

pub(super) fn prune_buried(db: &mut dyn Statements, before: Timestamp) -> Result<u64> {
    db.execute("DELETE FROM buried WHERE received_at < ?1", &[before.0.into()])
}
