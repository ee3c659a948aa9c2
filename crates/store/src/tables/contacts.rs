//! Remote addresses that were met.

use crate::database::{Row, Statements, first};
use swingbridge_domain::id::ContactId;
use swingbridge_domain::store::{Contact, Result, StoreError};

fn contact(row: &dyn Row) -> Result<Contact> {
    Ok(Contact {
        id: ContactId(row.int(0)?),
        index: row
            .bytes(1)?
            .try_into()
            .map_err(|_| StoreError::Damaged("a contact's blind index has another length".into()))?,
        address: row.bytes(2)?.to_vec(),
        ghost: row.text(3)?.to_owned(),
        card: row.maybe_bytes(4)?.map(<[u8]>::to_vec),
    })
}

pub(super) fn by_id(db: &mut dyn Statements, id: ContactId) -> Result<Option<Contact>> {
    first(
        db,
        "SELECT id, blind_index, address, ghost, card FROM contacts WHERE id = ?1",
        &[id.0.into()],
        contact,
    )
}

pub(super) fn by_index(db: &mut dyn Statements, index: &[u8; 32]) -> Result<Option<Contact>> {
    first(
        db,
        "SELECT id, blind_index, address, ghost, card FROM contacts WHERE blind_index = ?1",
        &[index[..].into()],
        contact,
    )
}

pub(super) fn by_ghost(db: &mut dyn Statements, ghost: &str) -> Result<Option<Contact>> {
    first(
        db,
        "SELECT id, blind_index, address, ghost, card FROM contacts WHERE ghost = ?1",
        &[ghost.into()],
        contact,
    )
}

pub(super) fn add(
    db: &mut dyn Statements,
    index: &[u8; 32],
    address: &[u8],
    ghost: &str,
) -> Result<ContactId> {
    db.insert(
        "INSERT INTO contacts (blind_index, address, ghost) VALUES (?1, ?2, ?3)",
        &[index[..].into(), address.into(), ghost.into()],
    )
    .map(ContactId)
}

pub(super) fn set_card(db: &mut dyn Statements, id: ContactId, card: &[u8]) -> Result<()> {
    db.execute(
        "UPDATE contacts SET card = ?2 WHERE id = ?1",
        &[id.0.into(), card.into()],
    )?;
    Ok(())
}
