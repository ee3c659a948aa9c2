//! A Mac with Messages: its database for several releases of macOS, an address book, and an `osascript` that plays scenarios.
//!
//! Everything is *emulated*: what is known of Messages from public schemas and reports, not Messages.

pub mod address_book;
pub mod chatdb;
pub mod osascript;
pub mod scenario;
pub mod schema;
pub mod typedstream;

use anyhow::{Context, Result};
use chatdb::{Chat, ChatDb, File, Row};
use scenario::Scenario;
use schema::Release;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use typedstream::Body;

/// A Mac in a folder of its own.
pub struct Mac {
    folder: PathBuf,
    /// Messages keeps its database open.
    db: Mutex<ChatDb>,
}

/// A call of `osascript` with a script that it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub script: String,
    pub arguments: Vec<String>,
}

/// One of our own messages, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub guid: String,
    /// The guid of its chat; `None` for a ghost.
    pub chat: Option<String>,
    pub text: String,
    /// The names of its files.
    pub files: Vec<String>,
    pub service: String,
}

/// A text in a chat with one contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub rowid: i64,
    /// The contact's number or mail address.
    pub contact: String,
    pub from_me: bool,
    pub text: String,
    /// Milliseconds since 1970.
    pub at: i64,
    pub sent: bool,
    pub delivered: bool,
    pub failed: bool,
}

fn database(mac: &Path) -> PathBuf {
    mac.join("home/Library/Messages/chat.db")
}

fn scenario_file(mac: &Path) -> PathBuf {
    mac.join("scenario.json")
}

fn calls_file(mac: &Path) -> PathBuf {
    mac.join("calls.jsonl")
}

/// The program `swingbridge-osascript`.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> Result<PathBuf> {
    crate::program::built("swingbridge-osascript", "macos")
}

impl Mac {
    /// Sets up a Mac below `folder`, with an empty database.
    ///
    /// # Errors
    /// When the folder cannot be filled.
    pub fn new(folder: &Path, release: Release) -> Result<Mac> {
        Mac::with_program(folder, release, &program()?)
    }

    /// As [`Mac::new`], where the program `swingbridge-osascript` is known.
    ///
    /// # Errors
    /// When the folder cannot be filled.
    pub fn with_program(folder: &Path, release: Release, osascript: &Path) -> Result<Mac> {
        let path = database(folder);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::create_dir_all(folder.join("bin"))?;
        std::os::unix::fs::symlink(osascript, folder.join("bin/osascript"))?;
        Ok(Mac {
            folder: folder.to_owned(),
            db: Mutex::new(ChatDb::create(&path, release)?),
        })
    }

    /// The Mac that [`Mac::with_program`] set up there before, with what is on it.
    ///
    /// # Errors
    /// When there is none.
    pub fn reopen(folder: &Path, osascript: &Path) -> Result<Mac> {
        let path = database(folder);
        anyhow::ensure!(path.exists(), "there is no Mac in {}", folder.display());
        let link = folder.join("bin/osascript");
        std::fs::remove_file(&link)?;
        std::os::unix::fs::symlink(osascript, link)?;
        Ok(Mac {
            folder: folder.to_owned(),
            db: Mutex::new(ChatDb::open(&path)?),
        })
    }

    /// Its chat.db.
    pub fn database(&self) -> PathBuf {
        database(&self.folder)
    }

    /// Its `osascript`.
    pub fn osascript(&self) -> PathBuf {
        self.folder.join("bin/osascript")
    }

    /// Its person's home.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Where a bridge may lay files that it sends.
    pub fn staging(&self) -> PathBuf {
        self.home().join("Library/Messages/Attachments/swingbridge")
    }

    /// The database, to write to it as Messages does.
    pub fn db(&self) -> MutexGuard<'_, ChatDb> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `osascript` plays from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_scenario(&self, scenario: &Scenario) -> Result<()> {
        let file = scenario_file(&self.folder);
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec(scenario)?)?;
        Ok(std::fs::rename(fresh, file)?)
    }

    /// The calls of `osascript` so far.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn calls(&self) -> Result<Vec<Call>> {
        let text = match std::fs::read_to_string(calls_file(&self.folder)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// A contact says something in the chat with them. Gives back the message's guid.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn says(&self, handle: &str, text: &str) -> Result<String> {
        self.says_by(handle, "iMessage", text)
    }

    /// As [`Mac::says`], by another service (`SMS`, `RCS`, `iMessageLite`).
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn says_by(&self, handle: &str, service: &str, text: &str) -> Result<String> {
        let db = self.db();
        let chat = db.direct(handle, service)?;
        self.says_in(&db, &chat, handle, service, Body::plain(text))
    }

    /// The person says something on the Mac itself, in the chat with a contact. Gives back the message's guid.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn writes(&self, handle: &str, text: &str) -> Result<String> {
        let db = self.db();
        let row = Row {
            body: Some(Body::plain(text)),
            chat: Some(db.direct(handle, "iMessage")?.rowid),
            handle: Some(db.handle(handle, "iMessage")?),
            service: "iMessage".into(),
            from_me: true,
            more: vec![("is_sent", 1.into()), ("is_delivered", 1.into())],
            ..Row::default()
        };
        Ok(db.insert(&row)?.1)
    }

    /// A member says something in a group.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn says_in(
        &self,
        db: &ChatDb,
        chat: &Chat,
        handle: &str,
        service: &str,
        body: Body,
    ) -> Result<String> {
        let row = Row {
            body: Some(body),
            chat: Some(chat.rowid),
            handle: Some(db.handle(handle, service)?),
            service: service.to_owned(),
            more: vec![("is_delivered", 1.into())],
            ..Row::default()
        };
        Ok(db.insert(&row)?.1)
    }

    /// A contact sends a file with these contents. Gives back the message's guid and where the file is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sends_file(
        &self,
        handle: &str,
        name: &str,
        mime: &str,
        contents: &[u8],
    ) -> Result<(String, PathBuf)> {
        let db = self.db();
        let chat = db.direct(handle, "iMessage")?;
        let attachment = format!("at_0_{}", db.new_guid()?);
        let folder = format!("Library/Messages/Attachments/aa/{attachment}");
        let path = self.home().join(&folder).join(name);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::write(&path, contents)?;
        let row = Row {
            body: Some(Body::default().file(&attachment)),
            handle: Some(db.handle(handle, "iMessage")?),
            service: "iMessage".into(),
            ..Row::default()
        };
        let (rowid, guid) = db.insert(&row)?;
        db.attach(
            rowid,
            &File {
                guid: attachment,
                filename: Some(format!("~/{folder}/{name}")),
                name: name.to_owned(),
                mime: Some(mime.to_owned()),
                state: 5,
                size: i64::try_from(contents.len())?,
                ..File::default()
            },
        )?;
        db.join(chat.rowid, rowid)?;
        Ok((guid, path))
    }

    /// A contact reacts to a message: 2000 to 2005, 2006 with an emoji, 3000 to 3006 takes it back. Of a person's tapbacks on a
    /// message only the newest row is kept.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn reacts(&self, handle: &str, to: &str, kind: i64, emoji: Option<&str>) -> Result<String> {
        let db = self.db();
        let chat = db.direct(handle, "iMessage")?;
        let target = format!("p:0/{to}");
        let person = db.handle(handle, "iMessage")?;
        db.connection.execute(
            "DELETE FROM message WHERE associated_message_guid = ?1 AND handle_id = ?2",
            rusqlite::params![target, person],
        )?;
        let row = Row {
            body: Some(Body::plain("Reacted to a message")),
            chat: Some(chat.rowid),
            handle: Some(person),
            service: "iMessage".into(),
            more: vec![
                ("associated_message_guid", target.into()),
                ("associated_message_type", kind.into()),
                ("associated_message_emoji", emoji.map(str::to_owned).into()),
            ],
            ..Row::default()
        };
        Ok(db.insert(&row)?.1)
    }

    /// The database's file is replaced by a copy, as a restore does. Messages has it open from then on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace_file(&self) -> Result<()> {
        let mut db = self.db();
        let path = self.database();
        let copy = path.with_extension("copy");
        db.connection
            .execute("VACUUM INTO ?", [copy.to_string_lossy().as_ref()])?;
        // The old file is closed before the new one takes its name, or the two would share a journal.
        let elsewhere = ChatDb::open(&copy)?;
        drop(std::mem::replace(&mut *db, elsewhere));
        for rest in ["chat.db-wal", "chat.db-shm"] {
            let _ = std::fs::remove_file(path.with_file_name(rest));
        }
        std::fs::rename(&copy, &path)?;
        *db = ChatDb::open(&path)?;
        db.connection.execute_batch("PRAGMA journal_mode = WAL")?;
        Ok(())
    }

    /// The journal is written into the database and cut to nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn truncates_journal(&self) -> Result<()> {
        let db = self.db();
        Ok(db
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// What was written in chats with one contact, in both directions and in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn texts(&self) -> Result<Vec<Text>> {
        let db = self.db();
        let mut rows = db.connection.prepare(
            "SELECT m.ROWID, c.chat_identifier, m.is_from_me, m.attributedBody, m.date, m.is_sent, m.is_delivered, m.error
             FROM message m JOIN chat_message_join j ON j.message_id = m.ROWID JOIN chat c ON c.ROWID = j.chat_id
             WHERE c.style = 45 AND m.associated_message_type = 0 ORDER BY m.ROWID",
        )?;
        let rows = rows.query_map([], |row| {
            let body: Option<Vec<u8>> = row.get(3)?;
            let read = body.and_then(|body| swingbridge_wire::typedstream::Attributed::decode(&body).ok());
            Ok(Text {
                rowid: row.get(0)?,
                contact: row.get(1)?,
                from_me: row.get(2)?,
                text: read.map(|read| read.text).unwrap_or_default(),
                at: chatdb::unix_ms(row.get(4)?),
                sent: row.get(5)?,
                delivered: row.get(6)?,
                failed: row.get::<_, i64>(7)? != 0,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All that was sent from here, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn rows(&self) -> Result<Vec<Sent>> {
        let db = self.db();
        let mut rows = db.connection.prepare(
            "SELECT m.guid, c.guid, m.attributedBody, m.service, m.ROWID FROM message m
             LEFT JOIN chat_message_join j ON j.message_id = m.ROWID LEFT JOIN chat c ON c.ROWID = j.chat_id
             WHERE m.is_from_me = 1 ORDER BY m.ROWID",
        )?;
        let mut files = db.connection.prepare(
            "SELECT a.transfer_name FROM attachment a JOIN message_attachment_join j ON j.attachment_id = a.ROWID
             WHERE j.message_id = ?",
        )?;
        let rows = rows.query_map([], |row| {
            let body: Option<Vec<u8>> = row.get(2)?;
            let read = body.and_then(|body| swingbridge_wire::typedstream::Attributed::decode(&body).ok());
            Ok(Sent {
                guid: row.get(0)?,
                chat: row.get(1)?,
                text: read.map(|read| read.text).unwrap_or_default(),
                files: files
                    .query_map([row.get::<_, i64>(4)?], |row| row.get(0))?
                    .collect::<Result<_, _>>()?,
                service: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
