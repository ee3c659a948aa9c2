//! What was answered is kept, also when the program is killed.

use crate::support::*;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use swingbridge_domain::secret::Secret;
use swingbridge_domain::store::{Job, Result, Tables};
use swingbridge_store::{Config, SCHEMA, Synchronous};

/// Where the child that is killed works; absent when the tests run as tests.
const FILE: &str = "STORE_CHILD_FILE";
const URL: &str = "STORE_CHILD_URL";

/// A job that writes its number, and tells it when it was answered.
struct Numbered(u32);

impl Job for Numbered {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<()> {
        tables.setting_set("last", &self.0.to_string())?;
        tables.inbox_push(self.0.to_be_bytes().to_vec(), NOW).map(drop)
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        committed.unwrap();
        println!("answered {}", self.0);
    }
}

/// Not a test by itself: what [`killed_amid_work`] starts and kills.
#[test]
#[ignore = "started by other tests"]
fn child_that_works_until_it_is_killed() {
    let config = match (env::var_os(FILE), env::var_os(URL)) {
        (Some(path), _) => Config::Sqlite {
            path: path.into(),
            synchronous: Synchronous::Full,
        },
        (None, Some(url)) => Config::Postgres {
            url: Secret::new(url.into_string().unwrap()),
            schema: SCHEMA.into(),
        },
        (None, None) => return,
    };
    let store = opened(&config);
    for n in 0.. {
        store.submit(Box::new(Numbered(n)));
        if n % 1000 == 999 {
            // Let the queue run dry, so that it does not grow for ever.
            work(&store, |_| Ok(()));
        }
    }
}

/// Lets a child work, kills it, and holds the database to what the child was told.
pub fn killed_amid_work(config: &Config) {
    let (name, value) = match config {
        Config::Sqlite { path, .. } => (FILE, path.as_os_str().to_owned()),
        Config::Postgres { url, .. } => (URL, url.expose().into()),
    };
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "durability::child_that_works_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(name, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(n) = line.unwrap().strip_prefix("answered ") {
            answered.push(n.parse::<u32>().unwrap());
            if answered.len() == 3000 {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(answered.len() >= 3000, "the child ended too early");

    let store = opened(config);
    let rows = work(&store, |t| t.inbox_oldest(u32::MAX));
    let kept: Vec<_> = rows
        .iter()
        .map(|row| u32::from_be_bytes(row.sealed[..].try_into().unwrap()))
        .collect();
    assert!(
        kept.iter().copied().eq(0..kept.len() as u32),
        "a job is missing amid others"
    );
    let last = *answered.last().unwrap();
    assert!(
        kept.len() as u32 > last,
        "{last} was answered, {} are kept",
        kept.len()
    );
    let setting = work(&store, |t| t.setting("last"));
    assert_eq!(setting, Some((kept.len() - 1).to_string()), "half a job was kept");
}

fn in_file(path: &Path) -> Config {
    Config::Sqlite {
        path: path.to_owned(),
        synchronous: Synchronous::Full,
    }
}

#[test]
fn what_was_answered_survives_the_program_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    killed_amid_work(&in_file(&folder.path().join("swingbridge.db")));
}
