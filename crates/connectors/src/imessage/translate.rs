//! What arrives in the inbox for a row.

use super::groups;
use super::history;
use super::html;
use super::row::{Attachment, Chat, Row, Status, address, moment, plain, way};
use std::path::{Component, Path, PathBuf};
use swingbridge_domain::address::Hint;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, Receipt, What};
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Message, Part, Reference, Text};
use swingbridge_wire::typedstream::FILE_TRANSFER;

/// Turns rows of one Mac into arrivals.
pub(super) struct Translator {
    pub connector: ConnectorId,
    pub to: NetworkAddress,
    pub home: PathBuf,
}

/// A row with all that belongs to it.
pub(super) struct Whole<'a> {
    pub row: &'a Row,
    /// `None` for a contact's row that never came into a chat.
    pub chat: Option<&'a Chat>,
    pub attachments: &'a [Attachment],
    pub history: bool,
}

/// What a tapback does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tapback {
    Add { target: String, emoji: String },
    Remove { target: String },
}

impl Translator {
    fn arrival(&self, id: String, inbound: Inbound) -> Arrival {
        Arrival {
            dedupe: Dedupe::Id {
                scope: self.connector.to_string(),
                id,
            },
            what: What::Network(inbound),
        }
    }

    /// Everything but the words: who, where, when, by which way.
    fn envelope(&self, whole: &Whole<'_>, message: Message) -> InboundMessage {
        let Whole { row, chat, .. } = whole;
        let contact = match (chat, &row.handle) {
            (Some(chat), _) if row.status.from_me && chat.group => NetworkAddress {
                text: chat.guid.clone(),
                hint: Hint::Group,
            },
            (Some(chat), _) if row.status.from_me => {
                address(chat.members.first().unwrap_or(&chat.identifier))
            }
            (_, Some(handle)) => address(handle),
            (Some(chat), None) => address(&chat.identifier),
            (None, None) => address(""),
        };
        InboundMessage {
            group: chat.filter(|chat| chat.group).map(groups::group),
            own: row.status.from_me,
            history: whole.history,
            sent_at: Some(row.at()),
            way: way(&row.service),
            ..InboundMessage::new(self.connector.clone(), contact, self.to.clone(), message)
        }
    }

    /// The row's first appearance: a message or what happened to a group. `None`: nothing that anybody would see.
    pub fn message(&self, whole: &Whole<'_>, missing: &[Attachment]) -> Option<Arrival> {
        let row = whole.row;
        if row.item_type != 0 {
            let change = groups::change(&self.connector, &self.to, row, whole.chat?)?;
            return Some(self.arrival(row.guid.clone(), Inbound::Group(change)));
        }
        let mut message = Message {
            in_reply_to: row.originator.as_deref().map(network),
            parts: self.parts(whole, missing),
            ..Message::default()
        };
        // A sticker on a message belongs to it as an answer does.
        if let (1000 | 2007, Some(target)) = (row.tapback, row.target.as_deref()) {
            message.in_reply_to = Some(network(target_guid(target)));
        }
        if message.parts.is_empty() {
            return None;
        }
        let inbound = InboundMessage {
            network_id: Some(NetworkId::new(&row.guid)),
            ..self.envelope(whole, message)
        };
        Some(self.arrival(row.guid.clone(), Inbound::Message(inbound)))
    }

    /// A tapback given.
    pub fn tapback(&self, whole: &Whole<'_>, target: &str, emoji: String) -> Arrival {
        let part = Part {
            disposition: Disposition::Reaction,
            body: text(emoji),
        };
        let message = Message {
            in_reply_to: Some(network(target_guid(target))),
            parts: vec![part],
            ..Message::default()
        };
        let inbound = InboundMessage {
            network_id: Some(NetworkId::new(&whole.row.guid)),
            ..self.envelope(whole, message)
        };
        self.arrival(whole.row.guid.clone(), Inbound::Message(inbound))
    }

    /// A message, or a tapback, that was withdrawn.
    pub fn withdrawn(&self, whole: &Whole<'_>, guid: &str) -> Arrival {
        let message = Message {
            replaces: Some(network(guid)),
            parts: vec![Part {
                disposition: Disposition::Render,
                body: Body::Null,
            }],
            ..Message::default()
        };
        self.arrival(
            format!("{guid}/withdrawn"),
            Inbound::Message(self.envelope(whole, message)),
        )
    }

    /// The row after its text was changed: edited or withdrawn, as a whole or in part.
    pub fn edited(&self, whole: &Whole<'_>) -> Arrival {
        let row = whole.row;
        let parts = self.parts(whole, &[]);
        let unsent = row
            .summary
            .as_deref()
            .is_some_and(|summary| !history::read(summary).unsent.is_empty());
        if parts.is_empty() || (unsent && row.body.is_none() && row.text.is_none()) {
            return self.withdrawn(whole, &row.guid);
        }
        let message = Message {
            replaces: Some(network(&row.guid)),
            parts,
            ..Message::default()
        };
        self.arrival(
            format!("{}/edited/{}", row.guid, row.status.edited),
            Inbound::Message(self.envelope(whole, message)),
        )
    }

    /// What was taken for a contact's is our own.
    pub fn turned_own(&self, before: &Whole<'_>, whole: &Whole<'_>) -> Vec<Arrival> {
        let own = self.message(whole, &[]).map(|mut arrival| {
            arrival.dedupe = Dedupe::Id {
                scope: self.connector.to_string(),
                id: format!("{}/own", whole.row.guid),
            };
            arrival
        });
        [Some(self.withdrawn(before, &whole.row.guid)), own]
            .into_iter()
            .flatten()
            .collect()
    }

    /// A file that came after its message.
    pub fn late_file(&self, whole: &Whole<'_>, file: &Attachment) -> Option<Arrival> {
        let part = self.media(whole.row, file)?;
        let id = format!("{}/{}", whole.row.guid, file.guid);
        let message = Message {
            in_reply_to: Some(network(&whole.row.guid)),
            parts: vec![part],
            ..Message::default()
        };
        let inbound = InboundMessage {
            network_id: Some(NetworkId::new(&id)),
            ..self.envelope(whole, message)
        };
        Some(self.arrival(id, Inbound::Message(inbound)))
    }

    fn parts(&self, whole: &Whole<'_>, missing: &[Attachment]) -> Vec<Part> {
        let said = whole.row.said();
        let mut files: Vec<&Attachment> = whole.attachments.iter().filter(|file| !file.hidden).collect();
        let mut parts = Vec::new();
        let push_file = |file: &Attachment, parts: &mut Vec<Part>| match self.media(whole.row, file) {
            Some(part) if !missing.iter().any(|other| other.guid == file.guid) => parts.push(part),
            _ => parts.push(not_here(file)),
        };
        let push_text = |range: std::ops::Range<usize>, parts: &mut Vec<Part>| {
            let words = plain(said.text.get(range.clone()).unwrap_or_default());
            if !words.is_empty() {
                parts.push(Part {
                    disposition: Disposition::Render,
                    body: Body::Text(Text {
                        plain: words,
                        html: html::html(&said, &range),
                        ..Text::default()
                    }),
                });
            }
        };
        // Files stand where the text has their places.
        let mut at = 0;
        for (run, guid) in said.with(FILE_TRANSFER) {
            push_text(at..run.range.start, &mut parts);
            at = run.range.end;
            let found = files
                .iter()
                .position(|file| Some(file.guid.as_str()) == guid.text());
            if let Some(found) = found {
                push_file(files.remove(found), &mut parts);
            }
        }
        push_text(at..said.text.len(), &mut parts);
        for file in files {
            push_file(file, &mut parts);
        }
        parts
    }

    fn media(&self, row: &Row, file: &Attachment) -> Option<Part> {
        let path = self.path(file)?;
        let mime = file.mime.clone().filter(|mime| !mime.is_empty());
        let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
            _ if row.audio || file.uti.as_deref() == Some("com.apple.coreaudio-format") => MediaKind::Voice,
            _ if file.sticker => MediaKind::Sticker,
            Some("image") => MediaKind::Image,
            Some("audio") => MediaKind::Audio,
            Some("video") => MediaKind::Video,
            _ => MediaKind::File,
        };
        Some(Part {
            disposition: Disposition::Render,
            body: Body::Media(Media {
                kind,
                name: name(file),
                mime,
                size: u64::try_from(file.size).ok().filter(|size| *size > 0),
                uri: file_uri(&path),
                ..Media::default()
            }),
        })
    }

    /// Where a file is, when the database names a place that can be.
    pub fn path(&self, file: &Attachment) -> Option<PathBuf> {
        let filename = Path::new(file.filename.as_deref()?);
        let path = match filename.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => filename.to_owned(),
        };
        let plain = path
            .components()
            .all(|part| !matches!(part, Component::ParentDir));
        (path.is_absolute() && plain).then_some(path)
    }

    /// What became of a message of ours, from one state to the next.
    pub fn receipts(&self, guid: &str, before: &Status, after: &Status) -> Vec<Arrival> {
        let receipt = |outcome, error: Option<String>, at: i64, way| Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(Receipt {
                connector: self.connector.clone(),
                network_ids: vec![NetworkId::new(guid)],
                outcome,
                error,
                // A flag without a date has 1.
                at: Some(at).filter(|at| *at > 1).map(moment),
                way,
            })),
        };
        let mut receipts = Vec::new();
        let switched = !before.service.is_empty() && !before.service.eq_ignore_ascii_case(&after.service);
        if (after.downgraded && !before.downgraded) || switched {
            let service = match after.downgraded && after.service.eq_ignore_ascii_case("imessage") {
                true => "SMS",
                false => &after.service,
            };
            receipts.push(receipt(Outcome::Sent, None, 0, way(service)));
        } else if after.sent && !before.sent && after.error == 0 {
            receipts.push(receipt(Outcome::Sent, None, 0, Vec::new()));
        }
        if after.error != 0 && after.error != before.error {
            receipts.push(receipt(
                Outcome::Rejected,
                Some(error_words(after.error)),
                0,
                Vec::new(),
            ));
        }
        if after.delivered != 0 && before.delivered == 0 {
            receipts.push(receipt(Outcome::Delivered, None, after.delivered, Vec::new()));
        }
        if after.read != 0 && before.read == 0 {
            receipts.push(receipt(Outcome::Read, None, after.read, Vec::new()));
        }
        receipts
    }

    /// Nothing more was heard of a message of ours in all its time.
    pub fn unknown(&self, guid: &str) -> Arrival {
        Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(Receipt {
                connector: self.connector.clone(),
                network_ids: vec![NetworkId::new(guid)],
                outcome: Outcome::Unknown,
                error: Some("Messages does not say whether it left".to_owned()),
                at: None,
                way: Vec::new(),
            })),
        }
    }
}

fn error_words(error: i64) -> String {
    match error {
        22 => "error 22 of Messages: the address cannot be reached by this service".to_owned(),
        _ => format!("error {error} of Messages"),
    }
}

fn network(guid: &str) -> Reference {
    Reference::Network(NetworkId::new(guid))
}

fn text(plain: String) -> Body {
    Body::Text(Text {
        plain,
        ..Text::default()
    })
}

fn name(file: &Attachment) -> String {
    let name = file
        .name
        .as_deref()
        .or(file.filename.as_deref())
        .unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.is_empty() {
        true => "file".to_owned(),
        false => last.to_owned(),
    }
}

fn not_here(file: &Attachment) -> Part {
    Part {
        disposition: Disposition::Render,
        body: Body::Other {
            kind: "attachment".to_owned(),
            fallback: Some(format!("A file that is not on the Mac yet: {}", name(file))),
        },
    }
}

/// RFC 8089, with all but the plainest characters escaped.
fn file_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file://".to_owned();
    for octet in path.as_os_str().as_bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(*octet))
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

/// The guid in `p:0/GUID`, `bp:GUID` or `GUID`.
pub(super) fn target_guid(target: &str) -> &str {
    let target = target.strip_prefix("bp:").unwrap_or(target);
    match target.strip_prefix("p:") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_, guid)| guid),
        None => target,
    }
}

/// What a row does as a tapback, if it is one.
pub(super) fn tapback_of(row: &Row) -> Option<Tapback> {
    const CLASSIC: [&str; 6] = ["❤️", "👍", "👎", "😂", "‼️", "❓"];
    let target = row.target.clone()?;
    let emoji = match row.tapback {
        2000..=2005 => usize::try_from(row.tapback - 2000)
            .ok()
            .and_then(|at| CLASSIC.get(at).copied()),
        2006 => Some(row.emoji.as_deref().unwrap_or("👍")),
        3000..=3007 => return Some(Tapback::Remove { target }),
        _ => None,
    };
    Some(Tapback::Add {
        target,
        emoji: emoji?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_lose_their_part() {
        for target in ["p:0/ABC-1", "p:12/ABC-1", "bp:ABC-1", "ABC-1"] {
            assert_eq!(target_guid(target), "ABC-1");
        }
    }

    #[test]
    fn a_file_outside_the_world_is_none() {
        let translator = Translator {
            connector: ConnectorId::new("mac"),
            to: address("+447700900001"),
            home: "/Users/alice".into(),
        };
        let path = |filename: &str| {
            translator.path(&Attachment {
                filename: Some(filename.into()),
                ..Attachment::default()
            })
        };
        assert_eq!(
            path("~/Library/a b.jpg").as_deref(),
            Some(Path::new("/Users/alice/Library/a b.jpg"))
        );
        assert_eq!(path("~/../bob/secret"), None);
        assert_eq!(path("relative"), None);
        assert_eq!(file_uri(Path::new("/a b/ü%.jpg")), "file:///a%20b/%C3%BC%25.jpg");
    }
}
