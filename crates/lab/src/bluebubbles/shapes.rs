//! The server's JSON (version 1.9.9, macOS 13 and later).

use serde_json::{Value, json};

use super::world::{Chat, File, Row, World};

/// What of a message was asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct With {
    pub chats: bool,
    pub files: bool,
    pub attributed: bool,
    pub summary: bool,
}

impl With {
    pub const ALL: With = With {
        chats: true,
        files: true,
        attributed: true,
        summary: true,
    };

    /// Reads the words of a `with`. They are put in lower case, and the summary's camel case is then never met.
    pub fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut with = Self::default();
        for word in words {
            match word.trim().to_lowercase().as_str() {
                "chat" | "chats" => with.chats = true,
                "attachment" | "attachments" => with.files = true,
                "attributedbody" | "attributed-body" => with.attributed = true,
                "message-summary-info" => with.summary = true,
                _ => {}
            }
        }
        with
    }
}

pub(super) fn message(world: &World, row: &Row, with: With) -> Value {
    let date = |millis: i64| if millis > 0 { json!(millis) } else { Value::Null };
    let empty = row.text.is_empty() || row.retracted;
    let text = if row.retracted { "" } else { &row.text };
    let marked = format!("{}{text}", "\u{fffc}".repeat(row.places));
    let files: Vec<Value> = row
        .files
        .iter()
        .filter_map(|guid| world.files.get(guid))
        .filter(|file| with.files && file.listed)
        .map(attachment)
        .collect();
    let mut message = json!({
        "originalROWID": row.row,
        "guid": row.guid,
        "text": if empty { Value::Null } else { json!(row.text) },
        "attributedBody": if with.attributed && !(empty && row.places == 0) {
            json!([{"string": marked, "runs": [{"range": [0, marked.encode_utf16().count()], "attributes": {"__kIMMessagePartAttributeName": 0}}]}])
        } else {
            Value::Null
        },
        "handle": world.handles.get(&row.handle).map_or(Value::Null, |address| handle(row.handle, address)),
        "handleId": row.handle,
        "otherHandle": row.other_handle,
        "attachments": files,
        "subject": null,
        "error": row.error,
        "dateCreated": date(row.date),
        "dateRead": date(row.read),
        "dateDelivered": date(row.delivered),
        "isFromMe": row.from_me,
        "hasDdResults": false,
        "isArchived": false,
        "itemType": row.item_type,
        "groupTitle": row.title,
        "groupActionType": row.action_type,
        "balloonBundleId": null,
        "associatedMessageGuid": row.about,
        "associatedMessageType": row.about_type,
        "expressiveSendStyleId": null,
        "threadOriginatorGuid": row.thread,
        "hasPayloadData": false,
    });
    let besides = json!({
        "country": null,
        "isDelayed": false,
        "isAutoReply": false,
        "isSystemMessage": false,
        "isServiceMessage": false,
        "isForward": false,
        "threadOriginatorPart": row.thread.as_ref().map(|_| "0:0:0"),
        "isCorrupt": false,
        "datePlayed": null,
        "cacheRoomnames": null,
        "isSpam": false,
        "isExpired": false,
        "timeExpressiveSendStyleId": null,
        "isAudioMessage": row.voice,
        "replyToGuid": null,
        "shareStatus": false,
        // The server's own spelling.
        "shareDirecation": 0,
        "wasDeliveredQuietly": false,
        "didNotifyRecipient": false,
    });
    if let (Some(message), Value::Object(besides)) = (message.as_object_mut(), besides) {
        message.extend(besides);
    }
    let chats = row
        .chat
        .as_deref()
        .filter(|_| with.chats)
        .and_then(|guid| world.chat(guid));
    if with.chats {
        message["chats"] = chats
            .map(|found| vec![chat(world, found, false)])
            .unwrap_or_default()
            .into();
    }
    message["messageSummaryInfo"] = match (with.summary, row.retracted, row.edited > 0) {
        (false, ..) | (_, false, false) => Value::Null,
        (_, true, _) => {
            json!([{"retractedParts": [0], "editedContent": {}, "editedParts": [], "originalTextRange": {}}])
        }
        (_, false, true) => {
            json!([{"retractedParts": [], "editedContent": {}, "editedParts": [0], "originalTextRange": {}}])
        }
    };
    message["payloadData"] = Value::Null;
    message["dateEdited"] = date(row.edited);
    message["dateRetracted"] = Value::Null;
    message["partCount"] = json!(1);
    message
}

pub(super) fn handle(row: i64, address: &str) -> Value {
    json!({
        "originalROWID": row,
        "address": address,
        "service": "iMessage",
        "uncanonicalizedId": null,
        "country": null,
    })
}

pub(super) fn chat(world: &World, chat: &Chat, members: bool) -> Value {
    let mut value = json!({
        "originalROWID": chat.row,
        "guid": chat.guid,
        "style": if chat.group { 43 } else { 45 },
        "chatIdentifier": chat.identifier,
        "isArchived": false,
        "displayName": chat.name.as_deref().unwrap_or_default(),
        "isFiltered": false,
        "groupId": null,
        "properties": null,
        "lastAddressedHandle": null,
    });
    if members {
        value["participants"] = chat
            .members
            .iter()
            .filter_map(|row| Some(handle(*row, world.handles.get(row)?)))
            .collect();
    }
    value
}

pub(super) fn attachment(file: &File) -> Value {
    json!({
        "originalROWID": file.row,
        "guid": file.guid,
        "uti": null,
        "mimeType": file.mime,
        "transferName": file.name,
        "totalBytes": file.content.len(),
        "transferState": if file.on_disk { 5 } else { 0 },
        "isOutgoing": file.from_me,
        "hideAttachment": false,
        "isSticker": false,
        "originalGuid": null,
        "hasLivePhoto": false,
    })
}
