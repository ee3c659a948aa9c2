//! Inbound messages whose parts are still coming.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{AssemblyId, ConversationId, MessageId};
use swingbridge_domain::store::{Assembly, AssemblyPart, Result};

fn assembly(row: &dyn Row) -> Result<Assembly> {
    Ok(Assembly {
        id: AssemblyId(row.int(0)?),
        conversation: ConversationId(row.int(1)?),
        key: row.text(2)?.to_owned(),
        total: row.narrow(3)?,
        message: row.maybe_int(4)?.map(MessageId),
        started_at: Timestamp(row.int(5)?),
    })
}

pub(super) fn by_id(db: &mut dyn Statements, id: AssemblyId) -> Result<Option<Assembly>> {
    first(
        db,
        "SELECT id, conversation, key, total, message, started_at FROM assemblies WHERE id = ?1",
        &[id.0.into()],
        assembly,
    )
}

pub(super) fn by_key(
    db: &mut dyn Statements,
    conversation: ConversationId,
    key: &str,
) -> Result<Option<Assembly>> {
    first(
        db,
        "SELECT id, conversation, key, total, message, started_at FROM assemblies
         WHERE conversation = ?1 AND key = ?2",
        &[conversation.0.into(), key.into()],
        assembly,
    )
}

pub(super) fn add(
    db: &mut dyn Statements,
    conversation: ConversationId,
    key: &str,
    total: u8,
    now: Timestamp,
) -> Result<AssemblyId> {
    db.insert(
        "INSERT INTO assemblies (conversation, key, total, started_at) VALUES (?1, ?2, ?3, ?4)",
        &[
            conversation.0.into(),
            key.into(),
            i64::from(total).into(),
            now.0.into(),
        ],
    )
    .map(AssemblyId)
}

pub(super) fn set_message(db: &mut dyn Statements, id: AssemblyId, message: MessageId) -> Result<()> {
    db.execute(
        "UPDATE assemblies SET message = ?2 WHERE id = ?1",
        &[id.0.into(), message.0.into()],
    )?;
    Ok(())
}

pub(super) fn part_add(db: &mut dyn Statements, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<bool> {
    let written = db.execute(
        "INSERT INTO assembly_parts (assembly, idx, sealed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        &[id.0.into(), i64::from(index).into(), sealed.into()],
    )?;
    Ok(written == 1)
}

pub(super) fn part_set(db: &mut dyn Statements, id: AssemblyId, index: u8, sealed: &[u8]) -> Result<()> {
    db.execute(
        "UPDATE assembly_parts SET sealed = ?3 WHERE assembly = ?1 AND idx = ?2",
        &[id.0.into(), i64::from(index).into(), sealed.into()],
    )?;
    Ok(())
}

pub(super) fn parts(db: &mut dyn Statements, id: AssemblyId) -> Result<Vec<AssemblyPart>> {
    all(
        db,
        "SELECT idx, sealed FROM assembly_parts WHERE assembly = ?1 ORDER BY idx",
        &[id.0.into()],
        |row| {
            Ok(AssemblyPart {
                index: row.narrow(0)?,
                sealed: row.bytes(1)?.to_vec(),
            })
        },
    )
}

pub(super) fn remove(db: &mut dyn Statements, id: AssemblyId) -> Result<()> {
    // Its parts go with it: see the migration.
    db.execute("DELETE FROM assemblies WHERE id = ?1", &[id.0.into()])?;
    Ok(())
}
