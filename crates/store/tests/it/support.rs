//! What the tests share: databases to run on, and jobs that block until they are committed.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use swingbridge_domain::audit::{self, Kind, NewEntry};
use swingbridge_domain::clock::{Entropy, Timestamp};
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::*;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::*;
use swingbridge_store::{BATCH, Config, Synchronous, open};

/// A moment that others are told from.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub fn after(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

/// A database in a file, in `folder`. The tests run where nobody cuts the power.
pub fn sqlite(folder: &Path) -> Config {
    Config::Sqlite {
        path: folder.join("swingbridge.db"),
        synchronous: Synchronous::Normal,
    }
}

pub fn opened(config: &Config) -> Arc<dyn Store> {
    open(config, BATCH).unwrap()
}

/// Runs a job and waits for its commit.
pub fn attempt<T: Send + 'static>(
    store: &Arc<dyn Store>,
    job: impl FnOnce(&mut dyn Tables) -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(run(store.as_ref(), job))
}

/// As [`attempt`], of what has to work.
pub fn work<T: Send + 'static>(
    store: &Arc<dyn Store>,
    job: impl FnOnce(&mut dyn Tables) -> Result<T> + Send + 'static,
) -> T {
    attempt(store, job).unwrap()
}

/// A job made of a closure, whose result comes by a channel.
pub fn submit(
    store: &Arc<dyn Store>,
    job: impl FnOnce(&mut dyn Tables) -> Result<()> + Send + 'static,
) -> Receiver<Result<()>> {
    let (sender, receiver) = channel();
    store.submit(Box::new(Closure {
        job: Some(Box::new(job)),
        sender,
    }));
    receiver
}

type Work = Box<dyn FnOnce(&mut dyn Tables) -> Result<()> + Send>;

struct Closure {
    job: Option<Work>,
    sender: Sender<Result<()>>,
}

impl Job for Closure {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<()> {
        self.job.take().expect("a job runs once")(tables)
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let _ = self.sender.send(committed);
    }
}

/// Occupies the store until it is told to go on, so that what is queued meanwhile shares a batch.
pub fn occupy(store: &Arc<dyn Store>) -> Sender<()> {
    let (go_on, told) = channel::<()>();
    let (began, begun) = channel();
    let _ = submit(store, move |_| {
        let _ = began.send(());
        let _ = told.recv();
        Ok(())
    });
    begun.recv().unwrap();
    go_on
}

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

pub fn line() -> LineId {
    LineId::new("main")
}

pub fn connector() -> ConnectorId {
    ConnectorId::new("smsc")
}

/// A conversation with the contact number `n`.
pub fn conversation(t: &mut dyn Tables, n: u8) -> Result<ConversationId> {
    let contact = t.contact_add(&[n; 32], b"sealed address", &format!("ghost{n}"))?;
    t.conversation_add(&line(), contact, NOW)
}

/// A message on its way out.
pub fn outgoing(conversation: ConversationId) -> MessageRecord {
    MessageRecord {
        id: MessageId(0),
        conversation,
        direction: Direction::Out,
        event: Some(EventId::new("$event")),
        sender: Some(UserId::new("@alice:example.org")),
        state: State::Queued,
        detail: None,
        segments: 2,
        encoding: Some("gsm7".into()),
        path: swingbridge_domain::path::Path::from_code("u[em,o]g[t,o]c[n,n]p"),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Something for the connector, in the lane of a conversation.
pub fn parcel(conversation: ConversationId, message: Option<MessageId>) -> NewOutboxRow {
    NewOutboxRow {
        target: Target::Connector(connector()),
        lane: Lane::Conversation(conversation),
        message,
        state: OutboxState::Queued,
        not_before: NOW,
        created_at: NOW,
        expires_at: None,
        sealed: b"sealed".to_vec(),
    }
}

pub struct NoEntropy;
impl Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// The keys of a site. What the tests do with them needs no randomness.
pub fn keys() -> Keys {
    Keys::derive(&[7; 32], Arc::new(NoEntropy))
}

/// Writes `count` entries to the audit log, a second apart.
pub fn audited(store: &Arc<dyn Store>, count: u64) {
    work(store, move |t| {
        for second in 0..count {
            let entry = NewEntry::new(Kind::PolicyApplied).detail(format!("number {second}"));
            audit::append(t, &keys(), after(second), &entry)?;
        }
        Ok(())
    });
}
