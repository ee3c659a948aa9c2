//! How well the device has served: for each part of it how long it was connected, when it last carried something, and what waits.
//!
//! Time that nobody looked at counts neither way: a phone that was off was not seen to fail.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Health, Link};

/// How long it is kept, by the hour.
const KEEP: i64 = 30 * 24;
/// A part that is away for less is not spoken of.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Who looks less often than this did not see what was between.
const LONGEST_STEP: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600_000;

/// What was seen, as it stands in the device's folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the running program started.
    pub started_at: Timestamp,
    /// When it last looked.
    pub looked_at: Timestamp,
    /// The account that the device is logged in to.
    pub account: String,
    pub parts: BTreeMap<String, Part>,
    /// What waits, by the queue's name.
    pub queues: BTreeMap<String, Waiting>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub state: Link,
    pub detail: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When it last carried a message.
    pub last_contact: Option<Timestamp>,
    /// It was said that it is away.
    #[serde(default)]
    told: bool,
    /// By hours since the Unix epoch.
    hours: BTreeMap<i64, Hour>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Hour {
    /// Milliseconds that were looked at, and in which it was connected.
    seen: u64,
    up: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub rows: u64,
    pub oldest: Option<Timestamp>,
}

/// What its owner is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Away { part: String, detail: String },
    Back { part: String, after: Duration },
}

impl Record {
    /// Reads what an earlier run left. What cannot be read is begun anew: it is a measurement and no more.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()
    }

    /// # Errors
    /// The disk's; the next look tries again.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let fresh = folder.join(format!("{FILE}.new"));
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, folder.join(FILE))
    }

    /// The program starts: what was seen before stays, and nothing was seen since.
    pub fn started(mut self, now: Timestamp, account: &str) -> Self {
        self.started_at = now;
        self.looked_at = now;
        account.clone_into(&mut self.account);
        self
    }

    /// One look at all parts.
    pub fn look(&mut self, now: Timestamp, found: &[(String, Health)]) -> Vec<Turn> {
        let step = now.since(self.looked_at).min(LONGEST_STEP);
        self.looked_at = now;
        self.parts
            .retain(|name, _| found.iter().any(|(found, _)| found == name));
        let turns = found
            .iter()
            .filter_map(|(name, health)| self.look_at(now, step, name, health))
            .collect();
        let first = now.millis() / HOUR - KEEP;
        for part in self.parts.values_mut() {
            part.hours = part.hours.split_off(&first);
        }
        turns
    }

    fn look_at(&mut self, now: Timestamp, step: Duration, name: &str, health: &Health) -> Option<Turn> {
        let up = is_up(health.state);
        let part = self.parts.entry(name.to_owned()).or_insert_with(|| Part {
            state: health.state,
            detail: String::new(),
            since: now,
            last_contact: None,
            told: false,
            hours: BTreeMap::new(),
        });
        let hour = part.hours.entry(now.millis() / HOUR).or_default();
        let step = u64::try_from(step.as_millis()).unwrap_or_default();
        hour.seen += step;
        hour.up += if up { step } else { 0 };
        part.last_contact = part.last_contact.max(health.last_traffic);
        health.detail.clone_into(&mut part.detail);
        let before = std::mem::replace(&mut part.state, health.state);
        let away = now.since(part.since);
        if is_up(before) != up {
            part.since = now;
        }
        match (up, part.told) {
            (true, true) => {
                part.told = false;
                Some(Turn::Back {
                    part: name.to_owned(),
                    after: away,
                })
            }
            (false, false) if now.since(part.since) >= PATIENCE => {
                part.told = true;
                Some(Turn::Away {
                    part: name.to_owned(),
                    detail: part.detail.clone(),
                })
            }
            _ => None,
        }
    }

    /// How much of the time that was looked at in the last `hours` a part was connected, from 0 to 1; `None` when nobody looked.
    pub fn availability(&self, part: &str, hours: i64) -> Option<f64> {
        let first = self.looked_at.millis() / HOUR - hours + 1;
        let (mut seen, mut up) = (0, 0);
        for (_, hour) in self.parts.get(part)?.hours.range(first..) {
            seen += hour.seen;
            up += hour.up;
        }
        (seen > 0).then(|| up as f64 / seen as f64)
    }
}

impl Record {
    /// The same in words.
    pub fn share(&self, part: &str, hours: i64) -> String {
        match self.availability(part, hours) {
            Some(share) => format!("{:.2} %", share * 100.0),
            None => "-".to_owned(),
        }
    }
}

/// A state in one word.
pub fn word(state: Link) -> &'static str {
    match state {
        Link::Connected => "connected",
        Link::Degraded => "slow",
        Link::Disconnected => "away",
        Link::Refused => "refused",
    }
}

/// A part that is slow still serves.
pub fn is_up(state: Link) -> bool {
    matches!(state, Link::Connected | Link::Degraded)
}

const FILE: &str = "status.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn health(state: Link) -> Health {
        Health {
            state,
            detail: "why".into(),
            last_traffic: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + seconds * 1000)
    }

    fn look(record: &mut Record, seconds: i64, state: Link) -> Vec<Turn> {
        record.look(at(seconds), &[("sms".to_owned(), health(state))])
    }

    #[test]
    fn a_short_absence_is_measured_and_not_told() {
        let mut record = Record::default().started(at(0), "@phone:x");
        for seconds in [30, 60] {
            assert_eq!(look(&mut record, seconds, Link::Connected), []);
        }
        assert_eq!(look(&mut record, 90, Link::Disconnected), []);
        assert_eq!(look(&mut record, 120, Link::Connected), []);
        assert_eq!(record.availability("sms", 24), Some(0.75));
    }

    #[test]
    fn a_long_absence_is_told_once_and_its_end_too() {
        let mut record = Record::default().started(at(0), "@phone:x");
        look(&mut record, 30, Link::Connected);
        let mut told = Vec::new();
        for seconds in (60..=300).step_by(30) {
            told.extend(look(&mut record, seconds, Link::Refused));
        }
        assert_eq!(
            told,
            [Turn::Away {
                part: "sms".into(),
                detail: "why".into()
            }]
        );
        assert_eq!(
            look(&mut record, 330, Link::Connected),
            [Turn::Back {
                part: "sms".into(),
                after: Duration::from_secs(270)
            }]
        );
    }

    #[test]
    fn time_that_nobody_looked_at_counts_neither_way() {
        let mut record = Record::default().started(at(0), "@phone:x");
        look(&mut record, 30, Link::Connected);
        // The phone slept for a week.
        look(&mut record, 7 * 24 * 3600, Link::Disconnected);
        let seen = record.availability("sms", 30 * 24).unwrap();
        assert!((seen - 30.0 / 90.0).abs() < 1e-9, "{seen}");
        // A restart is a gap like any other.
        let mut record = record.started(at(8 * 24 * 3600), "@phone:x");
        look(&mut record, 8 * 24 * 3600 + 30, Link::Connected);
        assert_eq!(record.availability("sms", 1), Some(1.0));
    }

    #[test]
    fn what_was_seen_outlives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::default().started(at(0), "@phone:x");
        look(&mut record, 30, Link::Connected);
        record.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()), Some(record));
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(Record::read(folder.path()), None);
    }
}
