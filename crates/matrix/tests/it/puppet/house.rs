//! A homeserver, the device's client on it, and its owner.

use crate::bridge::{Collected, Now, chat, holds, post};
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::homeserver::{Action, Homeserver, Performed, Sender};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection, Scheme};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::client::Client;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_matrix::puppet::{Config, Identity, Puppet, RunError, Session, login};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use url::Url;

pub const MEGOLM: Protection = Protection::EndToEnd(Scheme::Megolm);
pub const PASSWORD: &str = "a password of somebody";
pub const KEY: [u8; 32] = [9; 32];

/// The device.
pub struct Phone {
    pub puppet: Arc<Puppet>,
    pub inbox: Arc<Collected>,
    pub config: Config,
    pub session: Session,
    pub double: Option<Session>,
    pub run: Option<JoinHandle<Result<(), RunError>>>,
    _folder: Option<TempDir>,
}

pub struct House {
    pub synapse: Synapse,
    pub phone: Phone,
    /// On matrix-nio.
    pub alice: Foreign,
    /// The same user without encryption, to look at what the homeserver has.
    pub outside: Client,
}

impl House {
    pub async fn open() -> Option<Self> {
        Self::open_with(false).await
    }

    /// `double`: the device speaks as the owner, too.
    pub async fn open_with(double: bool) -> Option<Self> {
        let (synapse, outside) = homeserver().await?;
        let alice = Foreign::client(Script::Nio, synapse.url(), outside.user(), PASSWORD)
            .await?
            .unwrap();
        let phone = Phone::log_in(&synapse, outside.user(), double).await;
        Some(Self {
            synapse,
            phone,
            alice,
            outside,
        })
    }

    /// A chat with a contact, alice inside.
    pub async fn chat(&mut self, alias: &str) -> RoomId {
        let room = self.phone.room(alias, self.outside.user()).await;
        self.join(&room).await;
        room
    }

    pub async fn join(&mut self, room: &RoomId) {
        self.tell(json!({ "do": "join", "room": room })).await;
        let joined = self.alice.event("joined").await.unwrap();
        assert_eq!(joined["encrypted"], true);
    }

    pub async fn tell(&mut self, command: Value) {
        self.alice.tell(command).await.unwrap();
    }

    pub async fn send(&mut self, room: &RoomId, body: &str) -> EventId {
        self.send_with(room, body, json!({})).await
    }

    pub async fn send_with(&mut self, room: &RoomId, body: &str, more: Value) -> EventId {
        self.tell(json!({ "do": "send", "room": room, "body": body, "more": more }))
            .await;
        EventId::new(self.alice.event("sent").await.unwrap()["id"].as_str().unwrap())
    }

    /// What alice's client opens.
    pub async fn reads(&mut self, body: &str) -> Value {
        let said = self
            .alice
            .event_with("message", |event| event["content"]["body"] == body)
            .await;
        let said = said.unwrap();
        assert_eq!(said["encrypted"], true, "{said}");
        said
    }

    /// Stops the homeserver and looks for a word in all that it wrote.
    pub async fn homeserver_holds(&mut self, word: &str) -> bool {
        self.synapse.stop().await;
        holds(self.synapse.folder(), word.as_bytes())
    }
}

/// A Synapse with alice and the device's account.
pub async fn homeserver() -> Option<(Synapse, Client)> {
    let synapse = Synapse::for_test(Options::default()).await?;
    synapse.user("phone-alice", PASSWORD).await.unwrap();
    let outside = synapse.user("alice", PASSWORD).await.unwrap();
    Some((synapse, outside))
}

impl Phone {
    pub async fn log_in(synapse: &Synapse, owner: &str, with_double: bool) -> Self {
        let mut phone = Self::new(synapse, owner, with_double).await;
        phone.start_new().await;
        phone
    }

    /// Gives the account its identity, and starts.
    pub async fn start_new(&mut self) {
        let identity = Identity::New { password: None };
        self.puppet.establish(&identity).await.unwrap();
        self.start();
    }

    /// Logged in, and nothing more.
    pub async fn new(synapse: &Synapse, owner: &str, with_double: bool) -> Self {
        let folder = TempDir::with_prefix("swingbridge-puppet-").unwrap();
        let url = Url::parse(synapse.url()).unwrap();
        let config = Config::new(url, UserId::new(owner), folder.path().join("puppet"));
        let mut phone = Self::by(config, with_double).await;
        phone._folder = Some(folder);
        phone
    }

    /// The same by a configuration, in a folder that the caller keeps.
    pub async fn by(config: Config, with_double: bool) -> Self {
        let secret = Secret::new(PASSWORD);
        let session = login::with_password(&config, "phone-alice", &secret, None)
            .await
            .unwrap();
        let double = match with_double {
            true => {
                let owner = config.owner.as_str();
                Some(login::with_password(&config, owner, &secret, None).await.unwrap())
            }
            false => None,
        };
        let puppet = open(&config, &session, double.as_ref()).await;
        Self {
            puppet,
            inbox: Arc::default(),
            config,
            session,
            double,
            run: None,
            _folder: None,
        }
    }

    pub fn start(&mut self) {
        let run = self.puppet.clone().run(self.inbox.clone(), Shutdown::never());
        self.run = Some(tokio::spawn(run));
    }

    /// Stops in the middle of whatever it does.
    pub async fn stop(&mut self) {
        if let Some(run) = self.run.take() {
            run.abort();
            let _ = run.await;
        }
    }

    /// As when the program is killed and started again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.reopen().await;
        self.start();
    }

    /// Lets go of the folder.
    pub async fn close(&mut self) {
        self.stop().await;
        let elsewhere = TempDir::new().unwrap();
        let mut config = self.config.clone();
        config.folder = elsewhere.path().join("nothing");
        config.homeserver = Url::parse("http://127.0.0.1:1").unwrap();
        let mut nobody = self.session.clone();
        nobody.device = "NOBODY".into();
        self.puppet = open(&config, &nobody, None).await;
    }

    /// Opens the same folder anew.
    pub async fn reopen(&mut self) {
        self.close().await;
        loop {
            match Puppet::open(
                self.config.clone(),
                &self.session,
                self.double.as_ref(),
                &KEY,
                Arc::new(Now),
            )
            .await
            {
                Ok(puppet) => {
                    self.puppet = puppet;
                    return;
                }
                Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub async fn perform(&self, action: Action, transaction: &str) -> Performed {
        self.puppet.perform(&action, transaction).await.unwrap()
    }

    pub async fn room(&self, alias: &str, owner: &str) -> RoomId {
        let made = self
            .perform(Action::CreateRoom(chat(alias, owner)), "unused")
            .await;
        assert_eq!(made.protection, Some(MEGOLM));
        made.room.unwrap()
    }

    /// Says something as a contact, who wrote an SMS.
    pub async fn say(&self, room: &RoomId, text: &str, transaction: &str) -> EventId {
        let mut said = post(room, Sender::Ghost(crate::bridge::ghost()), text);
        said.way = vec![
            Leg::new(
                Place::Phone,
                Place::Carrier,
                Protection::None,
                Evidence::NetworkCannot,
            ),
            Leg::new(
                Place::Carrier,
                Place::Device,
                Protection::None,
                Evidence::NetworkCannot,
            ),
        ];
        let performed = self.perform(Action::Post(said), transaction).await;
        assert_eq!(performed.protection, Some(MEGOLM));
        performed.event.unwrap()
    }
}

pub async fn open(config: &Config, session: &Session, double: Option<&Session>) -> Arc<Puppet> {
    Puppet::open(config.clone(), session, double, &KEY, Arc::new(Now))
        .await
        .unwrap()
}
