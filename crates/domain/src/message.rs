//! What is said: the semantics of IETF MIMI content (draft-ietf-mimi-content).
//!
//! A message has parts, each with a disposition. A reaction is a part with [`Disposition::Reaction`]; an edit
//! [`Message::replaces`]; an unsend replaces with a [`Body::Null`] part. `Debug` never shows a body.

use crate::clock::Timestamp;
use crate::id::{EventId, NetworkId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One message, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<Reference>,
    /// The message that this one replaces (an edit), or withdraws when the only part is [`Body::Null`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Reference>,
    /// No use to the reader after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    pub parts: Vec<Part>,
}

/// Another message, named by the side where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    Event(EventId),
    Network(NetworkId),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub disposition: Disposition,
    pub body: Body,
}

/// What a part is for (draft-ietf-mimi-content, "disposition").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// To be shown.
    Render,
    /// A reaction to `in_reply_to`.
    Reaction,
    /// A file to keep.
    Attachment,
}

/// The contents of a part.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Nothing: what was there is withdrawn.
    Null,
    Text(Text),
    Media(Media),
    /// A question with answers to choose from.
    Poll {
        question: String,
        answers: Vec<String>,
    },
    /// A picture with words and buttons, as business messaging has them.
    RichCard(RichCard),
    /// A place (RFC 5870 `geo:` URI) with words for it.
    Location {
        geo_uri: String,
        description: String,
    },
    /// Something no part of ours knows, by its type name.
    Other {
        kind: String,
        fallback: Option<String>,
    },
}

/// A picture with words and buttons. Several in one message are looked through side by side (a carousel). `Debug` is redacted.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RichCard {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
}

/// Something to choose. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What stands on it.
    pub label: String,
    pub deed: Deed,
}

/// What a [`Button`] does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Answers with the label. The answer comes in as a text that refers to the message ([`Message::in_reply_to`]).
    Reply,
    /// Opens this address (`https:`).
    Open(String),
    /// Calls this number.
    Dial(String),
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Text {
    pub plain: String,
    /// Matrix `org.matrix.custom.html`, when the sender formatted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// How it is meant (`m.text`, `m.emote`, `m.notice`).
    #[serde(default)]
    pub tone: Tone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    #[default]
    Plain,
    Emote,
    Notice,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub kind: MediaKind,
    pub name: String,
    /// MIME type.
    pub mime: Option<String>,
    /// Octets.
    pub size: Option<u64>,
    /// Where it is: an `mxc:` URI on the Matrix side; on the network's side a `file:` URI on the machine that the connector runs on, or
    /// an `https:` link where [`crate::capability::Capabilities::media_links`] says so.
    pub uri: String,
    /// What opens it, when it lies encrypted at `uri`: a Matrix `EncryptedFile` as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Milliseconds, of what is heard or seen for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// What the sender wrote beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    Voice,
    #[default]
    File,
    Sticker,
}

impl Message {
    /// A message of one plain text.
    pub fn text(plain: impl Into<String>) -> Self {
        let text = Text {
            plain: plain.into(),
            ..Text::default()
        };
        Self {
            parts: vec![Part {
                disposition: Disposition::Render,
                body: Body::Text(text),
            }],
            ..Self::default()
        }
    }

    /// The first text part.
    pub fn first_text(&self) -> Option<&Text> {
        self.parts.iter().find_map(|part| match &part.body {
            Body::Text(text) => Some(text),
            _ => None,
        })
    }
}

impl RichCard {
    /// The card as a text, for who has no cards: its buttons are numbered, or say where they lead.
    pub fn words(&self) -> String {
        let said = [&self.title, &self.text].into_iter().flatten().cloned();
        let mut number = 0;
        let buttons = self.buttons.iter().map(|button| match &button.deed {
            Deed::Reply => {
                number += 1;
                format!("{number}. {}", button.label)
            }
            Deed::Open(address) => format!("{}: {address}", button.label),
            Deed::Dial(number) => format!("{}: {number}", button.label),
        });
        said.chain(buttons).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Null => f.write_str("Null"),
            Body::Text(text) => text.fmt(f),
            Body::Media(media) => media.fmt(f),
            Body::Poll { answers, .. } => write!(f, "Poll({} answers)", answers.len()),
            Body::RichCard(card) => card.fmt(f),
            Body::Location { .. } => f.write_str("Location(…)"),
            Body::Other { kind, .. } => write!(f, "Other({kind})"),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} octets)", self.plain.len())
    }
}

impl fmt::Debug for RichCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RichCard({:?}, {} buttons)", self.media, self.buttons.len())
    }
}

impl fmt::Debug for Button {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Button(…)")
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({:?}, {:?} octets)", self.kind, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_as_text_with_numbers_where_one_can_answer() {
        let button = |label: &str, deed| Button {
            label: label.into(),
            deed,
        };
        let card = RichCard {
            title: Some("Table for two?".into()),
            text: Some("Tonight at eight.".into()),
            media: None,
            buttons: vec![
                button("Yes", Deed::Reply),
                button("Menu", Deed::Open("https://example.org/menu".into())),
                button("No", Deed::Reply),
                button("Call us", Deed::Dial("+447700900000".into())),
            ],
        };
        assert_eq!(
            card.words(),
            "Table for two?\nTonight at eight.\n1. Yes\nMenu: https://example.org/menu\n2. No\nCall us: +447700900000"
        );
        assert_eq!(format!("{card:?}"), "RichCard(None, 4 buttons)");
    }

    #[test]
    fn debug_shows_no_body() {
        let mut message = Message::text("the secret plan");
        message.parts.push(Part {
            disposition: Disposition::Attachment,
            body: Body::Media(Media {
                kind: MediaKind::Image,
                name: "secret.png".into(),
                mime: None,
                size: Some(3),
                uri: "mxc://secret".into(),
                caption: Some("secret".into()),
                ..Media::default()
            }),
        });
        let shown = format!("{message:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
