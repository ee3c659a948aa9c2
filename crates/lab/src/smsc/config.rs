//! How the carrier is to behave.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_wire::segments::Method;
use swingbridge_wire::text::CodingRules;
use tokio_rustls::rustls::ServerConfig;

use crate::faults::Plan;

/// How the carrier is to behave. The default is a carrier without faults on a free port of 127.0.0.1, with one
/// account, `swingbridge` with the password `secret`, and no page.
#[derive(Clone)]
pub struct Config {
    /// Where it takes binds; port 0 for a free one.
    pub listen: SocketAddr,
    /// Where it serves its page and API; port 0 for a free one, `None` for neither.
    pub http: Option<SocketAddr>,
    pub tls: Option<Arc<ServerConfig>>,
    pub accounts: Vec<Account>,
    /// The phones there are from the start. Any other number gets a phone when the first message comes.
    pub phones: Vec<(String, Option<String>)>,
    /// Its own name in the bind response.
    pub system_id: String,
    /// For the `sc_interface_version` of the bind response; many carriers leave it out.
    pub interface_version: Option<u8>,
    /// How it reads the `data_coding` of submissions. Phones' texts in GSM go out as 0.
    pub coding: CodingRules,
    /// How a phone's long text is carried.
    pub method: Method,
    pub receipts: Receipts,
    /// How ids stand in responses.
    pub ids: IdStyle,
    pub first_id: u64,
    /// How many `deliver_sm` a bind may leave unanswered.
    pub window: usize,
    /// When an unanswered `deliver_sm` is sent again.
    pub response_timeout: Duration,
    /// When a `deliver_sm` that was refused for now is sent again.
    pub retry: Duration,
    /// How often it asks whether the link is alive; it closes one that has been silent for three times as long.
    pub enquire_link: Duration,
    /// What marks a `deliver_sm` of a phone's text, so that the account can tell a repetition from a second
    /// text with the same words.
    pub mark: Mark,
    pub faults: Plan,
    /// Keep all octets of all connections for [`super::Handle::capture`].
    pub record: bool,
    pub clock: Arc<dyn Clock>,
}

/// A customer who may bind.
#[derive(Clone)]
pub struct Account {
    pub system_id: String,
    pub password: String,
    /// The numbers whose texts it gets. Texts to a number that no account names go to the first account.
    pub numbers: Vec<String>,
    /// How many connections may be bound at once.
    pub binds: usize,
}

impl Account {
    /// An account without numbers of its own, for up to eight binds.
    #[must_use]
    pub fn new(system_id: impl Into<String>, password: impl Into<String>) -> Account {
        Account {
            system_id: system_id.into(),
            password: password.into(),
            numbers: Vec::new(),
            binds: 8,
        }
    }
}

/// How and when receipts are sent.
#[derive(Clone, Debug)]
pub struct Receipts {
    /// From taking a message to its receipt, where the phone is on.
    pub delay: Duration,
    pub form: ReceiptForm,
    /// How ids stand in receipts.
    pub ids: IdStyle,
    /// One for each part that asked for it, or for the last part of a message alone.
    pub last_part_only: bool,
}

/// Where a receipt says what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptForm {
    /// In the text of SMPP 3.4's appendix B, and in TLVs.
    #[default]
    Both,
    Text,
    Tlvs,
    /// Text as UTF-16 without saying so, as some do.
    WrongEncoding,
}

/// How a number is written as an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdStyle {
    #[default]
    Decimal,
    /// Ten digits, with leading zeros.
    Padded,
    LowerHex,
    UpperHex,
}

impl IdStyle {
    pub(super) fn write(self, number: u64) -> String {
        match self {
            IdStyle::Decimal => format!("{number}"),
            IdStyle::Padded => format!("{number:010}"),
            IdStyle::LowerHex => format!("{number:x}"),
            IdStyle::UpperHex => format!("{number:X}"),
        }
    }
}

/// What marks a `deliver_sm` of a phone's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// A `receipted_message_id`, which some carriers set on all that they deliver.
    #[default]
    MessageId,
    /// A `user_message_reference` of 16 bits, as the phone's network gave it.
    Reference,
    /// Nothing.
    None,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http: None,
            tls: None,
            accounts: vec![Account::new("swingbridge", "secret")],
            phones: Vec::new(),
            system_id: "lab".to_owned(),
            interface_version: Some(0x34),
            coding: CodingRules::default(),
            method: Method::Udh8,
            receipts: Receipts::default(),
            ids: IdStyle::default(),
            first_id: 900_000_001,
            window: 10,
            response_timeout: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            enquire_link: Duration::from_secs(30),
            mark: Mark::default(),
            faults: Plan::none(),
            record: false,
            clock: Arc::new(SystemClock),
        }
    }
}

impl Default for Receipts {
    fn default() -> Receipts {
        Receipts {
            delay: Duration::from_millis(20),
            form: ReceiptForm::default(),
            ids: IdStyle::default(),
            last_part_only: false,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// The time of day: the lab is the outside world, so it may look at the clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the edge where time comes in")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
