//! The port behind third-party lookup and the provisioning API: who can be reached, and how.

use crate::homeserver::Ghost;
use crate::id::{LineId, RoomId, UserId};
use async_trait::async_trait;

/// How many contacts of one line are listed.
pub const CONTACTS_OF_A_LINE: u32 = 1000;

#[async_trait]
pub trait Directory: Send + Sync {
    /// The lines that `user` may use.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]; may be tried again.
    async fn lines(&self, user: &UserId) -> Result<Vec<LineSummary>, DirectoryError>;

    /// Finds out who `identifier` (a number as typed) is on `line`, or on the user's first line. `user` is `None` for the
    /// homeserver's own lookups, which name no user. With `create` the room is made too; it may still be on its way when this
    /// returns (`room` is then `None`).
    ///
    /// # Errors
    /// [`DirectoryError`].
    async fn resolve(
        &self,
        user: Option<&UserId>,
        line: Option<&LineId>,
        identifier: &str,
        create: bool,
    ) -> Result<Resolved, DirectoryError>;

    /// The contacts `user` has conversations with, the latest first; of a line that has very many, its latest
    /// [`CONTACTS_OF_A_LINE`].
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]; may be tried again.
    async fn contacts(&self, user: &UserId) -> Result<Vec<Resolved>, DirectoryError>;

    /// Whether a ghost with this pseudonym was ever made.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`]; may be tried again.
    async fn ghost(&self, pseudonym: &str) -> Result<Option<Ghost>, DirectoryError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSummary {
    pub id: LineId,
    pub name: String,
    /// The line's own address: the operator's, shown in full.
    pub address: String,
    pub network: String,
    pub connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub ghost: Ghost,
    pub line: LineId,
    /// As this user may see it.
    pub identifier: String,
    pub room: Option<RoomId>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The identifier reaches nobody; the text says why.
    #[error("{0}")]
    NotReachable(String),
    #[error("you may not use this line")]
    NotAllowed,
    #[error("there is no such line")]
    NoSuchLine,
    #[error("not now: {0}")]
    Unavailable(String),
}
