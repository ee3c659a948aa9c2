//! The settings of one phone under Termux.

pub use crate::smpp::config::Invalid;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The phone that this program runs on, under Termux.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The phone's own number, as the line has it. Termux does not tell which SIM a text came to.
    pub number: String,
    /// The folder of the `termux-*` programs; absent: they are looked for as the shell does.
    pub programs: Option<PathBuf>,
    /// The SIM to send by, by its slot, 0 for the first. Absent: the phone's own choice. A slot without a SIM sends nothing and
    /// says nothing, so that each text ends as uncertain.
    pub sim_slot: Option<u8>,
    /// How often the phone is asked for new texts, in seconds.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// How many days of texts are shown as history at the first start, 0 to 3650.
    pub history_days: u32,
    /// How often the address book is read, in seconds; 0: never.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub contacts: Duration,
    /// The zone of the times that Termux gives without one, as `date` takes it in `TZ` (`Europe/Berlin`). Absent: as the
    /// phone is set.
    pub time_zone: Option<String>,
    /// Notifications of other apps, shown as messages that cannot be answered.
    pub notifications: Notifications,
    /// Time limits.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            number: String::new(),
            programs: None,
            sim_slot: None,
            poll: Duration::from_secs(3),
            history_days: 0,
            contacts: Duration::from_secs(15 * 60),
            time_zone: None,
            notifications: Notifications::default(),
            timing: Timing::default(),
        }
    }
}

/// Notifications of other apps. Nothing is known of what protected them, and that is what their label says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notifications {
    /// Whose: package names, such as `com.google.android.apps.messaging`. None: notifications are not read.
    pub packages: Vec<String>,
}

/// Time limits, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// For one command. Termux hangs when the Termux:API app is missing or asleep.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub command: Duration,
    /// How long the phone's database is watched for the text that was given to it; after that its fate is unknown.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub confirm: Duration,
    /// How often the newest texts are gone over again, for those that appear late: the phone withholds codes for a time.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub sweep: Duration,
    /// The longest wait between two tries while the phone does not answer.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(20),
            confirm: Duration::from_secs(60),
            sweep: Duration::from_secs(300),
            longest_wait: Duration::from_secs(60),
        }
    }
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        let package = |name: &String| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
        };
        let zone = |zone: &String| !zone.is_empty() && !zone.chars().any(|c| c.is_control());
        let rules = [
            (
                self.number.chars().filter(char::is_ascii_digit).count() >= 3,
                "number",
                "give the phone's own number, as the line has it",
            ),
            (
                self.sim_slot.is_none_or(|slot| slot < 8),
                "sim_slot",
                "0 for the first SIM, 1 for the second",
            ),
            (!self.poll.is_zero(), "poll", "more than zero"),
            (self.history_days <= 3650, "history_days", "between 0 and 3650"),
            (
                self.time_zone.as_ref().is_none_or(zone),
                "time_zone",
                "the name of a zone, such as Europe/Berlin, or leave it out",
            ),
            (
                self.notifications.packages.iter().all(package),
                "notifications.packages",
                "names of packages, such as com.google.android.apps.messaging",
            ),
            (!self.timing.command.is_zero(), "timing.command", "more than zero"),
            (!self.timing.confirm.is_zero(), "timing.confirm", "more than zero"),
            (!self.timing.sweep.is_zero(), "timing.sweep", "more than zero"),
            (
                self.timing.longest_wait >= self.poll,
                "timing.longest_wait",
                "at least as long as poll",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_enough_and_unknown_lines_are_refused() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        let config = read(r#"{"number": "+447700900001", "poll": 1.5}"#).unwrap();
        assert_eq!(config.poll, Duration::from_millis(1500));
        assert_eq!(config.validate(), Ok(()));
        for wrong in [
            r#"{"nummer": ""}"#,
            r#"{"poll": -1}"#,
            r#"{"notifications": true}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            number: "+447700900001".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|config| config.number.clear()), Err("number"));
        assert_eq!(wrong(|config| config.poll = Duration::ZERO), Err("poll"));
        assert_eq!(wrong(|config| config.sim_slot = Some(9)), Err("sim_slot"));
        assert_eq!(
            wrong(|config| config.notifications.packages = vec!["a b".into()]),
            Err("notifications.packages")
        );
        assert_eq!(
            wrong(|config| config.timing.longest_wait = Duration::ZERO),
            Err("timing.longest_wait")
        );
    }
}
