//! Rooms without a conversation, and who is in which room.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::id::{LineId, RoomId, UserId};
use swingbridge_domain::inbox::Membership;
use swingbridge_domain::store::{Result, RoomRole, StoreError};

/// How a role stands in its two columns.
fn words(role: &RoomRole) -> (&'static str, &str) {
    match role {
        RoomRole::Management(user) => ("management", user.as_str()),
        RoomRole::Space(line) => ("space", line.as_str()),
        RoomRole::Other => ("other", ""),
    }
}

fn read_role(row: &dyn Row) -> Result<RoomRole> {
    match row.text(0)? {
        "management" => Ok(RoomRole::Management(UserId::new(row.text(1)?))),
        "space" => Ok(RoomRole::Space(LineId::new(row.text(1)?))),
        "other" => Ok(RoomRole::Other),
        _ => Err(StoreError::Damaged(
            "a room has a role that does not exist".into(),
        )),
    }
}

pub(super) fn role(db: &mut dyn Statements, room: &RoomId) -> Result<Option<RoomRole>> {
    first(
        db,
        "SELECT role, subject FROM rooms WHERE room = ?1",
        &[room.as_str().into()],
        read_role,
    )
}

/// Written anew rather than updated: the room that took a role last has the highest number.
pub(super) fn set_role(db: &mut dyn Statements, room: &RoomId, role: &RoomRole) -> Result<()> {
    let (role, subject) = words(role);
    db.execute("DELETE FROM rooms WHERE room = ?1", &[room.as_str().into()])?;
    db.execute(
        "INSERT INTO rooms (room, role, subject) VALUES (?1, ?2, ?3)",
        &[room.as_str().into(), role.into(), subject.into()],
    )?;
    Ok(())
}

pub(super) fn by_role(db: &mut dyn Statements, role: &RoomRole) -> Result<Option<RoomId>> {
    let (role, subject) = words(role);
    first(
        db,
        "SELECT room FROM rooms WHERE role = ?1 AND subject = ?2 ORDER BY id DESC LIMIT 1",
        &[role.into(), subject.into()],
        |row| row.text(0).map(RoomId::new),
    )
}

pub(super) fn forget(db: &mut dyn Statements, room: &RoomId) -> Result<()> {
    db.execute("DELETE FROM rooms WHERE room = ?1", &[room.as_str().into()])?;
    db.execute("DELETE FROM members WHERE room = ?1", &[room.as_str().into()])?;
    Ok(())
}

fn membership_word(membership: Membership) -> &'static str {
    match membership {
        Membership::Invite => "invite",
        Membership::Join => "join",
        Membership::Leave => "leave",
        Membership::Knock => "knock",
    }
}

fn read_membership(word: &str) -> Option<Membership> {
    [
        Membership::Invite,
        Membership::Join,
        Membership::Leave,
        Membership::Knock,
    ]
    .into_iter()
    .find(|membership| membership_word(*membership) == word)
}

pub(super) fn member_set(
    db: &mut dyn Statements,
    room: &RoomId,
    user: &UserId,
    membership: Membership,
) -> Result<()> {
    db.execute(
        "INSERT INTO members (room, member, membership) VALUES (?1, ?2, ?3)
         ON CONFLICT (room, member) DO UPDATE SET membership = excluded.membership",
        &[
            room.as_str().into(),
            user.as_str().into(),
            membership_word(membership).into(),
        ],
    )?;
    Ok(())
}

pub(super) fn members(db: &mut dyn Statements, room: &RoomId) -> Result<Vec<(UserId, Membership)>> {
    all(
        db,
        "SELECT member, membership FROM members WHERE room = ?1 ORDER BY member",
        &[room.as_str().into()],
        |row| Ok((UserId::new(row.text(0)?), row.word(1, read_membership)?)),
    )
}
