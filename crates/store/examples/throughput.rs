//! Measures a store: `cargo run --release -p swingbridge-store --example throughput [PATH | postgres://URL] [full]`.
//!
//! Without an argument a temporary file is used. `full` waits for the disk with each commit.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::*;
use swingbridge_domain::secret::Secret;
use swingbridge_domain::store::*;
use swingbridge_store::{BATCH, Config, SCHEMA, Synchronous, open};

type Work = fn(&mut dyn Tables, u32) -> Result<()>;

struct Measured {
    work: Work,
    number: u32,
    done: Sender<Result<()>>,
}

impl Job for Measured {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<()> {
        (self.work)(tables, self.number)
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let _ = self.done.send(committed);
    }
}

fn now(number: u32) -> Timestamp {
    Timestamp(1_700_000_000_000 + i64::from(number))
}

fn key(number: u32) -> [u8; 32] {
    // Spread over the index as a digest would be.
    let mut key = [0; 32];
    let spread = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key
}

fn nothing(_: &mut dyn Tables, _: u32) -> Result<()> {
    Ok(())
}

fn small_write(t: &mut dyn Tables, number: u32) -> Result<()> {
    t.inbox_push(vec![7; 200], now(number)).map(drop)
}

/// What a connector hands in: remembered, and put into the inbox.
fn take_in(t: &mut dyn Tables, number: u32) -> Result<()> {
    if t.remember(&key(number), now(number))? {
        t.inbox_push(vec![7; 400], now(number))?;
    }
    Ok(())
}

/// What the engine does with one text from Matrix: look up, record, queue, remove from the inbox.
fn step(t: &mut dyn Tables, number: u32) -> Result<()> {
    let room = RoomId::new(format!("!room{}:example.org", number % 1000));
    let conversation = match t.conversation_by_room(&room)? {
        Some(conversation) => conversation.id,
        None => {
            let contact = t.contact_add(&key(number), &[7; 60], &format!("ghost{number}"))?;
            let id = t.conversation_add(&LineId::new("main"), contact, now(number))?;
            t.conversation_set_room(id, Some(&room))?;
            id
        }
    };
    let message = t.message_add(&MessageRecord {
        id: MessageId(0),
        conversation,
        direction: Direction::Out,
        event: Some(EventId::new(format!(
            "${number}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        ))),
        sender: Some(UserId::new("@alice:example.org")),
        state: State::Queued,
        detail: None,
        segments: 1,
        encoding: None,
        path: None,
        created_at: now(number),
        updated_at: now(number),
    })?;
    t.outbox_push(&NewOutboxRow {
        target: Target::Connector(ConnectorId::new("smsc")),
        lane: Lane::Conversation(conversation),
        message: Some(message),
        state: OutboxState::Queued,
        not_before: now(number),
        created_at: now(number),
        expires_at: Some(now(number + 1_000_000)),
        sealed: vec![7; 400],
    })?;
    t.conversation_touch(conversation, now(number))?;
    t.inbox_remove(InboxId(i64::from(number) + 1))
}

/// What the engine does when the network took it: record the part and the state, remove it from the outbox.
fn accepted(t: &mut dyn Tables, number: u32) -> Result<()> {
    let id = i64::from(number) + 1;
    let Some(mut record) = t.message(MessageId(id))? else {
        return Ok(());
    };
    t.part_add(&PartRecord {
        connector: ConnectorId::new("smsc"),
        network_id: NetworkId::new(format!(
            "{:016x}",
            u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )),
        message: record.id,
        index: 0,
        state: State::Accepted,
    })?;
    record.state = State::Accepted;
    t.message_update(&record)?;
    t.outbox_remove(OutboxId(id))
}

fn measure(store: &Arc<dyn Store>, name: &str, jobs: u32, ahead: usize, work: Work) {
    let (done, answers) = channel::<Result<()>>();
    let started = Instant::now();
    let mut waiting = 0;
    let mut latencies = VecDeque::new();
    let mut longest = std::time::Duration::ZERO;
    for number in 0..jobs {
        if waiting == ahead {
            answers
                .recv()
                .expect("the store answers")
                .expect("the job is committed");
            let at: Instant = latencies.pop_front().expect("as many as wait");
            longest = longest.max(at.elapsed());
            waiting -= 1;
        }
        store.submit(Box::new(Measured {
            work,
            number,
            done: done.clone(),
        }));
        latencies.push_back(Instant::now());
        waiting += 1;
    }
    for _ in 0..waiting {
        answers
            .recv()
            .expect("the store answers")
            .expect("the job is committed");
    }
    let each = started.elapsed().as_secs_f64() / f64::from(jobs);
    println!(
        "{name:<34} {:>9.0} jobs/s {:>8.2} µs each, longest {:>6.1} ms",
        1.0 / each,
        each * 1e6,
        longest.as_secs_f64() * 1e3
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let synchronous = match arguments.iter().any(|word| word == "full") {
        true => Synchronous::Full,
        false => Synchronous::Normal,
    };
    let config = match arguments.iter().find(|word| *word != "full") {
        Some(url) if url.starts_with("postgres") => Config::Postgres {
            url: Secret::new(url),
            schema: SCHEMA.into(),
        },
        Some(path) => Config::Sqlite {
            path: path.into(),
            synchronous,
        },
        None => Config::Sqlite {
            path: folder.path().join("throughput.db"),
            synchronous,
        },
    };
    let jobs = match config {
        Config::Sqlite { .. } => 200_000,
        Config::Postgres { .. } => 20_000,
    };
    let store = open(&config, BATCH).expect("the store opens");
    measure(&store, "nothing", jobs, 2000, nothing);
    measure(&store, "take in (2 statements)", jobs, 2000, take_in);
    measure(&store, "step (5 statements)", jobs, 2000, step);
    measure(&store, "accepted (4 statements)", jobs, 2000, accepted);
    measure(&store, "small write (1 statement)", jobs, 2000, small_write);
    measure(&store, "small write, one at a time", jobs / 20, 1, small_write);
    drop(store);
    let single = open(&config, NonZeroUsize::MIN).expect("the store opens");
    measure(
        &single,
        "small write, a commit each",
        jobs / 20,
        2000,
        small_write,
    );
}
