//! Somebody with every right to the database, and without the site key, works on the audit log.

use crate::support::*;
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::audit::{self, Fault, Kind, Mark, NewEntry, Verdict};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::Store;
use swingbridge_store::{OpenError, open_to_read};
use tempfile::TempDir;

/// A closed database with ten entries in its log.
fn logged() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    audited(&opened(&sqlite(folder.path())), 9);
    folder
}

fn edited(folder: &Path, sql: &str) {
    let file = rusqlite::Connection::open(folder.join("swingbridge.db")).unwrap();
    file.execute_batch(sql).unwrap();
}

fn verdict_of(store: &Arc<dyn Store>, since: Option<Mark>) -> Verdict {
    work(store, move |t| audit::verify(t, &keys(), since))
}

fn verdict(folder: &Path) -> Verdict {
    verdict_of(&open_to_read(&sqlite(folder)).unwrap(), None)
}

/// What is found after an edit of an untouched log.
fn found(sql: &str) -> Vec<Fault> {
    let folder = logged();
    assert!(verdict(folder.path()).is_whole());
    edited(folder.path(), sql);
    let found = verdict(folder.path()).faults;
    // Whatever the gateway does afterwards does not cover it up, as long as what it wrote about it is kept.
    let store = opened(&sqlite(folder.path()));
    for _ in 0..2 {
        work(&store, |t| {
            audit::append(t, &keys(), after(100), &NewEntry::new(Kind::Requeued))
        });
        let _ = attempt(&store, |t| audit::prune(t, &keys(), after(50), 99));
    }
    let still = verdict_of(&store, None);
    assert_eq!(
        still.is_whole(),
        found.is_empty(),
        "{sql}: {found:?}, and then {still:?}"
    );
    found
}

fn altered(number: i64, second: u64) -> Fault {
    let at = Some(after(second));
    Fault::Altered { number, at }
}

#[test]
fn an_altered_entry_is_found() {
    let detail =
        "UPDATE audit SET entry = CAST(replace(entry, 'number 3', 'number 4') AS BLOB) WHERE number = 5";
    assert_eq!(found(detail), [altered(5, 3)]);
    let who =
        "UPDATE audit SET entry = CAST(replace(entry, 'gateway', 'operator') AS BLOB) WHERE number = 10";
    assert_eq!(found(who), [altered(10, 8)]);
    let nonsense = "UPDATE audit SET entry = x'ff' WHERE number = 5";
    assert_eq!(found(nonsense), [Fault::Altered { number: 5, at: None }]);
    let time = format!(
        "UPDATE audit SET entry = CAST(replace(entry, '{}', '1') AS BLOB) WHERE number = 5",
        after(3).0
    );
    assert_eq!(
        found(&time),
        [Fault::Altered {
            number: 5,
            at: Some(swingbridge_domain::clock::Timestamp(1))
        }]
    );
    // The hash alone: it and the link to it are wrong.
    let hash = "UPDATE audit SET mac = zeroblob(32) WHERE number = 5";
    assert_eq!(found(hash)[0], altered(5, 3));
    let short = "UPDATE audit SET mac = x'00' WHERE number = 10";
    assert_eq!(found(short), [altered(10, 8)]);
}

#[test]
fn a_removed_entry_is_found() {
    let missing = |from, to| [Fault::Missing { from, to }];
    assert_eq!(found("DELETE FROM audit WHERE number = 5"), missing(5, 5));
    assert_eq!(
        found("DELETE FROM audit WHERE number IN (4, 5, 6)"),
        missing(4, 6)
    );
    // At the front and at the end, where the chain itself shows no gap.
    assert_eq!(found("DELETE FROM audit WHERE number <= 3"), missing(1, 3));
    assert_eq!(found("DELETE FROM audit WHERE number >= 9"), missing(9, 10));
    assert_eq!(found("DELETE FROM audit"), missing(1, 10));
}

#[test]
fn a_removed_entry_whose_place_is_closed_is_found() {
    let faults = found(
        "DELETE FROM audit WHERE number = 5;
         UPDATE audit SET number = number - 1 WHERE number > 5",
    );
    assert_eq!(faults.first(), Some(&altered(5, 4)));
    assert_eq!(faults.last(), Some(&Fault::Missing { from: 10, to: 10 }));
}

#[test]
fn an_inserted_entry_is_found() {
    let behind = "INSERT INTO audit SELECT 11, CAST(replace(entry, '\"number\":10', '\"number\":11') AS BLOB), mac FROM audit WHERE number = 10";
    assert_eq!(found(behind), [Fault::Foreign { number: 11 }]);
    let before = "INSERT INTO audit SELECT 0, entry, mac FROM audit WHERE number = 1";
    assert_eq!(found(before), [Fault::Foreign { number: 0 }]);
    let between = "UPDATE audit SET number = number + 100 WHERE number > 5;
         UPDATE audit SET number = number - 99 WHERE number > 100;
         INSERT INTO audit SELECT 6, entry, mac FROM audit WHERE number = 5";
    assert!(found(between).contains(&altered(6, 3)));
}

#[test]
fn entries_that_change_places_are_found() {
    let faults = found(
        "UPDATE audit SET number = 0 WHERE number = 5;
         UPDATE audit SET number = 5 WHERE number = 6;
         UPDATE audit SET number = 6 WHERE number = 0",
    );
    assert_eq!(faults[..2], [altered(5, 4), altered(6, 3)]);
}

#[test]
fn the_ends_cannot_be_moved() {
    let earlier = tempfile::tempdir().unwrap();
    audited(&opened(&sqlite(earlier.path())), 6);
    let ends: String = rusqlite::Connection::open(earlier.path().join("swingbridge.db"))
        .unwrap()
        .query_row(
            "SELECT value FROM settings WHERE name = 'audit_ends'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    // The ends of a log that was shorter, which the key made, under a log that is longer. Nothing is lost by it: what is behind the
    // end is gone on from when it is right.
    let folder = logged();
    edited(
        folder.path(),
        &format!("UPDATE settings SET value = '{ends}' WHERE name = 'audit_ends'"),
    );
    let foreign = [8, 9, 10].map(|number| Fault::Foreign { number });
    assert_eq!(verdict(folder.path()).faults, foreign);
    let store = opened(&sqlite(folder.path()));
    audited(&store, 1);
    assert_eq!(
        (
            verdict_of(&store, None).is_whole(),
            verdict_of(&store, None).entries
        ),
        (true, 11)
    );
    let forged = ends.replace("7:", "9:");
    assert_eq!(
        found(&format!(
            "UPDATE settings SET value = '{forged}' WHERE name = 'audit_ends'"
        )),
        [Fault::EndsAltered]
    );
    assert_eq!(
        found("DELETE FROM settings WHERE name = 'audit_ends'"),
        [Fault::EndsGone]
    );
    assert_eq!(
        found(
            "DELETE FROM settings WHERE name = 'audit_ends' AND 0; DELETE FROM audit; UPDATE settings SET value = 'x' WHERE name = 'audit_ends'"
        ),
        [Fault::EndsAltered]
    );
}

#[test]
fn a_log_that_was_taken_away_begins_in_a_database_that_was_in_use() {
    let folder = logged();
    let store = opened(&sqlite(folder.path()));
    work(&store, |t| conversation(t, 1));
    drop(store);
    edited(
        folder.path(),
        "DELETE FROM audit; DELETE FROM settings WHERE name = 'audit_ends'",
    );
    assert_eq!(verdict(folder.path()).faults, [Fault::NoLog]);
    let store = opened(&sqlite(folder.path()));
    audited(&store, 1);
    let verdict = verdict_of(&store, None);
    assert_eq!(verdict.begun_in_use, Some(NOW));
}

#[test]
fn an_older_state_is_told_from_a_noted_one() {
    let folder = logged();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(
        folder.path().join("swingbridge.db"),
        copy.path().join("swingbridge.db"),
    )
    .unwrap();
    let store = opened(&sqlite(folder.path()));
    audited(&store, 3);
    let noted = verdict_of(&store, None).end;
    assert!(verdict_of(&store, noted).is_whole());

    // The copy is whole in itself, and goes on in its own way.
    let old = opened(&sqlite(copy.path()));
    assert!(verdict_of(&old, None).is_whole());
    assert_eq!(verdict_of(&old, noted).faults, [Fault::NotSince(noted.unwrap())]);
    work(&old, |t| {
        audit::append(t, &keys(), NOW, &NewEntry::new(Kind::Requeued))
    });
    audited(&old, 9);
    assert!(verdict_of(&old, None).is_whole());
    assert_eq!(verdict_of(&old, noted).faults, [Fault::NotSince(noted.unwrap())]);
    // What was noted reads back as it was printed.
    assert_eq!(noted.and_then(|mark| Mark::parse(&mark.to_string())), noted);
}

#[test]
fn the_gateway_does_not_destroy_what_was_tampered_with() {
    let folder = logged();
    let old = format!(
        "UPDATE audit SET entry = CAST(replace(entry, '{}', '1') AS BLOB) WHERE number = 1",
        NOW.0
    );
    edited(folder.path(), &old);
    let store = opened(&sqlite(folder.path()));
    let pruned = attempt(&store, |t| audit::prune(t, &keys(), NOW, 99));
    assert!(pruned.is_err_and(|error| error.to_string().contains("audit-log verify")));
    assert_eq!(verdict_of(&store, None).entries, 10);
}

#[test]
fn another_key_verifies_nothing() {
    let folder = logged();
    let store = open_to_read(&sqlite(folder.path())).unwrap();
    let other = Keys::derive(&[8; 32], Arc::new(NoEntropy));
    let verdict = work(&store, move |t| audit::verify(t, &other, None));
    assert_eq!(verdict.faults[0], Fault::EndsAltered);
}

#[test]
fn faults_are_told_in_words() {
    let told: Vec<String> = [
        Fault::Missing { from: 3, to: 3 },
        Fault::Missing { from: 3, to: 5 },
        altered(5, 0),
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert_eq!(
        told,
        [
            "entry 3 is missing",
            "entries 3 to 5 are missing",
            "entry 5 (2023-11-14T22:13:20Z) is not what was written: it was altered, put in or moved"
        ]
    );
}

#[test]
fn the_log_is_read_beside_the_gateway_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let missing = open_to_read(&sqlite(folder.path())).err();
    assert!(matches!(missing, Some(OpenError::Unavailable(_))), "{missing:?}");
    let store = opened(&sqlite(folder.path()));
    audited(&store, 9);
    let reader = open_to_read(&sqlite(folder.path())).unwrap();
    assert_eq!(verdict_of(&reader, None).entries, 10);
    audited(&store, 1);
    assert_eq!(verdict_of(&reader, None).entries, 11);
    let written = attempt(&reader, |t| {
        audit::append(t, &keys(), NOW, &NewEntry::new(Kind::Requeued))
    });
    assert!(written.is_err());
    drop(reader);
    assert_eq!(verdict_of(&store, None).entries, 11);
    drop(store);
    // Nor is a gateway needed.
    assert_eq!(verdict(folder.path()).entries, 11);
}

#[test]
fn a_database_of_an_older_program_is_not_read() {
    let folder = logged();
    edited(folder.path(), "DELETE FROM migrations WHERE number > 2");
    let refused = open_to_read(&sqlite(folder.path())).err();
    assert!(
        matches!(refused, Some(OpenError::Older { database: 2, .. })),
        "{refused:?}"
    );
}
