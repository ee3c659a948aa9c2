//! What the operator decided, as data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::id::{ConnectorId, LineId, UserId};
use swingbridge_domain::inbox::NetworkAddress;
use swingbridge_domain::line::{self, Line, Permissions};
use swingbridge_domain::path::{Place, Protection};

/// A site: its lines, people and policies.
#[derive(Clone, Debug)]
pub struct Site {
    pub bot: UserId,
    /// What every ghost's user id begins with: `@sms_`.
    pub ghost_prefix: String,
    /// Where the program runs: the user's own device, or a gateway.
    pub here: Place,
    /// In the order of the configuration; a user's first one is the default.
    pub lines: Vec<Arc<Line>>,
    pub capabilities: BTreeMap<ConnectorId, Capabilities>,
    pub permissions: Permissions,
    pub policy: Policy,
    pub privacy: Privacy,
    /// What commands begin with outside the management room: `!sb`.
    pub command_prefix: String,
    pub version: String,
}

/// Who can read what passes here, as far as the operator knows.
#[derive(Clone, Debug)]
pub struct Privacy {
    /// Who runs the gateway, for the sentence that people agree to: "Example Ltd".
    pub operator: Option<String>,
    /// How long a text from a phone waits, sealed, for somebody to agree.
    pub hold: Duration,
    /// What protects the connection to the homeserver.
    pub homeserver: Protection,
    /// What protects the events of a room that is made now.
    pub new_rooms: Protection,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            operator: None,
            hold: Duration::from_secs(7 * 24 * 3600),
            homeserver: Protection::None,
            new_rooms: Protection::None,
        }
    }
}

/// What is done where there is a choice.
#[derive(Clone, Debug)]
pub struct Policy {
    /// A text that did not reach the phone by then is no use any more.
    pub validity: Duration,
    /// How long the parts of an inbound message are waited for before it is shown with a gap.
    pub assembly_wait: Duration,
    /// How long a late part may still fill the gap.
    pub assembly_keep: Duration,
    /// How long a receipt waits for the answer that gives its id. SMPP tells the ids of a long text only after all of its parts were
    /// answered, and the phone may have the first of them minutes before.
    pub early_receipt_wait: Duration,
    /// After the first part of a message was reported as delivered: how long the other parts' receipts are waited for.
    pub parts_wait: Duration,
    /// Tries that count before a fault of the network is final.
    pub attempts: u32,
    pub reactions: Fallback,
    pub edits: Fallback,
    pub media: MediaPolicy,
    /// After this long a text that waits for its network is told of in words.
    pub patience: Duration,
    /// How long ids and states of messages are remembered.
    pub retention: Duration,
    /// How long entries of the audit log are kept.
    pub audit_retention: Duration,
    /// How long what could not be processed is kept for somebody to look at.
    pub buried_retention: Duration,
}

/// What is done with something that a network can not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Said in a text.
    Text,
    /// Refused, with words to the sender.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaPolicy {
    Refuse,
    /// An expiring link is sent.
    Link,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(24 * 3600),
            assembly_wait: Duration::from_secs(120),
            assembly_keep: Duration::from_secs(24 * 3600),
            early_receipt_wait: Duration::from_secs(300),
            parts_wait: Duration::from_secs(120),
            attempts: 5,
            reactions: Fallback::Refuse,
            edits: Fallback::Refuse,
            media: MediaPolicy::Refuse,
            patience: Duration::from_secs(30),
            retention: Duration::from_secs(90 * 24 * 3600),
            audit_retention: Duration::from_secs(400 * 24 * 3600),
            buried_retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Site {
    pub fn line(&self, id: &LineId) -> Option<&Arc<Line>> {
        self.lines.iter().find(|line| &line.id == id)
    }

    /// The line that a network's address of ours belongs to. A connector with a single line gets everything that comes by it:
    /// networks write our own number in many ways, or not at all.
    pub fn line_of(&self, connector: &ConnectorId, to: &NetworkAddress) -> Option<&Arc<Line>> {
        let mut served = self.lines.iter().filter(|line| &line.connector == connector);
        let exact = served
            .clone()
            .find(|line| to.understand(line.region) == line.address);
        exact.or_else(|| {
            let only = served.next()?;
            served.next().is_none().then_some(only)
        })
    }

    /// The line in whose conversations is shown what phones send to `line`: its own, or those of the line that falls back to it.
    pub fn home<'a>(&'a self, line: &'a Arc<Line>) -> &'a Arc<Line> {
        let falls = |other: &&Arc<Line>| other.fallback.as_ref().is_some_and(|to| to.line == line.id);
        self.lines.iter().find(falls).unwrap_or(line)
    }

    /// Where messages go that `line` does not bring to the phone.
    pub fn fallback_of<'a>(&'a self, line: &'a Line) -> Option<(&'a line::Fallback, &'a Arc<Line>)> {
        let fallback = line.fallback.as_ref()?;
        Some((fallback, self.line(&fallback.line)?))
    }

    pub fn capabilities_of(&self, line: &Line) -> Capabilities {
        self.capabilities
            .get(&line.connector)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether the network's ids of a line's messages are kept, so that others can refer to them.
    pub fn names_messages(&self, line: &Line) -> bool {
        let able = self.capabilities.get(&line.connector);
        able.is_some_and(|able| able.names_messages)
    }

    /// The first network of a line, in its own word (`sms`).
    pub fn network_of(&self, line: &Line) -> String {
        self.capabilities_of(line)
            .networks
            .first()
            .cloned()
            .unwrap_or_else(|| "sms".into())
    }

    /// The pseudonym in a ghost's user id.
    pub fn pseudonym_of<'a>(&self, user: &'a UserId) -> Option<&'a str> {
        let rest = user.as_str().strip_prefix(&self.ghost_prefix)?;
        rest.strip_suffix(self.bot.server())?.strip_suffix(':')
    }

    pub fn is_ours(&self, user: &UserId) -> bool {
        user == &self.bot || self.pseudonym_of(user).is_some()
    }
}
