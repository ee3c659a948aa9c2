//! How fast to send: a token bucket for the account, and a pause for a bind whose SMSC says "slower".
//!
//! Pure: the time is an argument.

use std::time::Duration;
use tokio::time::Instant;

/// How much may leave at once after a quiet time, in seconds of the rate.
const BURST: f64 = 0.1;
/// Without a ceiling, the rate that is at least aimed at after throttling, in messages per second.
const LEAST_GOAL: f64 = 50.0;
/// How long it takes from nothing to the goal, in seconds.
const RECOVERY: f64 = 5.0;

/// The account's rate. Throttling halves it; it recovers by a step for each second without.
#[derive(Debug)]
pub struct Pace {
    /// What is configured.
    ceiling: Option<f64>,
    /// What holds now; never above the ceiling.
    rate: Option<f64>,
    /// Where the rate goes back to: the ceiling, or what was observed when throttling began. There the limit
    /// goes again when none is configured.
    goal: f64,
    /// When the next message is due, were they evenly spaced.
    due: Instant,
    raised: Instant,
    /// Messages since `second`, to know the rate when none is configured.
    second: Instant,
    counted: f64,
    last_second: f64,
}

impl Pace {
    /// The pace of an account with `ceiling` messages per second, or without a limit.
    pub fn new(ceiling: Option<f64>, now: Instant) -> Pace {
        Pace {
            ceiling,
            rate: ceiling,
            goal: ceiling.unwrap_or(LEAST_GOAL),
            due: now,
            raised: now,
            second: now,
            counted: 0.0,
            last_second: 0.0,
        }
    }

    /// Takes a place for one message, and says how long to wait for it. When that is longer than `patience`
    /// no place is taken.
    pub fn reserve(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        self.recover(now);
        self.count(now);
        let Some(rate) = self.rate else {
            return Ok(Duration::ZERO);
        };
        let burst = Duration::from_secs_f64(BURST);
        let due = self.due.max(now.checked_sub(burst).unwrap_or(now));
        let wait = due.saturating_duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        self.due = due + Duration::from_secs_f64(1.0 / rate);
        Ok(wait)
    }

    /// The SMSC throttles: half the rate. Call once for each pause, not for each refused message.
    pub fn halve(&mut self, now: Instant) {
        let rate = self.rate.unwrap_or_else(|| {
            let observed = self.last_second.max(self.counted);
            self.goal = observed.max(LEAST_GOAL);
            observed
        });
        self.rate = Some((rate / 2.0).max(self.slowest()));
        self.raised = now;
    }

    fn recover(&mut self, now: Instant) {
        let (Some(rate), true) = (self.rate, self.rate != self.ceiling) else {
            return;
        };
        let seconds = now.saturating_duration_since(self.raised).as_secs();
        if seconds == 0 {
            return;
        }
        self.raised += Duration::from_secs(seconds);
        let raised = rate + self.goal / RECOVERY * seconds as f64;
        self.rate = if raised >= self.goal {
            self.ceiling
        } else {
            Some(raised)
        };
    }

    /// One a second, or a tenth of a ceiling lower than ten.
    fn slowest(&self) -> f64 {
        (self.goal / 10.0).min(1.0)
    }

    fn count(&mut self, now: Instant) {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.last_second, self.counted, self.second) = (self.counted, 0.0, now);
        }
        self.counted += 1.0;
    }
}

/// Waits that double: after lost connections, refused binds and throttled submits.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first,
            longest: longest.max(first),
            next: first,
        }
    }

    /// The next wait: between three and five quarters of the doubled one, by `jitter` from 0 to 1.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// It went well: the next wait is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Whether a bind is paused.
#[derive(Debug)]
pub struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Pause {
    /// Not paused.
    pub fn new(backoff: Backoff) -> Pause {
        Pause { backoff, until: None }
    }

    /// The SMSC throttles. Returns whether a pause begins now: what was in flight when it began is throttled too,
    /// and says nothing new.
    pub fn throttled(&mut self, now: Instant, jitter: f64) -> bool {
        if self.left(now).is_some() {
            return false;
        }
        self.until = Some(now + self.backoff.next(jitter));
        true
    }

    /// The SMSC took a message.
    pub fn took(&mut self, now: Instant) {
        if self.left(now).is_none() {
            self.backoff.reset();
        }
    }

    /// How long the pause still lasts; none when there is none.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.until
            .map(|until| until.saturating_duration_since(now))
            .filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(3600);

    /// How many messages leave in each of `seconds`, asked for as fast as they are let.
    fn per_second(pace: &mut Pace, mut now: Instant, seconds: u32) -> Vec<u32> {
        let start = now;
        let mut counts = vec![0; seconds as usize];
        loop {
            now += pace.reserve(now, PATIENT).unwrap_or_default();
            let second = now.duration_since(start).as_secs() as usize;
            if second >= counts.len() {
                return counts;
            }
            counts[second] += 1;
        }
    }

    #[test]
    fn the_rate_is_kept_without_bursts() {
        let now = Instant::now();
        for rate in [1.0, 3.0, 50.0] {
            let counts = per_second(&mut Pace::new(Some(rate), now), now, 5);
            for count in counts {
                assert!(
                    f64::from(count) <= rate * 1.1 + 1.0 && f64::from(count) >= rate - 1.0,
                    "{rate}: {count}"
                );
            }
        }
        // A fraction of a message per second is a rate, not a division by zero.
        assert_eq!(
            per_second(&mut Pace::new(Some(0.5), now), now, 10)
                .iter()
                .sum::<u32>(),
            5
        );
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let now = Instant::now();
        let mut pace = Pace::new(None, now);
        for _ in 0..10_000 {
            assert_eq!(pace.reserve(now, Duration::ZERO), Ok(Duration::ZERO));
        }
    }

    #[test]
    fn a_place_beyond_patience_is_not_taken() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(1.0), now);
        assert_eq!(pace.reserve(now, Duration::ZERO), Ok(Duration::ZERO));
        let wait = pace.reserve(now, Duration::ZERO).unwrap_err();
        assert_eq!(pace.reserve(now, Duration::ZERO), Err(wait));
        assert_eq!(pace.reserve(now + wait, Duration::ZERO), Ok(Duration::ZERO));
    }

    #[test]
    fn throttling_halves_the_rate_and_it_recovers_by_steps() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(100.0), now);
        pace.halve(now);
        assert_eq!(pace.rate, Some(50.0));
        let counts = per_second(&mut pace, now, 12);
        assert!(counts[0] <= 56, "{counts:?}");
        assert!(counts.is_sorted_by(|a, b| a <= &(b + 2)), "{counts:?}");
        assert!((98..=102).contains(&counts[11]), "{counts:?}");
        assert_eq!(pace.rate, Some(100.0));
    }

    #[test]
    fn without_a_limit_the_observed_rate_is_halved_and_the_limit_goes_again() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        for message in 0..200u32 {
            let _ = pace.reserve(start + Duration::from_millis(10) * message, PATIENT);
        }
        let now = start + Duration::from_secs(2);
        pace.halve(now);
        assert_eq!(pace.rate, Some(50.0));
        let _ = pace.reserve(now + Duration::from_secs(2), PATIENT);
        assert_eq!(pace.rate, Some(90.0));
        // Throttled again on the way, it still goes back to where it came from.
        pace.halve(now + Duration::from_secs(2));
        assert_eq!((pace.rate, pace.goal), (Some(45.0), 100.0));
        let _ = pace.reserve(now + Duration::from_secs(60), PATIENT);
        assert_eq!(pace.rate, None);
    }

    #[test]
    fn pauses_double_for_each_new_throttling_and_start_again_after_success() {
        let now = Instant::now();
        let mut pause = Pause::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60)));
        assert!(pause.throttled(now, 0.5));
        assert!(
            !pause.throttled(now, 0.5),
            "the window's other messages begin no further pause"
        );
        assert_eq!(pause.left(now), Some(Duration::from_secs(1)));
        let mut at = now;
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            at += pause.left(at).unwrap();
            assert_eq!(pause.left(at), None);
            assert!(pause.throttled(at, 0.5));
            assert_eq!(pause.left(at), Some(Duration::from_secs(expected)));
        }
        // An answer to what was sent before the pause is no recovery.
        pause.took(at);
        at += pause.left(at).unwrap();
        pause.took(at);
        assert!(pause.throttled(at, 0.5));
        assert_eq!(pause.left(at), Some(Duration::from_secs(1)));
    }

    #[test]
    fn jitter_spreads_by_a_quarter_each_way() {
        let backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(60));
        assert_eq!(backoff.clone().next(0.0), Duration::from_secs(3));
        assert_eq!(backoff.clone().next(1.0), Duration::from_secs(5));
    }
}
