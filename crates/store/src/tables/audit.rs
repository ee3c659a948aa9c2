//! The rows of the audit log. What binds them to each other is `domain::audit`'s.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::store::{AuditRow, Result};

fn row(row: &dyn Row) -> Result<AuditRow> {
    Ok(AuditRow {
        number: row.int(0)?,
        entry: row.bytes(1)?.to_vec(),
        mac: row.bytes(2)?.to_vec(),
    })
}

pub(super) fn push(db: &mut dyn Statements, row: &AuditRow) -> Result<()> {
    db.execute(
        "INSERT INTO audit (number, entry, mac) VALUES (?1, ?2, ?3)",
        &[row.number.into(), row.entry[..].into(), row.mac[..].into()],
    )?;
    Ok(())
}

pub(super) fn last(db: &mut dyn Statements) -> Result<Option<AuditRow>> {
    first(
        db,
        "SELECT number, entry, mac FROM audit ORDER BY number DESC LIMIT 1",
        &[],
        row,
    )
}

pub(super) fn rows(db: &mut dyn Statements, after: i64, limit: u32) -> Result<Vec<AuditRow>> {
    all(
        db,
        "SELECT number, entry, mac FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
        &[after.into(), i64::from(limit).into()],
        row,
    )
}

pub(super) fn forget(db: &mut dyn Statements, through: i64) -> Result<()> {
    db.execute("DELETE FROM audit WHERE number <= ?1", &[through.into()])?;
    Ok(())
}
