//! Lines: our own addresses on phone networks, and who may use them.

use crate::address::{Address, Region};
use crate::consent::{self, Downgrade};
use crate::id::{ConnectorId, LineId, RoomId, UserId};
use crate::limits::{Limits, OptOut};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An address of ours on a phone network, served by a connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub id: LineId,
    pub connector: ConnectorId,
    /// What phones see as the sender, and what they answer to.
    pub address: Address,
    /// What people see: "Helpdesk".
    pub name: String,
    /// By which national numbers are read.
    pub region: Option<Region>,
    pub access: Access,
    pub display: Display,
    /// A line between text and writer's name, such as `— {name}`, put under texts of a shared line; `None` adds nothing.
    pub signature: Option<String>,
    /// What its users are asked before the gateway passes anything on for them.
    pub consent: consent::Rule,
    /// What is done with a message that would go less protected than the one before it.
    pub downgrade: Downgrade,
    /// The line that a message goes by when this one does not bring it to the phone. What phones send to that line comes into this one's
    /// conversations.
    pub fallback: Option<Fallback>,
    /// What it may be used for, and how much.
    pub limits: Limits,
    /// What is done when contacts wish no more texts from it.
    pub opt_out: OptOut,
}

/// Another way for what a line does not bring to the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub line: LineId,
    /// The phone has not the line's service.
    pub unreachable: bool,
    /// The network refused the message, before or after it took it.
    pub refused: bool,
    /// How long the phone may be without a message that the network took; then it is taken back, where the network can, and goes the
    /// other way. `None`: for as long as the network tries.
    pub after: Option<Duration>,
    /// How long messages go the other way at once, before this line is tried again. It is tried sooner when the phone is heard by it.
    pub again: Duration,
}

impl Fallback {
    /// To `line`, whatever the cause.
    pub fn to(line: LineId) -> Self {
        Self {
            line,
            unreachable: true,
            refused: true,
            after: Some(Duration::from_secs(120)),
            again: Duration::from_secs(6 * 3600),
        }
    }
}

/// Who may use a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// These users; they are invited to every conversation of the line.
    pub users: Vec<UserId>,
    /// And the members of this room, the line's shared inbox: new conversations are announced there.
    pub inbox: Option<RoomId>,
}

/// How much of a contact's number the homeserver gets to see, in names and topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// `+44 ••• 56`.
    #[default]
    Masked,
    /// The whole number.
    Full,
    /// The name in the device's address book; who stands in none is shown as with [`Display::Masked`].
    Name,
}

impl Display {
    /// `name`: what the address book says. A group is always shown by what its members call it.
    pub fn of(self, address: &Address, name: Option<&str>) -> String {
        match (self, address, name) {
            (Display::Name, _, Some(name)) | (_, Address::Group(_), Some(name)) => name.to_owned(),
            (_, Address::Group(_), None) | (Display::Masked | Display::Name, ..) => address.masked(),
            (Display::Full, ..) => address.full().to_owned(),
        }
    }
}

/// What a Matrix user may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Use the lines that name them.
    User,
    /// And run the admin commands.
    Admin,
}

/// Permissions by user id (`@alice:example.org`), by homeserver (`example.org`) or for all (`*`); the most exact wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub Vec<(String, Permission)>);

impl Permissions {
    pub fn of(&self, user: &UserId) -> Option<Permission> {
        let find = |key: &str| {
            self.0
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, permission)| *permission)
        };
        find(user.as_str())
            .or_else(|| find(user.server()))
            .or_else(|| find("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_permission_wins() {
        let permissions = Permissions(vec![
            ("*".into(), Permission::User),
            ("example.org".into(), Permission::Admin),
            ("@alice:example.org".into(), Permission::User),
        ]);
        assert_eq!(
            permissions.of(&UserId::new("@alice:example.org")),
            Some(Permission::User)
        );
        assert_eq!(
            permissions.of(&UserId::new("@bob:example.org")),
            Some(Permission::Admin)
        );
        assert_eq!(
            permissions.of(&UserId::new("@eve:other.org")),
            Some(Permission::User)
        );
        assert_eq!(Permissions::default().of(&UserId::new("@eve:other.org")), None);
    }
}
