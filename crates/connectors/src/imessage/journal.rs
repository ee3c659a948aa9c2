//! What the connector must remember: how far it came in chat.db, what it handed in and how that stood, what it sent. No text
//! and no address stands in it, digests only.
//!
//! It may be behind what the inbox has committed, never ahead of it.

use super::chatdb::Identity;
use super::row::Status;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

pub(super) type Digest = [u8; 32];

/// A digest of what must not stand in the journal.
pub(super) fn digest(what: &str, text: &str) -> Digest {
    Sha256::digest(format!("{what}\0{text}").as_bytes()).into()
}

const TABLES: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), device TEXT, inode TEXT, rowid INTEGER, guid TEXT,
  newest INTEGER, began INTEGER, horizon INTEGER, first_newest INTEGER);
CREATE TABLE IF NOT EXISTS seen (guid TEXT PRIMARY KEY, status TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (turn INTEGER PRIMARY KEY, guid TEXT UNIQUE, since INTEGER);
CREATE TABLE IF NOT EXISTS awaited (message TEXT, attachment TEXT, PRIMARY KEY (message, attachment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tapback (target TEXT, person BLOB, guid TEXT, PRIMARY KEY (target, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (id INTEGER PRIMARY KEY AUTOINCREMENT, chat BLOB, address BLOB, body BLOB, file INTEGER,
  above INTEGER, since INTEGER);
CREATE TABLE IF NOT EXISTS sent (guid TEXT PRIMARY KEY, until INTEGER, watched INTEGER) WITHOUT ROWID;
";

/// How far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub identity: Identity,
    pub rowid: i64,
    /// The guid of that row: a renumbered database has another one there.
    pub guid: Option<String>,
    /// The newest date that was met, as Apple writes it.
    pub newest: i64,
    /// When this connector began.
    pub began: i64,
    /// Older than this is not brought over from what was there then.
    pub horizon: i64,
    /// The last row that was there then.
    pub first_newest: i64,
}

/// A message that was given to Messages and whose row is not found yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub id: i64,
    /// The digest of its chat's guid, when it goes to a chat that is there.
    pub chat: Option<Digest>,
    /// The digest of the address, when it goes to one person.
    pub address: Option<Digest>,
    /// The digest of its text, or of its file's name.
    pub body: Digest,
    pub file: bool,
    /// The newest row before it.
    pub above: i64,
    pub since: Timestamp,
}

/// What is to be remembered once the inbox has committed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Cursor(Cursor),
    Seen {
        guid: String,
        status: Status,
    },
    Held {
        guid: String,
        since: Timestamp,
    },
    Settled(String),
    Awaited {
        message: String,
        attachment: String,
    },
    Came {
        message: String,
        attachment: String,
    },
    Tapback {
        target: String,
        person: Digest,
        guid: String,
    },
    NoTapback {
        target: String,
        person: Digest,
    },
    Watched(String),
    Forgotten(i64),
}

pub(super) struct Journal {
    connection: Connection,
}

type Done<T> = rusqlite::Result<T>;

impl Journal {
    pub fn open(folder: &Path) -> Done<Journal> {
        let connection = Connection::open(folder.join("imessage.sqlite"))?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(TABLES)?;
        Ok(Journal { connection })
    }

    pub fn cursor(&self) -> Done<Option<Cursor>> {
        let number = |text: String| text.parse().unwrap_or(0);
        self.connection
            .prepare_cached(
                "SELECT device, inode, rowid, guid, newest, began, horizon, first_newest FROM state",
            )?
            .query_row([], |row| {
                Ok(Cursor {
                    identity: Identity {
                        device: number(row.get(0)?),
                        inode: number(row.get(1)?),
                    },
                    rowid: row.get(2)?,
                    guid: row.get(3)?,
                    newest: row.get(4)?,
                    began: row.get(5)?,
                    horizon: row.get(6)?,
                    first_newest: row.get(7)?,
                })
            })
            .optional()
    }

    /// How a row stood when it was handed in; `None` when it was not.
    pub fn seen(&self, guid: &str) -> Done<Option<Status>> {
        let status: Option<String> = self
            .connection
            .prepare_cached("SELECT status FROM seen WHERE guid = ?")?
            .query_row([guid], |row| row.get(0))
            .optional()?;
        Ok(status.map(|status| serde_json::from_str(&status).unwrap_or_default()))
    }

    /// The rows that wait, in the order in which they came.
    pub fn held(&self) -> Done<Vec<(String, Timestamp)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT guid, since FROM held ORDER BY turn")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
        rows.collect()
    }

    pub fn is_held(&self, guid: &str) -> Done<bool> {
        let found = self
            .connection
            .prepare_cached("SELECT 1 FROM held WHERE guid = ?")?
            .query_row([guid], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    pub fn awaited(&self) -> Done<Vec<(String, String)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT message, attachment FROM awaited")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    pub fn tapback(&self, target: &str, person: &Digest) -> Done<Option<String>> {
        self.connection
            .prepare_cached("SELECT guid FROM tapback WHERE target = ? AND person = ?")?
            .query_row(params![target, person], |row| row.get(0))
            .optional()
    }

    pub fn pending(&self) -> Done<Vec<Pending>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, chat, address, body, file, above, since FROM pending ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok(Pending {
                id: row.get(0)?,
                chat: row.get(1)?,
                address: row.get(2)?,
                body: row.get(3)?,
                file: row.get(4)?,
                above: row.get(5)?,
                since: Timestamp(row.get(6)?),
            })
        })?;
        rows.collect()
    }

    /// Remembers a message before it is given to Messages. Gives back its number.
    pub fn begin(&self, pending: &Pending) -> Done<i64> {
        self.connection.execute(
            "INSERT INTO pending (chat, address, body, file, above, since) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                pending.chat,
                pending.address,
                pending.body,
                pending.file,
                pending.above,
                pending.since.millis()
            ],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// It certainly did not leave.
    pub fn forget(&self, pending: i64) -> Done<()> {
        self.connection
            .execute("DELETE FROM pending WHERE id = ?", [pending])?;
        Ok(())
    }

    /// A row turned out to be a message of ours.
    pub fn claim(&self, pending: i64, guid: &str, until: Timestamp) -> Done<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM pending WHERE id = ?", [pending])?;
        transaction.execute(
            "INSERT OR IGNORE INTO sent (guid, until, watched) VALUES (?, ?, 1)",
            params![guid, until.millis()],
        )?;
        transaction.commit()
    }

    pub fn is_ours(&self, guid: &str) -> Done<bool> {
        let found = self
            .connection
            .prepare_cached("SELECT 1 FROM sent WHERE guid = ?")?
            .query_row([guid], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// Messages of ours whose fate is still looked for, and how long.
    pub fn watched(&self) -> Done<Vec<(String, Timestamp)>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT guid, until FROM sent WHERE watched = 1")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
        rows.collect()
    }

    pub fn commit(&mut self, marks: &[Mark]) -> Done<()> {
        let transaction = self.connection.transaction()?;
        for mark in marks {
            apply(&transaction, mark)?;
        }
        transaction.commit()
    }
}

fn apply(on: &Connection, mark: &Mark) -> Done<()> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| on.prepare_cached(sql)?.execute(params);
    match mark {
        Mark::Cursor(cursor) => run(
            "INSERT OR REPLACE INTO state VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                cursor.identity.device.to_string(),
                cursor.identity.inode.to_string(),
                cursor.rowid,
                cursor.guid,
                cursor.newest,
                cursor.began,
                cursor.horizon,
                cursor.first_newest
            ],
        ),
        Mark::Seen { guid, status } => {
            run("DELETE FROM held WHERE guid = ?1", params![guid])?;
            run(
                "INSERT OR REPLACE INTO seen VALUES (?1, ?2)",
                params![guid, serde_json::to_string(status).unwrap_or_default()],
            )
        }
        Mark::Held { guid, since } => run(
            "INSERT OR IGNORE INTO held (guid, since) VALUES (?1, ?2)",
            params![guid, since.millis()],
        ),
        Mark::Settled(guid) => run("DELETE FROM held WHERE guid = ?1", params![guid]),
        Mark::Awaited { message, attachment } => run(
            "INSERT OR IGNORE INTO awaited VALUES (?1, ?2)",
            params![message, attachment],
        ),
        Mark::Came { message, attachment } => run(
            "DELETE FROM awaited WHERE message = ?1 AND attachment = ?2",
            params![message, attachment],
        ),
        Mark::Tapback { target, person, guid } => run(
            "INSERT OR REPLACE INTO tapback VALUES (?1, ?2, ?3)",
            params![target, person, guid],
        ),
        Mark::NoTapback { target, person } => run(
            "DELETE FROM tapback WHERE target = ?1 AND person = ?2",
            params![target, person],
        ),
        Mark::Watched(guid) => run("UPDATE sent SET watched = 0 WHERE guid = ?1", params![guid]),
        Mark::Forgotten(pending) => run("DELETE FROM pending WHERE id = ?1", params![pending]),
    }?;
    Ok(())
}
