//! What is in the Mac's database, and how the server behaves.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The password of its settings.
    pub password: String,
    /// Whether the Private API is on.
    pub private_api: bool,
    /// Whether the Private API's helper is connected.
    pub helper_connected: bool,
    /// Whether events are sent.
    pub events: bool,
    /// Each event is sent twice.
    pub double_events: bool,
    /// What the next sends come to; after those, [`Answer::Sent`].
    pub answers: VecDeque<Answer>,
    /// New rows are in no chat until [`super::BlueBubbles::join_chats`].
    pub unjoined: bool,
    /// New files are not on the disk until [`super::BlueBubbles::files_arrive`].
    pub files_late: bool,
    /// Before the answer to a send, the row is there and its event is sent; the answer waits until this is false again.
    pub hold_answers: bool,
    /// Messages makes curly quotes of straight ones in what is sent.
    pub curls_quotes: bool,
    /// Requests other than sends are answered 500.
    pub failing: bool,
    /// The first part of chat names: `any` on macOS 26, `iMessage` or `SMS` before.
    pub service: String,
    /// The version it calls itself.
    pub version: String,
    /// Milliseconds between the pings of the events.
    pub ping_interval: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            password: "secret".to_owned(),
            private_api: false,
            helper_connected: false,
            events: true,
            double_events: false,
            answers: VecDeque::new(),
            unjoined: false,
            files_late: false,
            hold_answers: false,
            curls_quotes: false,
            failing: false,
            service: "any".to_owned(),
            version: "1.9.9".to_owned(),
            ping_interval: 30_000,
        }
    }
}

impl Rules {
    /// With the Private API, its helper connected.
    #[must_use]
    pub fn private() -> Self {
        Self {
            private_api: true,
            helper_connected: true,
            ..Self::default()
        }
    }
}

/// What a send comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A row, and 200.
    Sent,
    /// A row, and no answer.
    SentWithoutAnswer,
    /// No row, and no answer.
    NoAnswer,
    /// A row, and 500 without data.
    SentButFailed,
    /// No row, and 500 without data.
    Failed,
    /// A row with this error, and 500 with the row.
    FailedWith(i64),
}

/// A request to send or change something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// `text`, `attachment`, `new`, `react`, `edit` or `unsend`.
    pub kind: String,
    /// The chat, or the address of a new one.
    pub chat: String,
    /// The text, the file's name, or the reaction.
    pub text: String,
    /// The message it is about.
    pub about: Option<String>,
    /// `apple-script` or `private-api`.
    pub method: String,
    /// The content of a file.
    pub content: Vec<u8>,
    /// It is a voice note.
    pub voice: bool,
    /// The message that came of it; empty when none did.
    pub guid: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub row: i64,
    pub guid: String,
    pub text: String,
    pub from_me: bool,
    /// The row of the sender's handle, 0 for our own.
    pub handle: i64,
    pub other_handle: i64,
    pub chat: Option<String>,
    /// The chat it will be in.
    pub chat_later: Option<String>,
    pub files: Vec<String>,
    /// How many files its text has a place for.
    pub places: usize,
    pub date: i64,
    pub read: i64,
    pub delivered: i64,
    pub edited: i64,
    pub retracted: bool,
    pub error: i64,
    pub voice: bool,
    pub item_type: i64,
    pub action_type: i64,
    pub title: Option<String>,
    pub about: Option<String>,
    pub about_type: Option<String>,
    pub thread: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Chat {
    pub row: i64,
    pub guid: String,
    pub identifier: String,
    pub group: bool,
    pub name: Option<String>,
    /// Rows of handles.
    pub members: Vec<i64>,
    pub icon: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub row: i64,
    pub guid: String,
    pub name: String,
    pub mime: String,
    pub content: Vec<u8>,
    pub from_me: bool,
    pub on_disk: bool,
    pub listed: bool,
}

pub(super) struct World {
    pub rules: Rules,
    pub rows: Vec<Row>,
    pub chats: Vec<Chat>,
    pub handles: BTreeMap<i64, String>,
    pub files: BTreeMap<String, File>,
    pub contacts: Vec<Value>,
    pub sent: Vec<Sent>,
    pub signals: Vec<String>,
    pub emitted: Vec<(String, Value)>,
    pub listeners: usize,
    pub requests: usize,
    pub pongs: usize,
    /// How often each message was asked for by itself.
    pub asked_for: BTreeMap<String, usize>,
    /// How many rows are told of again to who listens next.
    pub refire: usize,
    pub now: i64,
    pub next_row: i64,
    next_name: u64,
}

impl World {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            rows: Vec::new(),
            chats: Vec::new(),
            handles: BTreeMap::new(),
            files: BTreeMap::new(),
            contacts: Vec::new(),
            sent: Vec::new(),
            signals: Vec::new(),
            emitted: Vec::new(),
            listeners: 0,
            requests: 0,
            pongs: 0,
            asked_for: BTreeMap::new(),
            refire: 0,
            now: 1_800_000_000_000,
            next_row: 1,
            next_name: 1,
        }
    }

    /// A name as Messages makes them, other at each call and the same in each run.
    pub fn guid(&mut self) -> String {
        let at = self.next_name;
        self.next_name += 1;
        format!("{at:08X}-0000-4000-8000-{at:012X}")
    }

    pub fn handle(&mut self, address: &str) -> i64 {
        if let Some((row, _)) = self.handles.iter().find(|(_, known)| *known == address) {
            return *row;
        }
        let row = i64::try_from(self.handles.len()).unwrap_or(0) + 1;
        self.handles.insert(row, address.to_owned());
        row
    }

    /// The chat with one person; made when there is none.
    pub fn direct(&mut self, address: &str) -> String {
        let known = self
            .chats
            .iter()
            .find(|chat| !chat.group && chat.identifier == address);
        if let Some(chat) = known {
            return chat.guid.clone();
        }
        let handle = self.handle(address);
        self.add_chat(address, false, None, vec![handle])
    }

    pub fn add_chat(
        &mut self,
        identifier: &str,
        group: bool,
        name: Option<String>,
        members: Vec<i64>,
    ) -> String {
        let kind = if group { '+' } else { '-' };
        let guid = format!("{};{kind};{identifier}", self.rules.service);
        self.chats.push(Chat {
            row: i64::try_from(self.chats.len()).unwrap_or(0) + 1,
            guid: guid.clone(),
            identifier: identifier.to_owned(),
            group,
            name,
            members,
            icon: None,
        });
        guid
    }

    pub fn chat(&self, guid: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.guid == guid)
    }

    pub fn chat_mut(&mut self, guid: &str) -> Option<&mut Chat> {
        self.chats.iter_mut().find(|chat| chat.guid == guid)
    }

    pub fn row(&self, guid: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.guid == guid)
    }

    pub fn row_mut(&mut self, guid: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.guid == guid)
    }

    /// Writes a row, dated now unless it has a date.
    pub fn write(&mut self, mut row: Row) -> String {
        row.row = self.next_row;
        self.next_row += 1;
        if row.guid.is_empty() {
            row.guid = self.guid();
        }
        self.now += 1;
        if row.date == 0 {
            row.date = self.now;
        }
        if self.rules.unjoined {
            row.chat_later = row.chat.take();
        }
        let guid = row.guid.clone();
        self.rows.push(row);
        guid
    }

    pub fn add_file(&mut self, name: &str, mime: &str, content: &[u8], from_me: bool) -> String {
        let guid = format!("at_0_{}", self.guid());
        let late = self.rules.files_late && !from_me;
        self.files.insert(
            guid.clone(),
            File {
                row: i64::try_from(self.files.len()).unwrap_or(0) + 1,
                guid: guid.clone(),
                name: name.to_owned(),
                mime: mime.to_owned(),
                content: content.to_vec(),
                from_me,
                on_disk: !late,
                listed: true,
            },
        );
        guid
    }
}
