//! The audit log and the retention report, as an operator and an auditor use them.

use crate::program::{code, said};
use crate::site::{LINE, PATIENCE, Site};
use serde_json::Value;
use std::process::Output;
use swingbridge_lab::smsc;

const PHONE: &str = "+447700900456";

async fn site() -> Site {
    Site::new(|_| {}, smsc::Config::default()).await
}

fn run(site: &Site, arguments: &[&str]) -> Output {
    site.command().args(arguments).output().unwrap()
}

/// The log's entries, as the export gives them.
fn exported(site: &Site) -> Vec<Value> {
    let output = run(site, &["audit-log", "export"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn words(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["what"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_stops_and_changes_stand_in_a_log_that_verifies() {
    let mut site = site().await;
    let early = run(&site, &["audit-log", "verify"]);
    assert_eq!(code(&early), 14, "there is no database yet: {}", said(&early));
    site.start();
    site.ready().await;
    // While the gateway runs.
    let output = run(&site, &["audit-log", "verify"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("3 entries") && text.contains("The log is whole"),
        "{text}"
    );
    let noted = text.lines().last().unwrap().to_owned();
    assert!(site.log().contains(&noted), "the program's log is a witness");
    assert_eq!(site.stop().await, Some(0));

    site.set("RETENTION__MESSAGES", "30d");
    site.set("CONNECTORS__SMPP__PASSWORD", "another");
    site.start();
    let begin = std::time::Instant::now();
    while exported(&site).len() < 6 {
        assert!(
            begin.elapsed() < PATIENCE,
            "the start is not logged\n{}",
            site.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    site.kill();
    let entries = exported(&site);
    assert_eq!(
        words(&entries),
        [
            "log.begun",
            "key.first-used",
            "gateway.started",
            "gateway.stopped",
            "gateway.started",
            "settings.changed"
        ]
    );
    assert_eq!(entries[2]["who"], "gateway");
    assert_eq!(entries[2]["about"], entries[1]["about"]);
    // What was changed is told by section.
    assert!(
        entries[5]["detail"].as_str().unwrap().contains("retention"),
        "{}",
        entries[5]
    );
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry["number"], number + 1);
        assert_eq!(entry["hash"].as_str().map(str::len), Some(64));
        assert!(entry["time"].as_str().unwrap().ends_with('Z') && entry["at"].is_i64());
    }
    let output = run(&site, &["audit-log", "verify", "--since", &noted]);
    assert_eq!(code(&output), 0, "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_tampered_with_is_told() {
    let mut site = site().await;
    site.start();
    site.ready().await;
    assert_eq!(site.stop().await, Some(0));
    let file = site.folder().join("swingbridge.db");
    let edit = |sql: &str| {
        rusqlite::Connection::open(&file)
            .unwrap()
            .execute_batch(sql)
            .unwrap()
    };
    edit("DELETE FROM audit WHERE number = 3");
    let output = run(&site, &["audit-log", "verify"]);
    assert_eq!(code(&output), 1, "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("FAULT  entry 3 is missing") && text.contains("NOT whole"),
        "{text}"
    );
    let report = said(&run(&site, &["retention", "report"]));
    assert!(report.contains("NOT whole"), "{report}");
    // The gateway starts all the same, and says so.
    site.start();
    site.log_says("the audit log was tampered with").await;
    site.ready().await;
    let entries = exported(&site);
    assert_eq!(words(&entries).last(), Some(&"gateway.started"));
    assert_eq!(code(&run(&site, &["audit-log", "verify"])), 1);
}

/// Everything that stands in the database's files.
fn files(site: &Site) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(site.folder()).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with("swingbridge.db"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

fn holder(site: &Site, needle: &[u8]) -> Option<String> {
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    files(site)
        .into_iter()
        .find(|(_, bytes)| holds(bytes))
        .map(|(name, _)| name)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_leaves_neither_text_nor_seal_in_the_database() {
    const TEXT: &str = "the text of a person, to be found nowhere";
    let mut site = site().await;
    site.start();
    let _room = site.meet(PHONE).await;
    // Nothing of it can be delivered while the homeserver is away.
    site.stub.go_away();
    site.carrier.write(PHONE, LINE, TEXT).unwrap();
    let file = site.folder().join("swingbridge.db");
    let queued = || -> Vec<Vec<u8>> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let reader = rusqlite::Connection::open_with_flags(&file, flags).unwrap();
        let mut statement = reader.prepare("SELECT sealed FROM outbox").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let begin = std::time::Instant::now();
    let sealed = loop {
        let sealed = queued();
        if !sealed.is_empty() {
            break sealed;
        }
        assert!(begin.elapsed() < PATIENCE, "nothing was queued\n{}", site.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    // In the queue it is sealed, and the report tells of it.
    assert_eq!(holder(&site, TEXT.as_bytes()), None);
    assert!(sealed.iter().all(|sealed| holder(&site, sealed).is_some()));
    let report = json_report(&site);
    let waiting = kept(&report, "outbox (homeserver)");
    assert!(
        waiting["rows"].as_u64().unwrap() > 0 && waiting["oldest"].is_string(),
        "{waiting}"
    );
    assert_eq!(waiting["overdue"], false);

    site.stub.come_back();
    site.room_with(TEXT).await;
    let begin = std::time::Instant::now();
    while let Some(name) = sealed.iter().find_map(|sealed| holder(&site, sealed)) {
        assert!(
            begin.elapsed() < PATIENCE,
            "what was delivered still stands in {name}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(holder(&site, TEXT.as_bytes()), None);
    assert_eq!(kept(&json_report(&site), "outbox (homeserver)")["rows"], 0);
}

fn json_report(site: &Site) -> Value {
    let output = run(site, &["retention", "report", "--json"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The kind that this table belongs to.
fn kept<'a>(report: &'a Value, table: &str) -> &'a Value {
    let kinds = report["kept"].as_array().unwrap();
    let of = |kind: &&Value| {
        kind["where"]
            .as_array()
            .unwrap()
            .iter()
            .any(|place| place == table)
    };
    kinds.iter().find(of).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retention_report_tells_of_all_that_is_kept() {
    let mut site = site().await;
    site.set("RETENTION__MESSAGES", "30d");
    site.start();
    let room = site.meet(PHONE).await;
    site.alice.say(&room, "an answer").unwrap();
    let wait = site.carrier.wait_for("the answer", PATIENCE, |view| {
        view.messages
            .iter()
            .any(|message| message.text == "an answer")
            .then_some(())
    });
    wait.await.unwrap();
    let report = json_report(&site);
    for kind in report["kept"].as_array().unwrap() {
        for part in ["what", "holds", "how_long", "why", "protected"] {
            let text = kind[part].as_str().unwrap();
            assert!(!text.is_empty() && !text.contains("not describe"), "{kind}");
        }
        assert_eq!(kind["overdue"], false, "{kind}");
    }
    let messages = kept(&report, "messages");
    assert!(messages["rows"].as_u64().unwrap() >= 2, "{messages}");
    assert_eq!(messages["limit_seconds"], 30 * 24 * 3600);
    assert!(
        messages["how_long"]
            .as_str()
            .unwrap()
            .contains("retention.messages")
    );
    assert_eq!(kept(&report, "contacts")["rows"], 1);
    assert_eq!(kept(&report, "audit")["limit_seconds"], 400 * 24 * 3600);
    assert_eq!(report["audit_log"], "whole");

    let text = said(&run(&site, &["retention", "report"]));
    for part in [
        "30d at most (retention.messages)",
        "site.key",
        "XChaCha20-Poly1305",
        "ELSEWHERE",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("OLDER THAN"), "{text}");

    // What is older than its limit is told.
    assert_eq!(site.stop().await, Some(0));
    let file = rusqlite::Connection::open(site.folder().join("swingbridge.db")).unwrap();
    file.execute("UPDATE messages SET created_at = 1, updated_at = 1", [])
        .unwrap();
    drop(file);
    let text = said(&run(&site, &["retention", "report"]));
    assert!(text.contains("OLDER THAN THE LIMIT"), "{text}");
    // And forgotten soon after the next start.
    site.start();
    let begin = std::time::Instant::now();
    while kept(&json_report(&site), "messages")["rows"] != 0 {
        assert!(
            begin.elapsed() < PATIENCE,
            "nothing was forgotten\n{}",
            site.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
