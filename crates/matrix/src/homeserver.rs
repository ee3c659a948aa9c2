//! [`Matrix`]: the homeserver as the engine sees it.

use crate::api::{Api, BuildError};
use crate::appservice::Numbers;
use crate::config::{Config, Names};
use crate::crypto::Crypto;
use crate::failure::Failure;
use crate::media::{Carried, Pictures, Spool};
use crate::people::People;
use crate::post::Reaction;
use crate::rooms::{RoomVersion, upkeep};
use async_trait::async_trait;
use ruma::{OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, UserId};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::homeserver::{Action, Ghost, Homeserver, Missed, PerformError, Performed, Sender};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::Media;
use swingbridge_domain::secret::Keys;
use tokio::sync::OnceCell;

/// How long the homeserver may take to say what happened during a long downtime.
const SYNC_TIMEOUT: Duration = Duration::from_secs(300);

/// The folder in [`Config::media_folder`] that is emptied at the start.
const SPOOL: &str = "spool";

/// The homeserver, spoken to as an application service.
pub struct Matrix {
    pub(crate) config: Config,
    pub(crate) names: Names,
    pub(crate) api: Api,
    /// For answers that take long.
    pub(crate) slow: Api,
    pub(crate) people: People,
    pub(crate) bot: OwnedUserId,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) room_version: OnceCell<RoomVersion>,
    pub(crate) spool: Spool,
    pub(crate) carried: Carried,
    pub(crate) pictures: Pictures,
    pub(crate) numbers: Numbers,
    /// Once the keys are opened.
    pub(crate) crypto: OnceLock<Arc<Crypto>>,
}

impl Matrix {
    /// Builds the client; asks the homeserver nothing yet.
    ///
    /// # Errors
    /// [`BuildError`] when the configuration can not work; final.
    pub fn new(config: Config, keys: Keys, clock: Arc<dyn Clock>) -> Result<Arc<Self>, BuildError> {
        let api = Api::new(&config)?;
        let names = config.names();
        let name = |what, value: &str| BuildError::Name {
            what,
            value: value.to_owned(),
        };
        ruma::ServerName::parse(&config.server_name).map_err(|_| name("server_name", &config.server_name))?;
        for (what, value) in [("bot", &config.bot), ("prefix", &config.prefix)] {
            if !is_localpart(value) {
                return Err(name(what, value));
            }
        }
        let bot = UserId::parse(names.bot()).map_err(|_| name("bot", names.bot()))?;
        let slow = api.with_timeout(SYNC_TIMEOUT.max(config.request_timeout));
        Ok(Arc::new(Self {
            spool: Spool::new(&config.media_folder.join(SPOOL), config.media_limit),
            carried: Carried::new(),
            pictures: Pictures::new(&config.media_folder),
            config,
            names,
            api,
            slow,
            people: People::new(),
            numbers: Numbers::default(),
            bot,
            keys,
            clock,
            room_version: OnceCell::new(),
            crypto: OnceLock::new(),
        }))
    }

    /// The names of our users and rooms.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Makes sure that the bot is there with its name and picture. Called once at start; everything else makes what it needs
    /// by itself.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn ensure_bot(&self) -> Result<(), Failure> {
        self.people
            .ensure(&self.api, &self.bot, &self.config.bot_name)
            .await?;
        if let Some(uri) = &self.config.bot_avatar {
            self.people.picture(&self.api, &self.bot, uri).await?;
        }
        Ok(())
    }

    /// Makes sure that a ghost is there with its name, and shows its picture if it has one; gives its user id.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn ensure_ghost(&self, ghost: &Ghost) -> Result<OwnedUserId, Failure> {
        let user = self.ghost_id(ghost)?;
        self.people.ensure(&self.api, &user, &ghost.name).await?;
        self.show_picture(&user, ghost).await;
        Ok(user)
    }

    pub(crate) fn ghost_id(&self, ghost: &Ghost) -> Result<OwnedUserId, Failure> {
        user_id(&self.names.ghost(&ghost.pseudonym))
    }

    /// The user behind `sender`, made when it is not there.
    pub(crate) async fn sender(&self, sender: &Sender) -> Result<OwnedUserId, Failure> {
        match sender {
            Sender::Ghost(ghost) => self.ensure_ghost(ghost).await,
            // Nobody's password is here: what somebody said on a device is the relay's to show as theirs.
            Sender::Bot | Sender::Owner(_) => {
                self.people
                    .ensure(&self.api, &self.bot, &self.config.bot_name)
                    .await?;
                Ok(self.bot.clone())
            }
        }
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matrix")
            .field("homeserver", &self.api.base())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Homeserver for Matrix {
    async fn perform(&self, action: &Action, transaction: &str) -> Result<Performed, PerformError> {
        match action {
            Action::CreateRoom(new) => self.create_room(new).await,
            Action::Post(post) => self.post(post, transaction).await,
            Action::Status(status) => self.status(status, transaction).await,
            Action::MarkRead { room, event } => self.mark_read(room, event).await,
            Action::React {
                room,
                event,
                key,
                by,
                way,
            } => {
                let reaction = Reaction {
                    room,
                    target: event,
                    key,
                    way,
                };
                self.react(by, &reaction, transaction).await
            }
            Action::Redact { room, event, by } => self.redact(by, room, event, transaction).await,
            Action::Typing { room, by, active } => self.typing(by, room, *active).await,
            Action::Join { room } => self.join(room).await,
            Action::Leave {
                room,
                ghost,
                alias,
                space,
            } => {
                self.leave(room, ghost.as_ref(), alias.as_deref(), space.as_ref())
                    .await
            }
            Action::Invite { room, users } => self.invite(room, users).await,
            Action::Shelve { room, from, to } => {
                let shelved = upkeep::shelve(self, room, from.as_ref(), to);
                shelved.await.map_err(Into::into)
            }
            Action::Describe { room, about, ghost } => self.describe(room, about, ghost.as_ref()).await,
        }
    }

    async fn text_of(&self, room: &RoomId, event: &EventId) -> Result<Option<String>, PerformError> {
        self.text(room, event).await.map_err(Into::into)
    }

    async fn missed(&self, token: Option<&str>) -> Result<Missed, PerformError> {
        self.what_was_missed(token).await.map_err(Into::into)
    }

    async fn fetch(&self, media: &Media) -> Result<Media, PerformError> {
        self.bring(media).await.map_err(Into::into)
    }

    async fn release(&self, media: &Media) {
        self.spool.release(media).await;
    }
}

/// What a new user may be called (Matrix, "User Identifiers"; homeservers make no others).
fn is_localpart(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/".contains(&byte);
    !text.is_empty() && text.bytes().all(good)
}

pub(crate) fn user_id(text: &str) -> Result<OwnedUserId, Failure> {
    UserId::parse(text).map_err(|_| Failure::invalid("user id"))
}

pub(crate) fn room_id(room: &RoomId) -> Result<OwnedRoomId, Failure> {
    OwnedRoomId::try_from(room.as_str()).map_err(|_| Failure::invalid("room id"))
}

pub(crate) fn event_id(event: &EventId) -> Result<OwnedEventId, Failure> {
    OwnedEventId::try_from(event.as_str()).map_err(|_| Failure::invalid("event id"))
}

pub(crate) fn alias_id(alias: &str) -> Result<OwnedRoomAliasId, Failure> {
    OwnedRoomAliasId::try_from(alias).map_err(|_| Failure::invalid("room alias"))
}
