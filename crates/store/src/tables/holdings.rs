//! How much is kept of everything.

use crate::database::{Statements, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::store::{Holding, Result};

/// Every table with what counts it, and its oldest row where rows have a time. The test below misses none.
const COUNTED: &[(&str, &str)] = &[
    ("inbox", "SELECT count(*), min(received_at) FROM inbox"),
    ("buried", "SELECT count(*), min(received_at) FROM buried"),
    (
        "outbox (homeserver)",
        "SELECT count(*), min(created_at) FROM outbox WHERE connector IS NULL AND state NOT IN ('parked', 'held')",
    ),
    (
        "outbox (networks)",
        "SELECT count(*), min(created_at) FROM outbox WHERE connector IS NOT NULL AND state NOT IN ('parked', 'held')",
    ),
    (
        "outbox (parked)",
        "SELECT count(*), min(created_at) FROM outbox WHERE state = 'parked'",
    ),
    (
        "outbox (held)",
        "SELECT count(*), min(created_at) FROM outbox WHERE state = 'held'",
    ),
    (
        "assembly_parts",
        "SELECT count(*), min(assemblies.started_at) FROM assembly_parts
         JOIN assemblies ON assemblies.id = assembly_parts.assembly",
    ),
    ("assemblies", "SELECT count(*), min(started_at) FROM assemblies"),
    (
        "early_receipts",
        "SELECT count(*), min(received_at) FROM early_receipts",
    ),
    ("contacts", "SELECT count(*), CAST(NULL AS BIGINT) FROM contacts"),
    (
        "conversations",
        "SELECT count(*), min(last_at) FROM conversations",
    ),
    ("aliases", "SELECT count(*), CAST(NULL AS BIGINT) FROM aliases"),
    ("messages", "SELECT count(*), min(updated_at) FROM messages"),
    (
        "parts",
        "SELECT count(*), min(messages.updated_at) FROM parts JOIN messages ON messages.id = parts.message",
    ),
    ("seen", "SELECT count(*), min(at) FROM seen"),
    ("events", "SELECT count(*), min(at) FROM events"),
    ("deliveries", "SELECT count(*), min(at) FROM deliveries"),
    ("sessions", "SELECT count(*), min(started_at) FROM sessions"),
    ("consents", "SELECT count(*), min(at) FROM consents"),
    ("questions", "SELECT count(*), min(at) FROM questions"),
    ("pins", "SELECT count(*), min(at) FROM pins"),
    ("suppressions", "SELECT count(*), min(at) FROM suppressions"),
    ("tallies", "SELECT count(*), min(at) FROM tallies"),
    ("rooms", "SELECT count(*), CAST(NULL AS BIGINT) FROM rooms"),
    ("members", "SELECT count(*), CAST(NULL AS BIGINT) FROM members"),
    ("timers", "SELECT count(*), CAST(NULL AS BIGINT) FROM timers"),
    ("settings", "SELECT count(*), CAST(NULL AS BIGINT) FROM settings"),
    ("audit", "SELECT count(*), CAST(NULL AS BIGINT) FROM audit"),
];

pub(super) fn all(db: &mut dyn Statements) -> Result<Vec<Holding>> {
    let mut holdings = Vec::with_capacity(COUNTED.len());
    for &(table, sql) in COUNTED {
        let counted = first(db, sql, &[], |row| {
            Ok(Holding {
                table,
                rows: row.narrow(0)?,
                oldest: row.maybe_int(1)?.map(Timestamp),
            })
        })?;
        holdings.extend(counted);
    }
    Ok(holdings)
}

#[cfg(test)]
mod tests {
    use super::COUNTED;
    use crate::migrate::SERIES;

    #[test]
    fn no_table_is_forgotten() {
        for migration in SERIES {
            let tables = migration
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("CREATE TABLE "))
                .filter_map(|rest| rest.split_whitespace().next());
            for table in tables {
                assert!(
                    COUNTED
                        .iter()
                        .any(|(name, _)| name.split(' ').next() == Some(table)),
                    "{table} of migration {} is not counted: the retention report would not tell of it",
                    migration.name
                );
            }
        }
    }
}
