//! Faults that a seed decides: the same requests meet the same faults, whatever their timing.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How often each fault comes, from 0 (never) to 1. They hit the application service's requests only.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// 500, 502, 503 or 504, sometimes as a proxy says it; sometimes what was asked has been done all the same.
    pub failing: f64,
    /// 429 with `retry_after_ms`.
    pub limited: f64,
    /// The longest pause that a 429 asks for.
    pub limit_pause: Duration,
    /// The connection ends before the request is looked at.
    pub drop_before: f64,
    /// The request is performed and the connection ends without an answer.
    pub drop_after: f64,
    pub delayed: f64,
    pub longest_delay: Duration,
    /// Events that are never pushed to the application service.
    pub lost_push: f64,
    /// Transactions that are pushed again although they were answered with 200.
    pub repeated_push: f64,
}

impl Faults {
    pub fn none() -> Self {
        Self {
            failing: 0.0,
            limited: 0.0,
            limit_pause: Duration::from_millis(50),
            drop_before: 0.0,
            drop_after: 0.0,
            delayed: 0.0,
            longest_delay: Duration::from_millis(20),
            lost_push: 0.0,
            repeated_push: 0.0,
        }
    }

    /// Some of everything, except that no push is lost.
    pub fn some_of_all() -> Self {
        Self {
            failing: 0.02,
            limited: 0.02,
            drop_before: 0.01,
            drop_after: 0.01,
            delayed: 0.05,
            repeated_push: 0.1,
            ..Self::none()
        }
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answers with `status`; `performed` says whether the request was carried out first, `html` whether it is a proxy's page.
    Status {
        status: u16,
        performed: bool,
        html: bool,
    },
    Limited {
        pause: Duration,
    },
    Drop {
        performed: bool,
    },
    Delay(Duration),
}

/// Decides by the seed, the request and how often it came.
#[derive(Debug, Default)]
pub(super) struct Dice {
    seed: u64,
    seen: HashMap<u64, u64>,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            seen: HashMap::new(),
        }
    }

    /// Randomness that belongs to `key`, different each time that it is asked for.
    pub(super) fn roll(&mut self, key: &impl Hash) -> StdRng {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let key = hasher.finish();
        let times = self.seen.entry(key).or_default();
        *times += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, key, *times).hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish())
    }

    pub(super) fn fault(&mut self, faults: &Faults, key: &impl Hash) -> Option<Fault> {
        let mut dice = self.roll(key);
        let mut left = dice.random::<f64>();
        let mut within = |chance: f64| {
            left -= chance;
            left < 0.0
        };
        if within(faults.failing) {
            let status = [500, 502, 503, 504][dice.random_range(0..4)];
            return Some(Fault::Status {
                status,
                performed: status != 503 && dice.random_bool(0.3),
                html: status != 500 && dice.random_bool(0.5),
            });
        }
        if within(faults.limited) {
            let longest = faults.limit_pause.as_millis().max(1) as u64;
            return Some(Fault::Limited {
                pause: Duration::from_millis(dice.random_range(1..=longest)),
            });
        }
        if within(faults.drop_before) {
            return Some(Fault::Drop { performed: false });
        }
        if within(faults.drop_after) {
            return Some(Fault::Drop { performed: true });
        }
        if within(faults.delayed) {
            let longest = faults.longest_delay.as_millis().max(1) as u64;
            return Some(Fault::Delay(Duration::from_millis(
                dice.random_range(1..=longest),
            )));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut dice = Dice::new(seed);
            let faults = Faults {
                failing: 0.3,
                drop_after: 0.3,
                ..Faults::none()
            };
            (0..50).map(|i| dice.fault(&faults, &(i % 5))).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hit = run(7).iter().flatten().count();
        assert!((15..45).contains(&hit), "{hit} of 50");
    }
}
