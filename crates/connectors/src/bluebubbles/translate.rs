//! From the server's messages to what the inbox takes.

use super::chats::{address, contact};
use super::shapes::{Chat, Message};
use super::tapback::{self, Tapback};
use swingbridge_domain::address::Hint;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{
    Arrival, Change, Dedupe, Group, GroupChange, Inbound, InboundMessage, NetworkAddress, What,
};
use swingbridge_domain::message::{Body, Disposition, Media, Message as Said, Part, Reference, Text};

/// Where a message belongs, as the inbox is told.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    pub connector: &'a ConnectorId,
    /// The address that people write to.
    pub ours: &'a str,
    /// With who is in it.
    pub chat: &'a Chat,
    pub formerly: Option<String>,
    pub history: bool,
}

/// A file of a message: here, or what it would be called.
pub(super) enum Carried {
    Here(Media),
    Gone(String),
}

impl Setting<'_> {
    fn envelope(&self, message: &Message, said: Said) -> Option<InboundMessage> {
        let from = self.other(message)?;
        let mut inbound = InboundMessage::new(self.connector.clone(), from, address(self.ours), said);
        inbound.group = self.group();
        inbound.own = message.is_own();
        inbound.history = self.history;
        inbound.sent_at = date(message.date_created);
        Some(inbound)
    }

    /// Who said it; for our own, who it went to.
    fn other(&self, message: &Message) -> Option<NetworkAddress> {
        if message.is_own() && self.chat.is_group() {
            return Some(NetworkAddress {
                text: self.chat.guid.clone(),
                hint: Hint::Group,
            });
        }
        let sender = match message.is_own() {
            true => None,
            false => message.handle.as_ref().and_then(|handle| handle.address.clone()),
        };
        sender
            .or_else(|| contact(self.chat))
            .filter(|text| !text.trim().is_empty())
            .map(|text| address(&text))
    }

    pub fn group(&self) -> Option<Group> {
        self.chat.is_group().then(|| Group {
            thread: NetworkId::new(&self.chat.guid),
            formerly: self.formerly.iter().map(NetworkId::new).collect(),
            name: self
                .chat
                .display_name
                .clone()
                .filter(|name| !name.trim().is_empty()),
            members: self
                .chat
                .participants
                .iter()
                .filter_map(|handle| handle.address.as_deref().map(address))
                .collect(),
        })
    }

    fn arrival(&self, id: String, what: Inbound) -> Arrival {
        Arrival {
            dedupe: Dedupe::Id {
                scope: scope(self.connector),
                id,
            },
            what: What::Network(what),
        }
    }

    /// Something said. `None` when there is nobody it could be from.
    pub fn said(&self, message: &Message, files: Vec<Carried>) -> Option<Arrival> {
        let mut said = Said {
            parts: parts(message, files),
            ..Said::default()
        };
        said.in_reply_to = message
            .thread_originator_guid
            .as_deref()
            .filter(|guid| !guid.is_empty())
            .map(network);
        let mut inbound = self.envelope(message, said)?;
        inbound.network_id = Some(NetworkId::new(&message.guid));
        Some(self.arrival(message.guid.clone(), Inbound::Message(inbound)))
    }

    /// The message has another text now; the original is named.
    pub fn edited(&self, message: &Message) -> Option<Arrival> {
        let said = Said {
            replaces: Some(network(&message.guid)),
            ..Said::text(message.words())
        };
        let id = format!("{}/edit/{}", message.guid, message.date_edited.unwrap_or(0));
        Some(self.arrival(id, Inbound::Message(self.envelope(message, said)?)))
    }

    pub fn unsent(&self, message: &Message) -> Option<Arrival> {
        let said = Said {
            replaces: Some(network(&message.guid)),
            parts: vec![part(Disposition::Render, Body::Null)],
            ..Said::default()
        };
        let id = format!("{}/unsent", message.guid);
        Some(self.arrival(id, Inbound::Message(self.envelope(message, said)?)))
    }

    /// A tapback with one of Apple's names, an emoji, or a sticker.
    pub fn reacted(&self, message: &Message, target: &str, name: &str) -> Option<Arrival> {
        let words = message.words();
        let key = tapback::emoji(name)
            .map(str::to_owned)
            .or_else(|| tapback::emoji_in(&words));
        let body = match key {
            Some(key) => Body::Text(Text {
                plain: key,
                ..Text::default()
            }),
            None => Body::Other {
                kind: format!("tapback {name}"),
                fallback: Some("reacted to it".to_owned()),
            },
        };
        let said = Said {
            in_reply_to: Some(network(target)),
            parts: vec![part(Disposition::Reaction, body)],
            ..Said::default()
        };
        let mut inbound = self.envelope(message, said)?;
        inbound.network_id = Some(NetworkId::new(&message.guid));
        Some(self.arrival(message.guid.clone(), Inbound::Message(inbound)))
    }

    /// A tapback is gone: taken back, or replaced by another of the same person. `earlier` is the one that goes, where it is known.
    pub fn unreacted(&self, message: &Message, target: &str, earlier: Option<&str>) -> Option<Arrival> {
        let said = Said {
            in_reply_to: Some(network(target)),
            replaces: earlier.map(network),
            parts: vec![part(Disposition::Reaction, Body::Null)],
            ..Said::default()
        };
        let inbound = self.envelope(message, said)?;
        let id = format!("{}/instead", message.guid);
        Some(self.arrival(id, Inbound::Message(inbound)))
    }

    /// Something happened to the group itself.
    pub fn changed(&self, message: &Message, change: Change) -> Option<Arrival> {
        let mut group = self.group()?;
        if let (Change::Renamed, Some(title)) = (&change, &message.group_title) {
            group.name = Some(title.clone()).filter(|title| !title.trim().is_empty());
        }
        let by = match message.is_own() {
            true => None,
            false => message
                .handle
                .as_ref()
                .and_then(|handle| handle.address.as_deref())
                .map(address),
        };
        let change = GroupChange {
            connector: self.connector.clone(),
            to: address(self.ours),
            group,
            by,
            at: date(message.date_created),
            change,
        };
        Some(self.arrival(message.guid.clone(), Inbound::Group(change)))
    }
}

/// The names in this scope are the Mac's, so a message is known whichever way it was read.
pub(super) fn scope(connector: &ConnectorId) -> String {
    format!("bluebubbles/{connector}")
}

pub(super) fn date(millis: Option<i64>) -> Option<Timestamp> {
    millis.filter(|millis| *millis > 0).map(Timestamp)
}

/// How many files its text has a place for that the server does not list yet.
pub(super) fn files_missing(message: &Message) -> bool {
    let places = message.marked_text().matches('\u{fffc}').count();
    message.balloon_bundle_id.is_none() && !message.is_unsent() && places > message.attachments.len()
}

/// What a row does to a tapback; `None` for a row that is none.
pub(super) fn about(message: &Message) -> Option<(String, Tapback)> {
    let target = tapback::target(message.associated_message_guid.as_deref()?);
    let kind = tapback::read(message.associated_message_type.as_deref()?)?;
    (!target.is_empty()).then(|| (target.to_owned(), kind))
}

fn parts(message: &Message, files: Vec<Carried>) -> Vec<Part> {
    let mut words = message.words();
    if let Some(subject) = message
        .subject
        .as_deref()
        .map(str::trim)
        .filter(|subject| !subject.is_empty())
    {
        words = format!("{subject}\n{words}").trim_end().to_owned();
    }
    let mut parts = Vec::new();
    let one = files.len() == 1;
    for file in files {
        parts.push(match file {
            Carried::Here(mut media) => {
                if one && !words.is_empty() {
                    media.caption = Some(std::mem::take(&mut words));
                }
                part(Disposition::Attachment, Body::Media(media))
            }
            Carried::Gone(name) => part(
                Disposition::Render,
                Body::Other {
                    kind: "attachment".to_owned(),
                    fallback: Some(format!(
                        "A file, {name}, could not be brought from the Mac; it is in Messages there."
                    )),
                },
            ),
        });
    }
    if !words.is_empty() {
        let text = Body::Text(Text {
            plain: words,
            ..Text::default()
        });
        parts.insert(0, part(Disposition::Render, text));
    }
    if parts.is_empty() {
        parts.push(part(Disposition::Render, without_words(message)));
    }
    parts
}

/// Apps of Messages draw their own bubbles; and some rows say only that something happened.
fn without_words(message: &Message) -> Body {
    let (kind, fallback) = match message.item_type.unwrap_or(0) {
        4 => ("location sharing", "Location sharing was started or stopped."),
        6 => ("shareplay", "SharePlay was started."),
        _ if message.balloon_bundle_id.is_some() => (
            "app",
            "Something that only Messages can show; it is on the user's own devices.",
        ),
        _ => ("empty", "A message without text."),
    };
    Body::Other {
        kind: kind.to_owned(),
        fallback: Some(fallback.to_owned()),
    }
}

fn part(disposition: Disposition, body: Body) -> Part {
    Part { disposition, body }
}

fn network(guid: &str) -> Reference {
    Reference::Network(NetworkId::new(guid))
}
