//! How the program ends. The codes that other bridges have too mean the same here.

use crate::config::LoadError;
use std::fmt;
use std::process::ExitCode;

/// Why the program ended, as its exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Something that nobody foresaw.
    Other = 1,
    /// What was asked after does not run.
    Stopped = 3,
    /// The configuration cannot be read.
    Unreadable = 10,
    /// The configuration, or the registration beside it, is wrong.
    Config = 11,
    /// An address to listen on cannot be had.
    Listen = 12,
    /// The homeserver cannot reach the gateway.
    Ping = 13,
    /// The database cannot be opened.
    Database = 14,
    /// The homeserver cannot be reached.
    Homeserver = 15,
    /// The homeserver does not take our token.
    Token = 16,
    /// A connector's network cannot be reached or refuses the account.
    Connector = 17,
    /// A file is there already, or cannot be written.
    File = 18,
    /// The account that is to be made is there already.
    Exists = 19,
    /// It cannot be done from here; what a person has to do was printed.
    ByHand = 20,
}

/// The codes with their meaning, for the documentation.
pub const CODES: &[(u8, &str)] = &[
    (0, "all is well; the gateway was asked to stop and did"),
    (
        1,
        "something that nobody foresaw; the log says what. `audit-log verify`: the log is not whole",
    ),
    (2, "the command line is wrong"),
    (
        Exit::Stopped as u8,
        "`service status`: the relay does not run, or it cannot be seen",
    ),
    (Exit::Unreadable as u8, "the configuration file cannot be read"),
    (
        Exit::Config as u8,
        "the configuration is wrong, or the registration does not match it",
    ),
    (Exit::Listen as u8, "an address to listen on cannot be had"),
    (Exit::Ping as u8, "the homeserver cannot reach the gateway"),
    (Exit::Database as u8, "the database cannot be opened"),
    (Exit::Homeserver as u8, "the homeserver cannot be reached"),
    (
        Exit::Token as u8,
        "the homeserver does not take the as_token, or does not know the registration",
    ),
    (
        Exit::Connector as u8,
        "a connector's network cannot be reached, or refuses the account",
    ),
    (Exit::File as u8, "a file is there already, or cannot be written"),
    (
        Exit::Exists as u8,
        "`register`: the account exists already; nothing was changed",
    ),
    (
        Exit::ByHand as u8,
        "it cannot be done from here; what a person has to do was printed",
    ),
    (
        143,
        "a second signal ended the gateway at once, or it did not stop in time",
    ),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error with the exit code it ends the program with.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// There is no configuration.
    pub fn load(error: LoadError) -> Self {
        let exit = match &error {
            LoadError::Unreadable { .. } => Exit::Unreadable,
            LoadError::Invalid(_) => Exit::Config,
        };
        Self::new(exit, error)
    }

    pub fn msg(exit: Exit, text: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self {
            exit,
            error: anyhow::Error::msg(text),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Other, error)
    }
}

/// Gives an error its exit code.
pub trait Ends<T> {
    fn ends(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Ends<T> for Result<T, E> {
    fn ends(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}
