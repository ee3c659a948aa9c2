//! Which row is a message of ours.

use super::chatdb::{ChatDb, Trouble};
use super::journal::{Journal, Pending, digest};
use super::row::{Chat, Row};
use super::shared::Claimed;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// How many rows are read at once.
const PAGE: usize = 200;
/// How many pages one look reads; the next one goes on.
const PAGES: usize = 10;
/// A row that is older than its message by more than this is another one: iCloud brings old rows under new numbers. The rest is
/// for a clock that is set meanwhile.
const EARLY: Duration = Duration::from_secs(10 * 60);

/// How far our own rows were looked through for a message that waits for one.
pub(super) struct Walk {
    at: i64,
    /// Rows on the way that did not fit and may yet: they are in no chat, or say nothing.
    unfinished: Vec<String>,
}

/// By the number of the message that waits.
pub(super) type Walks = HashMap<i64, Walk>;

/// Looks for the row of each message that waits for one. What is found is remembered at once: the row is not handed in as
/// something that the person said.
pub(super) fn claim(
    db: &ChatDb,
    journal: &Journal,
    walks: &mut Walks,
    now: Timestamp,
    watch: (Duration, Duration),
) -> Result<Vec<(i64, Claimed)>, Trouble> {
    let pending = journal.pending().map_err(journal_trouble)?;
    walks.retain(|id, _| pending.iter().any(|pending| pending.id == *id));
    let mut claims = Vec::new();
    for pending in &pending {
        let walk = walks.entry(pending.id).or_insert_with(|| Walk {
            at: pending.above,
            unfinished: Vec::new(),
        });
        if let Some(row) = walk.on(db, journal, pending)? {
            claims.push((pending.id, take(journal, pending, row, now, watch)?));
        }
    }
    Ok(claims)
}

impl Walk {
    fn on(&mut self, db: &ChatDb, journal: &Journal, pending: &Pending) -> Result<Option<Row>, Trouble> {
        for guid in std::mem::take(&mut self.unfinished) {
            if let Some(row) = db.row(&guid)?
                && let Some(found) = self.step(db, journal, pending, row)?
            {
                return Ok(Some(found));
            }
        }
        for _ in 0..PAGES {
            let rows = db.own_after(self.at, PAGE)?;
            let last = rows.len() < PAGE;
            for row in rows {
                self.at = row.rowid;
                if let Some(found) = self.step(db, journal, pending, row)? {
                    return Ok(Some(found));
                }
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    fn step(
        &mut self,
        db: &ChatDb,
        journal: &Journal,
        pending: &Pending,
        row: Row,
    ) -> Result<Option<Row>, Trouble> {
        if journal.is_ours(&row.guid).map_err(journal_trouble)? {
            return Ok(None);
        }
        if fits(db, &row, pending)? {
            return Ok(Some(row));
        }
        let finished =
            row.chat.is_some() && (!row.words().is_empty() || !db.attachments(row.rowid)?.is_empty());
        if !finished {
            self.unfinished.push(row.guid);
        }
        Ok(None)
    }
}

/// The row is what became of the message. Remembered at once.
pub(super) fn take(
    journal: &Journal,
    pending: &Pending,
    row: Row,
    now: Timestamp,
    (text, file): (Duration, Duration),
) -> Result<Claimed, Trouble> {
    let until = now + if pending.file { file } else { text };
    journal
        .claim(pending.id, &row.guid, until)
        .map_err(journal_trouble)?;
    Ok(Claimed {
        guid: row.guid,
        service: row.service,
        downgraded: row.status.downgraded,
    })
}

/// The first of the messages that wait whose row this can be, whoever it seems to be from.
pub(super) fn first_fit(db: &ChatDb, row: &Row, pending: &[Pending]) -> Result<Option<usize>, Trouble> {
    for (at, pending) in pending.iter().enumerate() {
        if row.rowid > pending.above && fits(db, row, pending)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn fits(db: &ChatDb, row: &Row, pending: &Pending) -> Result<bool, Trouble> {
    if row.date != 0 && pending.since.since(row.at()) > EARLY {
        return Ok(false);
    }
    // The cheap question first: of a back-fill every row is asked.
    if !pending.file && (row.tapback != 0 || digest("text", &row.words()) != pending.body) {
        return Ok(false);
    }
    let Some(chat) = row.chat.map(|chat| db.chat(chat)).transpose()?.flatten() else {
        return Ok(false);
    };
    let reaches = reaches(&chat, row, pending);
    if !reaches || !pending.file {
        return Ok(reaches);
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
    let rows = db.own_unjoined_after(pending.above)?;
    Ok(rows
        .iter()
        .any(|row| row.words().is_empty() && !row.has_attachments))
}

/// The connector's own file cannot be read or written: a person must act.
pub(super) fn journal_trouble(_error: rusqlite::Error) -> Trouble {
    Trouble {
        state: swingbridge_domain::connector::Link::Disconnected,
        detail: "the connector's journal in its state folder cannot be read or written: check the disk"
            .to_owned(),
    }
}
