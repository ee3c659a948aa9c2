//! Messages of ours that have no last word, and whose turn it is to be asked after.
//!
//! Some stay as they are for days: a phone that is off, a network that tells of no delivery. They must not stand before the others for ever,
//! so all are asked after in turn.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// All of them, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Waiting {
    all: BTreeMap<String, Pending>,
    /// Counts what was asked.
    #[serde(skip)]
    turn: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub since: Timestamp,
    /// The state that was handed in last.
    pub state: String,
    /// The turn at which it was asked after last; 0: not since the start.
    #[serde(skip)]
    asked: u64,
}

impl Waiting {
    /// Takes one in. Of more than `most` the oldest is forgotten.
    pub fn add(&mut self, id: &str, now: Timestamp, most: usize) {
        self.all.entry(id.to_owned()).or_insert(Pending {
            since: now,
            state: String::new(),
            asked: 0,
        });
        while self.all.len() > most {
            let oldest = self.all.iter().min_by_key(|(_, pending)| pending.since);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            self.all.remove(&oldest);
        }
    }

    /// Those of at least this `age` to be asked after now, `many` at most. Half of the places are for those of which nothing was heard yet:
    /// of these a word is most likely to be missing. Of each kind those come first that were asked after longest ago.
    pub fn next(&self, now: Timestamp, age: Duration, many: usize) -> Vec<(String, Pending)> {
        let mut all: Vec<_> = self
            .all
            .iter()
            .filter(|(_, pending)| now.since(pending.since) >= age)
            .collect();
        all.sort_by_key(|(_, pending)| (pending.asked, pending.since));
        let (unheard, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, pending)| pending.state.is_empty());
        let (first, rest) = unheard.split_at(unheard.len().min(many.div_ceil(2)));
        first
            .iter()
            .chain(&others)
            .chain(rest)
            .take(many)
            .map(|&(id, pending)| (id.clone(), pending.clone()))
            .collect()
    }

    /// One is asked after now, whatever the answer will be.
    pub fn asks(&mut self, id: &str) {
        self.turn += 1;
        if let Some(pending) = self.all.get_mut(id) {
            pending.asked = self.turn;
        }
    }

    /// It is in this state; nothing more is expected when `last`.
    pub fn reached(&mut self, id: &str, state: &str, last: bool) {
        if last {
            self.all.remove(id);
        } else if let Some(pending) = self.all.get_mut(id) {
            state.clone_into(&mut pending.state);
        }
    }

    /// Forgets those that are older than `patience`.
    pub fn forget_old(&mut self, now: Timestamp, patience: Duration) {
        self.all.retain(|_, pending| now.since(pending.since) <= patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn named(n: usize) -> String {
        format!("m{n:03}")
    }

    /// The first `silent` were not heard of.
    fn waiting(silent: usize, sent: usize) -> Waiting {
        let mut waiting = Waiting::default();
        for n in 0..silent + sent {
            waiting.add(&named(n), NOW, 1000);
            if n >= silent {
                waiting.reached(&named(n), "sent", false);
            }
        }
        waiting
    }

    /// How many rounds of 20 it takes until each was asked after.
    fn rounds(mut waiting: Waiting, many: usize) -> usize {
        let mut left: Vec<String> = (0..many).map(named).collect();
        for round in 1..100 {
            for (id, _) in waiting.next(NOW, Duration::ZERO, 20) {
                waiting.asks(&id);
                left.retain(|known| *known != id);
            }
            if left.is_empty() {
                return round;
            }
        }
        panic!("{left:?} are never asked after");
    }

    #[test]
    fn none_waits_for_ever_behind_those_that_stay_as_they_are() {
        assert_eq!(rounds(waiting(0, 26), 26), 2);
        assert_eq!(rounds(waiting(26, 0), 26), 2);
        assert_eq!(rounds(waiting(30, 30), 60), 3);
        assert_eq!(rounds(waiting(1, 19), 20), 1);
    }

    #[test]
    fn one_of_which_nothing_was_heard_comes_before_those_that_were_asked() {
        let mut waiting = waiting(0, 40);
        for (id, _) in waiting.next(NOW, Duration::ZERO, 20) {
            waiting.asks(&id);
        }
        waiting.add("new", NOW, 1000);
        assert_eq!(waiting.next(NOW, Duration::ZERO, 20)[0].0, "new");
        let later = NOW + Duration::from_secs(60);
        waiting.add("just now", later, 1000);
        let due = waiting.next(later, Duration::from_secs(60), 100);
        assert!(due.len() == 41 && due.iter().all(|(id, _)| id != "just now"));
    }

    #[test]
    fn whose_turn_it_is_is_not_written_down_and_the_file_stays_as_it_was() {
        let mut waiting = waiting(1, 0);
        waiting.asks("m000");
        let written = serde_json::to_string(&waiting).unwrap();
        assert_eq!(written, r#"{"m000":{"since":1800000000000,"state":""}}"#);
        let read: Waiting = serde_json::from_str(&written).unwrap();
        assert_eq!(read.next(NOW, Duration::ZERO, 1).len(), 1);
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many() {
        let mut waiting = Waiting::default();
        for n in 0..5 {
            waiting.add(&named(n), Timestamp(NOW.millis() + n as i64), 3);
        }
        let ids: Vec<String> = waiting
            .next(NOW + Duration::from_secs(1), Duration::ZERO, 9)
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(ids, ["m002", "m003", "m004"]);
        waiting.forget_old(NOW + Duration::from_secs(2), Duration::from_secs(1));
        assert!(
            waiting
                .next(NOW + Duration::from_secs(9), Duration::ZERO, 9)
                .is_empty()
        );
    }
}
