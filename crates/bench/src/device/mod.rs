//! The program on a device: how fast it mirrors, and what it takes of memory and processor.

mod relay;

use crate::report::{Aim, Part, median};
use crate::session::runtime;
use crate::site::{SystemClock, number};
use crate::{Places, proc};
use anyhow::{Context, Result, ensure};
use relay::{Home, Relay};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swingbridge_domain::clock::Clock;
use swingbridge_lab::client::{Place, Seen};
use swingbridge_lab::macos::chatdb::{ChatDb, apple_now};
use swingbridge_lab::macos::schema::Release;
use swingbridge_lab::macos::{self, Mac};
use swingbridge_lab::process::{Process, free_port};
use swingbridge_lab::{sms_gateway, termux};
use tempfile::TempDir;

const TEXTS: u32 = 60;
/// The first ones make the room and share its keys.
const WARM: u32 = 5;
const CONVERSATIONS: u32 = 1_000;
const ROWS: u32 = 1_000_000;
/// How long it is watched at idle.
const IDLE: Duration = Duration::from_secs(60);
/// How long it is left alone before that.
const SETTLE: Duration = Duration::from_secs(20);
/// Nothing more comes after so long without news.
const QUIET: Duration = Duration::from_secs(3);
/// How often the phone is looked at; on a Mac it is the default.
const POLL: Duration = Duration::from_millis(200);

/// How fast it mirrors, and what it takes of the processor at rest.
///
/// # Errors
/// When the device does not start or a text gets lost.
pub fn mirror(part: &mut Part, places: &Places) -> Result<()> {
    let Some(python) = synapse(part, places) else {
        return Ok(());
    };
    let runtime = runtime()?;
    runtime.block_on(on_a_phone(part, places, &python))?;
    runtime.block_on(beside_a_phone(part, places, &python))?;
    runtime.block_on(on_a_mac(part, places, &python))?;
    part.note(LATENCY);
    part.note(AT_IDLE);
    Ok(())
}

/// What it takes with as many conversations as a person has in years.
///
/// # Errors
/// When the device does not start or a text gets lost.
pub fn conversations(part: &mut Part, places: &Places) -> Result<()> {
    let Some(python) = synapse(part, places) else {
        return Ok(());
    };
    runtime()?.block_on(a_thousand(part, places, &python))?;
    part.note(AT_IDLE);
    Ok(())
}

/// A Mac with very many messages.
///
/// # Errors
/// When the device does not start or a text gets lost.
pub fn chatdb(part: &mut Part, places: &Places) -> Result<()> {
    let Some(python) = synapse(part, places) else {
        return Ok(());
    };
    runtime()?.block_on(a_million(part, places, &python))?;
    part.note(LATENCY);
    part.note(AT_IDLE);
    Ok(())
}

const LATENCY: &str = "60 texts of one contact, one after the other, from when each is written on the emulated phone or Mac until the \
                       owner's client has the encrypted event, with the wait for the next look (each 0.2 s; a webhook has none); \
                       Synapse on SQLite";
const AT_IDLE: &str = "at idle for a minute after everything was mirrored; the programs that the device starts (Termux's) are not counted";

fn synapse(part: &mut Part, places: &Places) -> Option<PathBuf> {
    let python = places.peers.join("synapse/bin/python");
    if !python.exists() {
        part.note("left out: Synapse is not installed");
        return None;
    }
    Some(python)
}

async fn on_a_phone(part: &mut Part, places: &Places, python: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let phone = termux::Phone::new(folder.path(), &termux::program()?)?;
    phone.keeps_time()?;
    let home = Home::open(python).await?;
    let programs = (
        "CONNECTORS__SMS__PROGRAMS",
        phone.programs().display().to_string(),
    );
    let quick = ("CONNECTORS__SMS__POLL", POLL.as_secs_f64().to_string());
    let relay = Relay::new(places, &home, "termux", "the phone answers", &[programs, quick])?;
    let (process, _) = relay.start().await?;
    let times = latency(&home, &process, |text| {
        Ok(phone.receives(&number(1), text).map(drop)?)
    })
    .await?;
    latencies(part, "a phone, polled each 0.2 s", POLL, times);
    let used = idle(&process).await?;
    part.ours("at idle, a phone, polled each 0.2 s", used, "% of a core", None);
    Ok(())
}

async fn beside_a_phone(part: &mut Part, places: &Places, python: &Path) -> Result<()> {
    let phone = sms_gateway::Phone::start(SystemClock.now().millis() / 1000).await?;
    let home = Home::open(python).await?;
    let port = free_port()?;
    let settings = [
        ("CONNECTORS__SMS__URL", phone.url()),
        ("CONNECTORS__SMS__USER", sms_gateway::USER.to_owned()),
        ("CONNECTORS__SMS__PASSWORD", sms_gateway::PASSWORD.to_owned()),
        (
            "CONNECTORS__SMS__SIGNING_KEY",
            sms_gateway::SIGNING_KEY.to_owned(),
        ),
        (
            "CONNECTORS__SMS__WEBHOOK_URL",
            format!("http://127.0.0.1:{port}/hook/of-the-bench"),
        ),
        ("WEBHOOKS__ADDRESS", format!("127.0.0.1:{port}")),
    ];
    let relay = Relay::new(places, &home, "sms-gateway", "the service answers", &settings)?;
    let (process, _) = relay.start().await?;
    // What is older than the relay is history, which is shown in another way.
    phone.is_at(SystemClock.now().millis() / 1000 + 1);
    let times = latency(&home, &process, |text| {
        phone.receives(&number(1), text);
        Ok(())
    })
    .await?;
    latencies(part, "a webhook", Duration::ZERO, times);
    let used = idle(&process).await?;
    part.ours(
        "at idle, beside a phone with webhooks",
        used,
        "% of a core",
        Some(Aim::AtMost(1.0)),
    );
    Ok(())
}

async fn on_a_mac(part: &mut Part, places: &Places, python: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mac = mac(&folder)?;
    let home = Home::open(python).await?;
    let relay = Relay::new(places, &home, "imessage", READS, &of_mac(&mac))?;
    let (process, took) = relay.start().await?;
    starts(part, "start, an empty chat.db", &process)?;
    part.ours(
        "start until it reads, an empty chat.db",
        took.as_secs_f64() * 1e3,
        "ms",
        None,
    );
    let times = latency(&home, &process, |text| mac.says(&number(1), text).map(drop)).await?;
    latencies(part, "a row of chat.db", Duration::ZERO, times);
    let used = idle(&process).await?;
    part.ours("at idle, on a Mac", used, "% of a core", Some(Aim::AtMost(1.0)));
    part.ours(
        "resident, one conversation",
        proc::resident(process.id())?,
        "MB",
        None,
    );
    Ok(())
}

/// Each with its encrypted room.
async fn a_thousand(part: &mut Part, places: &Places, python: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mac = mac(&folder)?;
    let home = Home::open(python).await?;
    let relay = Relay::new(places, &home, "imessage", READS, &of_mac(&mac))?;
    let (process, _) = relay.start().await?;
    let begun = Instant::now();
    for contact in 0..CONVERSATIONS {
        mac.says(&number(contact), "hello from a phone")?;
    }
    let patience = Duration::from_secs(30 * 60);
    relay
        .drained(SystemClock.now().millis(), patience)
        .await
        .with_context(|| process.log_tail(20))?;
    let rate = f64::from(CONVERSATIONS) / begun.elapsed().as_secs_f64();
    let mut rooms = HashSet::new();
    home.outside
        .wait_for("an invitation to each", |seen| {
            if seen.place == Place::Invite && seen.kind() == "m.room.encryption" {
                rooms.insert(seen.room.clone());
            }
            (rooms.len() >= CONVERSATIONS as usize).then_some(())
        })
        .await?;
    part.ours("conversations begun", rate, "/s", None);
    tokio::time::sleep(SETTLE).await;
    part.ours(
        "resident, 1 000 conversations begun since the start",
        proc::resident(process.id())?,
        "MB",
        Some(Aim::AtMost(70.0)),
    );
    drop(process);
    let (process, took) = relay.start().await?;
    part.ours(
        "start until it reads, 1 000 conversations",
        took.as_secs_f64() * 1e3,
        "ms",
        None,
    );
    let used = idle(&process).await?;
    part.ours(
        "resident, 1 000 conversations at rest",
        proc::resident(process.id())?,
        "MB",
        Some(Aim::AtMost(70.0)),
    );
    part.ours(
        "at idle, 1 000 conversations",
        used,
        "% of a core",
        Some(Aim::AtMost(1.0)),
    );
    Ok(())
}

async fn a_million(part: &mut Part, places: &Places, python: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mac = mac(&folder)?;
    fill(&mac.db())?;
    let home = Home::open(python).await?;
    let relay = Relay::new(places, &home, "imessage", READS, &of_mac(&mac))?;
    let (process, took) = relay.start().await?;
    let aim = Some(Aim::AtMost(1_000.0));
    starts(part, "first start", &process)?;
    part.ours(
        "first start until it reads, a chat.db of 1 000 000",
        took.as_secs_f64() * 1e3,
        "ms",
        aim,
    );
    let times = latency(&home, &process, |text| mac.says(&number(1), text).map(drop)).await?;
    latencies(part, "a row of a chat.db of 1 000 000", Duration::ZERO, times);
    drop(process);
    let (process, took) = relay.start().await?;
    starts(part, "later start", &process)?;
    part.ours(
        "later start until it reads, a chat.db of 1 000 000",
        took.as_secs_f64() * 1e3,
        "ms",
        aim,
    );
    let used = idle(&process).await?;
    part.ours(
        "at idle, a chat.db of 1 000 000",
        used,
        "% of a core",
        Some(Aim::AtMost(1.0)),
    );
    part.ours(
        "resident, a chat.db of 1 000 000",
        proc::resident(process.id())?,
        "MB",
        None,
    );
    Ok(())
}

const READS: &str = "reads Messages' database";

fn mac(folder: &TempDir) -> Result<Mac> {
    Mac::with_program(folder.path(), Release::Tahoe, &macos::program()?)
}

fn of_mac(mac: &Mac) -> [(&'static str, String); 3] {
    [
        (
            "CONNECTORS__IMESSAGE__DATABASE",
            mac.database().display().to_string(),
        ),
        (
            "CONNECTORS__IMESSAGE__STAGING",
            mac.staging().display().to_string(),
        ),
        (
            "CONNECTORS__IMESSAGE__OSASCRIPT",
            mac.osascript().display().to_string(),
        ),
    ]
}

/// Messages of five years with 500 people, the newest of now.
fn fill(db: &ChatDb) -> Result<()> {
    let body =
        macos::typedstream::Body::plain("a text of the usual length, that somebody wrote at some time");
    let hex = body.encode(macos::typedstream::Order::Little);
    let hex: String = hex.iter().map(|octet| format!("{octet:02x}")).collect();
    for contact in 0..500 {
        db.direct(&number(contact), "iMessage")?;
    }
    let now = apple_now();
    let apart = 5 * 365 * 86_400 * 1_000_000_000 / i64::from(ROWS);
    db.connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO message (guid, attributedBody, handle_id, service, date, is_from_me, is_finished, is_delivered)
         SELECT hex(randomblob(16)), x'{hex}', 1 + i % 500, 'iMessage', {now} - ({ROWS} - i) * {apart}, i % 2, 1, 1 FROM n;
         INSERT INTO chat_message_join (chat_id, message_id, message_date)
         SELECT handle_id, ROWID, date FROM message;
         COMMIT;"
    ))?;
    Ok(())
}

/// In milliseconds.
struct Mirrored {
    times: Vec<f64>,
    /// Processor time of a text, with what the program does meanwhile.
    cpu: f64,
}

/// From when a text is written until the owner's client has it, encrypted.
async fn latency(home: &Home, process: &Process, receives: impl Fn(&str) -> Result<()>) -> Result<Mirrored> {
    receives("text number 0")?;
    let room = home
        .outside
        .wait_for("the invitation", |seen| {
            let encrypts = seen.place == Place::Invite && seen.kind() == "m.room.encryption";
            encrypts.then(|| seen.room.clone())
        })
        .await
        .with_context(|| process.log_tail(20))?;
    home.outside.join(&room).await?;
    // Whatever it says: this client cannot read what is encrypted. What the room is told at first is encrypted as well.
    let is_one =
        |seen: &Seen| seen.place == Place::Timeline && seen.room == room && seen.kind() == "m.room.encrypted";
    let first = quiet(home, is_one).await?;
    let mut times = Vec::new();
    let mut before = proc::cpu(process.id())?;
    for at in 1..=WARM + TEXTS {
        if at == WARM + 1 {
            before = proc::cpu(process.id())?;
        }
        // Spread over the interval, and the same in each run.
        tokio::time::sleep(Duration::from_millis(u64::from(at) * 73 % 200)).await;
        let (known, mut shown) = (first + at - 1, 0);
        let begun = Instant::now();
        receives(&format!("text number {at}"))?;
        home.outside
            .wait_for("the next text", |seen| {
                shown += u32::from(is_one(seen));
                (shown > known).then_some(())
            })
            .await
            .with_context(|| process.log_tail(20))?;
        if at > WARM {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let used = proc::cpu(process.id())?.saturating_sub(before);
    let last = quiet(home, is_one).await?;
    ensure!(
        last == first + WARM + TEXTS,
        "{} events of {} texts: the times are not theirs",
        last - first,
        WARM + TEXTS
    );
    Ok(Mirrored {
        times,
        cpu: used.as_secs_f64() * 1e3 / f64::from(TEXTS),
    })
}

/// How many of these events there are, once no more come.
async fn quiet(home: &Home, is_one: impl Fn(&Seen) -> bool) -> Result<u32> {
    loop {
        let begun = Instant::now();
        home.outside.sync(QUIET).await?;
        let seen = home.outside.seen().await;
        let count = seen.iter().filter(|seen| is_one(seen)).count();
        if count > 0 && begun.elapsed() >= QUIET {
            return Ok(u32::try_from(count)?);
        }
    }
}

/// `poll`: what a text may wait for the next look, which the aim leaves out.
fn latencies(part: &mut Part, what: &str, poll: Duration, mirrored: Mirrored) {
    let Mirrored { mut times, cpu } = mirrored;
    let middle = median(&mut times);
    let late = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
    let aim = Some(Aim::AtMost(150.0 + poll.as_secs_f64() * 1e3));
    part.ours(&format!("{what} to the client, median"), middle, "ms", aim);
    part.ours("  95 of 100", late, "ms", None);
    part.ours("  processor time", cpu, "ms", None);
}

/// The processor's share of a start, which other work on the machine changes little.
fn starts(part: &mut Part, what: &str, process: &Process) -> Result<()> {
    let used = proc::cpu(process.id())?.as_secs_f64() * 1e3;
    part.ours(&format!("{what}, processor time"), used, "ms", None);
    Ok(())
}

/// Hundredths of a core.
async fn idle(process: &Process) -> Result<f64> {
    tokio::time::sleep(SETTLE).await;
    let (before, begun) = (proc::cpu(process.id())?, Instant::now());
    tokio::time::sleep(IDLE).await;
    let used = proc::cpu(process.id())?.saturating_sub(before);
    Ok(used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0)
}
