//! Lines: our own addresses on phone networks, and who may use them.

use crate::address::{Address, Region};
use crate::consent::{self, Downgrade};
use crate::id::{ConnectorId, LineId, RoomId, UserId};
use crate::limits::{Limits, OptOut};
use serde::{Deserialize, Serialize};

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
    /// What it may be used for, and how much.
    pub limits: Limits,
    /// What is done when contacts wish no more texts from it.
    pub opt_out: OptOut,
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
