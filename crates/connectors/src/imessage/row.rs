//! What is read of chat.db, and what it says before anything is made of it.

use serde::{Deserialize, Serialize};
use swingbridge_domain::address::Hint;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::NetworkAddress;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection, Scheme};
use swingbridge_wire::typedstream::Attributed;

/// A row of `message`, with the addresses that it refers to.
#[derive(Clone, Default)]
pub(super) struct Row {
    pub rowid: i64,
    pub guid: String,
    pub text: Option<String>,
    pub body: Option<Vec<u8>>,
    /// Who wrote it; of our own messages, whom it went to, or nobody.
    pub handle: Option<String>,
    pub other_handle: Option<String>,
    pub service: String,
    pub date: i64,
    pub item_type: i64,
    pub group_action: i64,
    pub group_title: Option<String>,
    pub has_attachments: bool,
    pub balloon: Option<String>,
    /// What a tapback is for.
    pub target: Option<String>,
    pub tapback: i64,
    pub emoji: Option<String>,
    /// The message that it answers.
    pub originator: Option<String>,
    pub summary: Option<Vec<u8>>,
    pub audio: bool,
    /// Its chat, when it has come into one.
    pub chat: Option<i64>,
    pub status: Status,
}

/// What changes of a row after it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub from_me: bool,
    pub sent: bool,
    pub delivered: i64,
    pub read: i64,
    pub error: i64,
    pub edited: i64,
    pub downgraded: bool,
    pub service: String,
}

#[derive(Clone, Default)]
pub(super) struct Chat {
    pub rowid: i64,
    pub guid: String,
    pub group: bool,
    pub identifier: String,
    pub service: String,
    pub name: Option<String>,
    pub members: Vec<String>,
    /// Other names under which the same group was known.
    pub formerly: Vec<String>,
}

#[derive(Clone, Default)]
pub(super) struct Attachment {
    pub guid: String,
    pub filename: Option<String>,
    pub name: Option<String>,
    pub mime: Option<String>,
    pub uti: Option<String>,
    pub size: i64,
    pub sticker: bool,
    /// Apple's own data (the preview of a link), not for people.
    pub hidden: bool,
}

/// The file stands whole under its name.
pub(super) const URL_BALLOON: &str = "com.apple.messages.URLBalloonProvider";

impl Row {
    /// The text with its runs: from the attributed body where there is one, for the text column may be empty or stale.
    pub fn said(&self) -> Attributed {
        let decoded = self.body.as_deref().map(Attributed::decode);
        match decoded {
            Some(Ok(attributed)) => attributed,
            _ => Attributed {
                text: self.text.clone().unwrap_or_default(),
                runs: Vec::new(),
            },
        }
    }

    /// The text alone, without the places of files.
    pub fn words(&self) -> String {
        plain(&self.said().text)
    }

    pub fn at(&self) -> Timestamp {
        moment(self.date)
    }
}

/// A text as two of them are compared, and as people read it: without the places of files, and without space around.
pub(super) fn plain(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|character| !matches!(character, '\u{fffc}' | '\u{fffd}' | '\0'))
        .collect();
    kept.replace("\r\n", "\n").trim().to_owned()
}

/// From Apple's dates: nanoseconds since 2001, or seconds in old rows.
pub(super) fn moment(date: i64) -> Timestamp {
    const EPOCH: i64 = 978_307_200_000;
    let millis = match date.unsigned_abs() {
        0..100_000_000_000 => date.saturating_mul(1000),
        _ => date / 1_000_000,
    };
    Timestamp(millis.saturating_add(EPOCH))
}

/// To Apple's dates, in nanoseconds.
pub(super) fn apple(at: Timestamp) -> i64 {
    at.millis()
        .saturating_sub(978_307_200_000)
        .saturating_mul(1_000_000)
}

pub(super) fn address(text: &str) -> NetworkAddress {
    let hint = match text {
        _ if text.contains('@') => Hint::Mail,
        _ if text.starts_with('+') => Hint::International,
        _ => Hint::Unknown,
    };
    NetworkAddress {
        text: text.to_owned(),
        hint,
    }
}

/// What protects a message, as far as the column of its service says. Satellite and RCS say nothing of their encryption.
pub(super) fn way(service: &str) -> Vec<Leg> {
    match service.to_ascii_lowercase().as_str() {
        "imessage" => vec![Leg::new(
            Place::Phone,
            Place::Device,
            Protection::EndToEnd(Scheme::Imessage),
            Evidence::ServiceColumn,
        )],
        "sms" => vec![
            Leg::new(
                Place::Phone,
                Place::Carrier,
                Protection::None,
                Evidence::NetworkCannot,
            ),
            Leg::new(Place::Carrier, Place::Device, Protection::Unknown, Evidence::None),
        ],
        _ => vec![Leg::new(
            Place::Phone,
            Place::Device,
            Protection::Unknown,
            Evidence::None,
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_old_and_new_rows_are_told_apart() {
        // 2023-11-14T22:13:20Z.
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(moment(721_692_800), at);
        assert_eq!(moment(721_692_800_000_000_000), at);
        assert_eq!(apple(at), 721_692_800_000_000_000);
    }

    #[test]
    fn no_service_claims_more_than_its_column_says() {
        assert_eq!(
            way("iMessage")[0].proven(),
            Protection::EndToEnd(Scheme::Imessage)
        );
        for unknown in ["RCS", "rcs", "iMessageLite", "", "Telepathy"] {
            assert_eq!(way(unknown)[0].proven(), Protection::Unknown, "{unknown}");
        }
        assert_eq!(way("SMS")[0].proven(), Protection::None);
    }
}
