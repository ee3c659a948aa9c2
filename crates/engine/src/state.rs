//! What is known when something happens.

use crate::assembly::Piece;
use crate::payload::Send;
use crate::policy::limits::{Machines, Meter};
use crate::site::Site;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Health;
use swingbridge_domain::consent::{Consent, Question};
use swingbridge_domain::homeserver::Ghost;
use swingbridge_domain::id::{ConnectorId, ContactId, LineId, NetworkId, RoomId, UserId};
use swingbridge_domain::inbox::Membership;
use swingbridge_domain::line::{Display, Line};
use swingbridge_domain::message::Media;
use swingbridge_domain::path::Leg;
use swingbridge_domain::store::{
    Assembly, BuriedRow, Contact, Conversation, MessageRecord, OutboxRow, PartRecord, Pin, QueueDepth,
    RoomRole, SuppressedBy, Suppression,
};

/// What the decision about one event may look at. Only what the event needs is filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The conversation that the event is about.
    pub talk: Option<Talk>,
    /// There is a conversation, but its line is no longer configured.
    pub line_gone: bool,
    /// What its room is otherwise.
    pub role: Option<RoomRole>,
    /// Members of the room of `talk`.
    pub members: Vec<(UserId, Membership)>,
    /// Members of the lines' shared inboxes.
    pub inbox_members: BTreeMap<RoomId, Vec<(UserId, Membership)>>,
    /// The message that the event is about.
    pub message: Option<MessageRecord>,
    /// All parts of it, as the network knows them; and the one that a receipt names.
    pub parts: Vec<PartRecord>,
    pub part: Option<PartRecord>,
    /// Receipts that came before the answer.
    pub early: Vec<swingbridge_domain::inbox::Receipt>,
    /// An assembly with its parts; without them when it is complete.
    pub assembly: Option<(Assembly, BTreeMap<u8, Piece>)>,
    /// The outbox row of the message.
    pub row: Option<OutboxRow>,
    /// What is in the row, where it is to be seen whether it could go another way.
    pub waiting: Option<Box<Send>>,
    /// What a message from a phone refers to, with all that was made of it; and the reaction of the same person to it before.
    pub referred: Vec<MessageRecord>,
    pub reacted: Option<MessageRecord>,
    /// Who of a group said it, and whose reaction it is.
    pub member: Option<Ghost>,
    pub reactor: Option<NetworkId>,
    /// What its group is called; who changed it, and whom it concerns, as they are shown.
    pub group_name: Option<String>,
    pub by: Option<String>,
    pub whom: Option<String>,
    /// The network's id of what a message from Matrix refers to.
    pub named: Option<NetworkId>,
    /// The contact of an address-book entry, with what was known of it; or who wishes something without there being a conversation.
    pub met: Option<(Contact, Card)>,
    /// What was said of the conversation's line: by the writer of a text to a phone, by anybody for a text from one.
    pub consents: Vec<Consent>,
    /// What the event that is reacted to asks.
    pub question: Option<Question>,
    /// The keys by which the contact is known.
    pub pins: Vec<Pin>,
    /// The conversation with the same contact on the line that this one is to be moved to.
    pub twin: Option<Conversation>,
    /// The contact wishes no more texts from the line's address.
    pub suppressed: Option<Suppression>,
    /// The same of the line that a message is to go by, or was written to, where that is another one.
    pub suppressed_there: Option<Suppression>,
    /// Something came to another address of ours than that of the conversation's line.
    pub written_to_other: bool,
    /// What was sent by the line that a message is to go by, where that is limited.
    pub meters: Vec<Meter>,
    /// What machines said lately, where that matters.
    pub machines: Option<Machines>,
    /// For commands.
    pub survey: Survey,
    pub health: BTreeMap<ConnectorId, Health>,
}

/// A conversation with all that names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Talk {
    pub conversation: Conversation,
    pub who: Arc<Who>,
    pub line: Arc<Line>,
}

/// A contact with its address and card, opened.
#[derive(Debug, PartialEq)]
pub struct Who {
    pub contact: Contact,
    pub address: Address,
    pub card: Card,
}

/// What an address book or a group says of a contact, opened. `Debug` is redacted.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// On this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Media>,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(…)")
    }
}

/// What commands show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    pub talks: Vec<Talk>,
    pub queues: Vec<QueueDepth>,
    pub buried: Vec<BuriedRow>,
    pub latest: Option<MessageRecord>,
    /// There are more conversations than `talks`.
    pub more: bool,
    /// The line of the conversation of the message that is asked about.
    pub line: Option<LineId>,
    /// The contact of a ghost who was invited.
    pub invited: Option<Address>,
    /// Contacts who wish no texts, the latest first.
    pub opted_out: Vec<OptedOut>,
}

/// A contact who wishes no texts from a line.
#[derive(Clone, Debug, PartialEq)]
pub struct OptedOut {
    pub line: LineId,
    pub contact: ContactId,
    /// As people may see it.
    pub shown: String,
    pub by: SuppressedBy,
    pub at: Timestamp,
}

impl Talk {
    /// What people see of the contact.
    pub fn shown(&self) -> String {
        self.line
            .display
            .of(&self.who.address, self.who.card.name.as_deref())
    }

    /// The same conversation by another line: who may write in it, and what it asks of them, stays as it is.
    pub fn by(&self, line: &Line) -> Talk {
        let own = self.line.as_ref();
        let line = Line {
            access: own.access.clone(),
            display: own.display,
            downgrade: own.downgrade,
            fallback: own.fallback.clone(),
            ..line.clone()
        };
        Talk {
            line: Arc::new(line),
            ..self.clone()
        }
    }

    /// Whether a message goes by the conversation's own line, and not by the one that stands in for it.
    pub fn is_direct(&self) -> bool {
        self.line.id == self.conversation.line
    }

    /// The legs from the contact's phone to us that the last message took, as far as the line's connector said so.
    pub fn way(&self) -> &[Leg] {
        match self.is_direct() {
            true => &self.conversation.trust.way,
            false => &[],
        }
    }

    /// Whose phone the line is on, where it is somebody's: what is said on the phone itself is theirs.
    pub fn owner(&self) -> Option<&UserId> {
        self.line.access.users.first()
    }

    /// Whether it is with several people.
    pub fn is_group(&self) -> bool {
        matches!(self.who.address, Address::Group(_))
    }

    /// Whether something can be sent to it.
    pub fn can_reply(&self, site: &Site) -> bool {
        let groups = site.capabilities_of(&self.line).groups;
        self.who.address.can_reply() && (!self.is_group() || groups != Support::Absent)
    }

    pub fn ghost(&self, network: &str) -> Ghost {
        ghost(
            &self.line,
            &self.who.contact,
            &self.who.address,
            &self.who.card,
            network,
        )
    }

    /// The local part of the room's alias: the same for ever, until the room is given up.
    pub fn alias(&self, keys: &swingbridge_domain::secret::Keys) -> String {
        // Not from the conversation's number: numbers begin again in a new database, and would lead to strangers' rooms.
        let Conversation { line, generation, .. } = &self.conversation;
        keys.pseudonym(
            "room",
            &format!("{line}/{}/{generation}", self.who.address.canonical()),
        )
    }
}

/// The Matrix user that stands for a contact of a line.
pub(crate) fn ghost(line: &Line, contact: &Contact, address: &Address, card: &Card, network: &str) -> Ghost {
    let shown = line.display.of(address, card.name.as_deref());
    // On the user's own device people are called what the user calls them.
    let own = line.display == Display::Name;
    let name = match own {
        true => shown,
        false => format!("{shown} ({})", network.to_uppercase()),
    };
    Ghost {
        picture: card.picture.clone().filter(|_| own),
        ..Ghost::new(contact.ghost.clone(), name)
    }
}
