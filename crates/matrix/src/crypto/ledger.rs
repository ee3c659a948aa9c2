//! What must outlive a restart besides the machines' own stores: which rooms are encrypted, which events wait for their key,
//! and what was taken before.
//!
//! It lies in one small database beside the machines. It holds ids and ciphertext, never a text.

use crate::database::Database;
use crate::failure::Failure;
use rusqlite::{OptionalExtension, params};
use std::path::Path;
use swingbridge_domain::clock::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS room (room TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS waiting (
        event TEXT PRIMARY KEY, room TEXT NOT NULL, session TEXT NOT NULL, body TEXT NOT NULL,
        since INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL, told INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS waiting_due ON waiting (due);
    CREATE INDEX IF NOT EXISTS waiting_session ON waiting (session);
    CREATE TABLE IF NOT EXISTS taken (
        user TEXT NOT NULL, digest BLOB NOT NULL, read INTEGER NOT NULL, PRIMARY KEY (user, digest)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS opened (
        session TEXT NOT NULL, place INTEGER NOT NULL, event TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (session, place)
    ) WITHOUT ROWID;
";

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger(Database);

/// An event whose key is not there yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub event: String,
    pub room: String,
    /// The Megolm session that opens it.
    pub session: String,
    /// The event as it came, encrypted.
    pub body: String,
    pub since: Timestamp,
    pub tries: u32,
    /// Its sender was told.
    pub told: bool,
}

impl Ledger {
    /// Opens the ledger, or makes it. Blocks.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        Database::open(path, "the ledger of keys", SCHEMA).map(Self)
    }

    /// The content of `m.room.encryption` of a room that was ever seen encrypted. What is encrypted stays so, whatever the
    /// homeserver says later.
    pub async fn encryption(&self, room: &str) -> Result<Option<String>, Failure> {
        let room = room.to_owned();
        self.0
            .with(move |db| {
                db.query_row("SELECT content FROM room WHERE room = ?1", [room], |row| {
                    row.get(0)
                })
                .optional()
            })
            .await
    }

    pub async fn encrypted(&self, room: &str, content: &str) -> Result<(), Failure> {
        let (room, content) = (room.to_owned(), content.to_owned());
        self.0
            .with(move |db| {
                db.execute(
                    "INSERT INTO room VALUES (?1, ?2) ON CONFLICT DO UPDATE SET content = ?2",
                    [room, content],
                )
                .map(drop)
            })
            .await
    }

    /// Keeps events that wait. What waits already stays as it is.
    pub async fn wait(&self, events: Vec<(Waiting, Timestamp)>) -> Result<(), Failure> {
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                for (event, due) in events {
                    work.execute(
                        "INSERT OR IGNORE INTO waiting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                        params![
                            event.event,
                            event.room,
                            event.session,
                            event.body,
                            event.since.millis(),
                            due.millis(),
                            event.tries,
                            event.told
                        ],
                    )?;
                }
                work.commit()
            })
            .await
    }

    /// What is due, oldest first.
    pub async fn due(&self, now: Timestamp) -> Result<Vec<Waiting>, Failure> {
        self.0.with(move |db| {
            db.prepare_cached("SELECT event, room, session, body, since, tries, told FROM waiting WHERE due <= ?1 ORDER BY rowid LIMIT 200")?
                .query_map([now.millis()], waiting)?
                .collect()
        })
        .await
    }

    /// What waits for one of these sessions, oldest first.
    pub async fn of_sessions(&self, sessions: Vec<String>) -> Result<Vec<Waiting>, Failure> {
        self.0.with(move |db| {
            let mut found = Vec::new();
            let mut query = db.prepare_cached(
                "SELECT event, room, session, body, since, tries, told FROM waiting WHERE session = ?1 ORDER BY rowid",
            )?;
            for session in sessions {
                for row in query.query_map([session], waiting)? {
                    found.push(row?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// When the next one is due.
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

    /// It did not open: the next try is at `due`.
    pub async fn again(&self, event: &Waiting, due: Timestamp) -> Result<(), Failure> {
        let (id, tries, told) = (event.event.clone(), event.tries, event.told);
        self.0
            .with(move |db| {
                db.execute(
                    "UPDATE waiting SET tries = ?2, told = ?3, due = ?4 WHERE event = ?1",
                    params![id, tries, told, due.millis()],
                )
                .map(drop)
            })
            .await
    }

    /// They wait no more.
    pub async fn done(&self, events: Vec<String>) -> Result<(), Failure> {
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                for event in events {
                    work.execute("DELETE FROM waiting WHERE event = ?1", [event])?;
                }
                work.commit()
            })
            .await
    }

    /// Nobody of ours is in the room any more.
    pub async fn left(&self, room: &str) -> Result<(), Failure> {
        let room = room.to_owned();
        self.0
            .with(move |db| {
                db.execute("DELETE FROM waiting WHERE room = ?1", [room])
                    .map(drop)
            })
            .await
    }

    /// How many wait.
    pub async fn waiting(&self) -> Result<u64, Failure> {
        self.0
            .with(|db| db.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0)))
            .await
    }

    /// Which of these to-device messages of `user` were not taken before, in order.
    pub async fn fresh(&self, user: &str, digests: Vec<[u8; 32]>) -> Result<Vec<bool>, Failure> {
        let user = user.to_owned();
        self.0
            .with(move |db| {
                let mut query = db.prepare_cached("SELECT 1 FROM taken WHERE user = ?1 AND digest = ?2")?;
                let fresh = |digest: &[u8; 32]| query.exists(params![user, digest]).map(|there| !there);
                digests.iter().map(fresh).collect()
            })
            .await
    }

    /// Remembers to-device messages as taken.
    pub async fn take(&self, user: &str, digests: Vec<[u8; 32]>) -> Result<(), Failure> {
        let user = user.to_owned();
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                for digest in digests {
                    work.execute(
                        "INSERT OR IGNORE INTO taken VALUES (?1, ?2, 0)",
                        params![user, digest],
                    )?;
                }
                work.commit()
            })
            .await
    }

    /// These were read from the device's queue, where they do not come again. A transaction may still bring them late, so they
    /// are remembered until the next reading.
    pub async fn read(&self, user: &str, digests: Vec<[u8; 32]>) -> Result<(), Failure> {
        let user = user.to_owned();
        self.0
            .with(move |db| {
                let work = db.transaction()?;
                work.execute("DELETE FROM taken WHERE user = ?1 AND read = 1", [&user])?;
                for digest in digests {
                    work.execute(
                        "INSERT OR REPLACE INTO taken VALUES (?1, ?2, 1)",
                        params![user, digest],
                    )?;
                }
                work.commit()
            })
            .await
    }

    /// Forgets which places were taken before `until`.
    pub async fn forget_opened(&self, until: Timestamp) -> Result<(), Failure> {
        self.0
            .with(move |db| {
                db.execute("DELETE FROM opened WHERE at < ?1", [until.millis()])
                    .map(drop)
            })
            .await
    }

    /// Notes that a place in a session is taken by `event`; `false` when another event took it, so that this one is a
    /// repetition by somebody on the way.
    pub async fn first(
        &self,
        session: &str,
        place: u32,
        event: &str,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let (session, event) = (session.to_owned(), event.to_owned());
        self.0
            .with(move |db| {
                let inserted = db.execute(
                    "INSERT OR IGNORE INTO opened VALUES (?1, ?2, ?3, ?4)",
                    params![session, place, event, now.millis()],
                )?;
                if inserted == 1 {
                    return Ok(true);
                }
                let taken: String = db.query_row(
                    "SELECT event FROM opened WHERE session = ?1 AND place = ?2",
                    params![session, place],
                    |row| row.get(0),
                )?;
                Ok(taken == event)
            })
            .await
    }
}

fn waiting(row: &rusqlite::Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        event: row.get(0)?,
        room: row.get(1)?,
        session: row.get(2)?,
        body: row.get(3)?,
        since: Timestamp(row.get(4)?),
        tries: row.get(5)?,
        told: row.get(6)?,
    })
}
