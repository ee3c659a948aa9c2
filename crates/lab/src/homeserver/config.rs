//! What a stub homeserver is like: its name, its application service, its habits.

use super::faults::Faults;
use regex::Regex;
use serde::Deserialize;
use std::time::Duration;

/// All that can be chosen when a stub starts.
#[derive(Clone, Debug)]
pub struct Config {
    pub server_name: String,
    pub registration: Registration,
    pub quirks: Quirks,
    pub faults: Faults,
    /// Seeds everything that is made up: identifiers, faults, reordering.
    pub seed: u64,
    /// The largest upload, in octets.
    pub max_upload: usize,
}

impl Config {
    /// A homeserver named `localhost` that behaves like Synapse and never fails.
    pub fn new(registration: Registration) -> Self {
        Self {
            server_name: "localhost".into(),
            registration,
            quirks: Quirks::synapse(),
            faults: Faults::none(),
            seed: 1,
            max_upload: 50 << 20,
        }
    }
}

/// An application service's registration (Application Service API, "Registration"). Reads the file that the
/// program under test wrote, by its own understanding of the specification.
#[derive(Clone, Debug, Deserialize)]
pub struct Registration {
    pub id: String,
    /// `None` (null) means that nothing is pushed.
    pub url: Option<String>,
    pub as_token: String,
    pub hs_token: String,
    pub sender_localpart: String,
    pub namespaces: Namespaces,
    #[serde(default)]
    pub receive_ephemeral: bool,
    /// The name before the specification took it over.
    #[serde(default, rename = "de.sorunome.msc2409.push_ephemeral")]
    pub push_ephemeral: bool,
    /// Refuses logins, as under the Matrix Authentication Service (MSC4190).
    #[serde(default, rename = "io.element.msc4190")]
    pub no_logins: bool,
    #[serde(default)]
    pub protocols: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Namespaces {
    #[serde(default)]
    pub users: Vec<Namespace>,
    #[serde(default)]
    pub aliases: Vec<Namespace>,
    #[serde(default)]
    pub rooms: Vec<Namespace>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Namespace {
    pub exclusive: bool,
    #[serde(deserialize_with = "regex")]
    pub regex: Regex,
}

/// Namespaces match from the start of the identifier.
fn regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&format!("^(?:{text})")).map_err(serde::de::Error::custom)
}

impl Registration {
    /// Reads a registration file.
    ///
    /// # Errors
    /// The text is no registration; the message says what is missing or wrong. Final.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        // The key must be there although it may be null.
        if value.get("url").is_none() {
            return Err("the registration has no url".into());
        }
        let read: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._=-/~".contains(c);
        if !read.sender_localpart.chars().all(plain) {
            return Err("sender_localpart needs quoting in a URL".into());
        }
        if read.as_token == read.hs_token {
            return Err("as_token and hs_token are the same".into());
        }
        Ok(read)
    }

    pub(super) fn owns_user(&self, user: &str) -> bool {
        self.namespaces
            .users
            .iter()
            .any(|space| space.regex.is_match(user))
    }

    pub(super) fn owns_alias(&self, alias: &str) -> bool {
        self.namespaces
            .aliases
            .iter()
            .any(|space| space.regex.is_match(alias))
    }

    pub(super) fn wants_ephemeral(&self) -> bool {
        self.receive_ephemeral || self.push_ephemeral
    }
}

/// The habits in which homeservers differ. Start from one of the named sets.
#[derive(Clone, Debug)]
pub struct Quirks {
    pub versions: Vec<String>,
    /// The version of rooms that are made without one: `11` or `12`.
    pub room_version: String,
    pub token: TokenPlace,
    pub retry: Retry,
    pub transaction_ids: TransactionIds,
    /// Events in one transaction at most.
    pub batch: usize,
    /// Pushes to `/transactions/…` in place of `/_matrix/app/v1/transactions/…`.
    pub legacy_paths: bool,
    /// Typing and receipts are pushed when the registration asks for them.
    pub ephemeral: bool,
    pub ping: Ping,
    pub devices: Devices,
    /// `whoami` names the device that was given.
    pub whoami_device: bool,
    /// Invites are sent as two events.
    pub duplicate_invites: bool,
    /// State events are pushed twice, in one transaction.
    pub duplicate_state: bool,
    /// How often a transaction holds events that were delivered before, from 0 to 1.
    pub repeat_events: f64,
    /// Events of one room overtake those of another, within and between transactions.
    pub reorder_rooms: bool,
    /// The pause after the first failed push; doubled until `backoff_limit`.
    pub backoff: Duration,
    pub backoff_limit: Duration,
    /// How long a push may take.
    pub push_timeout: Duration,
}

/// Where the homeserver shows its token to the application service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    Header,
    Query,
    Both,
}

/// What a transaction holds when it is pushed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same, as the specification says.
    Same,
    /// The same events, without ephemeral and to-device ones (Synapse).
    Emptied,
    /// The same events and those that came since (Dendrite).
    Growing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionIds {
    /// 1, 2, 3 …, going on after a restart.
    Counted,
    /// 1, 2, 3 …, from 1 after a restart (Synapse on SQLite).
    CountedAnew,
    /// A digest of the contents.
    Hashed,
    /// The time of the first event in it.
    Timed,
}

/// What comes of a request to ping the application service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    Works,
    /// 502 without an attempt.
    BadGateway,
    /// There is no such endpoint.
    Unrecognised,
}

/// What an application service can do about devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// It makes them; an unknown one is refused (MSC4190, MSC4326).
    Managed,
    /// They appear when they are named.
    Appear,
    /// Naming one has no effect, and none can be made.
    Ignored,
}

impl Quirks {
    /// Synapse 1.163 on SQLite, with short pauses.
    pub fn synapse() -> Self {
        Self {
            versions: versions_up_to(15),
            room_version: "12".into(),
            token: TokenPlace::Header,
            retry: Retry::Emptied,
            transaction_ids: TransactionIds::CountedAnew,
            batch: 100,
            legacy_paths: false,
            ephemeral: true,
            ping: Ping::Works,
            devices: Devices::Managed,
            whoami_device: true,
            duplicate_invites: false,
            duplicate_state: false,
            repeat_events: 0.0,
            reorder_rooms: false,
            backoff: Duration::from_millis(50),
            backoff_limit: Duration::from_millis(800),
            push_timeout: Duration::from_secs(20),
        }
    }

    /// palpo 0.4: token in the query, one event at a time, no ephemeral events, a ping that fails.
    pub fn palpo() -> Self {
        Self {
            versions: versions_up_to(12),
            room_version: "11".into(),
            token: TokenPlace::Query,
            retry: Retry::Same,
            transaction_ids: TransactionIds::Hashed,
            batch: 1,
            ephemeral: false,
            ping: Ping::BadGateway,
            devices: Devices::Appear,
            ..Self::synapse()
        }
    }

    /// Dendrite: old versions, old paths, batches that grow under one id, state and invites twice.
    pub fn dendrite() -> Self {
        Self {
            versions: versions_up_to(2),
            room_version: "11".into(),
            token: TokenPlace::Both,
            retry: Retry::Growing,
            transaction_ids: TransactionIds::Timed,
            batch: 50,
            legacy_paths: true,
            ephemeral: false,
            ping: Ping::Unrecognised,
            devices: Devices::Ignored,
            whoami_device: false,
            duplicate_invites: true,
            duplicate_state: true,
            ..Self::synapse()
        }
    }

    /// tuwunel 1.9: both tokens, hashed ids, no device in `whoami`.
    pub fn tuwunel() -> Self {
        Self {
            token: TokenPlace::Both,
            retry: Retry::Same,
            transaction_ids: TransactionIds::Hashed,
            whoami_device: false,
            ..Self::synapse()
        }
    }
}

/// `v1.1` up to `v1.LAST`, with the releases before them.
pub fn versions_up_to(last: u32) -> Vec<String> {
    let old = ["r0.5.0", "r0.6.0", "r0.6.1"].map(String::from);
    old.into_iter()
        .chain((1..=last).map(|minor| format!("v1.{minor}")))
        .collect()
}
