//! The connector: one phone as the rest of the program sees it.

use super::command::{Failure, Programs};
use super::config::Config;
use super::local_time::Zone;
use super::memory::Memory;
use super::send::{self, Sends};
use super::{contacts, notifications, watch};
use crate::journal::{Journal, JournalError};
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::{Inbox, NetworkAddress};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many texts are on their way to the phone at once: each runs programs there.
const AT_ONCE: u32 = 4;
/// How long sends that have begun are waited for when the program stops.
const LAST_SENDS: Duration = Duration::from_secs(4);

/// A connector for the phone that it runs on.
pub struct TermuxConnector {
    shared: Arc<Shared>,
    memory: Mutex<Option<Opened>>,
    stopping: CancellationToken,
    sends: TaskTracker,
}

/// What was read from the disk, for [`Connector::run`].
struct Opened {
    memory: Option<Memory>,
    files: Files,
}

/// The files in the state's folder.
pub struct Files {
    pub memory: Journal,
    pub cards: Journal,
    pub notifications: Journal,
}

/// What the parts of a connector share.
pub struct Shared {
    pub id: ConnectorId,
    pub config: Config,
    pub programs: Programs,
    pub zone: Zone,
    pub clock: Arc<dyn Clock>,
    pub sends: Sends,
    look: Notify,
    cursor: AtomicI64,
    rounds: AtomicU64,
    state: Mutex<State>,
}

struct State {
    link: Link,
    detail: String,
    /// What is wrong beside the texts, by what it is.
    beside: [Option<String>; Beside::COUNT],
    last_traffic: Option<Timestamp>,
    watching: bool,
    /// Prints of what the newest texts said.
    texts: VecDeque<[u8; 32]>,
}

/// How many of the newest texts are compared with notifications.
const TEXTS: usize = 50;

/// What can fail while texts are read well.
#[derive(Clone, Copy, Debug)]
pub enum Beside {
    Sending,
    Contacts,
    Notifications,
    Times,
    Rows,
}

impl Beside {
    const COUNT: usize = 5;
}

impl TermuxConnector {
    /// A connector that does not watch yet. `state_folder` is its own, and is made. Blocks on the disk.
    ///
    /// # Errors
    /// The settings or what lies in the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        config
            .validate()
            .map_err(|error| failed(error.to_string(), "change the connector's settings"))?;
        let (opened, sends) = open(state_folder).map_err(|error| failed(error.to_string(), cure(&error)))?;
        let programs = Programs::new(&config);
        let zone = Zone::new(config.time_zone.clone(), config.timing.command);
        let cursor = opened.memory.as_ref().map_or(0, Memory::cursor);
        let shared = Shared {
            id,
            config,
            programs,
            zone,
            clock,
            sends,
            look: Notify::new(),
            cursor: AtomicI64::new(cursor),
            rounds: AtomicU64::new(0),
            state: Mutex::new(State {
                link: Link::Disconnected,
                detail: "the phone has not been asked yet".to_owned(),
                beside: [const { None }; Beside::COUNT],
                last_traffic: None,
                watching: false,
                texts: VecDeque::new(),
            }),
        };
        Ok(Self {
            shared: Arc::new(shared),
            memory: Mutex::new(Some(opened)),
            stopping: CancellationToken::new(),
            sends: TaskTracker::new(),
        })
    }
}

fn open(folder: &Path) -> Result<(Opened, Sends), JournalError> {
    let file = |name: &str| Journal::in_folder(folder, name);
    let memory = file("texts.json")?;
    let opened = Opened {
        memory: memory.read()?,
        files: Files {
            memory,
            cards: file("contacts.json")?,
            notifications: file("notifications.json")?,
        },
    };
    Ok((opened, Sends::open(file("sends.json")?)?))
}

/// What an operator can do about a file of ours.
pub fn cure(error: &JournalError) -> &'static str {
    match error {
        JournalError::Io { .. } => "look at the disk and at who may write there",
        JournalError::Content { .. } => {
            "put the file back from a backup, or remove it: then the phone is read as at the first start, and texts that came \
             since the last run are not shown"
        }
    }
}

impl Shared {
    /// The phone's own address.
    pub fn own(&self) -> NetworkAddress {
        NetworkAddress {
            text: self.config.number.clone(),
            hint: Default::default(),
        }
    }

    /// The newest row that was looked at.
    pub fn cursor(&self) -> i64 {
        self.cursor.load(Ordering::Relaxed)
    }

    pub fn at(&self, cursor: i64) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    /// How often the texts were read, or tried to be.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Acquire)
    }

    pub fn round_ended(&self) {
        self.rounds.fetch_add(1, Ordering::Release);
    }

    /// Asks for the phone to be read now.
    pub fn look_now(&self) {
        self.look.notify_one();
    }

    pub async fn looked_for(&self) {
        self.look.notified().await;
    }

    pub fn is_watching(&self) -> bool {
        self.state().watching
    }

    /// The phone answers.
    pub fn connected(&self) {
        let mut state = self.state();
        state.watching = true;
        if state.link != Link::Connected {
            tracing::info!(connector = %self.id, "the phone answers");
        }
        state.link = Link::Connected;
        state.detail.clear();
    }

    /// The phone does not answer.
    pub fn failed(&self, failure: &Failure) {
        let link = match failure.needs_a_person() {
            true => Link::Refused,
            false => Link::Disconnected,
        };
        let detail = failure.to_string();
        let mut state = self.state();
        // Said once, not with each try.
        if state.detail != detail {
            match failure.needs_a_person() {
                true => tracing::error!(connector = %self.id, "{detail}"),
                false => tracing::warn!(connector = %self.id, "{detail}"),
            }
        }
        state.link = link;
        state.detail = detail;
    }

    /// Something beside the reading of texts is well, or is not.
    pub fn beside(&self, what: Beside, problem: Option<String>) {
        let mut state = self.state();
        let Some(slot) = state.beside.get_mut(what as usize) else {
            return;
        };
        if let Some(problem) = problem.as_ref().filter(|problem| slot.as_ref() != Some(*problem)) {
            tracing::warn!(connector = %self.id, "{problem}");
        }
        *slot = problem;
    }

    /// A text came that says this.
    pub fn text_came(&self, body: &str) {
        let mut state = self.state();
        state.texts.push_back(Sha256::digest(body.trim()).into());
        if state.texts.len() > TEXTS {
            state.texts.pop_front();
        }
    }

    /// Whether one of the newest texts said this.
    pub fn was_text(&self, content: &str) -> bool {
        let print: [u8; 32] = Sha256::digest(content.trim()).into();
        self.state().texts.contains(&print)
    }

    pub fn sending_failed(&self, failure: &Failure) {
        self.beside(Beside::Sending, Some(failure.to_string()));
    }

    pub fn sending_works(&self) {
        self.beside(Beside::Sending, None);
        self.traffic();
    }

    pub fn traffic(&self) {
        let now = self.clock.now();
        self.state().last_traffic = Some(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SMS has no encryption that hides a text from the carriers; what protects the radio link to this phone is not told to programs.
fn way() -> Vec<Leg> {
    vec![
        Leg::new(
            Place::Phone,
            Place::Carrier,
            Protection::None,
            Evidence::NetworkCannot,
        ),
        Leg::new(Place::Carrier, Place::Device, Protection::Unknown, Evidence::None),
    ]
}

#[async_trait]
impl Connector for TermuxConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            networks: vec!["sms".to_owned()],
            delivery_receipts: Support::Absent,
            at_once: Some(AT_ONCE),
            way: way(),
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let opened = self.memory.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Opened { memory, files }) = opened else {
            return Err(ConnectorError {
                connector: self.shared.id.clone(),
                cause: "it was started twice".to_owned(),
                cure: "restart the program".to_owned(),
            });
        };
        let shared = &self.shared;
        let stopped = CancellationToken::new();
        let work = async {
            tokio::join!(
                watch::run(shared, memory, &files.memory, &*inbox),
                contacts::run(shared, &files.cards, &*inbox),
                notifications::run(shared, &files.notifications, &*inbox),
            );
        };
        let stop = async {
            shutdown.requested().await;
            self.stopping.cancel();
            self.sends.close();
            // They need the watch to be told of.
            let _ = timeout(LAST_SENDS, self.sends.wait()).await;
            stopped.cancel();
        };
        tokio::select! {
            // Reading may end anywhere: what was not committed is read again.
            ((), ()) = async { tokio::join!(stopped.cancelled(), stop) } => {}
            () = work => stop_sends(&self.stopping, &self.sends),
        }
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let _sending = self.sends.token();
        if self.stopping.is_cancelled() {
            return Err(SendError::RetryAfter {
                delay: self.shared.config.poll,
                detail: "the program is stopping".to_owned(),
                counts: false,
            });
        }
        send::send(&self.shared, &outbound).await
    }

    async fn probe(&self) -> Health {
        let state = self.shared.state();
        let beside: Vec<&str> = state.beside.iter().flatten().map(String::as_str).collect();
        match (state.link, beside.is_empty()) {
            (Link::Connected, false) => Health {
                state: Link::Degraded,
                detail: beside.join("; "),
                last_traffic: state.last_traffic,
            },
            (link, _) => Health {
                state: link,
                detail: state.detail.clone(),
                last_traffic: state.last_traffic,
            },
        }
    }
}

/// The inbox is closed: nothing more is sent.
fn stop_sends(stopping: &CancellationToken, sends: &TaskTracker) {
    stopping.cancel();
    sends.close();
}
