//! The chain: written at its end, forgotten at its front.

use super::{Entry, Kind, NewEntry};
use crate::clock::Timestamp;
use crate::secret::Keys;
use crate::store::{AuditRow, Result, StoreError, Tables};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The setting that says where the log begins and ends, with the hash that binds it.
const ENDS: &str = "audit_ends";
/// What the first entry says where the database is older than the log.
pub(super) const IN_USE: &str = "the database was in use before";
/// Stands in for the entry before the first one.
pub(super) const NOTHING: [u8; 32] = [0; 32];
/// What no hash is.
const NO_HASH: [u8; 32] = [0xff; 32];

/// A place in the log: an entry's number and hash. Noted down elsewhere, it proves later that the log was not put back to an
/// older state.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mark {
    pub number: i64,
    pub mac: [u8; 32],
}

impl Mark {
    pub(super) const START: Mark = Mark {
        number: 0,
        mac: NOTHING,
    };

    /// That of an entry as it stands there.
    pub fn of(row: &AuditRow) -> Self {
        Self {
            number: row.number,
            // One of another length is no hash of ours.
            mac: row.mac.as_slice().try_into().unwrap_or(NO_HASH),
        }
    }

    /// Reads what its `Display` wrote: `17:9f…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, mac) = text.trim().split_once(':')?;
        let mac = data_encoding::HEXLOWER_PERMISSIVE.decode(mac.as_bytes()).ok()?;
        Some(Self {
            number: number.parse().ok().filter(|number| *number >= 0)?,
            mac: mac.try_into().ok()?,
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, data_encoding::HEXLOWER.encode(&self.mac))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

impl TryFrom<String> for Mark {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Mark::parse(&text).ok_or("a place in the log is NUMBER:HASH")
    }
}

/// Where the log begins and ends. One record, so that an old end cannot be put beside a new beginning.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    /// The last entry that was forgotten; [`Mark::START`] as long as none was.
    pub forgotten: Mark,
    pub last: Mark,
}

/// What was found where the record of the ends should be.
pub(super) enum Found {
    Nothing,
    Altered,
    Ends(Ends),
}

impl Ends {
    pub fn load(tables: &mut dyn Tables, keys: &Keys) -> Result<Found> {
        let Some(stored) = tables.setting(ENDS)? else {
            return Ok(Found::Nothing);
        };
        let ends = stored.split_once(' ').and_then(|(proof, text)| {
            let ends: Ends = serde_json::from_str(text).ok()?;
            let right = data_encoding::HEXLOWER.encode(&Self::proof(keys, text));
            (proof == right).then_some(ends)
        });
        Ok(ends.map_or(Found::Altered, Found::Ends))
    }

    fn save(&self, tables: &mut dyn Tables, keys: &Keys) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|_| StoreError::Failed("the ends of the audit log cannot be written down".into()))?;
        let proof = data_encoding::HEXLOWER.encode(&Self::proof(keys, &text));
        tables.setting_set(ENDS, &format!("{proof} {text}"))
    }

    fn proof(keys: &Keys, text: &str) -> [u8; 32] {
        keys.audit_mac(&[b"ends", text.as_bytes()])
    }
}

/// The hash of an entry behind the one whose hash is `before`.
pub(super) fn link(keys: &Keys, before: &[u8; 32], number: i64, entry: &[u8]) -> [u8; 32] {
    keys.audit_mac(&[b"entry", before, &number.to_be_bytes(), entry])
}

/// Writes an entry at the end of the log; answers its place. Belongs into the transaction of what it tells.
///
/// A damaged log is gone on with, behind an entry that says so: messages do not wait for an auditor.
///
/// # Errors
/// [`StoreError`]; the whole transaction may be tried again.
pub fn append(tables: &mut dyn Tables, keys: &Keys, now: Timestamp, entry: &NewEntry) -> Result<Mark> {
    let mut ends = match Ends::load(tables, keys)? {
        Found::Ends(ends) => ends,
        found => begin(tables, keys, now, &found)?,
    };
    // What somebody put behind the end keeps its place, and is found by `verify`.
    if let Some(behind) = tables.audit_last()?
        && behind.number > ends.last.number
    {
        ends.last = Mark::of(&behind);
    }
    ends.last = push(tables, keys, ends.last, now, entry)?;
    ends.save(tables, keys)?;
    Ok(ends.last)
}

/// Begins a log, or goes on behind the entries of one whose end is not known any more.
fn begin(tables: &mut dyn Tables, keys: &Keys, now: Timestamp, found: &Found) -> Result<Ends> {
    let last = tables.audit_last()?;
    let first = tables.audit_rows(0, 1)?.into_iter().next();
    let entry = match (found, &last) {
        (Found::Nothing, None) if tables.conversations(None, 1)?.is_empty() => NewEntry::new(Kind::LogBegun),
        (Found::Nothing, None) => NewEntry::new(Kind::LogBegun).detail(IN_USE),
        _ => NewEntry::new(Kind::LogRestarted).detail(
            "the record of the log's ends was altered or gone; entries may be missing before this one",
        ),
    };
    let last = last.as_ref().map_or(Mark::START, Mark::of);
    let forgotten = Mark {
        number: first.map_or(0, |row| row.number - 1),
        mac: NOTHING,
    };
    let last = push(tables, keys, last, now, &entry)?;
    Ok(Ends { forgotten, last })
}

fn push(
    tables: &mut dyn Tables,
    keys: &Keys,
    before: Mark,
    now: Timestamp,
    entry: &NewEntry,
) -> Result<Mark> {
    let number = before.number + 1;
    let entry = Entry::new(number, now, entry).bytes()?;
    let mac = link(keys, &before.mac, number, &entry);
    tables.audit_push(&AuditRow {
        number,
        entry,
        mac: mac.to_vec(),
    })?;
    Ok(Mark { number, mac })
}

/// Forgets the oldest entries from before `before`, at most `limit` of them; answers how many. Only what verifies goes: nobody
/// makes the gateway itself destroy what would give them away.
///
/// # Errors
/// [`StoreError`]; may be tried again. [`StoreError::Damaged`] when the oldest entries do not verify.
pub fn prune(tables: &mut dyn Tables, keys: &Keys, before: Timestamp, limit: u32) -> Result<u64> {
    let mut ends = match Ends::load(tables, keys)? {
        Found::Ends(ends) => ends,
        Found::Nothing => return Ok(0),
        Found::Altered => return Err(damaged("the record of its ends was altered")),
    };
    let (mut mark, mut forgotten) = (ends.forgotten, 0);
    for row in tables.audit_rows(i64::MIN, limit)? {
        let expected = link(keys, &mark.mac, row.number, &row.entry);
        if row.number != mark.number + 1 || row.mac.as_slice() != expected {
            if forgotten == 0 {
                return Err(damaged(&format!("entry {} does not verify", row.number)));
            }
            break;
        }
        // The last entry stays, however old: an empty log would look like one that was taken away.
        let young = Entry::parse(&row).is_none_or(|entry| entry.at >= before);
        if young || row.number == ends.last.number {
            break;
        }
        mark = Mark::of(&row);
        forgotten += 1;
    }
    if forgotten > 0 {
        tables.audit_forget(mark.number)?;
        ends.forgotten = mark;
        ends.save(tables, keys)?;
    }
    Ok(forgotten)
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the audit log: {what}; `swingbridge audit-log verify` says more"
    ))
}
