//! The way that a message takes: its legs, what protects each, and on what evidence.
//!
//! A [`Path`] is data that the two sides report and the engine puts together; nothing here is guessed. Absence of evidence is
//! [`Protection::Unknown`], and no [`Summary`] claims more than its weakest leg's evidence.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the label as it stands in events; raised when a reader of the old one would be misled.
pub const VERSION: u32 = 1;

/// The legs of a message's way, in order from the sender to the reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    pub legs: Vec<Leg>,
}

/// One stretch of the way between two places where the message is in the clear, or where that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub from: Place,
    pub to: Place,
    pub protection: Protection,
    pub evidence: Evidence,
}

/// Where a message is written, passes in the clear, or is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The contact's phone.
    Phone,
    Carrier,
    /// A company between the carrier and us, by its name.
    Provider(String),
    /// The user's own phone, Mac or home box.
    Device,
    Gateway,
    Homeserver,
    /// The user's Matrix client.
    Client,
}

/// What protects a message on a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Whoever carries it can read it.
    None,
    /// Encrypted between the two places (TLS): who listens on the way reads nothing.
    Transport,
    /// Encrypted from place to place, whatever lies between.
    EndToEnd(Scheme),
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Matrix room encryption.
    Megolm,
    /// RFC 9420, as RCS uses it.
    Mls,
    Imessage,
}

/// How we know what protects a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Only ciphertext passed here, and we hold no key for it.
    CiphertextOnly,
    /// We encrypted or decrypted it ourselves, or hold that end of the connection.
    OurOwnEnd,
    /// The provider says so.
    ReportedByProvider,
    /// The device's own database names the service.
    ServiceColumn,
    /// The network has no such protection.
    NetworkCannot,
    #[default]
    None,
}

/// How well a message was protected, as one message of a conversation is compared with the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    pub summary: Summary,
    /// The weakest of what protects it between the phone and the first place of ours.
    pub network: Protection,
}

/// How far the encryption of the client reaches, in one word; the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// Nobody between the phone and the client could read it.
    EndToEnd,
    /// End-to-end encrypted between the client and the user's own device.
    EndsAtDevice,
    /// End-to-end encrypted between the client and the gateway, which reads it.
    EndsAtGateway,
    /// The homeserver, the gateway and the network read it.
    None,
    /// It is not known.
    Unknown,
}

impl Leg {
    pub fn new(from: Place, to: Place, protection: Protection, evidence: Evidence) -> Self {
        Self {
            from,
            to,
            protection,
            evidence,
        }
    }

    /// The same leg, travelled the other way.
    pub fn reversed(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }

    /// What may be said of the leg: without evidence nothing may.
    pub fn proven(&self) -> Protection {
        match self.evidence {
            Evidence::None => Protection::Unknown,
            // That a network cannot protect is no evidence that it does.
            Evidence::NetworkCannot => Protection::None,
            _ => self.protection,
        }
    }
}

impl Path {
    pub fn new(legs: impl IntoIterator<Item = Leg>) -> Self {
        Self {
            legs: legs.into_iter().collect(),
        }
    }

    /// The last legs, from a place of ours to the client: what protects the room's events decides whether the homeserver has them
    /// in the clear. `to_homeserver`: what protects our connection to it.
    pub fn to_client(ours: Place, room: Protection, to_homeserver: Protection) -> Vec<Leg> {
        match room {
            Protection::EndToEnd(_) => vec![Leg::new(ours, Place::Client, room, Evidence::OurOwnEnd)],
            Protection::Unknown => vec![Leg::new(ours, Place::Client, room, Evidence::None)],
            Protection::None | Protection::Transport => vec![
                Leg::new(ours, Place::Homeserver, to_homeserver, Evidence::OurOwnEnd),
                // Nobody of ours sees how the client is connected.
                Leg::new(
                    Place::Homeserver,
                    Place::Client,
                    Protection::Unknown,
                    Evidence::None,
                ),
            ],
        }
    }

    /// The same way back, from the reader to the sender.
    pub fn reversed(self) -> Self {
        let mut legs: Vec<Leg> = self.legs.into_iter().map(Leg::reversed).collect();
        legs.reverse();
        Self { legs }
    }

    /// Whether the legs lead without a gap from the phone to the client or back.
    pub fn is_whole(&self) -> bool {
        let ends = match (self.legs.first(), self.legs.last()) {
            (Some(first), Some(last)) => (&first.from, &last.to),
            _ => return false,
        };
        let joined = self.legs.windows(2).all(|two| two[0].to == two[1].from);
        joined
            && matches!(
                ends,
                (Place::Phone, Place::Client) | (Place::Client, Place::Phone)
            )
    }

    /// How far the encryption of the reader's or writer's own client reaches.
    pub fn summary(&self) -> Summary {
        let client = self
            .legs
            .iter()
            .find(|leg| leg.from == Place::Client || leg.to == Place::Client);
        let Some(leg) = client.filter(|_| self.is_whole()) else {
            return Summary::Unknown;
        };
        let other = match leg.from == Place::Client {
            true => &leg.to,
            false => &leg.from,
        };
        match (leg.proven(), other) {
            // It is in the clear there, whatever protects its way to there.
            (_, Place::Homeserver) | (Protection::None | Protection::Transport, _) => Summary::None,
            (Protection::EndToEnd(_), Place::Phone) => Summary::EndToEnd,
            (Protection::EndToEnd(_), Place::Device) => Summary::EndsAtDevice,
            (Protection::EndToEnd(_), Place::Gateway) => Summary::EndsAtGateway,
            (Protection::EndToEnd(_) | Protection::Unknown, _) => Summary::Unknown,
        }
    }

    /// What is compared from one message of a conversation to the next.
    pub fn standing(&self) -> Standing {
        let ours = |place: &Place| matches!(place, Place::Device | Place::Gateway | Place::Client);
        let mut from_phone: Vec<&Leg> = self.legs.iter().collect();
        if self.legs.last().is_some_and(|leg| leg.to == Place::Phone) {
            from_phone.reverse();
        }
        let mut network: Option<Protection> = None;
        for leg in from_phone {
            let proven = leg.proven();
            network = Some(network.map_or(proven, |so_far| so_far.weaker(proven)));
            if ours(&leg.from) || ours(&leg.to) {
                break;
            }
        }
        Standing {
            summary: self.summary(),
            network: network.unwrap_or_default(),
        }
    }

    /// Who can read the message besides the two people, from the phone on: the same whichever way it goes.
    pub fn readers(&self) -> Vec<&Place> {
        let mut places: Vec<&Place> = self.legs.iter().skip(1).map(|leg| &leg.from).collect();
        if self.legs.last().is_some_and(|leg| leg.to == Place::Phone) {
            places.reverse();
        }
        places
    }
}

impl Protection {
    fn rank(self) -> u8 {
        match self {
            Protection::EndToEnd(_) => 3,
            Protection::Transport => 2,
            Protection::None => 1,
            Protection::Unknown => 0,
        }
    }

    fn weaker(self, other: Protection) -> Protection {
        match self.rank() <= other.rank() {
            true => self,
            false => other,
        }
    }
}

impl Standing {
    /// Whether a message that stands like `self` is less protected than one that stood like `last`, on either side of us.
    /// What is not known counts as the least.
    pub fn is_weaker_than(self, last: Standing) -> bool {
        self.summary.rank() < last.summary.rank() || self.network.rank() < last.network.rank()
    }
}

impl Summary {
    fn rank(self) -> u8 {
        match self {
            Summary::EndToEnd => 4,
            Summary::EndsAtDevice => 3,
            Summary::EndsAtGateway => 2,
            Summary::None => 1,
            Summary::Unknown => 0,
        }
    }

    /// The word used in the database, in events and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Summary::EndToEnd => "end_to_end",
            Summary::EndsAtDevice => "ends_at_device",
            Summary::EndsAtGateway => "ends_at_gateway",
            Summary::None => "none",
            Summary::Unknown => "unknown",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        const ALL: [Summary; 5] = [
            Summary::EndToEnd,
            Summary::EndsAtDevice,
            Summary::EndsAtGateway,
            Summary::None,
            Summary::Unknown,
        ];
        ALL.into_iter().find(|summary| summary.word() == word)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Phone => "the contact's phone",
            Place::Carrier => "the phone carriers",
            Place::Provider(name) => name,
            Place::Device => "your device",
            Place::Gateway => "this gateway",
            Place::Homeserver => "the homeserver",
            Place::Client => "your client",
        })
    }
}

mod code;
#[cfg(test)]
mod tests;
