//! Writes a chat.db as Messages does: rows, joins, attachments, edits.

use super::schema::Release;
use super::typedstream::{Body, Order};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From 1970 to 2001, the epoch of Apple's dates.
const APPLE_EPOCH: i64 = 978_307_200;

/// The moment now, as Apple writes it: nanoseconds since 2001.
#[expect(clippy::disallowed_methods, reason = "the edge where time comes in")]
pub fn apple_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) - APPLE_EPOCH * 1_000_000_000
}

/// An Apple date in milliseconds since 1970.
pub fn unix_ms(apple: i64) -> i64 {
    apple / 1_000_000 + APPLE_EPOCH * 1000
}

/// That moment, so long ago.
pub fn apple_ago(ago: Duration) -> i64 {
    apple_now() - i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX)
}

/// A chat.db, open for writing.
pub struct ChatDb {
    pub connection: Connection,
    pub release: Release,
}

/// A row of `chat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub rowid: i64,
    pub guid: String,
}

/// A row of `message`, and what belongs to it. [`Row::default`] is a text of nobody in no chat.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// A new one when empty.
    pub guid: String,
    pub body: Option<Body>,
    pub chat: Option<i64>,
    /// Who wrote it; for our own, whom it went to.
    pub handle: Option<i64>,
    pub service: String,
    /// As Apple writes it; now when 0.
    pub date: i64,
    pub from_me: bool,
    /// Further columns. Those that the release lacks are left out.
    pub more: Vec<(&'static str, Value)>,
}

/// A file of a message.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// A new one when empty.
    pub guid: String,
    /// As the database has it, mostly beginning with `~/`.
    pub filename: Option<String>,
    pub name: String,
    pub mime: Option<String>,
    pub uti: Option<String>,
    /// 5 when it has come whole.
    pub state: i64,
    pub size: i64,
    pub sticker: bool,
}

impl ChatDb {
    /// Makes the database.
    ///
    /// # Errors
    /// When it is there already, or cannot be written.
    pub fn create(path: &Path, release: Release) -> rusqlite::Result<ChatDb> {
        let connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")?;
        connection.execute_batch(&release.schema())?;
        Ok(ChatDb { connection, release })
    }

    /// Opens it once more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> rusqlite::Result<ChatDb> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("PRAGMA synchronous = OFF;")?;
        let has = |column: &str| {
            connection
                .query_row(
                    "SELECT 1 FROM pragma_table_info('message') WHERE name = ?",
                    [column],
                    |_| Ok(()),
                )
                .optional()
                .map(|found| found.is_some())
        };
        let release = match (has("schedule_type")?, has("date_edited")?) {
            (true, _) => Release::Tahoe,
            (_, true) => Release::Ventura,
            _ => Release::Monterey,
        };
        Ok(ChatDb { connection, release })
    }

    /// A guid as Messages makes them.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn new_guid(&self) -> rusqlite::Result<String> {
        let hex: String = self
            .connection
            .query_row("SELECT hex(randomblob(16))", [], |row| row.get(0))?;
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(parts.join("-"))
    }

    /// # Errors
    /// Those of SQLite.
    pub fn handle(&self, id: &str, service: &str) -> rusqlite::Result<i64> {
        self.connection.execute(
            "INSERT OR IGNORE INTO handle (id, service) VALUES (?, ?)",
            [id, service],
        )?;
        self.connection.query_row(
            "SELECT ROWID FROM handle WHERE id = ? AND service = ?",
            [id, service],
            |row| row.get(0),
        )
    }

    /// The chat with one person, made when there is none.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn direct(&self, handle: &str, service: &str) -> rusqlite::Result<Chat> {
        let prefix = if self.release == Release::Tahoe {
            "any"
        } else {
            service
        };
        let guid = format!("{prefix};-;{handle}");
        let id = self.handle(handle, service)?;
        self.chat(&guid, 45, handle, service, None, &[id])
    }

    /// A new group.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn group(&self, name: Option<&str>, members: &[&str], service: &str) -> rusqlite::Result<Chat> {
        let number: i64 =
            self.connection
                .query_row("SELECT abs(random() % 1000000000000000)", [], |row| row.get(0))?;
        let prefix = if self.release == Release::Tahoe {
            "any"
        } else {
            service
        };
        let identifier = format!("chat{number}");
        let members: Vec<i64> = members
            .iter()
            .map(|member| self.handle(member, service))
            .collect::<Result<_, _>>()?;
        self.chat(
            &format!("{prefix};+;{identifier}"),
            43,
            &identifier,
            service,
            name,
            &members,
        )
    }

    fn chat(
        &self,
        guid: &str,
        style: i64,
        identifier: &str,
        service: &str,
        name: Option<&str>,
        members: &[i64],
    ) -> rusqlite::Result<Chat> {
        let group = self.new_guid()?;
        self.connection.execute(
            "INSERT OR IGNORE INTO chat (guid, style, state, chat_identifier, service_name, room_name, display_name, group_id)
             VALUES (?1, ?2, 3, ?3, ?4, ?5, ?6, ?7)",
            params![guid, style, identifier, service, (style == 43).then_some(identifier), name, group],
        )?;
        let rowid = self
            .connection
            .query_row("SELECT ROWID FROM chat WHERE guid = ?", [guid], |row| row.get(0))?;
        for member in members {
            self.connection.execute(
                "INSERT OR IGNORE INTO chat_handle_join VALUES (?, ?)",
                [rowid, *member],
            )?;
        }
        Ok(Chat {
            rowid,
            guid: guid.to_owned(),
        })
    }

    /// Writes a message, with its join when it has a chat. Gives back its ROWID and its guid.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn insert(&self, row: &Row) -> rusqlite::Result<(i64, String)> {
        let guid = match row.guid.is_empty() {
            true => self.new_guid()?,
            false => row.guid.clone(),
        };
        let date = if row.date == 0 { apple_now() } else { row.date };
        let text = row.body.as_ref().map(|body| body.text.clone());
        let mut columns: Vec<(&str, Value)> = vec![
            ("guid", guid.clone().into()),
            // Since macOS 26 the text is in the attributed body alone.
            ("text", text.filter(|_| self.release < Release::Tahoe).into()),
            (
                "attributedBody",
                row.body.as_ref().map(|body| body.encode(Order::Little)).into(),
            ),
            ("handle_id", row.handle.unwrap_or(0).into()),
            ("service", row.service.clone().into()),
            ("date", date.into()),
            ("is_from_me", i64::from(row.from_me).into()),
            ("is_finished", 1.into()),
        ];
        columns.extend(row.more.iter().cloned());
        let mut known = self
            .connection
            .prepare_cached("SELECT name FROM pragma_table_info('message')")?;
        let known: Vec<String> = known.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        columns.retain(|(name, _)| known.iter().any(|column| column == name));
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let sql = format!(
            "INSERT INTO message ({}) VALUES ({})",
            names.join(", "),
            vec!["?"; names.len()].join(", ")
        );
        self.connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(columns.into_iter().map(|(_, value)| value)))?;
        let rowid = self.connection.last_insert_rowid();
        if let Some(chat) = row.chat {
            self.join(chat, rowid)?;
        }
        Ok((rowid, guid))
    }

    /// Puts a message into a chat.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn join(&self, chat: i64, message: i64) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT OR IGNORE INTO chat_message_join (chat_id, message_id, message_date)
             VALUES (?1, ?2, (SELECT date FROM message WHERE ROWID = ?2))",
            [chat, message],
        )?;
        Ok(())
    }

    /// Gives a message a file. Gives back its guid.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn attach(&self, message: i64, file: &File) -> rusqlite::Result<String> {
        let guid = match file.guid.is_empty() {
            true => self.new_guid()?,
            false => file.guid.clone(),
        };
        self.connection.execute(
            "INSERT INTO attachment (guid, original_guid, filename, transfer_name, mime_type, uti, transfer_state, total_bytes, is_sticker)
             VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![guid, file.filename, file.name, file.mime, file.uti, file.state, file.size, file.sticker],
        )?;
        let rowid = self.connection.last_insert_rowid();
        self.connection.execute(
            "INSERT INTO message_attachment_join VALUES (?, ?)",
            [message, rowid],
        )?;
        Ok(guid)
    }

    /// Changes a column of a message.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn set(&self, guid: &str, column: &str, value: impl Into<Value>) -> rusqlite::Result<()> {
        self.connection.execute(
            &format!("UPDATE message SET {column} = ?1 WHERE guid = ?2"),
            params![value.into(), guid],
        )?;
        Ok(())
    }

    /// Our own message's text is replaced, or a contact's.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn edit(&self, guid: &str, text: &str) -> rusqlite::Result<()> {
        let body = Body::plain(text);
        let mut edit = plist::Dictionary::new();
        edit.insert("d".into(), plist::Value::Real(1.0));
        edit.insert("t".into(), plist::Value::Data(body.encode(Order::Little)));
        let mut edited = plist::Dictionary::new();
        edited.insert(
            "0".into(),
            plist::Value::Array(vec![plist::Value::Dictionary(edit)]),
        );
        let mut summary = plist::Dictionary::new();
        summary.insert("ec".into(), plist::Value::Dictionary(edited));
        self.set(guid, "message_summary_info", binary(summary))?;
        self.set(guid, "attributedBody", body.encode(Order::Little))?;
        if self.release < Release::Tahoe {
            self.set(guid, "text", text.to_owned())?;
        }
        self.set(guid, "date_edited", apple_now())
    }

    /// A message is withdrawn, whole (`parts` of it that there are).
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn unsend(&self, guid: &str, parts: i64) -> rusqlite::Result<()> {
        let unsent = (0..parts)
            .map(|part| plist::Value::Integer(part.into()))
            .collect();
        let mut summary = plist::Dictionary::new();
        summary.insert("rp".into(), plist::Value::Array(unsent));
        self.set(guid, "message_summary_info", binary(summary))?;
        for column in ["text", "attributedBody"] {
            self.set(guid, column, Value::Null)?;
        }
        self.set(guid, "date_edited", apple_now())
    }

    /// Numbers the messages anew from 1, as a rebuild of the database does: new ones get lower numbers than old ones had.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn renumber(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TEMP TABLE numbers AS SELECT ROWID AS old, row_number() OVER (ORDER BY date, ROWID) AS new FROM message;
             UPDATE message SET ROWID = -ROWID;
             UPDATE message SET ROWID = (SELECT new FROM numbers WHERE old = -message.ROWID);
             UPDATE chat_message_join SET message_id = -message_id;
             UPDATE chat_message_join SET message_id = (SELECT new FROM numbers WHERE old = -message_id);
             UPDATE message_attachment_join SET message_id = -message_id;
             UPDATE message_attachment_join SET message_id = (SELECT new FROM numbers WHERE old = -message_id);
             UPDATE sqlite_sequence SET seq = (SELECT MAX(ROWID) FROM message) WHERE name = 'message';
             DROP TABLE numbers;
             COMMIT;",
        )
    }
}

fn binary(dictionary: plist::Dictionary) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = plist::Value::Dictionary(dictionary).to_writer_binary(&mut bytes);
    bytes
}
