//! The phone's memory: one JSON file under a lock, since each command is a process of its own.

use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// Android permissions that are not granted, such as `SEND_SMS`.
    pub denied: Vec<String>,
    /// The app is from a store that forbids it texts.
    pub store_build: bool,
    /// These commands never end.
    pub hang: Vec<String>,
    /// These commands print something else.
    pub junk: Vec<String>,
    /// These commands print nothing at all.
    pub silent: Vec<String>,
    /// Slots that have a SIM; empty: slot 0.
    pub slots: Vec<u32>,
    /// What is sent lands here: `sent` when empty, else `failed`, `outbox`, or `nowhere`.
    pub lands: String,
    /// `termux-sms-send` sends and then never ends.
    pub hangs_after_sending: bool,
}

/// A row of the database of texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Text {
    pub id: i64,
    pub thread: i64,
    /// `inbox`, `sent`, `draft`, `outbox`, `failed`; empty for a queued one.
    pub kind: String,
    pub address: String,
    pub body: String,
    /// Seconds since the epoch.
    pub at: i64,
    #[serde(default)]
    pub hidden: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contact {
    pub name: String,
    pub number: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notification {
    pub package: String,
    pub title: String,
    pub content: String,
    pub at: i64,
}

/// Where the phone's clock begins: 2026-01-31 12:00 UTC. It moves a second with each text.
const BEGIN: i64 = 1_769_860_800;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    pub texts: Vec<Text>,
    /// What left the phone, whatever its database says.
    pub on_air: Vec<Text>,
    pub contacts: Vec<Contact>,
    pub notifications: Vec<Notification>,
    pub scenario: Scenario,
    /// Its clock is the true one.
    pub in_time: bool,
    ticks: i64,
}

impl World {
    /// The phone's time, in seconds; later with each call.
    pub fn clock(&mut self) -> i64 {
        self.ticks += 1;
        if self.in_time {
            self.ticks = self.ticks.max(now() - BEGIN);
        }
        BEGIN + self.ticks
    }

    /// As SQLite numbers rows: one more than the largest there is.
    pub fn add(&mut self, kind: &str, address: &str, body: &str) -> i64 {
        let id = self.texts.iter().map(|text| text.id).max().unwrap_or(0) + 1;
        let thread = self
            .texts
            .iter()
            .find(|text| text.address == address)
            .map_or(id, |text| text.thread);
        let text = Text {
            id,
            thread,
            kind: kind.to_owned(),
            address: address.to_owned(),
            body: body.to_owned(),
            at: self.clock(),
            hidden: false,
        };
        self.texts.push(text);
        id
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge where time comes in")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> io::Result<T> {
        let _lock = self.lock()?;
        Ok(look(&self.read()?))
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> io::Result<T> {
        let _lock = self.lock()?;
        let mut world = self.read()?;
        let out = change(&mut world);
        let new = self.0.join("world.new");
        fs::write(&new, serde_json::to_vec(&world)?)?;
        fs::rename(new, self.0.join("world.json"))?;
        Ok(out)
    }

    fn read(&self) -> io::Result<World> {
        match fs::read(self.0.join("world.json")) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(World::default()),
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> io::Result<File> {
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}
