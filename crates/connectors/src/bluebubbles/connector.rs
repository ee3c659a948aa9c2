//! The connector: one server as the rest of the program sees it.

use super::api::{Api, Failure};
use super::chats::{Chats, address, contact};
use super::config::{Config, PrivateApi};
use super::contacts::{self, Book};
use super::files::Files;
use super::flights::Flights;
use super::journal::{Journal, JournalError, State};
use super::reading::{Reader, Trouble};
use super::socket::{self, Heard};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown, Signal, SignalKind,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, Typing, What};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many messages the engine hands over at once. The server sends one after the other anyway.
const AT_ONCE: u32 = 8;
/// How often sends that may yet fail and rows that are not complete are looked at.
const WATCHING: Duration = Duration::from_secs(2);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const ADDRESS_BOOK: Duration = Duration::from_secs(6 * 60 * 60);
const LAST_SENDS: Duration = Duration::from_secs(4);
/// How long an edit of ours may take to show up in the server's rows.
const REWRITING: Duration = Duration::from_secs(60);
/// More events than this at once are a restart of the server's; the comparison finds what they would tell.
const NAMED: usize = 50;

/// A connector for one BlueBubbles server.
pub struct BlueBubblesConnector {
    account: Arc<Account>,
}

/// What reading and sending share.
pub(super) struct Account {
    pub id: ConnectorId,
    pub config: Config,
    pub api: Arc<Api>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub chats: Chats,
    pub files: Files,
    pub flights: Flights,
    /// Reads at once.
    pub nudge: Notify,
    pub stopping: CancellationToken,
    pub sends: TaskTracker,
    journal: Mutex<Journal>,
    private: AtomicBool,
    rewritten: Mutex<HashMap<String, Timestamp>>,
    health: Mutex<(Link, String)>,
    listening: AtomicBool,
    last_traffic: AtomicI64,
}

impl BlueBubblesConnector {
    /// A connector that has not spoken to its server yet. `folder` keeps how far it has read, and the files that came; it must
    /// be its own and stay the same.
    ///
    /// Until `run` has asked the server (or [`BlueBubblesConnector::connect`] did), [`Connector::capabilities`] says of the Private
    /// API what was true at the last run; before the first one, that it is not there.
    ///
    /// # Errors
    /// The settings or the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConnectorError> {
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        let settings = "change the account's settings";
        config
            .validate()
            .map_err(|error| failed(error.to_string(), settings))?;
        let api = Api::new(&config).map_err(|error| failed(error.to_string(), settings))?;
        let journal = Journal::open(folder).map_err(|error| {
            let cure = "give it a folder that it can write to; when the file itself is damaged, put it aside, and messages \
                        are bridged from then on";
            failed(error.to_string(), cure)
        })?;
        let private = journal.state().private_api && config.private_api == PrivateApi::Auto;
        Ok(Self {
            account: Arc::new(Account {
                id,
                api: Arc::new(api),
                clock,
                entropy,
                chats: Chats::default(),
                files: Files::new(folder),
                flights: Flights::default(),
                nudge: Notify::new(),
                stopping: CancellationToken::new(),
                sends: TaskTracker::new(),
                journal: Mutex::new(journal),
                private: AtomicBool::new(private),
                rewritten: Mutex::default(),
                health: Mutex::new((Link::Disconnected, "not started yet".to_owned())),
                listening: AtomicBool::new(false),
                last_traffic: AtomicI64::new(0),
                config,
            }),
        })
    }

    /// As [`BlueBubblesConnector::new`], and asks the server what it can do, so that [`Connector::capabilities`] is right from the
    /// start. A server that does not answer is no error: it may be there later.
    ///
    /// # Errors
    /// As those of `new`.
    pub async fn connect(
        id: ConnectorId,
        config: Config,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConnectorError> {
        let connector = Self::new(id, config, folder, clock, entropy)?;
        let account = &connector.account;
        match account.learn().await {
            Ok(()) => account.now_is(Link::Connected, "the server answers"),
            Err(trouble) => account.fell(&trouble),
        }
        Ok(connector)
    }
}

impl Account {
    pub fn state(&self) -> State {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.state().clone()
    }

    pub fn keep<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, JournalError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.change(change)
    }

    pub fn is_private(&self) -> bool {
        self.private.load(Ordering::Relaxed)
    }

    pub fn traffic(&self) {
        self.last_traffic
            .store(self.clock.now().millis(), Ordering::Relaxed);
    }

    /// An edit or unsend of ours is under way, or was: the change that it makes is no news.
    pub fn rewriting(&self, guid: &str) {
        let until = self.clock.now() + REWRITING;
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.insert(guid.to_owned(), until);
    }

    pub fn rewriting_ended(&self, guid: &str) {
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.remove(guid);
    }

    pub fn rewritten_by_us(&self, guid: &str) -> bool {
        let now = self.clock.now();
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.retain(|_, until| *until > now);
        rewritten.contains_key(guid)
    }

    /// Asks the server whether its Private API can be used.
    async fn learn(&self) -> Result<(), Trouble> {
        let info = self.api.info().await?;
        let private = self.config.private_api == PrivateApi::Auto
            && info.private_api == Some(true)
            && info.helper_connected == Some(true);
        if self.private.swap(private, Ordering::Relaxed) != private || self.state().private_api != private {
            let version = info.server_version.unwrap_or_default();
            tracing::info!(connector = %self.id, private_api = private, server = %version, "what the server can do");
            self.keep(|state| state.private_api = private)?;
        }
        Ok(())
    }

    fn now_is(&self, link: Link, detail: impl Into<String>) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = (link, detail.into());
    }

    fn fell(&self, trouble: &Trouble) {
        let (link, detail) = match trouble {
            Trouble::Server(Failure::Refused) => (
                Link::Refused,
                "the server refuses the password: put the one from BlueBubbles' settings (Connection, Server Password) into \
                 `password`, and restart"
                    .to_owned(),
            ),
            Trouble::Server(failure @ Failure::Away(_)) => (
                Link::Disconnected,
                format!("{failure}; is the Mac on, awake, and BlueBubbles started on it?"),
            ),
            Trouble::Server(failure) => (Link::Degraded, failure.to_string()),
            Trouble::Inbox(error) => (Link::Degraded, error.to_string()),
            Trouble::Journal(error) => (Link::Degraded, error.to_string()),
        };
        let before = self.health.lock().unwrap_or_else(PoisonError::into_inner).0;
        match (link, before == link) {
            (_, true) => tracing::debug!(connector = %self.id, %detail, "still in trouble"),
            (Link::Refused, _) => tracing::error!(connector = %self.id, %detail, "the server refuses us"),
            _ => {
                tracing::warn!(connector = %self.id, %detail, "reading the server failed; it is tried again")
            }
        }
        self.now_is(link, detail);
    }

    fn rose(&self) {
        let before = self.health.lock().unwrap_or_else(PoisonError::into_inner).0;
        if before != Link::Connected {
            tracing::info!(connector = %self.id, "the server is read");
        }
        self.now_is(Link::Connected, "the server is read");
    }

    /// How long until the next reading when nothing is heard.
    fn pause(&self) -> Duration {
        let state = self.state();
        let watching = !state.watches.is_empty() || !state.waiting.is_empty() || self.flights.any();
        match watching {
            true => self.config.poll.min(WATCHING),
            false => self.config.poll,
        }
    }
}

/// What is due at the next reading.
struct Due {
    /// What the server can do, where to read from.
    place: bool,
    compare: bool,
    compared: Instant,
    named: Vec<String>,
    book: Book,
    book_read: Option<Instant>,
}

impl Account {
    async fn read(&self, inbox: &dyn Inbox, due: &mut Due) -> Result<(), Trouble> {
        let reader = Reader { account: self, inbox };
        if due.place {
            self.learn().await?;
            reader.place().await?;
        }
        reader.catch_up().await?;
        reader.await_rows().await?;
        let all = due.compare || due.place || due.compared.elapsed() >= self.config.compare;
        reader.compare(&due.named, all).await?;
        due.named.clear();
        if all {
            if !due.place {
                self.learn().await?;
            }
            due.compared = Instant::now();
        }
        due.compare = false;
        due.place = false;
        let stale = due.book_read.is_none_or(|at| at.elapsed() >= ADDRESS_BOOK);
        if self.config.contacts && stale {
            self.read_book(inbox, due).await?;
        }
        Ok(())
    }

    async fn read_book(&self, inbox: &dyn Inbox, due: &mut Due) -> Result<(), Trouble> {
        match contacts::cards(&self.api, &self.files, &self.id, &due.book).await {
            Ok((arrivals, book)) => {
                if !arrivals.is_empty() {
                    inbox.deliver(arrivals).await?;
                }
                due.book = book;
            }
            // Names are a nicety: a Mac that gives no access to its address book still carries messages.
            Err(failure) => {
                tracing::warn!(connector = %self.id, %failure, "the Mac's address book cannot be read")
            }
        }
        due.book_read = Some(Instant::now());
        Ok(())
    }

    async fn heard(&self, inbox: &dyn Inbox, due: &mut Due, heard: Heard) {
        let (name, data) = match heard {
            Heard::Connected => {
                self.listening.store(true, Ordering::Relaxed);
                due.compare = true;
                return;
            }
            Heard::Event { name, data } => (name, data),
        };
        match name.as_str() {
            "typing-indicator" => self.typing(inbox, &data).await,
            "hello-world" => due.place = true,
            "updated-message" | "message-send-error" => match data["guid"].as_str() {
                Some(guid) if due.named.len() < NAMED => {
                    if !due.named.iter().any(|known| known == guid) {
                        due.named.push(guid.to_owned());
                    }
                }
                _ => due.compare = true,
            },
            // All others are rows, which are read by their numbers.
            _ => {}
        }
    }

    async fn typing(&self, inbox: &dyn Inbox, data: &Value) {
        let (Some(guid), Some(active)) = (data["guid"].as_str(), data["display"].as_bool()) else {
            return;
        };
        let Ok(chat) = self.chats.of(&self.api, guid).await else {
            return;
        };
        let Some(from) = contact(&chat) else {
            return;
        };
        let typing = Typing {
            connector: self.id.clone(),
            from: address(&from),
            to: address(&self.config.address),
            group: None,
            active,
        };
        let arrival = Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Typing(typing)),
        };
        // Of no use later.
        let _ = inbox.deliver(vec![arrival]).await;
    }

    /// Keeps listening.
    async fn listen(self: Arc<Self>, to: tokio::sync::mpsc::Sender<Heard>) {
        let mut wait = FIRST_WAIT;
        while !to.is_closed() {
            let begun = Instant::now();
            let why = socket::listen(&self.api, self.entropy.as_ref(), &to).await;
            if self.listening.swap(false, Ordering::Relaxed) {
                tracing::info!(connector = %self.id, %why, "the events are interrupted; messages are asked for meanwhile");
            }
            if begun.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn work(&self, inbox: &dyn Inbox, events: &mut Receiver<Heard>) {
        let mut due = Due {
            place: true,
            compare: true,
            compared: Instant::now(),
            named: Vec::new(),
            book: Book::default(),
            book_read: None,
        };
        let mut wait = FIRST_WAIT;
        loop {
            let pause = match self.read(inbox, &mut due).await {
                Ok(()) => {
                    self.rose();
                    wait = FIRST_WAIT;
                    self.pause()
                }
                Err(trouble) => {
                    self.fell(&trouble);
                    // After a gap rows may be others, and what changed meanwhile is found by comparing only.
                    due.place = true;
                    let pause = match trouble {
                        Trouble::Server(Failure::Refused) => LONGEST_WAIT,
                        _ => wait,
                    };
                    wait = (wait * 2).min(self.config.poll.max(FIRST_WAIT));
                    pause
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.nudge.notified() => {}
                Some(heard) = events.recv() => self.heard(inbox, &mut due, heard).await,
            }
            while let Ok(heard) = events.try_recv() {
                self.heard(inbox, &mut due, heard).await;
            }
        }
    }
}

#[async_trait]
impl Connector for BlueBubblesConnector {
    fn id(&self) -> &ConnectorId {
        &self.account.id
    }

    /// What the server could do when it was asked last; without its Private API, what AppleScript can.
    fn capabilities(&self) -> Capabilities {
        let private = self.account.is_private();
        let with_private = |support: Support| if private { support } else { Support::Absent };
        Capabilities {
            // The server does not say by which of them a message went.
            networks: vec!["imessage".to_owned(), "sms".to_owned(), "rcs".to_owned()],
            replies: with_private(Support::Full),
            // Six tapbacks go out.
            reactions: with_private(Support::Partial),
            edits: with_private(Support::Full),
            unsends: with_private(Support::Full),
            media: Support::Full,
            // Groups that are there; none is begun.
            groups: Support::Partial,
            typing: with_private(Support::Full),
            delivery_receipts: Support::Full,
            read_receipts: if private { Support::Full } else { Support::Partial },
            at_once: Some(AT_ONCE),
            // The server's messages have no service, and that of a handle is a hint only: nothing is claimed.
            way: vec![Leg::new(
                Place::Phone,
                Place::Device,
                Protection::Unknown,
                Evidence::None,
            )],
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let account = &self.account;
        if account.config.url.starts_with("http:") && !is_local(&account.config.url) {
            tracing::warn!(connector = %account.id, "no TLS: the password and all texts travel in clear");
        }
        account.files.sweep(account.clock.now());
        let (to, mut events) = channel(256);
        let listening = tokio::spawn(account.clone().listen(to));
        {
            let working = account.work(inbox.as_ref(), &mut events);
            tokio::pin!(working);
            tokio::select! {
                () = &mut working => {}
                () = shutdown.requested() => {
                    account.stopping.cancel();
                    account.sends.close();
                    // Reading goes on: it tells sends that have begun what became of them.
                    tokio::select! {
                        _ = timeout(LAST_SENDS, account.sends.wait()) => {}
                        () = &mut working => {}
                    }
                }
            }
        }
        listening.abort();
        let _ = listening.await;
        account.now_is(Link::Disconnected, "stopped");
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        self.account.send(outbound).await
    }

    async fn signal(&self, signal: Signal) {
        let account = &self.account;
        if !account.is_private() {
            return;
        }
        let chat = match &signal.to {
            swingbridge_domain::address::Address::Group(guid) => Some(guid.clone()),
            other => account
                .chats
                .with_contact(&account.api, other)
                .await
                .ok()
                .flatten(),
        };
        let Some(chat) = chat else {
            return;
        };
        let done = match signal.kind {
            SignalKind::Read { .. } => account.api.mark_read(&chat).await,
            SignalKind::Typing(active) => account.api.typing(&chat, active).await,
        };
        if let Err(failure) = done {
            tracing::debug!(connector = %account.id, %failure, "a signal was not passed on");
        }
    }

    async fn probe(&self) -> Health {
        let account = &self.account;
        let (state, mut detail) = account
            .health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if state == Link::Connected && !account.listening.load(Ordering::Relaxed) {
            detail.push_str("; its events are not heard, so messages come up to one polling interval late");
        }
        let at = account.last_traffic.load(Ordering::Relaxed);
        Health {
            state,
            detail,
            last_traffic: (at != 0).then_some(Timestamp(at)),
        }
    }
}

fn is_local(url: &str) -> bool {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}
