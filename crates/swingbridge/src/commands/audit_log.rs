//! `audit-log`: verifies and prints the audit log, beside a running gateway or without one.

use crate::cli::AuditLog;
use crate::config::{self, Config, Sources};
use crate::exit::{Ends, Exit, Failure};
use crate::wiring;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use swingbridge_domain::audit::{self, Entry, Mark, Verdict};
use swingbridge_domain::store::{self, AuditRow, Store, StoreError, Tables};

/// Entries read at once.
const PAGE: u32 = 512;

pub fn run(sources: &Sources, act: AuditLog) -> Result<ExitCode, Failure> {
    let config = config::load(sources).map_err(Failure::load)?;
    let store = wiring::store_to_read(&config).ends(Exit::Database)?;
    match act {
        AuditLog::Verify { since } => verify(&config, &store, since),
        AuditLog::Export => export(&store).map(|()| ExitCode::SUCCESS),
    }
}

/// Runs a job, all of it in one view of the database.
pub(super) fn read<T: Send + 'static>(
    store: &Arc<dyn Store>,
    job: impl FnOnce(&mut dyn Tables) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime
        .block_on(store::run(store.as_ref(), job))
        .ends(Exit::Database)
}

fn verify(config: &Config, store: &Arc<dyn Store>, since: Option<Mark>) -> Result<ExitCode, Failure> {
    let keys = wiring::keys(config);
    let verdict = read(store, move |tables| audit::verify(tables, &keys, since))?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", told(&verdict, since))?;
    Ok(match verdict.is_whole() {
        true => ExitCode::SUCCESS,
        false => Exit::Other.into(),
    })
}

/// The verdict, in words.
fn told(verdict: &Verdict, since: Option<Mark>) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for fault in &verdict.faults {
        let _ = writeln!(out, "FAULT  {fault}");
    }
    let entries = match verdict.entries {
        1 => "1 entry".to_owned(),
        many => format!("{many} entries"),
    };
    let _ = match (verdict.oldest, verdict.latest) {
        (Some((first, from)), Some((last, to))) => {
            writeln!(out, "{entries}, from {first} ({from}) to {last} ({to})")
        }
        _ => writeln!(out, "{entries}"),
    };
    if verdict.forgotten > 0 {
        let _ = writeln!(
            out,
            "entries up to {} were forgotten, as retention.audit says",
            verdict.forgotten
        );
    }
    if let Some(at) = verdict.begun_in_use {
        let _ = writeln!(
            out,
            "note: the log begins at {at} in a database that was in use before. That is right when the gateway was upgraded then; \
             else the log was taken away"
        );
    }
    match since {
        Some(_) if verdict.since_forgotten => {
            let _ = writeln!(
                out,
                "note: what was noted is forgotten by now, so that nothing can be said about it"
            );
        }
        Some(mark) if verdict.is_whole() => {
            let _ = writeln!(out, "it goes on from what was noted at entry {}", mark.number);
        }
        _ => {}
    }
    if verdict.is_whole() {
        let _ = writeln!(
            out,
            "The log is whole: nothing was removed, altered, put in or moved."
        );
        if let Some(end) = verdict.end {
            let _ = writeln!(
                out,
                "Its end, to be noted elsewhere and given to --since later:\n{end}"
            );
        }
    } else {
        let _ = writeln!(
            out,
            "The log is NOT whole. Keep a copy of the database and of your backups before anything else."
        );
    }
    out
}

/// A line of the export: see docs/specs/audit-log.md.
#[derive(Serialize)]
struct Line {
    /// RFC 3339, for people; `at` counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    entry: Option<Entry>,
    /// An entry that cannot be read: its number, and the bytes that stand in its place.
    #[serde(flatten)]
    unreadable: Option<Unreadable>,
    hash: String,
}

#[derive(Serialize)]
struct Unreadable {
    number: i64,
    unreadable: String,
}

impl Line {
    fn of(row: &AuditRow) -> Self {
        let entry = Entry::parse(row);
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        Self {
            time: entry.as_ref().map(|entry| entry.at.to_string()),
            unreadable: entry.is_none().then(|| Unreadable {
                number: row.number,
                unreadable: hex(&row.entry),
            }),
            entry,
            hash: hex(&row.mac),
        }
    }
}

fn export(store: &Arc<dyn Store>) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut after = i64::MIN;
    loop {
        let rows = read(store, move |tables| tables.audit_rows(after, PAGE))?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        for row in &rows {
            serde_json::to_writer(&mut out, &Line::of(row))?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}
