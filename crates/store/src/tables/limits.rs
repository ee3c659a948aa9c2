//! Who wishes no texts, and how much was sent.

use super::timers::PRUNED_AT_ONCE;
use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::ContactId;
use swingbridge_domain::store::{Result, StoreError, SuppressedBy, Suppression, TallyKey};

fn read(row: &dyn Row) -> Result<Suppression> {
    let own = row
        .bytes(0)?
        .try_into()
        .map_err(|_| StoreError::Damaged("the index of an own address has another length".into()))?;
    Ok(Suppression {
        own,
        contact: ContactId(row.int(1)?),
        by: row.word(2, SuppressedBy::from_word)?,
        at: Timestamp(row.int(3)?),
    })
}

pub(super) fn suppression(
    db: &mut dyn Statements,
    own: &[u8; 32],
    contact: ContactId,
) -> Result<Option<Suppression>> {
    first(
        db,
        "SELECT own, contact, by_whom, at FROM suppressions WHERE own = ?1 AND contact = ?2",
        &[own.as_slice().into(), contact.0.into()],
        read,
    )
}

pub(super) fn suppression_set(db: &mut dyn Statements, suppression: &Suppression) -> Result<()> {
    db.execute(
        "INSERT INTO suppressions (own, contact, by_whom, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (own, contact) DO NOTHING",
        &[
            suppression.own.as_slice().into(),
            suppression.contact.0.into(),
            suppression.by.word().into(),
            suppression.at.0.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn suppression_lift(db: &mut dyn Statements, own: &[u8; 32], contact: ContactId) -> Result<bool> {
    let lifted = db.execute(
        "DELETE FROM suppressions WHERE own = ?1 AND contact = ?2",
        &[own.as_slice().into(), contact.0.into()],
    )?;
    Ok(lifted > 0)
}

pub(super) fn suppressions(db: &mut dyn Statements, limit: u32) -> Result<Vec<Suppression>> {
    all(
        db,
        "SELECT own, contact, by_whom, at FROM suppressions ORDER BY at DESC, contact DESC LIMIT ?1",
        &[i64::from(limit).into()],
        read,
    )
}

pub(super) fn tally_add(db: &mut dyn Statements, key: &TallyKey, at: Timestamp, amount: i64) -> Result<()> {
    db.execute(
        "INSERT INTO tallies (what, at, amount) VALUES (?1, ?2, ?3)
         ON CONFLICT (what, at) DO UPDATE SET amount = tallies.amount + excluded.amount",
        &[key.as_slice().into(), at.0.into(), amount.into()],
    )?;
    Ok(())
}

pub(super) fn tallies(
    db: &mut dyn Statements,
    key: &TallyKey,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(Timestamp, i64)>> {
    all(
        db,
        "SELECT at, amount FROM tallies WHERE what = ?1 AND at >= ?2 AND at < ?3 ORDER BY at",
        &[key.as_slice().into(), from.0.into(), to.0.into()],
        |row| Ok((Timestamp(row.int(0)?), row.int(1)?)),
    )
}

pub(super) fn prune(db: &mut dyn Statements, before: Timestamp) -> Result<u64> {
    db.execute(
        "DELETE FROM tallies WHERE (what, at) IN (SELECT what, at FROM tallies WHERE at < ?1 ORDER BY at LIMIT ?2)",
        &[before.0.into(), PRUNED_AT_ONCE.into()],
    )
}
