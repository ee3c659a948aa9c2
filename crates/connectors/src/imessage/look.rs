//! One look at the database: what each row means for the inbox.

use super::chatdb::{ChatDb, Trouble};
use super::claim::{first_fit, journal_trouble, take};
use super::journal::{Cursor, Journal, Mark, Pending, digest};
use super::row::{Attachment, Chat, Row, Status, URL_BALLOON};
use super::shared::{Claimed, Shared};
use super::translate::{Tapback, Whole, tapback_of};
use super::watch::{Batch, remembered};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_wire::typedstream::FILE_TRANSFER;

/// A link's preview follows it within this long, as Apple counts (nanoseconds).
const PREVIEW: i64 = 120_000_000_000;
/// Files of older messages are on the Mac or they are not.
const OLD: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Look<'a> {
    shared: &'a Shared,
    pub db: &'a ChatDb,
    journal: &'a Journal,
    pub now: Timestamp,
    pub cursor: Cursor,
    /// The cursor is to be remembered.
    pub moved: bool,
    pub batch: Batch,
    pending: Vec<Pending>,
    /// Rows of messages that somebody waits for.
    claims: &'a mut HashMap<i64, Claimed>,
    /// Rows that were decided on in this look.
    decided: HashSet<String>,
    /// Chats in which a row waits: what follows waits behind it.
    blocked: HashSet<i64>,
    tapbacks: HashMap<(String, [u8; 32]), Option<String>>,
}

impl<'a> Look<'a> {
    pub fn new(
        shared: &'a Shared,
        db: &'a ChatDb,
        journal: &'a Journal,
        claims: &'a mut HashMap<i64, Claimed>,
        now: Timestamp,
        cursor: Cursor,
    ) -> Result<Look<'a>, Trouble> {
        Ok(Look {
            shared,
            db,
            journal,
            now,
            cursor,
            moved: !remembered(journal)?,
            batch: Batch::default(),
            pending: journal.pending().map_err(journal_trouble)?,
            claims,
            decided: HashSet::new(),
            blocked: HashSet::new(),
            tapbacks: HashMap::new(),
        })
    }

    pub fn done(mut self) -> Batch {
        if self.moved {
            self.batch.marks.push(Mark::Cursor(self.cursor));
        }
        let timing = &self.shared.config.timing;
        let over = self.pending.iter().filter(|pending| {
            let long = if pending.file {
                timing.watch_file
            } else {
                timing.watch_text
            };
            self.now.since(pending.since) > long.max(timing.script + timing.row)
        });
        self.batch
            .marks
            .extend(over.map(|pending| Mark::Forgotten(pending.id)));
        self.batch
    }

    /// The rows that wait.
    pub fn held(&mut self) -> Result<(), Trouble> {
        for (guid, since) in self.journal.held().map_err(journal_trouble)? {
            match self.db.row(&guid)? {
                Some(row) => self.consider(row, Some(since))?,
                None => self.batch.marks.push(Mark::Settled(guid)),
            }
        }
        Ok(())
    }

    /// A row of a passed number that was not handed in.
    pub fn passed(&mut self, guid: &str) -> Result<(), Trouble> {
        if self.journal.is_held(guid).map_err(journal_trouble)? {
            return Ok(());
        }
        match self.db.row(guid)? {
            Some(row) => self.consider(row, None),
            None => Ok(()),
        }
    }

    /// Hands a row in, or lets it wait, or passes over it. `since`: since when it waits.
    pub fn consider(&mut self, row: Row, since: Option<Timestamp>) -> Result<(), Trouble> {
        if self.decided.contains(&row.guid) {
            return Ok(());
        }
        self.decided.insert(row.guid.clone());
        if self.journal.seen(&row.guid).map_err(journal_trouble)?.is_some() {
            self.batch.marks.push(Mark::Settled(row.guid));
            return Ok(());
        }
        if row.rowid <= self.cursor.first_newest && row.date < self.cursor.horizon {
            return Ok(());
        }
        if self.is_ours(&row)? {
            let receipts = self
                .shared
                .translator
                .receipts(&row.guid, &Status::default(), &row.status);
            self.batch.arrivals.extend(receipts);
            self.seen(&row);
            return Ok(());
        }
        let waited = since.map(|since| self.now.since(since)).unwrap_or_default();
        let chat = row.chat.map(|chat| self.db.chat(chat)).transpose()?.flatten();
        let attachments = self.attachments(&row)?;
        let missing = self.missing(&row, &attachments);
        if self.waits(&row, chat.as_ref(), &missing, waited)? {
            self.blocked.extend(row.chat);
            self.batch.marks.push(Mark::Held {
                guid: row.guid,
                since: since.unwrap_or(self.now),
            });
            return Ok(());
        }
        self.hand_in(&row, chat.as_ref(), &attachments, &missing)
    }

    fn waits(
        &self,
        row: &Row,
        chat: Option<&Chat>,
        missing: &[Attachment],
        waited: Duration,
    ) -> Result<bool, Trouble> {
        let timing = &self.shared.config.timing;
        if chat.is_none() {
            return Ok(waited < timing.join);
        }
        if row.chat.is_some_and(|chat| self.blocked.contains(&chat)) {
            return Ok(true);
        }
        let young = self.now.since(row.at()) < OLD;
        if young && !missing.is_empty() && waited < timing.files {
            return Ok(true);
        }
        let may_flip = !row.status.from_me && waited < timing.flip;
        Ok(may_flip && first_fit(self.db, row, &self.pending)?.is_some())
    }

    /// Whether the row is a message that was sent from here. An own row that fits one which waits is that, from now on: however
    /// many rows lie before it.
    fn is_ours(&mut self, row: &Row) -> Result<bool, Trouble> {
        if self.journal.is_ours(&row.guid).map_err(journal_trouble)? {
            return Ok(true);
        }
        if !row.status.from_me {
            return Ok(false);
        }
        let Some(at) = first_fit(self.db, row, &self.pending)? else {
            return Ok(false);
        };
        let pending = self.pending.remove(at);
        let timing = &self.shared.config.timing;
        let watch = (timing.watch_text, timing.watch_file);
        let claimed = take(self.journal, &pending, row.clone(), self.now, watch)?;
        self.claims.insert(pending.id, claimed);
        Ok(true)
    }

    fn hand_in(
        &mut self,
        row: &Row,
        chat: Option<&Chat>,
        attachments: &[Attachment],
        missing: &[Attachment],
    ) -> Result<(), Trouble> {
        let fence = i64::try_from(self.shared.config.timing.fence.as_nanos()).unwrap_or(i64::MAX);
        let history = row.date < self.cursor.began || row.date < self.cursor.newest.saturating_sub(fence);
        let whole = Whole {
            row,
            chat,
            attachments,
            history,
        };
        let nobody = chat.is_none() && row.handle.is_none();
        let unjoined_own = chat.is_none() && row.status.from_me && row.words().is_empty();
        if nobody || unjoined_own {
            tracing::warn!(connector = %self.shared.id, rowid = row.rowid, "a row that is in no chat and says nothing of anybody is passed over");
        } else if let Some(tapback) = tapback_of(row) {
            self.tapback(&whole, tapback)?;
        } else if !self.is_preview(row)? {
            self.batch
                .arrivals
                .extend(self.shared.translator.message(&whole, missing));
            if !history {
                self.batch.marks.extend(missing.iter().map(|file| Mark::Awaited {
                    message: row.guid.clone(),
                    attachment: file.guid.clone(),
                }));
            }
        }
        self.seen(row);
        Ok(())
    }

    fn seen(&mut self, row: &Row) {
        self.batch.marks.push(Mark::Seen {
            guid: row.guid.clone(),
            status: row.status.clone(),
        });
    }

    /// A person has one tapback on a message; a new one takes the old one's place, and the old one's row is gone by then.
    fn tapback(&mut self, whole: &Whole<'_>, tapback: Tapback) -> Result<(), Trouble> {
        let row = whole.row;
        let person = digest(
            "person",
            match row.status.from_me {
                true => "",
                false => row.handle.as_deref().unwrap_or_default(),
            },
        );
        let (target, emoji) = match tapback {
            Tapback::Add { target, emoji } => (target, Some(emoji)),
            Tapback::Remove { target } => (target, None),
        };
        let key = (target.clone(), person);
        let before = match self.tapbacks.get(&key) {
            Some(known) => known.clone(),
            None => self.journal.tapback(&target, &person).map_err(journal_trouble)?,
        };
        let translator = &self.shared.translator;
        if let Some(before) = before.filter(|before| *before != row.guid) {
            self.batch.arrivals.push(translator.withdrawn(whole, &before));
        }
        let mark = match emoji {
            Some(emoji) => {
                self.batch
                    .arrivals
                    .push(translator.tapback(whole, &target, emoji));
                self.tapbacks.insert(key, Some(row.guid.clone()));
                Mark::Tapback {
                    target,
                    person,
                    guid: row.guid.clone(),
                }
            }
            None => {
                self.tapbacks.insert(key, None);
                Mark::NoTapback { target, person }
            }
        };
        self.batch.marks.push(mark);
        Ok(())
    }

    /// Whether the row is a second one for a link that was handed in as text. Two equal links of a person are both rows of
    /// their own kind: neither stands in a balloon, or both do.
    fn is_preview(&self, row: &Row) -> Result<bool, Trouble> {
        if row.balloon.as_deref() != Some(URL_BALLOON) {
            return Ok(false);
        }
        let words = row.words();
        Ok(!words.is_empty()
            && self
                .db
                .before(row, PREVIEW)?
                .iter()
                .any(|other| other.words() == words))
    }

    fn attachments(&self, row: &Row) -> Result<Vec<Attachment>, Trouble> {
        let mut attachments = match row.has_attachments || row.said().text.contains('\u{fffc}') {
            true => self.db.attachments(row.rowid)?,
            false => return Ok(Vec::new()),
        };
        // Those that the text has a place for and that are not entered yet.
        for (_, guid) in row.said().with(FILE_TRANSFER) {
            let Some(guid) = guid.text() else { continue };
            if !attachments.iter().any(|file| file.guid == guid) {
                attachments.push(Attachment {
                    guid: guid.to_owned(),
                    ..Attachment::default()
                });
            }
        }
        Ok(attachments)
    }

    fn missing(&self, row: &Row, attachments: &[Attachment]) -> Vec<Attachment> {
        let here = |file: &Attachment| {
            self.shared
                .translator
                .path(file)
                .is_some_and(|path| path.exists())
        };
        // Of our own files only the row counts: Messages has them from where they are.
        let counts = |file: &&Attachment| !file.hidden && !here(file) && row.item_type == 0;
        attachments.iter().filter(counts).cloned().collect()
    }

    /// Compares a row with how it stood. Gives back whether it was handed in before.
    pub fn compare(&mut self, guid: &str, now: &Status) -> Result<bool, Trouble> {
        let Some(before) = self.journal.seen(guid).map_err(journal_trouble)? else {
            return Ok(false);
        };
        if before == *now || !self.decided.insert(guid.to_owned()) {
            return Ok(true);
        }
        let flipped = now.from_me && !before.from_me;
        let edited = now.edited != 0 && now.edited != before.edited;
        if (flipped || edited)
            && let Some(row) = self.db.row(guid)?
        {
            let ours = flipped && self.is_ours(&row)?;
            let chat = row.chat.map(|chat| self.db.chat(chat)).transpose()?.flatten();
            let attachments = self.attachments(&row)?;
            let whole = |row| Whole {
                row,
                chat: chat.as_ref(),
                attachments: &attachments,
                history: false,
            };
            let translator = &self.shared.translator;
            let mut as_before = row.clone();
            as_before.status.from_me = before.from_me;
            if flipped {
                let arrivals = translator.turned_own(&whole(&as_before), &whole(&row));
                self.batch
                    .arrivals
                    .extend(arrivals.into_iter().take(if ours { 1 } else { 2 }));
            }
            if edited {
                self.batch.arrivals.push(translator.edited(&whole(&row)));
            }
        }
        if now.from_me {
            self.batch
                .arrivals
                .extend(self.shared.translator.receipts(guid, &before, now));
        }
        self.batch.marks.push(Mark::Seen {
            guid: guid.to_owned(),
            status: now.clone(),
        });
        Ok(true)
    }

    /// Messages of ours that may have fallen out of the window.
    pub fn watched(&mut self) -> Result<(), Trouble> {
        for (guid, until) in self.journal.watched().map_err(journal_trouble)? {
            let found = self.db.status(&guid)?;
            if let Some((_, _, status)) = &found {
                self.compare(&guid, status)?;
            }
            let settled = found.is_some_and(|(_, _, status)| {
                status.sent || status.error != 0 || status.delivered != 0 || status.read != 0
            });
            if self.now > until {
                if !settled {
                    self.batch.arrivals.push(self.shared.translator.unknown(&guid));
                }
                self.batch.marks.push(Mark::Watched(guid));
            }
        }
        Ok(())
    }

    /// Files that were not there when their message was handed in.
    pub fn awaited(&mut self) -> Result<(), Trouble> {
        for (message, attachment) in self.journal.awaited().map_err(journal_trouble)? {
            let came = Mark::Came {
                message: message.clone(),
                attachment: attachment.clone(),
            };
            let Some(row) = self.db.row(&message)? else {
                self.batch.marks.push(came);
                continue;
            };
            let files = self.db.attachments(row.rowid)?;
            let Some(file) = files.iter().find(|file| file.guid == attachment) else {
                continue;
            };
            if !self
                .shared
                .translator
                .path(file)
                .is_some_and(|path| path.exists())
            {
                continue;
            }
            let chat = row.chat.map(|chat| self.db.chat(chat)).transpose()?.flatten();
            let whole = Whole {
                row: &row,
                chat: chat.as_ref(),
                attachments: &files,
                history: false,
            };
            self.batch
                .arrivals
                .extend(self.shared.translator.late_file(&whole, file));
            self.batch.marks.push(came);
        }
        Ok(())
    }
}
