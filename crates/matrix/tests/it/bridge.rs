//! A Matrix side without the rest of the house: what arrives is collected, the directory is a list.

use async_trait::async_trait;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::directory::{Directory, DirectoryError, LineSummary, Resolved};
use swingbridge_domain::homeserver::{
    About, Action, BridgeInfo, Ghost, Homeserver, NewRoom, Performed, Post, RoomKind, Sender,
};
use swingbridge_domain::id::{EventId, LineId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbox, InboxError, RoomEvent, RoomEventKind, What};
use swingbridge_domain::line::{Permission, Permissions};
use swingbridge_domain::message::Text;
use swingbridge_domain::secret::{Keys, Secret};
use swingbridge_lab::homeserver::{Config as StubConfig, Quirks, Registration as StubRegistration, Stub};
use swingbridge_lab::process::free_port;
use swingbridge_matrix::appservice::{self, AppService};
use swingbridge_matrix::provisioning::{self, Network, Provisioning};
use swingbridge_matrix::registration::{Registration, random_token};
use swingbridge_matrix::{Config, Matrix, Mode, media};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

pub const SHARED_SECRET: &str = "a-shared-secret-of-the-operator";
/// The number that the directory knows, and the pseudonym behind it.
pub const NUMBER: &str = "+447700900456";
pub const PSEUDONYM: &str = "qwertyuiopasdfghjklzxcvb";

/// The system's clock.
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let passed = UNIX_EPOCH.elapsed().expect("the clock is later than 1970");
        Timestamp(passed.as_millis() as i64)
    }
}

/// A clock that the test turns.
#[derive(Default)]
pub struct Turned(pub AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub struct Dice;

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// An inbox in memory. It commits at once, or refuses.
#[derive(Default)]
pub struct Collected {
    ids: Mutex<BTreeSet<String>>,
    pub events: Mutex<Vec<RoomEvent>>,
    pub calls: Mutex<Vec<usize>>,
    pub refuses: AtomicBool,
    /// How often something was handed in, taken or not.
    pub tries: AtomicUsize,
    /// How often something that was pushed was refused.
    pub refusals: AtomicUsize,
    /// How often something may have been passed over.
    pub gaps: AtomicUsize,
    news: watch::Sender<()>,
}

#[async_trait]
impl Inbox for Collected {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(InboxError::Unavailable("the disk is full".into()));
        }
        self.calls.lock().unwrap().push(arrivals.len());
        for arrival in arrivals {
            let What::Room(event) = arrival.what else {
                panic!("not a room event");
            };
            let new = match arrival.dedupe {
                Dedupe::Id { scope, id } => self.ids.lock().unwrap().insert(format!("{scope} {id}")),
                Dedupe::Event { id, sent_at } => {
                    self.ids.lock().unwrap().insert(format!("{id} {}", sent_at.0))
                }
                Dedupe::Harmless => true,
                Dedupe::Digest { .. } => panic!("a room event has an id"),
            };
            if new {
                self.events.lock().unwrap().push(event);
            }
        }
        self.news.send_replace(());
        Ok(())
    }

    fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::SeqCst);
    }

    fn skipped(&self) {
        self.gaps.fetch_add(1, Ordering::SeqCst);
    }
}

impl Collected {
    /// Waits until something is there that `pick` takes.
    pub async fn wait<T>(&self, what: &str, mut pick: impl FnMut(&RoomEvent) -> Option<T>) -> T {
        let mut news = self.news.subscribe();
        let wait = async {
            loop {
                if let Some(found) = self.events.lock().unwrap().iter().find_map(&mut pick) {
                    return found;
                }
                news.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), wait).await;
        found.unwrap_or_else(|_| {
            panic!(
                "{what} did not arrive; {} events did",
                self.events.lock().unwrap().len()
            )
        })
    }

    pub async fn wait_for_text(&self, text: &str) -> RoomEvent {
        self.wait(text, |event| (plain(event) == Some(text)).then(|| event.clone()))
            .await
    }
}

/// The text of a message event.
pub fn plain(event: &RoomEvent) -> Option<&str> {
    match &event.what {
        RoomEventKind::Message(message) => message.first_text().map(|text| text.plain.as_str()),
        _ => None,
    }
}

/// A directory that knows one number.
#[derive(Default)]
pub struct Phones {
    /// The room that a chat with the number has, once there is one.
    pub room: Mutex<Option<RoomId>>,
    pub down: AtomicBool,
}

impl Phones {
    fn resolved(&self) -> Resolved {
        Resolved {
            ghost: ghost(),
            line: LineId::new("main"),
            identifier: NUMBER.into(),
            room: self.room.lock().unwrap().clone(),
        }
    }
}

#[async_trait]
impl Directory for Phones {
    async fn lines(&self, _: &UserId) -> Result<Vec<LineSummary>, DirectoryError> {
        Ok(vec![LineSummary {
            id: LineId::new("main"),
            name: "Main".into(),
            address: "+447700900000".into(),
            network: "sms".into(),
            connected: true,
        }])
    }

    async fn resolve(
        &self,
        _: Option<&UserId>,
        line: Option<&LineId>,
        identifier: &str,
        create: bool,
    ) -> Result<Resolved, DirectoryError> {
        if line.is_some_and(|line| line.as_str() != "main") {
            return Err(DirectoryError::NoSuchLine);
        }
        if identifier != NUMBER {
            return Err(DirectoryError::NotReachable("this is no number".into()));
        }
        let before = self.resolved();
        if create {
            *self.room.lock().unwrap() = Some(RoomId::new("!made:localhost"));
        }
        Ok(before)
    }

    async fn contacts(&self, _: &UserId) -> Result<Vec<Resolved>, DirectoryError> {
        Ok(vec![self.resolved()])
    }

    async fn ghost(&self, pseudonym: &str) -> Result<Option<Ghost>, DirectoryError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(DirectoryError::Unavailable("the store is away".into()));
        }
        Ok((pseudonym == PSEUDONYM).then(ghost))
    }
}

pub fn ghost() -> Ghost {
    Ghost::new(PSEUDONYM, "+44 ••• 56 (SMS)")
}

/// What exists before the homeserver does: our address and the registration.
pub struct Plan {
    listener: TcpListener,
    address: Url,
    pub config: Config,
    pub registration: Registration,
    folder: TempDir,
}

/// The Matrix side, serving.
pub struct Bridge {
    pub matrix: Arc<Matrix>,
    pub inbox: Arc<Collected>,
    pub phones: Arc<Phones>,
    pub config: Config,
    pub address: Url,
    pub keys: Keys,
    pub clock: Arc<dyn Clock>,
    server: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Plan {
    pub async fn new() -> Self {
        // It comes back at the same address.
        let port = free_port().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let nowhere = Url::parse("http://127.0.0.1:1").unwrap();
        let config = Config::new(
            nowhere,
            "localhost",
            "sms",
            random_token(&Dice),
            random_token(&Dice),
        );
        let registration = Registration::new(&config, &address, &Dice);
        Self {
            listener,
            address,
            config,
            registration,
            folder: TempDir::with_prefix("swingbridge-matrix-").unwrap(),
        }
    }

    /// Writes `registration.yaml`.
    pub fn file(&self) -> PathBuf {
        let path = self.folder.path().join("registration.yaml");
        std::fs::write(&path, self.registration.to_yaml()).unwrap();
        path
    }

    /// Starts a stub with these habits, and the bridge on it.
    pub async fn on_stub(self, quirks: Quirks) -> (Stub, Bridge) {
        let registration = StubRegistration::from_yaml(&self.registration.to_yaml()).unwrap();
        let mut config = StubConfig::new(registration);
        config.quirks = quirks;
        let stub = Stub::start(config).await.unwrap();
        let url = stub.url();
        (stub, self.serve(&url, Arc::new(Now)))
    }

    /// Serves for the homeserver at `url`.
    pub fn serve(mut self, url: &str, clock: Arc<dyn Clock>) -> Bridge {
        self.config.homeserver = Url::parse(url).unwrap();
        let keys = Keys::derive(&[7; 32], Arc::new(Dice));
        self.config.crypto_folder = self.folder.path().join("crypto");
        self.config.media_folder = self.folder.path().join("files");
        let matrix = Matrix::new(self.config.clone(), keys.clone(), clock.clone()).unwrap();
        matrix.open_keys().unwrap();
        let mut bridge = Bridge {
            matrix,
            keeper: None,
            inbox: Arc::default(),
            phones: Arc::default(),
            config: self.config,
            address: self.address,
            keys,
            clock,
            server: None,
            _folder: self.folder,
        };
        bridge.listen(self.listener);
        bridge
    }
}

impl Bridge {
    /// Starts with a new Matrix side that remembers nothing, as after a restart of the program.
    pub fn forget(&mut self) {
        self.matrix = Matrix::new(self.config.clone(), self.keys.clone(), self.clock.clone()).unwrap();
    }

    /// As when the program is stopped and started: another Matrix side on the same keys.
    pub async fn restart(&mut self) {
        self.go_away().await;
        // The old one lets go of the keys before the new one takes them.
        let nowhere = Url::parse("http://127.0.0.1:1").unwrap();
        let mut config = Config::new(nowhere, "localhost", "sms", Secret::new("a"), Secret::new("h"));
        config.encryption = Mode::Off;
        self.matrix = Matrix::new(config, self.keys.clone(), self.clock.clone()).unwrap();
        self.forget();
        while let Err(failure) = self.matrix.open_keys() {
            assert!(failure.to_string().contains("another gateway"), "{failure}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.come_back().await;
    }

    /// A file of the machine that the gateway runs on.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self._folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Stops serving.
    pub async fn go_away(&mut self) {
        for task in [self.server.take(), self.keeper.take()].into_iter().flatten() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Serves again at the same address.
    pub async fn come_back(&mut self) {
        let address = self.address.socket_addrs(|| None).unwrap()[0];
        self.listen(TcpListener::bind(address).await.unwrap());
    }

    fn listen(&mut self, listener: TcpListener) {
        let routes = appservice::router(AppService {
            matrix: self.matrix.clone(),
            inbox: self.inbox.clone(),
            directory: self.phones.clone(),
        })
        .merge(provisioning::router(Provisioning {
            matrix: self.matrix.clone(),
            directory: self.phones.clone(),
            permissions: Permissions(vec![("localhost".into(), Permission::User)]),
            shared_secret: Some(Secret::new(SHARED_SECRET)),
            network: Network {
                id: "sms".into(),
                name: "SMS".into(),
                url: "https://example.org/sms".into(),
            },
            command_prefix: "!sms".into(),
        }))
        .merge(media::router(self.matrix.clone()))
        .fallback(swingbridge_matrix::unrecognized);
        self.server = Some(tokio::spawn(async move {
            axum::serve(listener, routes).await.unwrap();
        }));
        if self.config.encryption != Mode::Off {
            let keeping = self
                .matrix
                .clone()
                .look_after_keys(self.inbox.clone(), Shutdown::never());
            self.keeper = Some(tokio::spawn(keeping));
        }
    }

    pub async fn perform(&self, action: Action, transaction: &str) -> Performed {
        self.matrix.perform(&action, transaction).await.unwrap()
    }

    /// Makes (or finds) the room `alias` with the ghost.
    pub async fn room(&self, new: NewRoom) -> RoomId {
        self.perform(Action::CreateRoom(new), "unused")
            .await
            .room
            .unwrap()
    }

    /// Says something as the ghost.
    pub async fn say(&self, room: &RoomId, text: &str, transaction: &str) -> EventId {
        self.perform(
            Action::Post(post(room, Sender::Ghost(ghost()), text)),
            transaction,
        )
        .await
        .event
        .unwrap()
    }

    pub fn ghost_id(&self) -> String {
        self.matrix.names().ghost(PSEUDONYM)
    }

    pub fn bot_id(&self) -> String {
        self.matrix.names().bot().to_owned()
    }
}

pub fn post(room: &RoomId, sender: Sender, text: &str) -> Post {
    let text = Text {
        plain: text.into(),
        ..Text::default()
    };
    Post {
        sender,
        ..Post::by_bot(room.clone(), text)
    }
}

/// A direct chat with the ghost.
pub fn chat(alias: &str, invite: &str) -> NewRoom {
    NewRoom {
        alias: alias.into(),
        kind: RoomKind::Direct,
        about: About {
            name: "+44 ••• 56".into(),
            topic: Some("SMS by Main".into()),
            bridge: Some(BridgeInfo {
                protocol: "sms".into(),
                protocol_name: "SMS".into(),
                line: LineId::new("main"),
                line_name: "Main".into(),
                channel: alias.into(),
                channel_name: "+44 ••• 56".into(),
            }),
            writable: true,
        },
        ghost: Some(ghost()),
        invite: vec![UserId::new(invite)],
        space: None,
    }
}

/// Whether `word` stands in a file below `folder`.
pub fn holds(folder: &Path, word: &[u8]) -> bool {
    let (mut looked, mut found) = (0, false);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            looked += bytes.len();
            if bytes.windows(word.len()).any(|window| window == word) {
                eprintln!("{} holds it", path.display());
                found = true;
            }
        }
    }
    assert!(looked > 100_000, "only {looked} octets were there to look at");
    found
}
