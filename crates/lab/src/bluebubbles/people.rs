//! The people at the other end, and the user at the Mac.

use serde_json::json;

use super::BlueBubbles;
use super::shapes::{self, With};
use super::world::{Row, World};

/// Where somebody says something.
enum Where<'a> {
    Direct,
    Group(&'a str),
}

impl BlueBubbles {
    /// Somebody writes to us; gives the message's guid.
    pub fn says(&self, handle: &str, text: &str) -> String {
        self.write(handle, Where::Direct, |row| row.text = text.to_owned())
    }

    /// Somebody writes in a group.
    pub fn says_in(&self, group: &str, handle: &str, text: &str) -> String {
        self.write(handle, Where::Group(group), |row| row.text = text.to_owned())
    }

    /// Somebody answers a message.
    pub fn answers(&self, handle: &str, to: &str, text: &str) -> String {
        self.write(handle, Where::Direct, |row| {
            row.text = text.to_owned();
            row.thread = Some(to.to_owned());
        })
    }

    /// Somebody sends a file, with words beside it when `text` is not empty.
    pub fn sends_file(&self, handle: &str, name: &str, mime: &str, content: &[u8], text: &str) -> String {
        let file = self.mac.with(|world| world.add_file(name, mime, content, false));
        self.write(handle, Where::Direct, |row| {
            row.text = text.to_owned();
            row.places = 1;
            row.files = vec![file];
            row.voice = name.ends_with(".caf");
        })
    }

    /// Adds files to a message.
    pub fn attach(&self, guid: &str, how_many: usize) {
        self.mac.with(|world| {
            let files: Vec<String> = (0..how_many)
                .map(|at| world.add_file(&format!("{at}.txt"), "text/plain", b"text", false))
                .collect();
            if let Some(row) = world.row_mut(guid) {
                row.files.extend(files);
            }
        });
    }

    /// A message whose text has a place for a file that is listed only when [`BlueBubbles::files_arrive`] is called.
    pub fn sends_file_listed_late(&self, handle: &str, name: &str, mime: &str, content: &[u8]) -> String {
        let file = self.mac.with(|world| {
            let guid = world.add_file(name, mime, content, false);
            if let Some(file) = world.files.get_mut(&guid) {
                file.listed = false;
            }
            guid
        });
        self.write(handle, Where::Direct, |row| {
            row.places = 1;
            row.files = vec![file];
        })
    }

    /// Somebody puts a tapback on a message or takes it back: `love`, `-love`, or `2006` with an emoji. The Mac keeps only the latest.
    pub fn reacts(&self, handle: &str, to: &str, kind: &str, emoji: &str) -> String {
        let target = format!("p:0/{to}");
        let sender = self.mac.with(|world| {
            let sender = world.handle(handle);
            world
                .rows
                .retain(|row| row.handle != sender || row.about.as_deref() != Some(&target));
            sender
        });
        self.write(handle, Where::Direct, |row| {
            row.handle = sender;
            row.text = format!("Reacted {emoji} to “…”");
            row.about = Some(target);
            row.about_type = Some(kind.to_owned());
        })
    }

    /// The user writes on the Mac or on the phone.
    pub fn user_writes(&self, to: &str, text: &str) -> String {
        self.write(to, Where::Direct, |row| {
            row.text = text.to_owned();
            row.from_me = true;
            row.handle = 0;
        })
    }

    /// The user writes in a group.
    pub fn user_writes_in(&self, group: &str, text: &str) -> String {
        self.write("", Where::Group(group), |row| {
            row.text = text.to_owned();
            row.from_me = true;
            row.handle = 0;
        })
    }

    /// A message of before comes from Apple's store, in a new row.
    pub fn fills_back(&self, handle: &str, text: &str, date: i64) -> String {
        self.write(handle, Where::Direct, |row| {
            row.text = text.to_owned();
            row.date = date;
        })
    }

    /// A message is changed by who wrote it.
    pub fn edits(&self, guid: &str, text: &str) {
        self.change(guid, |row, now| {
            row.text = text.to_owned();
            row.edited = now;
        });
    }

    /// A message is taken back by who wrote it.
    pub fn unsends(&self, guid: &str) {
        self.change(guid, |row, now| {
            row.text.clear();
            row.retracted = true;
            row.edited = now;
        });
    }

    /// A message of ours reaches a device.
    pub fn delivers(&self, guid: &str) {
        self.change(guid, |row, now| row.delivered = now);
    }

    /// A message of ours is read.
    pub fn reads(&self, guid: &str) {
        self.change(guid, |row, now| row.read = now);
    }

    /// A message of ours fails after all. As on the real one, no event tells of it.
    pub fn fails(&self, guid: &str, code: i64) {
        self.mac.with(|world| {
            if let Some(row) = world.row_mut(guid) {
                row.error = code;
            }
        });
    }

    /// Somebody begins to type, or stops.
    pub fn types(&self, handle: &str, active: bool) {
        let chat = self.mac.with(|world| world.direct(handle));
        self.mac
            .emit("typing-indicator", json!({"display": active, "guid": chat}));
    }

    /// Makes a group, and gives its guid.
    pub fn group(&self, identifier: &str, name: &str, members: &[&str]) -> String {
        self.mac.with(|world| {
            let members = members.iter().map(|address| world.handle(address)).collect();
            let name = (!name.is_empty()).then(|| name.to_owned());
            world.add_chat(identifier, true, name, members)
        })
    }

    /// macOS gives the group another guid, as the update to 26 does.
    pub fn regroup(&self, group: &str, guid: &str) {
        self.mac.with(|world| {
            if let Some(chat) = world.chat_mut(group) {
                chat.guid = guid.to_owned();
            }
            for row in &mut world.rows {
                if row.chat.as_deref() == Some(group) {
                    row.chat = Some(guid.to_owned());
                }
            }
        });
    }

    /// Somebody names a group.
    pub fn renames(&self, group: &str, by: &str, name: &str) -> String {
        self.mac.with(|world| {
            if let Some(chat) = world.chat_mut(group) {
                chat.name = Some(name.to_owned());
            }
        });
        self.write(by, Where::Group(group), |row| {
            row.item_type = 2;
            row.title = Some(name.to_owned());
        })
    }

    /// Somebody is brought into a group.
    pub fn joins(&self, group: &str, by: &str, who: &str) -> String {
        let handle = self.mac.with(|world| {
            let handle = world.handle(who);
            if let Some(chat) = world.chat_mut(group) {
                chat.members.push(handle);
            }
            handle
        });
        self.write(by, Where::Group(group), |row| {
            row.item_type = 1;
            row.other_handle = handle;
        })
    }

    /// Somebody leaves a group.
    pub fn leaves(&self, group: &str, who: &str) -> String {
        self.mac.with(|world| {
            let handle = world.handle(who);
            if let Some(chat) = world.chat_mut(group) {
                chat.members.retain(|member| *member != handle);
            }
        });
        self.write(who, Where::Group(group), |row| row.item_type = 3)
    }

    /// Somebody gives a group a picture, or takes it away.
    pub fn pictures(&self, group: &str, by: &str, picture: Option<&[u8]>) -> String {
        self.mac.with(|world| {
            if let Some(chat) = world.chat_mut(group) {
                chat.icon = picture.map(<[u8]>::to_vec);
            }
        });
        self.write(by, Where::Group(group), |row| {
            row.item_type = 3;
            row.action_type = if picture.is_some() { 1 } else { 2 };
        })
    }

    /// Puts somebody into the Mac's address book.
    pub fn contact(&self, name: &str, numbers: &[&str], picture: Option<&str>) {
        let numbers: Vec<_> = numbers
            .iter()
            .map(|address| json!({"address": address, "id": null}))
            .collect();
        let contact = json!({
            "id": name, "sourceType": "api", "firstName": name, "lastName": "", "displayName": name,
            "nickname": "", "birthday": "", "phoneNumbers": numbers, "emails": [], "avatar": picture.unwrap_or_default(),
        });
        self.mac.with(|world| world.contacts.push(contact));
    }

    /// The chats of rows come that had none.
    pub fn join_chats(&self) {
        self.mac.with(|world| {
            world.rules.unjoined = false;
            for row in &mut world.rows {
                if let Some(chat) = row.chat_later.take() {
                    row.chat = Some(chat);
                }
            }
        });
    }

    /// Files that were late are there.
    pub fn files_arrive(&self) {
        self.mac.with(|world| {
            world.rules.files_late = false;
            for file in world.files.values_mut() {
                file.on_disk = true;
                file.listed = true;
            }
        });
    }

    /// The next rows have numbers from here on.
    pub fn number_from(&self, row: i64) {
        self.mac.with(|world| world.next_row = row);
    }

    /// The Mac's database is built anew: all rows are numbered from one, in the order of their dates.
    pub fn renumber(&self) {
        self.mac.with(|world| {
            world.rows.sort_by_key(|row| row.date);
            let mut next = 1;
            for row in &mut world.rows {
                row.row = next;
                next += 1;
            }
            world.next_row = next;
        });
    }

    /// The Mac's time goes on by this many milliseconds.
    pub fn pass(&self, millis: i64) {
        self.mac.with(|world| world.now += millis);
    }

    /// The Mac's time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.mac.with_quietly(|world| world.now)
    }

    /// The guid of the chat with one person.
    #[must_use]
    pub fn chat_with(&self, handle: &str) -> String {
        self.mac.with(|world| world.direct(handle))
    }

    fn write(&self, handle: &str, place: Where<'_>, fill: impl FnOnce(&mut Row)) -> String {
        let (guid, event) = self.mac.with(|world| {
            let chat = match place {
                Where::Direct => world.direct(handle),
                Where::Group(guid) => guid.to_owned(),
            };
            let mut row = Row {
                handle: if handle.is_empty() {
                    0
                } else {
                    world.handle(handle)
                },
                chat: Some(chat),
                ..Row::default()
            };
            fill(&mut row);
            let guid = world.write(row);
            let event = world.row(&guid).map(|row| (event_of(row), told(world, row)));
            (guid, event)
        });
        if let Some((name, data)) = event {
            self.mac.emit(name, data);
        }
        guid
    }

    fn change(&self, guid: &str, change: impl FnOnce(&mut Row, i64)) {
        let data = self.mac.with(|world| {
            world.now += 1;
            let now = world.now;
            change(world.row_mut(guid)?, now);
            Some(told(world, world.row(guid)?))
        });
        if let Some(data) = data {
            self.mac.emit("updated-message", data);
        }
    }
}

fn told(world: &World, row: &Row) -> serde_json::Value {
    shapes::message(world, row, With::ALL)
}

fn event_of(row: &Row) -> &'static str {
    match (row.item_type, row.action_type) {
        (1, 0) => "participant-added",
        (1, _) => "participant-removed",
        (2, _) => "group-name-change",
        (3, 0) => "participant-left",
        (3, 1) => "group-icon-changed",
        (3, _) => "group-icon-removed",
        _ => "new-message",
    }
}
