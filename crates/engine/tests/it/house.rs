//! A house to test in: a SQLite store, a scripted homeserver, a scripted network and a clock that is turned by hand.

use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::*;
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::limits::{Limits, OptOut};
use swingbridge_domain::line::{Access, Display, Line, Permission, Permissions};
use swingbridge_domain::message::{Body, Disposition, Media, Message, Part, Reference};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection, Scheme};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::Store;
use swingbridge_engine::site::{MediaPolicy, Policy, Privacy, Site};
use swingbridge_engine::{Engine, Ports};
use tokio::sync::{Notify, oneshot};

pub const ALICE: &str = "@alice:example.org";
pub const BOB: &str = "@bob:example.org";
pub const PHONE: &str = "+447700900456";
pub const LINE: &str = "+447700900123";
/// When people write; it is the same when an event comes again.
pub const SENT_AT: Timestamp = Timestamp(1_800_000_000_000);

pub struct TestClock(AtomicI64);
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub struct TestEntropy;
impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// Does what it is asked, unless told otherwise, and remembers it.
#[derive(Default)]
pub struct FakeHomeserver {
    pub done: Mutex<Vec<(String, Action)>>,
    pub failures: Mutex<VecDeque<PerformError>>,
    pub missed: Mutex<Vec<Arrival>>,
    /// How long it takes to say what was missed.
    pub slow: Mutex<Duration>,
    /// URIs of files that may go.
    pub released: Mutex<Vec<String>>,
    looked: AtomicU64,
    pub quotes: Mutex<BTreeMap<String, String>>,
    /// Who is in a room when the bot joins it.
    pub inside: Mutex<BTreeMap<RoomId, Vec<UserId>>>,
    rooms: Mutex<BTreeMap<String, RoomId>>,
    next: AtomicU64,
    changed: Notify,
}

#[async_trait]
impl Homeserver for FakeHomeserver {
    async fn perform(&self, action: &Action, transaction: &str) -> Result<Performed, PerformError> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let performed = match action {
            Action::CreateRoom(new) => {
                let mut rooms = self.rooms.lock().unwrap();
                let room = rooms
                    .entry(new.alias.clone())
                    .or_insert_with(|| RoomId::new(format!("!room{number}")));
                Performed {
                    room: Some(room.clone()),
                    ..Performed::default()
                }
            }
            Action::Post(_) | Action::Status(_) | Action::React { .. } => Performed {
                event: Some(EventId::new(format!("$done{number}"))),
                ..Performed::default()
            },
            Action::Join { room } => Performed {
                room: Some(room.clone()),
                members: self.inside.lock().unwrap().get(room).cloned().unwrap_or_default(),
                ..Performed::default()
            },
            _ => Performed::default(),
        };
        self.done
            .lock()
            .unwrap()
            .push((transaction.to_owned(), action.clone()));
        self.changed.notify_waiters();
        Ok(performed)
    }

    async fn text_of(&self, _: &RoomId, event: &EventId) -> Result<Option<String>, PerformError> {
        Ok(self.quotes.lock().unwrap().get(event.as_str()).cloned())
    }

    async fn fetch(&self, media: &Media) -> Result<Media, PerformError> {
        match self.failures.lock().unwrap().pop_front() {
            Some(failure) => Err(failure),
            None => Ok(Media {
                uri: media.uri.replace("mxc://", "file:///spool/"),
                ..media.clone()
            }),
        }
    }

    async fn release(&self, media: &Media) {
        self.released.lock().unwrap().push(media.uri.clone());
    }

    async fn missed(&self, token: Option<&str>) -> Result<Missed, PerformError> {
        let arrivals = match token {
            None => Vec::new(),
            Some(_) => self.missed.lock().unwrap().clone(),
        };
        let slow = *self.slow.lock().unwrap();
        tokio::time::sleep(slow).await;
        self.looked.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Ok(Missed {
            arrivals,
            token: "token".into(),
            more: false,
        })
    }
}

/// Links that say what they lead to.
struct FakeLinks;

impl MediaLinks for FakeLinks {
    fn link(&self, media: &Media, _: Timestamp) -> Option<String> {
        let known = media.key.as_deref() != Some("unknown");
        known.then(|| media.uri.replace("mxc://", "https://link/"))
    }
}

/// Whether a room was made for a group.
fn group(room: &RoomId, homeserver: &FakeHomeserver) -> bool {
    let made = homeserver.rooms_made(RoomKind::Group);
    let rooms = homeserver.rooms.lock().unwrap();
    made.iter().any(|new| rooms.get(&new.alias) == Some(room))
}

impl FakeHomeserver {
    pub fn actions(&self) -> Vec<Action> {
        self.done
            .lock()
            .unwrap()
            .iter()
            .map(|(_, action)| action.clone())
            .collect()
    }

    /// Everything said, in order: `who: text`.
    pub fn said(&self) -> Vec<String> {
        let text = |action: Action| match action {
            Action::Post(post) => {
                let by = match &post.sender {
                    Sender::Bot => "bot".to_owned(),
                    Sender::Ghost(_) if !group(&post.room, self) => "contact".to_owned(),
                    Sender::Ghost(ghost) => ghost.name.clone(),
                    Sender::Owner(_) => "owner".to_owned(),
                };
                let edit = if post.replaces.is_some() { " (edit)" } else { "" };
                Some(format!("{by}{edit}: {}", post.text.plain))
            }
            _ => None,
        };
        self.actions().into_iter().filter_map(text).collect()
    }

    /// The same, by the bot or by the contact alone.
    pub fn said_by(&self, who: &str) -> Vec<String> {
        let by = |said: &String| said.starts_with(who);
        self.said().into_iter().filter(by).collect()
    }

    pub fn statuses(&self) -> Vec<SendStatus> {
        let status = |action: Action| match action {
            Action::Status(status) => Some(status),
            _ => None,
        };
        self.actions().into_iter().filter_map(status).collect()
    }

    pub fn rooms_made(&self, kind: RoomKind) -> Vec<NewRoom> {
        let room = |action: Action| match action {
            Action::CreateRoom(room) if room.kind == kind => Some(room),
            _ => None,
        };
        self.actions().into_iter().filter_map(room).collect()
    }

    pub async fn until<T>(&self, what: &str, mut check: impl FnMut(&Self) -> Option<T>) -> T {
        let waited = async {
            loop {
                let notified = self.changed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if let Some(value) = check(self) {
                    return value;
                }
                notified.await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(15), waited).await {
            Ok(value) => value,
            Err(_) => panic!(
                "waited in vain for {what}; done so far: {:#?}\nsaid: {:#?}",
                self.actions(),
                self.said()
            ),
        }
    }

    /// Waits until what was missed was asked for `times` times.
    pub async fn until_looked(&self, times: u64) {
        let looked = |hs: &Self| (hs.looked.load(Ordering::SeqCst) >= times).then_some(());
        self.until("a look at what was missed", looked).await;
    }

    pub async fn until_said(&self, part: &str) -> String {
        self.until(part, |hs| hs.said().into_iter().find(|said| said.contains(part)))
            .await
    }
}

/// How many messages the fake network works on at once.
pub const AT_ONCE: u32 = 3;

/// Answers sends as scripted; else takes them.
pub struct FakeNetwork {
    id: ConnectorId,
    pub sent: Mutex<Vec<Outbound>>,
    pub answers: Mutex<VecDeque<Result<Accepted, SendError>>>,
    /// When set, sends hang until it is gone.
    pub hang: Mutex<bool>,
    /// What it says that it can do.
    able: Capabilities,
    pub signals: Mutex<Vec<Signal>>,
    /// What it was asked to take back, and what it answers to that; nothing scripted: it is withdrawn.
    pub revoked: Mutex<Vec<Revocation>>,
    pub revocations: Mutex<VecDeque<Result<Revoked, SendError>>>,
    pub reach: Mutex<Reach>,
    pub withdrew: std::sync::atomic::AtomicBool,
    changed: Notify,
}

#[async_trait]
impl Connector for FakeNetwork {
    fn id(&self) -> &ConnectorId {
        &self.id
    }
    fn capabilities(&self) -> Capabilities {
        self.able.clone()
    }
    async fn signal(&self, signal: Signal) {
        self.signals.lock().unwrap().push(signal);
        self.changed.notify_waiters();
    }
    async fn run(self: Arc<Self>, _: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        shutdown.requested().await;
        Ok(())
    }
    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(outbound);
            sent.len()
        };
        self.changed.notify_waiters();
        if *self.hang.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let scripted = self.answers.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| Ok(accepted(&[&format!("n{number}")])))
    }
    async fn revoke(&self, revocation: Revocation) -> Result<Revoked, SendError> {
        self.revoked.lock().unwrap().push(revocation);
        self.changed.notify_waiters();
        let scripted = self.revocations.lock().unwrap().pop_front();
        let answer = scripted.unwrap_or(Ok(Revoked::Withdrawn));
        if answer == Ok(Revoked::Withdrawn) {
            self.withdrew.store(true, Ordering::SeqCst);
        }
        answer
    }
    async fn reach(&self, _: &LineId, addresses: &[Address]) -> Vec<Reach> {
        vec![*self.reach.lock().unwrap(); addresses.len()]
    }
    async fn probe(&self) -> Health {
        Health {
            state: Link::Connected,
            detail: String::new(),
            last_traffic: None,
        }
    }
}

/// What a redaction of `event` is to the engine.
pub fn withdrawal(event: &EventId) -> Message {
    Message {
        replaces: Some(Reference::Event(event.clone())),
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Null,
        }],
        ..Message::default()
    }
}

pub fn accepted(ids: &[&str]) -> Accepted {
    Accepted {
        network_ids: ids.iter().map(|id| NetworkId::new(*id)).collect(),
        segments: u16::try_from(ids.len()).unwrap(),
        encoding: "GSM 03.38".into(),
        way: Vec::new(),
    }
}

impl FakeNetwork {
    fn new(id: ConnectorId, able: Capabilities) -> Self {
        Self {
            id,
            able,
            sent: Mutex::default(),
            answers: Mutex::default(),
            hang: Mutex::default(),
            signals: Mutex::default(),
            revoked: Mutex::default(),
            revocations: Mutex::default(),
            reach: Mutex::default(),
            withdrew: std::sync::atomic::AtomicBool::default(),
            changed: Notify::new(),
        }
    }

    pub fn answer(&self, answer: Result<Accepted, SendError>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    pub fn texts(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .map(|outbound| outbound.message.first_text().unwrap().plain.clone())
            .collect()
    }

    /// Waits for a signal.
    pub async fn until_signalled(&self, kind: SignalKind) {
        let waited = async {
            loop {
                let notified = self.changed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self
                    .signals
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|signal| signal.kind == kind)
                {
                    return;
                }
                notified.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(15), waited).await;
        assert!(waited.is_ok(), "waited in vain for {kind:?}");
    }

    pub async fn until_sent(&self, count: usize) {
        let waited = async {
            loop {
                let notified = self.changed.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self.sent.lock().unwrap().len() >= count {
                    return;
                }
                notified.await;
            }
        };
        let sent = || self.sent.lock().unwrap().len();
        assert!(
            tokio::time::timeout(Duration::from_secs(15), waited)
                .await
                .is_ok(),
            "waited in vain for {count} texts; {} were sent",
            sent()
        );
    }
}

/// A running engine with its surroundings; the store's file outlives it.
pub struct House {
    pub engine: Engine,
    pub homeserver: Arc<FakeHomeserver>,
    pub network: Arc<FakeNetwork>,
    /// A second one, where the site has capabilities of a connector of this name.
    pub rcs: Option<Arc<FakeNetwork>>,
    pub clock: Arc<TestClock>,
    stop: Option<oneshot::Sender<()>>,
    running: tokio::task::JoinHandle<()>,
    folder: Arc<tempfile::TempDir>,
    pub store: Arc<dyn Store>,
}

pub fn site() -> Site {
    let line = Line {
        id: LineId::new("main"),
        connector: ConnectorId::new("carrier"),
        address: Address::Number(LINE.into()),
        name: "Main".into(),
        region: Some("GB".parse().unwrap()),
        access: Access {
            users: vec![UserId::new(ALICE)],
            inbox: None,
        },
        display: Display::Masked,
        signature: None,
        // Asking is the subject of tests of its own.
        consent: Rule::Policy,
        downgrade: Downgrade::Ask,
        fallback: None,
        limits: Limits::default(),
        opt_out: OptOut::default(),
    };
    Site {
        bot: UserId::new("@smsbot:example.org"),
        here: Place::Gateway,
        ghost_prefix: "@sms_".into(),
        lines: vec![Arc::new(line)],
        capabilities: BTreeMap::new(),
        permissions: Permissions(vec![
            ("example.org".into(), Permission::User),
            (BOB.into(), Permission::Admin),
        ]),
        policy: Policy::default(),
        privacy: Privacy::default(),
        command_prefix: "!sb".into(),
        version: "0.1.0".into(),
    }
}

impl House {
    pub async fn new() -> Self {
        Self::with(site()).await
    }

    pub async fn with(site: Site) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000)));
        Self::open(
            site,
            Arc::new(tempfile::tempdir().unwrap()),
            Arc::default(),
            clock,
        )
        .await
    }

    async fn open(
        site: Site,
        folder: Arc<tempfile::TempDir>,
        homeserver: Arc<FakeHomeserver>,
        clock: Arc<TestClock>,
    ) -> Self {
        let path: PathBuf = folder.path().join("swingbridge.db");
        let config = swingbridge_store::Config::Sqlite {
            path,
            synchronous: swingbridge_store::Synchronous::Normal,
        };
        let store = swingbridge_store::open(&config, swingbridge_store::BATCH).unwrap();
        // A test says by the site's capabilities what network this is.
        let carrier = ConnectorId::new("carrier");
        let scripted = site.capabilities.get(&carrier).cloned().unwrap_or(Capabilities {
            way: sms_way(),
            ..Capabilities::default()
        });
        let able = match scripted.networks.is_empty() {
            true => Capabilities {
                networks: vec!["sms".into()],
                at_once: Some(AT_ONCE),
                ..scripted
            },
            false => scripted,
        };
        let network = Arc::new(FakeNetwork::new(carrier, able));
        let rcs = ConnectorId::new("rcs");
        let rcs = site.capabilities.get(&rcs).cloned();
        let rcs = rcs.map(|able| Arc::new(FakeNetwork::new(ConnectorId::new("rcs"), able)));
        let mut connectors: Vec<Arc<dyn Connector>> = vec![network.clone()];
        connectors.extend(rcs.clone().map(|rcs| rcs as Arc<dyn Connector>));
        let ports = Ports {
            store: store.clone(),
            homeserver: homeserver.clone(),
            connectors,
            links: match site.policy.media {
                MediaPolicy::Link => Some(Arc::new(FakeLinks)),
                MediaPolicy::Refuse => None,
            },
            clock: clock.clone(),
            keys: Keys::derive(&[7; 32], Arc::new(TestEntropy)),
        };
        let engine = Engine::open(site, ports).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = Shutdown::when(async {
            let _ = stopped.await;
        });
        let running = tokio::spawn({
            let engine = engine.clone();
            async move { engine.run(shutdown).await }
        });
        let stop = Some(stop);
        House {
            engine,
            homeserver,
            network,
            rcs,
            clock,
            stop,
            running,
            folder,
            store,
        }
    }

    /// The program dies and is started again on what was committed.
    pub async fn kill_and_restart(self) -> Self {
        self.kill_and_restart_with(site()).await
    }

    pub async fn kill_and_restart_with(self, site: Site) -> Self {
        let House {
            homeserver,
            clock,
            stop,
            running,
            folder,
            store,
            ..
        } = self;
        running.abort();
        let _ = running.await;
        // What a killed program leaves is its files. They are copied on the store's own thread, between two commits; sends that
        // hang keep the old store open for ever.
        let (from, copy) = (folder.clone(), Arc::new(tempfile::tempdir().unwrap()));
        let to = copy.clone();
        swingbridge_domain::store::run(store.as_ref(), move |_| {
            for name in ["swingbridge.db", "swingbridge.db-wal"] {
                let _ = std::fs::copy(from.path().join(name), to.path().join(name));
            }
            Ok(())
        })
        .await
        .unwrap();
        drop(stop);
        Self::open(site, copy, homeserver, clock).await
    }

    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        (&mut self.running).await.unwrap();
    }

    pub fn advance(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn arrive(&self, what: What) {
        self.engine
            .deliver(vec![Arrival {
                dedupe: Dedupe::Harmless,
                what,
            }])
            .await
            .unwrap();
    }

    /// A text from a phone.
    pub async fn text_in(&self, from: &str, text: &str) {
        self.arrive(What::Network(Inbound::Message(inbound(from, text))))
            .await;
    }

    pub async fn part_in(&self, index: u8, total: u8, text: &str) {
        let part = Some(PartOf {
            reference: 7,
            width: 1,
            total,
            index,
        });
        self.arrive(What::Network(Inbound::Message(InboundMessage {
            part,
            ..inbound(PHONE, text)
        })))
        .await;
    }

    pub async fn receipt_in(&self, ids: &[&str], outcome: swingbridge_domain::delivery::Outcome) {
        self.arrive(What::Network(Inbound::Receipt(Receipt {
            connector: ConnectorId::new("carrier"),
            network_ids: ids.iter().map(|id| NetworkId::new(*id)).collect(),
            outcome,
            error: None,
            at: None,
            way: Vec::new(),
        })))
        .await;
    }

    /// A user says something; gives the event's id.
    pub async fn say(&self, room: &RoomId, by: &str, message: Message) -> EventId {
        let event = new_event();
        self.happen(room, by, &event, RoomEventKind::Message(message))
            .await;
        event
    }

    pub async fn happen(&self, room: &RoomId, by: &str, event: &EventId, what: RoomEventKind) {
        self.happen_by(room, by, event, what, Protection::None).await;
    }

    pub async fn happen_by(
        &self,
        room: &RoomId,
        by: &str,
        event: &EventId,
        what: RoomEventKind,
        protection: Protection,
    ) {
        let event = RoomEvent {
            room: room.clone(),
            event: event.clone(),
            sender: UserId::new(by),
            sent_at: SENT_AT,
            protection,
            what,
        };
        let dedupe = Dedupe::Event {
            id: event.event.clone(),
            sent_at: SENT_AT,
        };
        self.engine
            .deliver(vec![Arrival {
                dedupe,
                what: What::Room(event),
            }])
            .await
            .unwrap();
    }

    pub async fn membership(
        &self,
        room: &RoomId,
        by: &str,
        user: &str,
        membership: Membership,
        direct: bool,
    ) {
        let event = new_event();
        let what = RoomEventKind::Membership {
            user: UserId::new(user),
            membership,
            direct,
        };
        self.happen(room, by, &event, what).await;
    }

    /// The room in which something was said first.
    pub async fn room(&self) -> RoomId {
        let said = |action| match action {
            Action::Post(post) => Some(post.room),
            _ => None,
        };
        self.homeserver
            .until("a room", |hs| hs.actions().into_iter().find_map(said))
            .await
    }

    /// A conversation with [`PHONE`] that exists already; gives its room.
    pub async fn conversation(&self) -> RoomId {
        self.text_in(PHONE, "Hello there").await;
        self.homeserver
            .until("the room", |hs| room_of(hs, "Hello there"))
            .await
    }
}

/// An id that was not given before, not even before a restart.
pub fn new_event() -> EventId {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    EventId::new(format!("$user{}", GIVEN.fetch_add(1, Ordering::SeqCst)))
}

pub fn room_of(homeserver: &FakeHomeserver, text: &str) -> Option<RoomId> {
    homeserver.actions().into_iter().find_map(|action| match action {
        Action::Post(post) if post.text.plain == text => Some(post.room),
        _ => None,
    })
}

/// A network whose messages are end-to-end encrypted to us, with keys that contacts are known by.
pub fn encrypted_way() -> Vec<Leg> {
    vec![Leg::new(
        Place::Phone,
        Place::Gateway,
        Protection::EndToEnd(Scheme::Mls),
        Evidence::OurOwnEnd,
    )]
}

pub fn sms_way() -> Vec<Leg> {
    let leg = |from, to, protection, evidence| Leg::new(from, to, protection, evidence);
    vec![
        leg(
            Place::Phone,
            Place::Carrier,
            Protection::None,
            Evidence::NetworkCannot,
        ),
        leg(
            Place::Carrier,
            Place::Gateway,
            Protection::Transport,
            Evidence::OurOwnEnd,
        ),
    ]
}

pub fn inbound(from: &str, text: &str) -> InboundMessage {
    let address = |text: &str| NetworkAddress {
        text: text.into(),
        hint: Default::default(),
    };
    let (from, to) = (address(from), address(LINE));
    InboundMessage::new(ConnectorId::new("carrier"), from, to, Message::text(text))
}
