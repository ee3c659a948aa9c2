//! Timers, settings, how full the queues are, and forgetting.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{AssemblyId, ConnectorId, LineId, MessageId, NetworkId};
use swingbridge_domain::store::{Direction, LineDepth, QueueDepth, Result, StoreError, Timer};

/// How many rows of a kind are forgotten at once, so that nobody waits long behind it.
pub(super) const PRUNED_AT_ONCE: i64 = 50_000;

/// A timer as it stands in its columns: kind, number, connector, network id.
fn columns(timer: &Timer) -> (&'static str, i64, &str, &str) {
    match timer {
        Timer::AssemblyDue(id) => ("assembly_due", id.0, "", ""),
        Timer::AssemblyGone(id) => ("assembly_gone", id.0, "", ""),
        Timer::PartsSettle(id) => ("parts_settle", id.0, "", ""),
        Timer::Overdue(id) => ("overdue", id.0, "", ""),
        Timer::EarlyReceiptGone(connector, id) => ("early_receipt_gone", 0, connector.as_str(), id.as_str()),
    }
}

fn timer(row: &dyn Row) -> Result<Timer> {
    let number = row.int(1)?;
    match row.text(0)? {
        "assembly_due" => Ok(Timer::AssemblyDue(AssemblyId(number))),
        "assembly_gone" => Ok(Timer::AssemblyGone(AssemblyId(number))),
        "parts_settle" => Ok(Timer::PartsSettle(MessageId(number))),
        "overdue" => Ok(Timer::Overdue(MessageId(number))),
        "early_receipt_gone" => Ok(Timer::EarlyReceiptGone(
            ConnectorId::new(row.text(2)?),
            NetworkId::new(row.text(3)?),
        )),
        _ => Err(StoreError::Damaged(
            "a timer has a kind that does not exist".into(),
        )),
    }
}

pub(super) fn set(db: &mut dyn Statements, timer: &Timer, due: Timestamp) -> Result<()> {
    let (kind, number, connector, network_id) = columns(timer);
    db.execute(
        "INSERT INTO timers (kind, number, connector, network_id, due) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (kind, number, connector, network_id) DO UPDATE SET due = excluded.due",
        &[
            kind.into(),
            number.into(),
            connector.into(),
            network_id.into(),
            due.0.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn take_due(db: &mut dyn Statements, now: Timestamp, limit: u32) -> Result<Vec<Timer>> {
    let due = all(
        db,
        "SELECT kind, number, connector, network_id FROM timers
         WHERE due <= ?1 ORDER BY due, kind, number LIMIT ?2",
        &[now.0.into(), i64::from(limit).into()],
        timer,
    )?;
    for timer in &due {
        let (kind, number, connector, network_id) = columns(timer);
        db.execute(
            "DELETE FROM timers WHERE kind = ?1 AND number = ?2 AND connector = ?3 AND network_id = ?4",
            &[kind.into(), number.into(), connector.into(), network_id.into()],
        )?;
    }
    Ok(due)
}

pub(super) fn next(db: &mut dyn Statements) -> Result<Option<Timestamp>> {
    first(db, "SELECT due FROM timers ORDER BY due LIMIT 1", &[], |row| {
        row.int(0).map(Timestamp)
    })
}

pub(super) fn setting(db: &mut dyn Statements, name: &str) -> Result<Option<String>> {
    first(
        db,
        "SELECT value FROM settings WHERE name = ?1",
        &[name.into()],
        |row| row.text(0).map(str::to_owned),
    )
}

pub(super) fn setting_set(db: &mut dyn Statements, name: &str, value: &str) -> Result<()> {
    db.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[name.into(), value.into()],
    )?;
    Ok(())
}

/// The inbox and the homeserver always, connectors when something waits for them. Parked rows do not wait.
pub(super) fn queue_depths(db: &mut dyn Statements) -> Result<Vec<QueueDepth>> {
    let depth = |queue: &str, row: &dyn Row, column: usize| -> Result<QueueDepth> {
        Ok(QueueDepth {
            queue: queue.to_owned(),
            rows: row.narrow(column)?,
            oldest: row.maybe_int(column + 1)?.map(Timestamp),
        })
    };
    let mut depths = all(db, "SELECT count(*), min(received_at) FROM inbox", &[], |row| {
        depth("inbox", row, 0)
    })?;
    depths.extend(all(
        db,
        "SELECT count(*), min(created_at) FROM outbox WHERE connector IS NULL AND state NOT IN ('parked', 'held')",
        &[],
        |row| depth("homeserver", row, 0),
    )?);
    depths.extend(all(
        db,
        "SELECT connector, count(*), min(created_at) FROM outbox
         WHERE connector IS NOT NULL AND state NOT IN ('parked', 'held') GROUP BY connector ORDER BY connector",
        &[],
        |row| depth(row.text(0)?, row, 1),
    )?);
    Ok(depths)
}

/// Rows that carry no message belong to no line.
pub(super) fn line_depths(db: &mut dyn Statements) -> Result<Vec<LineDepth>> {
    all(
        db,
        "SELECT conversations.line, CASE WHEN outbox.connector IS NULL THEN 'in' ELSE 'out' END,
                count(*), min(outbox.created_at)
         FROM outbox
         JOIN messages ON messages.id = outbox.message
         JOIN conversations ON conversations.id = messages.conversation
         WHERE outbox.state NOT IN ('parked', 'held')
         GROUP BY 1, 2 ORDER BY 1, 2",
        &[],
        |row| {
            Ok(LineDepth {
                line: LineId::new(row.text(0)?),
                direction: row.word(1, |word| match word {
                    "in" => Some(Direction::In),
                    "out" => Some(Direction::Out),
                    _ => None,
                })?,
                rows: row.narrow(2)?,
                oldest: row.maybe_int(3)?.map(Timestamp),
            })
        },
    )
}

pub(super) fn prune(db: &mut dyn Statements, before: Timestamp) -> Result<u64> {
    let values = [before.0.into(), PRUNED_AT_ONCE.into()];
    let mut rows = db.execute(
        "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE at < ?1 ORDER BY at LIMIT ?2)",
        &values,
    )?;
    rows += db.execute(
        "DELETE FROM events WHERE (sent_at, key) IN
            (SELECT sent_at, key FROM events WHERE sent_at < ?1 AND at < ?1 ORDER BY sent_at LIMIT ?2)",
        &values,
    )?;
    rows += db.execute(
        "DELETE FROM deliveries WHERE (connector, digest, session, sequence) IN
            (SELECT connector, digest, session, sequence FROM deliveries WHERE at < ?1 ORDER BY at LIMIT ?2)",
        &values,
    )?;
    // While a session's deliveries are remembered its end is, too.
    rows += db.execute(
        "DELETE FROM sessions WHERE ended_at < ?1
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.at < ?1)",
        &values[..1],
    )?;
    rows += db.execute("DELETE FROM questions WHERE at < ?1", &values[..1])?;
    // Ids grow with time, so the walk ends at the first message that is young enough.
    let young = first(
        db,
        "SELECT id FROM messages WHERE created_at >= ?1 ORDER BY id LIMIT 1",
        &values[..1],
        |row| row.int(0),
    )?;
    rows += db.execute(
        "DELETE FROM messages WHERE id IN
            (SELECT id FROM messages WHERE id < ?3 AND updated_at < ?1
                AND state NOT IN ('queued', 'sending', 'held')
                AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.message = messages.id)
                AND id NOT IN (SELECT message FROM assemblies WHERE message IS NOT NULL)
             ORDER BY id LIMIT ?2)",
        &[values[0], values[1], young.unwrap_or(i64::MAX).into()],
    )?;
    Ok(rows)
}
