//! One line and one contact: one room. And the aliases by which networks know it.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ContactId, ConversationId, LineId, RoomId};
use swingbridge_domain::store::{Conversation, Result, StoreError, Trust};

fn conversation(row: &dyn Row) -> Result<Conversation> {
    Ok(Conversation {
        id: ConversationId(row.int(0)?),
        line: LineId::new(row.text(1)?),
        contact: ContactId(row.int(2)?),
        room: row.maybe_text(3)?.map(RoomId::new),
        generation: row.int(4)?,
        created_at: Timestamp(row.int(5)?),
        last_at: Timestamp(row.int(6)?),
        trust: match row.maybe_text(7)? {
            None => Trust::default(),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| StoreError::Damaged("what a conversation was told cannot be read".into()))?,
        },
    })
}

pub(super) fn by_id(db: &mut dyn Statements, id: ConversationId) -> Result<Option<Conversation>> {
    first(
        db,
        "SELECT id, line, contact, room, generation, created_at, last_at, trust FROM conversations WHERE id = ?1",
        &[id.0.into()],
        conversation,
    )
}

pub(super) fn by_room(db: &mut dyn Statements, room: &RoomId) -> Result<Option<Conversation>> {
    first(
        db,
        "SELECT id, line, contact, room, generation, created_at, last_at, trust FROM conversations WHERE room = ?1",
        &[room.as_str().into()],
        conversation,
    )
}

pub(super) fn by_alias(
    db: &mut dyn Statements,
    line: &LineId,
    thread: &[u8; 32],
) -> Result<Option<Conversation>> {
    first(
        db,
        "SELECT c.id, c.line, c.contact, c.room, c.generation, c.created_at, c.last_at, c.trust
         FROM aliases JOIN conversations c ON c.id = aliases.conversation
         WHERE aliases.line = ?1 AND aliases.thread = ?2",
        &[line.as_str().into(), thread[..].into()],
        conversation,
    )
}

pub(super) fn add(
    db: &mut dyn Statements,
    line: &LineId,
    contact: ContactId,
    now: Timestamp,
) -> Result<ConversationId> {
    db.insert(
        "INSERT INTO conversations (line, contact, generation, created_at, last_at) VALUES (?1, ?2, 0, ?3, ?3)",
        &[line.as_str().into(), contact.0.into(), now.0.into()],
    )
    .map(ConversationId)
}

pub(super) fn set_line(db: &mut dyn Statements, id: ConversationId, line: &LineId) -> Result<()> {
    db.execute(
        "UPDATE conversations SET line = ?2 WHERE id = ?1",
        &[id.0.into(), line.as_str().into()],
    )?;
    Ok(())
}

pub(super) fn set_contact(db: &mut dyn Statements, id: ConversationId, contact: ContactId) -> Result<()> {
    db.execute(
        "UPDATE conversations SET contact = ?2 WHERE id = ?1",
        &[id.0.into(), contact.0.into()],
    )?;
    Ok(())
}

pub(super) fn alias_set(
    db: &mut dyn Statements,
    line: &LineId,
    thread: &[u8; 32],
    conversation: ConversationId,
) -> Result<()> {
    db.execute(
        "INSERT INTO aliases (line, thread, conversation) VALUES (?1, ?2, ?3)
         ON CONFLICT (line, thread) DO UPDATE SET conversation = excluded.conversation",
        &[line.as_str().into(), thread[..].into(), conversation.0.into()],
    )?;
    Ok(())
}

pub(super) fn set_room(db: &mut dyn Statements, id: ConversationId, room: Option<&RoomId>) -> Result<()> {
    db.execute(
        "UPDATE conversations SET room = ?2 WHERE id = ?1",
        &[id.0.into(), room.map(RoomId::as_str).into()],
    )?;
    Ok(())
}

pub(super) fn renew(db: &mut dyn Statements, id: ConversationId) -> Result<()> {
    db.execute(
        "UPDATE conversations SET room = NULL, generation = generation + 1 WHERE id = ?1",
        &[id.0.into()],
    )?;
    Ok(())
}

pub(super) fn set_trust(db: &mut dyn Statements, id: ConversationId, trust: &Trust) -> Result<()> {
    let text = serde_json::to_string(trust).expect("plain data always serialises");
    db.execute(
        "UPDATE conversations SET trust = ?2 WHERE id = ?1",
        &[id.0.into(), text.as_str().into()],
    )?;
    Ok(())
}

pub(super) fn rename_line(db: &mut dyn Statements, from: &LineId, to: &LineId) -> Result<()> {
    for statement in [
        "UPDATE conversations SET line = ?2 WHERE line = ?1",
        "UPDATE aliases SET line = ?2 WHERE line = ?1",
        "UPDATE consents SET line = ?2 WHERE line = ?1",
        "UPDATE rooms SET subject = ?2 WHERE role = 'space' AND subject = ?1",
    ] {
        db.execute(statement, &[from.as_str().into(), to.as_str().into()])?;
    }
    Ok(())
}

pub(super) fn touch(db: &mut dyn Statements, id: ConversationId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE conversations SET last_at = ?2 WHERE id = ?1 AND last_at < ?2",
        &[id.0.into(), now.0.into()],
    )?;
    Ok(())
}

pub(super) fn latest(
    db: &mut dyn Statements,
    line: Option<&LineId>,
    limit: u32,
) -> Result<Vec<Conversation>> {
    let limit = i64::from(limit).into();
    match line {
        Some(line) => all(
            db,
            "SELECT id, line, contact, room, generation, created_at, last_at, trust FROM conversations
             WHERE line = ?1 ORDER BY last_at DESC, id DESC LIMIT ?2",
            &[line.as_str().into(), limit],
            conversation,
        ),
        None => all(
            db,
            "SELECT id, line, contact, room, generation, created_at, last_at, trust FROM conversations
             ORDER BY last_at DESC, id DESC LIMIT ?1",
            &[limit],
            conversation,
        ),
    }
}
