//! What the programs print, as what it means. Nothing is taken for granted: each row is looked at by itself.

use super::local_time::LocalTime;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One row of the phone's database of texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub kind: Kind,
    /// The other side; empty when the phone does not say.
    pub address: String,
    /// When the phone got it or sent it, as printed; empty when it does not say.
    pub received: String,
    pub body: Option<String>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({}, {:?})", self.id, self.kind)
    }
}

/// The box that a text lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Inbox,
    Sent,
    Draft,
    Failed,
    /// On its way, or waiting for its turn; Termux has no word for a queued one.
    Outbox,
}

impl Row {
    pub fn local(&self) -> Option<LocalTime> {
        self.received.parse().ok()
    }

    /// What tells this text from another that has its number later: ids are given again after a deletion.
    pub fn print(&self) -> String {
        let mut digest = Sha256::new();
        for field in [
            &self.address,
            &self.received,
            self.body.as_deref().unwrap_or_default(),
        ] {
            digest.update((field.len() as u64).to_be_bytes());
            digest.update(field);
        }
        data_encoding::HEXLOWER.encode(&digest.finalize()[..12])
    }
}

/// A contact of the address book.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub number: String,
}

/// A notification that is shown now.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    pub package: String,
    pub title: String,
    pub content: String,
    pub when: String,
}

/// What could be read, and how much could not.
pub struct Read<T> {
    pub items: Vec<T>,
    pub unreadable: usize,
}

/// What was printed is no list.
#[derive(Debug, PartialEq, Eq)]
pub struct NoList;

pub fn rows(printed: &str) -> Result<Read<Row>, NoList> {
    list(printed, |item| {
        let id = item.get("_id")?.as_i64().filter(|id| *id > 0)?;
        let kind = match text(item, "type").as_deref() {
            Some("inbox") => Kind::Inbox,
            Some("sent") => Kind::Sent,
            Some("draft") => Kind::Draft,
            Some("failed") => Kind::Failed,
            Some("outbox" | "") => Kind::Outbox,
            // Of a box that is not known nothing is claimed; it is looked at again.
            _ => Kind::Outbox,
        };
        Some(Row {
            id,
            kind,
            address: text(item, "address")
                .or_else(|| text(item, "number"))
                .unwrap_or_default(),
            received: text(item, "received").unwrap_or_default(),
            body: text(item, "body"),
        })
    })
}

pub fn contacts(printed: &str) -> Result<Read<Entry>, NoList> {
    list(printed, |item| {
        let number = text(item, "number")?;
        let name = text(item, "name")?;
        (!number.trim().is_empty() && !name.trim().is_empty()).then(|| Entry {
            name: name.trim().to_owned(),
            number: number.trim().to_owned(),
        })
    })
}

pub fn notifications(printed: &str) -> Result<Read<Notification>, NoList> {
    list(printed, |item| {
        let content = text(item, "content").filter(|content| !content.is_empty());
        let lines = || {
            let lines: Vec<&str> = item
                .get("lines")?
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        };
        Some(Notification {
            package: text(item, "packageName")?,
            title: text(item, "title").unwrap_or_default(),
            content: content.or_else(lines).unwrap_or_default(),
            when: text(item, "when").unwrap_or_default(),
        })
    })
}

fn text(item: &Value, name: &str) -> Option<String> {
    item.get(name)?.as_str().map(str::to_owned)
}

fn list<T>(printed: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Read<T>, NoList> {
    let Ok(Value::Array(items)) = serde_json::from_str(printed) else {
        return Err(NoList);
    };
    let total = items.len();
    let items: Vec<T> = items.iter().filter_map(read).collect();
    let unreadable = total - items.len();
    Ok(Read { items, unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"[ { "threadid": 3, "type": "inbox", "read": true, "sender": "Bob", "address": "+447700900123",
        "number": "+447700900123", "received": "2026-01-31 12:00:00", "body": "hi", "_id": 7 } ]"#;

    #[test]
    fn a_row_is_read_and_does_not_print_itself() {
        let read = rows(ROW).unwrap();
        let row = &read.items[0];
        assert_eq!(
            (row.id, row.kind, row.address.as_str(), row.body.as_deref()),
            (7, Kind::Inbox, "+447700900123", Some("hi"))
        );
        assert_eq!(format!("{row:?}"), "Row(7, Inbox)");
    }

    #[test]
    fn what_is_missing_is_missing_and_no_more() {
        let printed = r#"[{"_id": 1}, {"body": "no id"}, 5, null, {"_id": "8"}, {"_id": -1},
            {"_id": 2, "type": "weird", "body": null, "number": "12345"}]"#;
        let read = rows(printed).unwrap();
        assert_eq!((read.items.len(), read.unreadable), (2, 5));
        assert_eq!(read.items[1].address, "12345");
        assert_eq!(read.items[1].kind, Kind::Outbox);
        assert_eq!(read.items[0].body, None);
    }

    #[test]
    fn what_is_no_list_is_no_empty_list() {
        for printed in ["", "{}", "{\"error\":\"x\"}", "[{", "null", "hello", "[]]"] {
            assert!(rows(printed).is_err(), "{printed}");
        }
        assert!(rows("[ ]\n").unwrap().items.is_empty());
    }

    #[test]
    fn a_number_given_again_to_another_text_shows() {
        let row = |body: &str, received: &str| Row {
            id: 7,
            kind: Kind::Inbox,
            address: "1".into(),
            received: received.into(),
            body: Some(body.into()),
        };
        let first = row("a", "2026-01-31 12:00:00").print();
        assert_eq!(first, row("a", "2026-01-31 12:00:00").print());
        assert_ne!(first, row("b", "2026-01-31 12:00:00").print());
        assert_ne!(first, row("a", "2026-01-31 12:00:01").print());
    }

    #[test]
    fn notifications_with_lines_only_are_read_by_their_lines() {
        let printed = r#"[{"id":1,"tag":"","key":"k","group":"","packageName":"org.example","title":"Bob","content":"",
            "when":"2026-01-31 12:00:00","lines":["one","two"]},{"title":"no package"}]"#;
        let read = notifications(printed).unwrap();
        assert_eq!(read.items[0].content, "one\ntwo");
        assert_eq!(read.unreadable, 1);
    }
}
