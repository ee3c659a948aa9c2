//! The settings of one Mac. On a usual Mac only the line's address is missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Messages on this Mac.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The line's own address, as contacts know it: a number with `+` and country code, or the mail address of the Apple Account.
    pub address: String,
    /// Messages' database. `~/` is the person's home.
    pub database: PathBuf,
    /// The folder of the address book, for names and pictures of contacts. Nothing: they are shown by their numbers.
    pub address_book: PathBuf,
    /// A folder below Messages' own attachments, where files to be sent are laid. Messages sends from there and does not copy,
    /// so nothing in it is ever deleted.
    pub staging: PathBuf,
    /// The program that runs AppleScripts.
    pub osascript: PathBuf,
    /// How many days back to bring over when this starts for the first time. 0: only what comes from then on.
    pub history_days: u16,
    /// By which service to write to somebody with whom there is no chat yet.
    pub new_chats: Service,
    /// Time limits and intervals.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            address: String::new(),
            database: "~/Library/Messages/chat.db".into(),
            address_book: "~/Library/Application Support/AddressBook".into(),
            staging: "~/Library/Messages/Attachments/swingbridge".into(),
            osascript: "/usr/bin/osascript".into(),
            history_days: 0,
            new_chats: Service::default(),
            timing: Timing::default(),
        }
    }
}

/// A service that Messages sends by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Apple's own, end-to-end encrypted.
    #[default]
    Imessage,
    /// By the iPhone (Text Message Forwarding), in clear.
    Sms,
    /// By the iPhone (Text Message Forwarding); what protects it is not known.
    Rcs,
}

/// Time limits and intervals, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Between two looks at the database.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// Between two looks at whether the file is still the same one, and whether the address book changed.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub restat: Duration,
    /// Between two sweeps over the last seven days, for rows that came under numbers passed already.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub sweep: Duration,
    /// How long `osascript` may take.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub script: Duration,
    /// How long a sent message's row is waited for. Afterwards its fate is not known.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub row: Duration,
    /// How long a text is watched for a failure or a delivery, when newer messages have pushed it far back.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub watch_text: Duration,
    /// The same for a file.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub watch_file: Duration,
    /// How long a row waits for its chat.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub join: Duration,
    /// How long a message waits for its files. What comes later is handed on by itself.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub files: Duration,
    /// A row that looks like a contact's and may be our own waits so long.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub flip: Duration,
    /// What is older than the newest message by more than this is history: shown with its own time, and nobody is called for it.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub fence: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            poll: Duration::from_millis(200),
            restat: Duration::from_secs(5),
            sweep: Duration::from_secs(3600),
            script: Duration::from_secs(30),
            row: Duration::from_secs(10),
            watch_text: Duration::from_secs(120),
            watch_file: Duration::from_secs(20 * 60),
            join: Duration::from_secs(30),
            files: Duration::from_secs(60),
            flip: Duration::from_secs(5),
            fence: Duration::from_secs(3600),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The setting, below the connector.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: &'static str,
}

impl Config {
    /// The same settings, with `~/` replaced.
    #[must_use]
    pub fn at_home(mut self, home: &Path) -> Config {
        for path in [
            &mut self.database,
            &mut self.address_book,
            &mut self.staging,
            &mut self.osascript,
        ] {
            if let Ok(rest) = path.strip_prefix("~") {
                *path = home.join(rest);
            }
        }
        self
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        let plausible = self.address.contains('@')
            || self.address.strip_prefix('+').is_some_and(|digits| {
                digits.len() >= 7 && digits.bytes().all(|octet| octet.is_ascii_digit())
            });
        let home = |path: &Path| path.is_absolute() || path.starts_with("~");
        let timing = &self.timing;
        let rules = [
            (
                plausible,
                "address",
                "give the line's number with + and country code, or its mail address",
            ),
            (
                home(&self.database),
                "database",
                "give an absolute path, or one that begins with ~/",
            ),
            (
                self.address_book.as_os_str().is_empty() || home(&self.address_book),
                "address_book",
                "give an absolute path, or one that begins with ~/, or nothing",
            ),
            (
                home(&self.staging),
                "staging",
                "give an absolute path, or one that begins with ~/",
            ),
            (
                home(&self.osascript),
                "osascript",
                "give an absolute path, such as /usr/bin/osascript",
            ),
            (
                timing.poll >= Duration::from_millis(10),
                "timing.poll",
                "at least 0.01 seconds, or a core does nothing else",
            ),
            (!timing.script.is_zero(), "timing.script", "more than 0 seconds"),
            (!timing.row.is_zero(), "timing.row", "more than 0 seconds"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }

    /// What `~/` means in Messages' database: the folder above `Library/Messages`.
    pub(super) fn home(&self) -> PathBuf {
        self.database
            .ancestors()
            .nth(3)
            .unwrap_or(Path::new("/"))
            .to_owned()
    }
}

/// Times as seconds, with fractions.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| serde::de::Error::custom("a time is a number of seconds, 0 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            address: "+447700900001".into(),
            ..Config::default()
        }
        .at_home(Path::new("/Users/alice"))
    }

    #[test]
    fn the_usual_mac_needs_only_its_address() {
        assert_eq!(good().validate(), Ok(()));
        assert_eq!(
            good().database,
            Path::new("/Users/alice/Library/Messages/chat.db")
        );
        assert_eq!(
            good().address_book,
            Path::new("/Users/alice/Library/Application Support/AddressBook")
        );
        assert_eq!(good().home(), Path::new("/Users/alice"));
        assert_eq!(
            Config::default().validate().map_err(|invalid| invalid.field),
            Err("address")
        );
    }

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = good();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        // Without its + a number fails with error 22.
        assert_eq!(
            wrong(|config| config.address = "07700900001".into()),
            Err("address")
        );
        assert_eq!(
            wrong(|config| config.database = "chat.db".into()),
            Err("database")
        );
        assert_eq!(
            wrong(|config| config.address_book = "book".into()),
            Err("address_book")
        );
        // Who wants no names.
        assert_eq!(wrong(|config| config.address_book = PathBuf::new()), Ok(()));
        assert_eq!(
            wrong(|config| config.timing.poll = Duration::ZERO),
            Err("timing.poll")
        );
        assert_eq!(
            wrong(|config| config.address = "alice@example.org".into()),
            Ok(())
        );
    }
}
