//! Which row is a message of ours.

use super::chatdb::{ChatDb, Trouble};
use super::journal::{Journal, Pending, digest};
use super::row::{Chat, Row};
use super::shared::Claimed;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// Looks for the row of each message that waits for one. What is found is remembered at once: the row is not handed in as
/// something that the person said.
pub(super) fn claim(
    db: &ChatDb,
    journal: &mut Journal,
    now: Timestamp,
    watch: (Duration, Duration),
) -> Result<Vec<(i64, Claimed)>, Trouble> {
    let mut claims = Vec::new();
    for pending in journal.pending().map_err(journal_trouble)? {
        for row in db.own_after(pending.above)? {
            if journal.is_ours(&row.guid).map_err(journal_trouble)? || !fits(db, &row, &pending)? {
                continue;
            }
            let (text, file) = watch;
            let until = now + if pending.file { file } else { text };
            journal
                .claim(pending.id, &row.guid, until)
                .map_err(journal_trouble)?;
            claims.push((
                pending.id,
                Claimed {
                    guid: row.guid,
                    service: row.service,
                    downgraded: row.status.downgraded,
                },
            ));
            break;
        }
    }
    Ok(claims)
}

/// Whether the row can be what became of the message, whoever it seems to be from.
pub(super) fn fits(db: &ChatDb, row: &Row, pending: &Pending) -> Result<bool, Trouble> {
    let Some(chat) = row.chat.map(|chat| db.chat(chat)).transpose()?.flatten() else {
        return Ok(false);
    };
    if !reaches(&chat, row, pending) {
        return Ok(false);
    }
    if !pending.file {
        return Ok(row.tapback == 0 && digest("text", &row.words()) == pending.body);
    }
    let named = |name: &str| digest("file", name) == pending.body;
    Ok(db.attachments(row.rowid)?.iter().any(|file| {
        let stored = file
            .filename
            .as_deref()
            .and_then(|name| Path::new(name).file_name());
        file.name.as_deref().is_some_and(named) || stored.and_then(|name| name.to_str()).is_some_and(named)
    }))
}

fn reaches(chat: &Chat, row: &Row, pending: &Pending) -> bool {
    let by_chat = pending
        .chat
        .is_some_and(|wanted| digest("chat", &chat.guid) == wanted);
    // To one person: Messages may put it into another of the chats with them.
    let by_person = !chat.group
        && pending.address.is_some_and(|wanted| {
            let person = |text: &str| digest("address", &text.to_lowercase()) == wanted;
            person(&chat.identifier) || row.handle.as_deref().is_some_and(person)
        });
    by_chat || by_person
}

/// Whether Messages wrote a row for it that is in no chat and says nothing (macOS 26, imsg#90).
pub(super) fn ghost(db: &ChatDb, pending: &Pending) -> Result<bool, Trouble> {
    let rows = db.own_after(pending.above)?;
    Ok(rows
        .iter()
        .any(|row| row.chat.is_none() && row.words().is_empty() && !row.has_attachments))
}

/// The connector's own file cannot be read or written: a person must act.
pub(super) fn journal_trouble(_error: rusqlite::Error) -> Trouble {
    Trouble {
        state: swingbridge_domain::connector::Link::Disconnected,
        detail: "the connector's journal in its state folder cannot be read or written: check the disk"
            .to_owned(),
    }
}
