//! What must outlive a restart besides the client's own stores: how far the homeserver was read, which room is which conversation,
//! and which events wait for their key.
//!
//! It holds ids, pseudonyms and ciphertext, never a text, a name or a key.

use crate::database::Database;
use crate::failure::Failure;
use crate::media;
use rusqlite::{OptionalExtension, params};
use std::path::Path;
use swingbridge_domain::clock::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS room (
        room TEXT PRIMARY KEY, alias TEXT, kind TEXT, last TEXT
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX IF NOT EXISTS room_alias ON room (alias);
    CREATE TABLE IF NOT EXISTS waiting (
        event TEXT PRIMARY KEY, room TEXT NOT NULL, body TEXT NOT NULL,
        since INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL, told INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS waiting_due ON waiting (due);
    CREATE TABLE IF NOT EXISTS withdrawn (event TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger(Database);

/// An event whose key is not there yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub event: String,
    pub room: String,
    /// The event as it came, encrypted.
    pub body: String,
    pub since: Timestamp,
    pub due: Timestamp,
    pub tries: u32,
    /// The engine was told.
    pub told: bool,
}

/// What is kept of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The pseudonym that it was made for; none for rooms of others.
    pub alias: Option<String>,
    /// A [`RoomKind`](swingbridge_domain::homeserver::RoomKind) in a word.
    pub kind: Option<String>,
}

impl Ledger {
    /// Opens the ledger, or makes it. Blocks.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        Database::open(path, "puppet.db", &format!("{SCHEMA}{}", media::PICTURES)).map(Self)
    }

    /// Up to where the homeserver was read, and all of it committed.
    pub async fn token(&self) -> Result<Option<String>, Failure> {
        self.0
            .with(|db| {
                db.query_row("SELECT token FROM place", [], |row| row.get(0))
                    .optional()
            })
            .await
    }

    /// Everything up to `token` is committed. `last`: the newest event of each room in it.
    pub async fn advance(&self, token: String, last: Vec<(String, String)>) -> Result<(), Failure> {
        self.0.with(move |db| {
            let work = db.transaction()?;
            for (room, event) in last {
                work.execute(
                    "INSERT INTO room (room, last) VALUES (?1, ?2) ON CONFLICT (room) DO UPDATE SET last = ?2",
                    [room, event],
                )?;
            }
            work.execute(
                "INSERT INTO place VALUES (1, ?1) ON CONFLICT DO UPDATE SET token = ?1",
                [token],
            )?;
            work.commit()
        })
        .await
    }

    /// The newest event of the room that was handed in.
    pub async fn last(&self, room: &str) -> Result<Option<String>, Failure> {
        let room = room.to_owned();
        let read = self.0.with(move |db| {
            db.query_row("SELECT last FROM room WHERE room = ?1", [room], |row| {
                row.get::<_, Option<String>>(0)
            })
            .optional()
        });
        Ok(read.await?.flatten())
    }

    pub async fn room_of(&self, alias: &str) -> Result<Option<String>, Failure> {
        let alias = alias.to_owned();
        self.0
            .with(move |db| {
                db.query_row("SELECT room FROM room WHERE alias = ?1", [alias], |row| {
                    row.get(0)
                })
                .optional()
            })
            .await
    }

    /// What is known of the room; `None`: nobody looked yet.
    pub async fn known(&self, room: &str) -> Result<Option<Known>, Failure> {
        let room = room.to_owned();
        self.0
            .with(move |db| {
                let read = |row: &rusqlite::Row<'_>| {
                    Ok(Known {
                        alias: row.get(0)?,
                        kind: row.get(1)?,
                    })
                };
                // Without a kind only the last event was written down.
                let sql = "SELECT alias, kind FROM room WHERE room = ?1 AND kind IS NOT NULL";
                db.query_row(sql, [room], read).optional()
            })
            .await
    }

    pub async fn learn(&self, room: &str, known: Known) -> Result<(), Failure> {
        let room = room.to_owned();
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                // Another room had the alias before; it is nothing of ours any more.
                work.execute(
                    "UPDATE room SET alias = NULL WHERE alias = ?1 AND room <> ?2",
                    params![known.alias, room],
                )?;
                work.execute(
                    "INSERT INTO room (room, alias, kind) VALUES (?1, ?2, ?3)
                 ON CONFLICT (room) DO UPDATE SET alias = ?2, kind = ?3",
                    params![room, known.alias, known.kind],
                )?;
                work.commit()
            })
            .await
    }

    pub async fn forget_room(&self, room: &str) -> Result<(), Failure> {
        let room = room.to_owned();
        self.0
            .with(move |db| db.execute("DELETE FROM room WHERE room = ?1", [room]).map(drop))
            .await
    }

    /// Keeps events that wait. What waits already stays as it is.
    pub async fn wait(&self, events: Vec<Waiting>) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                for event in events {
                    work.execute(
                        "INSERT OR IGNORE INTO waiting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        params![
                            event.event,
                            event.room,
                            event.body,
                            event.since.millis(),
                            event.due.millis(),
                            event.tries,
                            event.told
                        ],
                    )?;
                }
                work.commit()
            })
            .await
    }

    /// The events whose turn it is, the oldest first; all of them, when keys came.
    pub async fn due(&self, until: Option<Timestamp>, limit: u32) -> Result<Vec<Waiting>, Failure> {
        self.0
            .with(move |db| {
                let mut read = db.prepare_cached(
                    "SELECT event, room, body, since, due, tries, told FROM waiting
                 WHERE due <= ?1 ORDER BY since, rowid LIMIT ?2",
                )?;
                let until = until.map_or(i64::MAX, Timestamp::millis);
                let rows = read.query_map(params![until, limit], |row| {
                    Ok(Waiting {
                        event: row.get(0)?,
                        room: row.get(1)?,
                        body: row.get(2)?,
                        since: Timestamp(row.get(3)?),
                        due: Timestamp(row.get(4)?),
                        tries: row.get(5)?,
                        told: row.get(6)?,
                    })
                })?;
                rows.collect()
            })
            .await
    }

    pub async fn next_due(&self) -> Result<Option<Timestamp>, Failure> {
        self.0
            .with(|db| {
                db.query_row("SELECT min(due) FROM waiting", [], |row| {
                    row.get::<_, Option<i64>>(0)
                })
            })
            .await
            .map(|due| due.map(Timestamp))
    }

    /// Some were read and wait no more, others are tried again.
    pub async fn tried(&self, done: Vec<String>, again: Vec<Waiting>) -> Result<(), Failure> {
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                for event in done {
                    work.execute("DELETE FROM waiting WHERE event = ?1", [event])?;
                }
                for event in again {
                    work.execute(
                        "UPDATE waiting SET due = ?2, tries = ?3, told = ?4 WHERE event = ?1",
                        params![event.event, event.due.millis(), event.tries, event.told],
                    )?;
                }
                work.commit()
            })
            .await
    }

    /// Where a picture was uploaded to.
    pub async fn picture(&self, digest: &str) -> Result<Option<String>, Failure> {
        media::known(&self.0, digest).await
    }

    pub async fn keep_picture(&self, digest: &str, uri: &str) -> Result<(), Failure> {
        media::keep(&self.0, digest, uri).await
    }

    /// An event is about to be taken back in the owner's name: word of that is not the owner's own.
    pub async fn withdraw(&self, event: &str) -> Result<(), Failure> {
        let event = event.to_owned();
        self.0
            .with(move |db| {
                db.execute("INSERT OR IGNORE INTO withdrawn VALUES (?1)", [event])
                    .map(drop)
            })
            .await
    }

    pub async fn is_withdrawn(&self, event: &str) -> Result<bool, Failure> {
        let event = event.to_owned();
        self.0
            .with(move |db| {
                db.query_row("SELECT 1 FROM withdrawn WHERE event = ?1", [event], |_| Ok(()))
                    .optional()
            })
            .await
            .map(|found| found.is_some())
    }
}
