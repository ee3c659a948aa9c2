//! What the file promises.

use crate::support::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::store::{EarlyReceipt, NewOutboxRow, Store};
use swingbridge_store::{BATCH, Config, OpenError, Synchronous, open};
use tempfile::TempDir;

fn refused(config: &Config) -> OpenError {
    match open(config, BATCH) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

fn at(path: PathBuf) -> Config {
    Config::Sqlite {
        path,
        synchronous: Synchronous::Full,
    }
}

/// The database and what stands beside it.
fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    files(folder).iter().any(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[test]
fn erased_bodies_are_not_in_the_files_any_more() {
    const NEEDLE: &[u8] = b"a body that has to go";
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    // Bodies of all sizes: in a page with others, and spilled over many.
    for length in [1usize, 40, 900] {
        work(&store, move |t| {
            let body = NEEDLE.repeat(length);
            let conversation = conversation(t, length as u8)?;
            let inbox = t.inbox_push(body.clone(), NOW)?;
            t.inbox_bury(inbox, "why")?;
            t.inbox_push(body.clone(), NOW)?;
            t.outbox_push(&NewOutboxRow {
                sealed: body.clone(),
                ..parcel(conversation, None)
            })?;
            let assembly = t.assembly_add(conversation, "key", 2, NOW)?;
            t.assembly_part_add(assembly, 1, &body)?;
            t.early_receipt_add(&EarlyReceipt {
                connector: connector(),
                network_id: NetworkId::new("id"),
                sealed: body,
                received_at: NOW,
            })
        });
    }
    assert!(holds(folder.path(), NEEDLE));
    work(&store, |t| {
        t.inbox_exhume()?;
        for row in t.inbox_oldest(99)? {
            t.inbox_remove(row.id)?;
        }
        for head in t.outbox_heads()? {
            t.outbox_remove(head.id)?;
        }
        for conversation in t.conversations(None, 99)? {
            let assembly = t.assembly_by_key(conversation.id, "key")?.unwrap();
            t.assembly_remove(assembly.id)?;
        }
        t.early_receipts_take(&connector(), &NetworkId::new("id"))
    });
    until("the bodies are gone from the files", || {
        !holds(folder.path(), NEEDLE)
    });
}

#[test]
fn a_file_that_was_emptied_grows_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    let size = || fs::metadata(folder.path().join("swingbridge.db")).unwrap().len();
    const MIB: u64 = 1 << 20;
    work(&store, |t| {
        for _ in 0..20 {
            t.inbox_push(vec![7; MIB as usize], NOW)?;
        }
        Ok(())
    });
    until("the log is in the file", || size() > 20 * MIB);
    work(&store, |t| {
        for row in t.inbox_oldest(99)? {
            t.inbox_remove(row.id)?;
        }
        Ok(())
    });
    until("free pages are given back", || size() < 16 * MIB);
}

#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = sqlite(folder.path());
    let check = || {
        let files = files(folder.path());
        assert_eq!(files.len(), 4, "{files:?}");
        for file in files {
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    };
    let store = opened(&config);
    check();
    drop(store);
    let path = folder.path().join("swingbridge.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = opened(&config);
    check();
}

#[test]
fn a_second_gateway_is_kept_out_by_whatever_path_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("swingbridge.db"), &link).unwrap();
    for config in [sqlite(folder.path()), at(link.clone())] {
        let error = refused(&config);
        assert!(matches!(error, OpenError::InUse(_)), "{error}");
        assert!(error.to_string().contains("swingbridge.db"), "{error}");
    }
    work(&store, |t| t.setting_set("still", "works"));
    drop(store);
    let store = opened(&at(link));
    assert_eq!(work(&store, |t| t.setting("still")).as_deref(), Some("works"));
}

/// A database with some contents, closed.
fn filled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    work(&store, |t| {
        for n in 0..200u8 {
            t.inbox_push(vec![n; 500], NOW)?;
        }
        Ok(())
    });
    drop(store);
    let path = folder.path().join("swingbridge.db");
    (folder, path)
}

#[test]
fn a_damaged_file_is_refused_with_what_to_do() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    let overwritten = |from: usize, to: usize| {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0x5a);
        bytes
    };
    let cut = whole[..whole.len() / 2].to_vec();
    for bytes in [overwritten(0, 100), overwritten(4096, whole.len()), cut] {
        fs::write(&path, bytes).unwrap();
        let error = refused(&at(path.clone()));
        assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("swingbridge.db") && text.contains("restore"),
            "{text}"
        );
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(work(&opened(&at(path)), |t| t.inbox_oldest(999)).len(), 200);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("homeserver.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE events (id TEXT)").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = refused(&at(path.clone()));
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&at(folder.path().join("nowhere/swingbridge.db")));
    assert!(matches!(error, OpenError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

fn migrations(path: &Path, sql: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[test]
fn a_database_of_a_newer_program_is_refused_untouched() {
    let (_folder, path) = filled();
    migrations(&path, "INSERT INTO migrations VALUES (9999, 'later', '')");
    let error = refused(&at(path.clone()));
    assert!(
        matches!(error, OpenError::Newer { database: 9999, .. }),
        "{error:?}"
    );
    migrations(&path, "DELETE FROM migrations WHERE number = 9999");
    opened(&at(path));
}

#[test]
fn an_altered_migration_is_refused() {
    let (_folder, path) = filled();
    migrations(&path, "UPDATE migrations SET checksum = 'other' WHERE number = 1");
    let error = refused(&at(path));
    assert_eq!(
        error,
        OpenError::Altered {
            migration: "0001_start".into()
        }
    );
}

#[test]
fn a_dropped_store_runs_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    let go_on = occupy(&store);
    let answers: Vec<_> = (0..9u8)
        .map(|n| submit(&store, move |t| t.inbox_push(vec![n], NOW).map(drop)))
        .collect();
    let dropping = std::thread::spawn(move || drop(store));
    go_on.send(()).unwrap();
    dropping.join().unwrap();
    assert!(answers.iter().all(|answer| answer.recv() == Ok(Ok(()))));
    let store = opened(&sqlite(folder.path()));
    assert_eq!(work(&store, |t| t.inbox_oldest(99)).len(), 9);
}

#[test]
fn a_job_may_own_the_store_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&sqlite(folder.path()));
    let go_on = occupy(&store);
    let owner = Arc::clone(&store);
    let answer = submit(&store, move |t| {
        drop(owner);
        t.setting_set("kept", "yes")
    });
    drop(store);
    go_on.send(()).unwrap();
    assert_eq!(answer.recv(), Ok(Ok(())));
    let mut store = None;
    until("the thread gave the file back", || {
        store = open(&sqlite(folder.path()), BATCH).ok();
        store.is_some()
    });
    let store: Arc<dyn Store> = store.unwrap();
    assert_eq!(work(&store, |t| t.setting("kept")).as_deref(), Some("yes"));
}
