//! Trouble by plan: which misfortune strikes which event follows from a seed, so a run can be repeated.
//!
//! The n-th roll for a fault always falls the same way under the same seed, whatever else happens in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What a carrier may do to its customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection breaks when a `submit_sm` has arrived; the message was not taken.
    DropBeforeTaking,
    /// The message is taken, and the connection breaks before the response.
    DropBeforeResponse,
    /// The connection breaks right after the response.
    DropAfterResponse,
    /// The response comes late, so that others overtake it.
    LateResponse,
    /// `ESME_RTHROTTLED` instead of taking the message.
    Throttle,
    /// `ESME_RMSGQFUL` instead of taking the message.
    QueueFull,
    /// The receipt comes before the response.
    ReceiptFirst,
    /// The receipt comes on another bind than the submission, if there is one.
    ReceiptElsewhere,
    /// The response to a `deliver_sm` counts as lost: it is sent again, on whichever bind there is.
    RepeatDelivery,
    /// A `deliver_sm` is held back while later ones go out.
    HoldDelivery,
    /// The connection breaks right after a `deliver_sm` was sent.
    DropAfterDelivery,
    /// What sloppy carriers send: before a response an unknown command and a command with junk behind its end,
    /// in a delivery a parameter that is shorter than it says.
    Sloppy,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 12] = [
        Fault::DropBeforeTaking,
        Fault::DropBeforeResponse,
        Fault::DropAfterResponse,
        Fault::LateResponse,
        Fault::Throttle,
        Fault::QueueFull,
        Fault::ReceiptFirst,
        Fault::ReceiptElsewhere,
        Fault::RepeatDelivery,
        Fault::HoldDelivery,
        Fault::DropAfterDelivery,
        Fault::Sloppy,
    ];

    const COUNT: usize = Fault::ALL.len();
}

/// How likely each fault is, and the seed that decides which events it strikes.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    likelihood: [f64; Fault::COUNT],
    longest_delay: Duration,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::none()
    }
}

impl Plan {
    /// A carrier without faults.
    #[must_use]
    pub fn none() -> Plan {
        Plan::new(0)
    }

    /// No faults yet; [`Plan::with`] adds them.
    #[must_use]
    pub fn new(seed: u64) -> Plan {
        Plan {
            seed,
            likelihood: [0.0; Fault::COUNT],
            longest_delay: Duration::from_millis(50),
        }
    }

    /// A bit of everything: about every fifth message meets something.
    #[must_use]
    pub fn rough(seed: u64) -> Plan {
        let mut plan = Plan::new(seed);
        for fault in Fault::ALL {
            plan = plan.with(fault, 0.02);
        }
        for breaking in [
            Fault::DropBeforeTaking,
            Fault::DropBeforeResponse,
            Fault::DropAfterResponse,
            Fault::DropAfterDelivery,
        ] {
            plan = plan.with(breaking, 0.004);
        }
        plan
    }

    /// The same with this likelihood, 0 to 1, for one fault.
    #[must_use]
    pub fn with(mut self, fault: Fault, likelihood: f64) -> Plan {
        self.likelihood[fault as usize] = likelihood.clamp(0.0, 1.0);
        self
    }

    /// The longest that anything is held back; 50 ms by default.
    #[must_use]
    pub fn longest_delay(mut self, delay: Duration) -> Plan {
        self.longest_delay = delay;
        self
    }
}

/// A plan at work: rolls and counts.
#[derive(Debug)]
pub struct Faults {
    plan: Plan,
    rolled: [AtomicU64; Fault::COUNT],
    struck: [AtomicU64; Fault::COUNT],
}

impl Faults {
    /// Starts a plan from its first roll.
    #[must_use]
    pub fn new(plan: Plan) -> Faults {
        Faults {
            plan,
            rolled: Default::default(),
            struck: Default::default(),
        }
    }

    /// Whether this event meets the fault.
    pub fn strikes(&self, fault: Fault) -> bool {
        let likelihood = self.plan.likelihood[fault as usize];
        if likelihood <= 0.0 {
            return false;
        }
        let struck = self.roll(fault).random::<f64>() < likelihood;
        if struck {
            self.struck[fault as usize].fetch_add(1, Ordering::Relaxed);
        }
        struck
    }

    /// How long something that met the fault is held back.
    pub fn delay(&self, fault: Fault) -> Duration {
        self.plan.longest_delay.mul_f64(self.roll(fault).random::<f64>())
    }

    /// How often the fault has struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.struck[fault as usize].load(Ordering::Relaxed)
    }

    fn roll(&self, fault: Fault) -> SmallRng {
        let number = self.rolled[fault as usize].fetch_add(1, Ordering::Relaxed);
        // Far apart, so that neighbouring seeds, faults and rolls share no sequence.
        let seed = self.plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        SmallRng::seed_from_u64(seed ^ (number << 8) ^ fault as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolls(seed: u64, fault: Fault) -> Vec<bool> {
        let faults = Faults::new(Plan::new(seed).with(fault, 0.3));
        (0..200).map(|_| faults.strikes(fault)).collect()
    }

    #[test]
    fn a_seed_repeats_its_faults() {
        assert_eq!(rolls(7, Fault::Throttle), rolls(7, Fault::Throttle));
        assert_ne!(rolls(7, Fault::Throttle), rolls(8, Fault::Throttle));
        assert_ne!(rolls(7, Fault::Throttle), rolls(7, Fault::Sloppy));
    }

    #[test]
    fn likelihoods_are_kept_and_counted() {
        let faults = Faults::new(Plan::new(1).with(Fault::Throttle, 0.25));
        let struck = (0..10_000).filter(|_| faults.strikes(Fault::Throttle)).count();
        assert!((2_000..3_000).contains(&struck), "{struck} of 10000");
        assert_eq!(faults.struck(Fault::Throttle), struck as u64);
        assert!(!faults.strikes(Fault::QueueFull));
    }
}
