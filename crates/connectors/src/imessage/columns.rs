//! The columns that are read, and how their values are taken.

use super::row::{Row, Status};
use rusqlite::types::ValueRef;
use std::collections::HashSet;

pub(super) const STATUS: &[&str] = &[
    "ROWID",
    "guid",
    "is_from_me",
    "is_sent",
    "is_delivered",
    "date_delivered",
    "is_read",
    "date_read",
    "error",
    "date_edited",
    "was_downgraded",
    "service",
];

/// After the state, both handles and the chat.
pub(super) const MESSAGE: &[&str] = &[
    "text",
    "attributedBody",
    "date",
    "item_type",
    "group_action_type",
    "group_title",
    "cache_has_attachments",
    "balloon_bundle_id",
    "associated_message_guid",
    "associated_message_type",
    "associated_message_emoji",
    "thread_originator_guid",
    "message_summary_info",
    "is_audio_message",
];

pub(super) const ATTACHMENT: &[&str] = &[
    "guid",
    "filename",
    "transfer_name",
    "mime_type",
    "uti",
    "total_bytes",
    "is_sticker",
    "hide_attachment",
];

pub(super) const CHAT: &[&str] = &[
    "ROWID",
    "guid",
    "style",
    "chat_identifier",
    "service_name",
    "display_name",
    "group_id",
    "original_group_id",
];

/// Columns by name; those that this database lacks are NULL.
pub(super) fn select(table: &str, there: &HashSet<String>, wanted: &[&str]) -> String {
    let columns: Vec<String> = wanted
        .iter()
        .map(|column| match there.contains(*column) {
            true => format!("{table}.{column}"),
            false => "NULL".to_owned(),
        })
        .collect();
    columns.join(", ")
}

/// Values as they come: SQLite keeps any type in any column, and a wrong one must not stop the rest.
pub(super) struct Reader<'a>(pub &'a rusqlite::Row<'a>);

impl Reader<'_> {
    pub fn integer(&self, at: usize) -> i64 {
        match self.0.get_ref(at) {
            Ok(ValueRef::Integer(integer)) => integer,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a date as a fraction loses the fraction"
            )]
            Ok(ValueRef::Real(real)) => real as i64,
            _ => 0,
        }
    }

    pub fn text(&self, at: usize) -> Option<String> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Text(text) | ValueRef::Blob(text)) => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            Ok(ValueRef::Integer(integer)) => Some(integer.to_string()),
            _ => None,
        }
    }

    pub fn blob(&self, at: usize) -> Option<Vec<u8>> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Blob(blob) | ValueRef::Text(blob)) => Some(blob.to_vec()),
            _ => None,
        }
    }
}

pub(super) fn status(row: &Reader<'_>) -> Status {
    // A date says more than its flag; the flag counts where the date is missing.
    let moment = |flag: usize, date: usize| match row.integer(date) {
        0 => i64::from(row.integer(flag) != 0),
        date => date,
    };
    Status {
        from_me: row.integer(2) != 0,
        sent: row.integer(3) != 0,
        delivered: moment(4, 5),
        read: moment(6, 7),
        error: row.integer(8),
        edited: row.integer(9),
        downgraded: row.integer(10) != 0,
        service: row.text(11).unwrap_or_default(),
    }
}

pub(super) fn message(row: &Reader<'_>) -> Row {
    let status = status(row);
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Row {
        rowid: row.integer(0),
        guid: row.text(1).unwrap_or_default(),
        handle: some(row.text(12)),
        other_handle: some(row.text(13)),
        chat: Some(row.integer(14)).filter(|chat| *chat != 0),
        text: row.text(15),
        body: row.blob(16),
        date: row.integer(17),
        item_type: row.integer(18),
        group_action: row.integer(19),
        group_title: some(row.text(20)),
        has_attachments: row.integer(21) != 0,
        balloon: some(row.text(22)),
        target: some(row.text(23)),
        tapback: row.integer(24),
        emoji: some(row.text(25)),
        originator: some(row.text(26)),
        summary: row.blob(27),
        audio: row.integer(28) != 0,
        service: status.service.clone(),
        status,
    }
}
