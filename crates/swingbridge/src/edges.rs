//! The clock and the randomness of this machine, which everything else is given as arguments.

use swingbridge_domain::clock::{Clock, Entropy, Timestamp};

pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is set wrong; 0 is as good as anything.
        Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // A generator of the thread's own, seeded and often reseeded by the system: asking the system for each nonce costs more
        // than to seal a text. Without a seed it panics, and then nothing here may go on.
        rand::fill(bytes);
    }
}
