//! Verifying the chain, from its front to its end.

use super::chain::{Ends, Found, IN_USE, Mark, NOTHING, link};
use super::{Entry, Kind};
use crate::clock::Timestamp;
use crate::secret::Keys;
use crate::store::{AuditRow, Result, Tables};
use std::fmt;

/// Entries read at once.
const PAGE: u32 = 512;

/// Something that is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is neither a log nor a record of its ends.
    NoLog,
    /// The record of the log's ends is gone.
    EndsGone,
    /// It was altered, or written with another site key.
    EndsAltered,
    /// Entries are missing, at the front, in the middle or at the end.
    Missing { from: i64, to: i64 },
    /// An entry, or its hash, is not what was written. The time is what the entry says.
    Altered { number: i64, at: Option<Timestamp> },
    /// An entry that stands before the beginning or behind the end of the log.
    Foreign { number: i64 },
    /// The gateway found the record of the ends altered or gone here, and went on.
    Restarted { number: i64, at: Timestamp },
    /// The log is not the one in which this place was noted.
    NotSince(Mark),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoLog => f.write_str(
                "there is no audit log: it begins with the first start of the gateway; after that, somebody took it away",
            ),
            Fault::EndsGone => f.write_str("the record of where the log begins and ends is gone"),
            Fault::EndsAltered => f.write_str(
                "the record of where the log begins and ends was altered, or written with another site key",
            ),
            Fault::Missing { from, to } if from == to => write!(f, "entry {from} is missing"),
            Fault::Missing { from, to } => write!(f, "entries {from} to {to} are missing"),
            Fault::Altered { number, at: Some(at) } => {
                write!(f, "entry {number} ({at}) is not what was written: it was altered, put in or moved")
            }
            Fault::Altered { number, at: None } => {
                write!(f, "entry {number} is not what was written: it was altered, and cannot be read")
            }
            Fault::Foreign { number } => {
                write!(f, "entry {number} does not belong to the log: somebody put it in")
            }
            Fault::Restarted { number, at } => write!(
                f,
                "before entry {number} ({at}) the record of the log's ends was altered or gone: entries may be missing there"
            ),
            Fault::NotSince(mark) => write!(
                f,
                "the log is not the one in which {mark} was noted: it was put back to an older state, or is another one"
            ),
        }
    }
}

/// What verifying the log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub faults: Vec<Fault>,
    /// How many entries there are.
    pub entries: u64,
    /// The oldest and the latest, with their times, where they can be read.
    pub oldest: Option<(i64, Timestamp)>,
    pub latest: Option<(i64, Timestamp)>,
    /// When the log began, where that was in a database that was in use: right after an upgrade, else a sign that a log was
    /// taken away.
    pub begun_in_use: Option<Timestamp>,
    /// How many entries were forgotten as the retention says.
    pub forgotten: i64,
    /// The place noted earlier was forgotten meanwhile, so nothing is known about it.
    pub since_forgotten: bool,
    /// The end of the log, to be noted elsewhere.
    pub end: Option<Mark>,
}

impl Verdict {
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Verifies the whole log. With `since`, a place noted earlier, it must also be a continuation of the log as it was then.
///
/// # Errors
/// [`StoreError`], when it cannot be read; may be tried again. What is wrong with the log stands in the answer.
pub fn verify(tables: &mut dyn Tables, keys: &Keys, since: Option<Mark>) -> Result<Verdict> {
    let mut faults = Vec::new();
    let ends = match Ends::load(tables, keys)? {
        Found::Ends(ends) => Some(ends),
        Found::Altered => {
            faults.push(Fault::EndsAltered);
            None
        }
        Found::Nothing => {
            faults.push(match tables.audit_last()? {
                Some(_) => Fault::EndsGone,
                None => Fault::NoLog,
            });
            None
        }
    };
    let mut walk = Walk {
        keys,
        ends,
        since,
        before: ends.map(|ends| ends.forgotten),
        verdict: Verdict {
            faults,
            entries: 0,
            oldest: None,
            latest: None,
            begun_in_use: None,
            forgotten: ends.map_or(0, |ends| ends.forgotten.number),
            since_forgotten: false,
            end: ends.map(|ends| ends.last),
        },
    };
    if let (Some(since), Some(ends)) = (since, ends) {
        // What was forgotten cannot be looked at any more, but for the last one of it.
        walk.verdict.since_forgotten = since.number < ends.forgotten.number;
        if since == ends.forgotten || walk.verdict.since_forgotten {
            walk.since = None;
        }
    }
    let mut after = i64::MIN;
    loop {
        let rows = tables.audit_rows(after, PAGE)?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        rows.iter().for_each(|row| walk.step(row));
    }
    Ok(walk.end())
}

struct Walk<'a> {
    keys: &'a Keys,
    ends: Option<Ends>,
    /// To be met on the way.
    since: Option<Mark>,
    /// The entry before the next one; `None` where that is not known.
    before: Option<Mark>,
    verdict: Verdict,
}

impl Walk<'_> {
    fn step(&mut self, row: &AuditRow) {
        let number = row.number;
        let entry = Entry::parse(row);
        let at = entry.as_ref().map(|entry| entry.at);
        self.verdict.entries += 1;
        if let Some(at) = at {
            self.verdict.oldest.get_or_insert((number, at));
            self.verdict.latest = Some((number, at));
        }
        let outside = |ends: Ends| number <= ends.forgotten.number || number > ends.last.number;
        if number < 1 || self.ends.is_some_and(outside) {
            self.verdict.faults.push(Fault::Foreign { number });
            return;
        }
        let here = Mark::of(row);
        if self.since == Some(here) {
            self.since = None;
        }
        let before = self.before.replace(here).or((number == 1).then_some(Mark::START));
        let gap = before.filter(|before| before.number + 1 != number);
        if let Some(before) = gap {
            let (from, to) = (before.number + 1, number - 1);
            self.verdict.faults.push(Fault::Missing { from, to });
        }
        // Behind a gap, and at the front of a log whose beginning is not known, there is nothing to compare with.
        let known = before.filter(|before| gap.is_none() && (before.mac != NOTHING || before.number == 0));
        let right =
            known.is_none_or(|before| link(self.keys, &before.mac, number, &row.entry).as_slice() == row.mac);
        match entry {
            Some(entry) if right && entry.number == number => self.told(&entry),
            _ => self.verdict.faults.push(Fault::Altered { number, at }),
        }
    }

    /// What the log says of itself.
    fn told(&mut self, entry: &Entry) {
        let Entry { number, at, .. } = *entry;
        if entry.what == Kind::LogRestarted.word() {
            self.verdict.faults.push(Fault::Restarted { number, at });
        }
        if entry.what == Kind::LogBegun.word() && entry.detail == IN_USE {
            self.verdict.begun_in_use = Some(at);
        }
    }

    fn end(mut self) -> Verdict {
        let faults = &mut self.verdict.faults;
        if let Some(ends) = self.ends {
            let reached = self.before.unwrap_or(ends.forgotten);
            if reached.number < ends.last.number {
                let (from, to) = (reached.number + 1, ends.last.number);
                faults.push(Fault::Missing { from, to });
            } else if reached != ends.last && faults.is_empty() {
                let (number, at) = (reached.number, None);
                faults.push(Fault::Altered { number, at });
            }
        }
        if let Some(since) = self.since {
            faults.push(Fault::NotSince(since));
        }
        self.verdict
    }
}
