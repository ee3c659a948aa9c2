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
    /// Where it is: an `mxc:` URI on the Matrix side, a `file:` URI on the device that a connector runs on.
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

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Null => f.write_str("Null"),
            Body::Text(text) => text.fmt(f),
            Body::Media(media) => media.fmt(f),
            Body::Poll { answers, .. } => write!(f, "Poll({} answers)", answers.len()),
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

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Media({:?}, {:?} octets)", self.kind, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
