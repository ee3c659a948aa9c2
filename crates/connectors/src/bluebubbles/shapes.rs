//! The server's JSON, as far as it is of use here. Whatever is missing or of another kind reads as absent: a field that a later
//! version changes must not stop the rest.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({:?}, {})", self.row, self.guid)
    }
}

/// What every answer is wrapped in.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub data: Value,
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<Trouble>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Trouble {
    /// A word of a fixed set (`iMessage Error`). The `message` beside it may quote the text that was sent and is left alone.
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub kind: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Info {
    #[serde(default, deserialize_with = "lenient")]
    pub server_version: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub private_api: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub helper_connected: Option<bool>,
}

/// A row of the Mac's message table.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    #[serde(rename = "originalROWID", default, deserialize_with = "lenient")]
    pub row: Option<i64>,
    pub guid: String,
    #[serde(default, deserialize_with = "lenient")]
    pub text: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub attributed_body: Option<Vec<Attributed>>,
    #[serde(default, deserialize_with = "lenient")]
    pub handle: Option<Handle>,
    #[serde(default, deserialize_with = "lenient")]
    pub other_handle: Option<i64>,
    #[serde(default, deserialize_with = "each")]
    pub attachments: Vec<Attachment>,
    #[serde(default, deserialize_with = "lenient")]
    pub subject: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub error: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub date_created: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub date_read: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub date_delivered: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub date_edited: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub date_retracted: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub part_count: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub is_from_me: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub is_audio_message: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub item_type: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub group_title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub group_action_type: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub balloon_bundle_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub associated_message_guid: Option<String>,
    /// A word (`love`), or a number as text (`2006`).
    #[serde(default, deserialize_with = "word")]
    pub associated_message_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub thread_originator_guid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub message_summary_info: Option<Vec<Summary>>,
    #[serde(default, deserialize_with = "each")]
    pub chats: Vec<Chat>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Attributed {
    #[serde(default, deserialize_with = "lenient")]
    pub string: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct Summary {
    #[serde(
        rename = "retractedParts",
        alias = "rp",
        default,
        deserialize_with = "lenient"
    )]
    pub retracted: Option<Vec<i64>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handle {
    #[serde(rename = "originalROWID", default, deserialize_with = "lenient")]
    pub row: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub address: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    pub guid: String,
    /// 43: a group, 45: two people.
    #[serde(default, deserialize_with = "lenient")]
    pub style: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub chat_identifier: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub display_name: Option<String>,
    #[serde(default, deserialize_with = "each")]
    pub participants: Vec<Handle>,
    #[serde(default, deserialize_with = "each")]
    pub messages: Vec<Message>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub guid: String,
    #[serde(default, deserialize_with = "lenient")]
    pub mime_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub transfer_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub total_bytes: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub is_sticker: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub hide_attachment: Option<bool>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contact {
    #[serde(default, deserialize_with = "lenient")]
    pub display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub first_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub last_name: Option<String>,
    #[serde(default, deserialize_with = "each")]
    pub phone_numbers: Vec<Handle>,
    #[serde(default, deserialize_with = "each")]
    pub emails: Vec<Handle>,
    /// Base64.
    #[serde(default, deserialize_with = "lenient")]
    pub avatar: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Total {
    #[serde(default)]
    pub total: u64,
}

impl Message {
    pub fn is_own(&self) -> bool {
        self.is_from_me.unwrap_or(false)
    }

    pub fn chat(&self) -> Option<&Chat> {
        self.chats.first()
    }

    /// What was written, with a U+FFFC where a file stands.
    pub fn marked_text(&self) -> String {
        let attributed: String = self
            .attributed_body
            .iter()
            .flatten()
            .filter_map(|body| body.string.as_deref())
            .collect();
        match attributed.is_empty() {
            true => self.text.clone().unwrap_or_default(),
            false => attributed,
        }
    }

    /// What was written.
    pub fn words(&self) -> String {
        self.marked_text().replace('\u{fffc}', "").trim().to_owned()
    }

    /// Whether all of it was taken back. Apple sets the date of an edit then, too, and not the one of a retraction.
    pub fn is_unsent(&self) -> bool {
        let retracted: usize = self
            .message_summary_info
            .iter()
            .flatten()
            .filter_map(|summary| summary.retracted.as_ref())
            .map(Vec::len)
            .sum();
        let taken = retracted > 0 || self.date_retracted.is_some_and(|date| date > 0);
        let parts = self.part_count.and_then(|count| usize::try_from(count).ok());
        taken && (self.words().is_empty() || parts.is_some_and(|parts| parts > 0 && retracted >= parts))
    }
}

impl Chat {
    pub fn is_group(&self) -> bool {
        match self.style {
            Some(style) => style == 43,
            // The middle part of the name tells the kind of chat, if nothing about the service.
            None => self.guid.split(';').nth(1) == Some("+"),
        }
    }
}

/// A value of the wanted kind, or nothing.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Those items of a list that are of the wanted kind.
fn each<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(match value {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| serde_json::from_value(item).ok())
            .collect(),
        _ => Vec::new(),
    })
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_another_kind_read_as_absent() {
        let message: Message = serde_json::from_str(
            r#"{"guid": "A", "originalROWID": "7", "text": {"a": 1}, "attachments": [{"guid": "F"}, 3, {"no": 1}],
                "associatedMessageType": 2006, "chats": null, "isFromMe": "yes"}"#,
        )
        .unwrap();
        assert_eq!((message.row, message.text.is_none()), (None, true));
        assert_eq!(message.attachments.len(), 1);
        assert_eq!(message.associated_message_type.as_deref(), Some("2006"));
        assert!(!message.is_own() && message.chats.is_empty());
    }

    #[test]
    fn an_unsend_is_told_from_an_edit() {
        let read = |text: &str| serde_json::from_str::<Message>(text).unwrap();
        let all = read(
            r#"{"guid": "A", "text": "", "dateEdited": 5, "partCount": 1, "messageSummaryInfo": [{"retractedParts": [0]}]}"#,
        );
        let some = read(
            r#"{"guid": "A", "text": "rest", "dateEdited": 5, "partCount": 2, "messageSummaryInfo": [{"rp": [0]}]}"#,
        );
        let edit = read(
            r#"{"guid": "A", "text": "new", "dateEdited": 5, "messageSummaryInfo": [{"editedParts": [0]}]}"#,
        );
        assert!(all.is_unsent() && !some.is_unsent() && !edit.is_unsent());
    }
}
