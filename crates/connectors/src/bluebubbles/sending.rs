//! Sending, and finding out what became of it. An answer of the server is not the end: Messages fails seconds later, and the server
//! tells of that nowhere but in the message itself, which is watched for as long as the server would.

use super::account::Account;
use super::api::Failure;

use super::flights::{of_file, of_tapback, of_text};
use super::journal::{Flight, Look, Put, Watch, digest};
use super::requests::{File, Text};
use super::shapes::Message;
use super::steps::{Step, rejected};
use super::updates::error_words;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Media, MediaKind};
use tokio::time::timeout;

/// How long a text may fail after it was taken, and a file: the server's own limits.
const TEXT_WATCHED: Duration = Duration::from_secs(120);
const FILE_WATCHED: Duration = Duration::from_secs(20 * 60);
const AWAY: Duration = Duration::from_secs(10);
const REFUSED: Duration = Duration::from_secs(60);

/// Where it goes.
enum To {
    Chat(String),
    /// There is no chat with this person yet.
    Stranger(String),
}

impl Account {
    pub(super) async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let _sending = self.sends.token();
        if self.stopping.is_cancelled() {
            return Err(later(AWAY, "the program is stopping"));
        }
        if outbound
            .expires_at
            .is_some_and(|expires_at| expires_at <= self.clock.now())
        {
            return Err(rejected(
                Reason::Expired,
                "its time was over before it could be sent",
            ));
        }
        let steps = self.steps(&outbound.message)?;
        let to = self.to(&outbound.to).await?;
        let total = steps.len();
        let mut network_ids = Vec::with_capacity(total);
        for step in steps {
            match self.step(&to, &step).await {
                Ok(guid) => network_ids.push(NetworkId::new(guid)),
                Err(error) if network_ids.is_empty() => return Err(error),
                // The first part is out: sending all of it again would double that one.
                Err(error) => {
                    return Err(SendError::Unknown {
                        detail: format!(
                            "part {} of {total} did not follow the others: {error}",
                            network_ids.len() + 1
                        ),
                    });
                }
            }
        }
        Ok(Accepted {
            segments: u16::try_from(network_ids.len()).unwrap_or(u16::MAX),
            network_ids,
            ..Accepted::default()
        })
    }

    async fn to(&self, to: &[Address]) -> Result<To, SendError> {
        let [address] = to else {
            return Err(rejected(
                Reason::BadAddress,
                "BlueBubbles begins no groups here: begin it in Messages, and it has a room from its first message on",
            ));
        };
        match address {
            Address::Group(guid) => return Ok(To::Chat(guid.clone())),
            Address::Name(_) => {
                return Err(rejected(Reason::BadAddress, "a sender's name cannot be answered"));
            }
            Address::Number(_) | Address::Short(_) | Address::Mail(_) => {}
        }
        match self.chats.with_contact(&self.api, address).await {
            Ok(Some(chat)) => Ok(To::Chat(chat)),
            Ok(None) => Ok(To::Stranger(address.full().to_owned())),
            Err(Failure::Refused) => Err(later(REFUSED, "the server refuses the password")),
            Err(failure) => Err(later(AWAY, &failure.to_string())),
        }
    }

    async fn step(&self, to: &To, step: &Step) -> Result<String, SendError> {
        let mut random = [0; 12];
        self.entropy.fill(&mut random);
        let temp = format!("swingbridge-{}", data_encoding::HEXLOWER.encode(&random));
        let private = self.is_private();
        let limit = self.config.send_timeout;
        match (step, to) {
            (Step::Text { text, reply_to }, To::Chat(chat)) => {
                let request = Text {
                    chat,
                    text,
                    temp: &temp,
                    reply_to: reply_to.as_deref(),
                    private,
                };
                self.fly(
                    chat,
                    &of_text(text),
                    TEXT_WATCHED,
                    self.api.send_text(&request, limit),
                )
                .await
            }
            (Step::Text { text, .. }, To::Stranger(address)) => {
                let begin = async {
                    let chat = self.api.new_chat(address, text, &temp, private, limit).await?;
                    self.chats.used(&chat);
                    let sent = chat
                        .messages
                        .into_iter()
                        .find(|message| message.is_own() && message.words() == text.trim());
                    sent.ok_or_else(|| Failure::Lost("the server does not say what it sent".to_owned()))
                };
                self.fly(address, &of_text(text), TEXT_WATCHED, begin).await
            }
            (Step::File { .. }, To::Stranger(_)) => Err(rejected(
                Reason::BadContent,
                "Messages begins no chat with a file: write a text first",
            )),
            (Step::File { media, reply_to }, To::Chat(chat)) => {
                let path = path_of(media)?;
                let name = name_of(media, &path);
                let request = File {
                    chat,
                    path: &path,
                    name: &name,
                    mime: media.mime.as_deref(),
                    temp: &temp,
                    reply_to: reply_to.as_deref(),
                    voice: media.kind == MediaKind::Voice,
                    private,
                };
                self.fly(
                    chat,
                    &of_file(&name),
                    FILE_WATCHED,
                    self.api.send_file(&request, limit * 10),
                )
                .await
            }
            (Step::React { target, reaction }, To::Chat(chat)) => {
                let content = of_tapback(target, reaction);
                let request = self.api.react(chat, target, reaction, limit);
                let guid = self.fly(chat, &content, TEXT_WATCHED, request).await?;
                self.reacted(target, reaction, &guid);
                Ok(guid)
            }
            (Step::React { .. }, To::Stranger(_)) => Err(rejected(
                Reason::BadAddress,
                "there is no chat with them on the Mac",
            )),
            (Step::Edit { guid, text }, _) => self.rewrite(guid, self.api.edit(guid, text, limit)).await,
            (Step::Unsend { guid }, _) => self.rewrite(guid, self.api.unsend(guid, limit)).await,
        }
    }

    /// Makes a request that puts a new row into the Mac's database, and finds out which.
    async fn fly(
        &self,
        to: &str,
        content: &str,
        watched: Duration,
        request: impl Future<Output = Result<Message, Failure>>,
    ) -> Result<String, SendError> {
        let turn = self.flights.turn(to);
        let _turn = turn.lock().await;
        let flight = self
            .take_off(to, content)
            .map_err(|error| later(AWAY, &error.to_string()))?;
        let mut aloft = self.flights.begin(flight);
        let failure = match request.await {
            Ok(message) => {
                self.landed(flight, &message, watched);
                return match message.error.unwrap_or(0) {
                    0 => Ok(message.guid),
                    code => Err(rejected(Reason::NetworkRefused, error_words(code))),
                };
            }
            Err(failure) => failure,
        };
        let not_sent = match failure {
            Failure::Failed {
                message: Some(message),
                ..
            } if message.error.unwrap_or(0) != 0 => {
                self.landed(flight, &message, watched);
                let code = message.error.unwrap_or(0);
                return Err(rejected(Reason::NetworkRefused, error_words(code)));
            }
            Failure::Failed { .. } | Failure::Lost(_) => {
                return self.look_for(flight, &mut aloft, watched, &failure).await;
            }
            Failure::Away(_) => later(AWAY, &failure.to_string()),
            Failure::Refused => later(REFUSED, &failure.to_string()),
            Failure::Missing => rejected(
                Reason::BadAddress,
                "the chat or the message is not on the Mac any more",
            ),
            Failure::Invalid(_) => rejected(Reason::BadContent, failure.to_string()),
        };
        self.forget(flight);
        Err(not_sent)
    }

    /// The answer is missing or bad: the rows tell whether it left all the same.
    async fn look_for(
        &self,
        flight: u64,
        aloft: &mut super::flights::Aloft<'_>,
        watched: Duration,
        failure: &Failure,
    ) -> Result<String, SendError> {
        self.nudge.notify_one();
        let found = aloft.claimed.wait_for(Option::is_some);
        let guid = match timeout(self.config.confirm, found).await {
            Ok(Ok(guid)) => guid.clone(),
            _ => None,
        };
        let Some(guid) = guid else {
            return Err(SendError::Unknown {
                detail: format!("{failure}; and the message is not to be seen on the Mac"),
            });
        };
        let message = Message {
            guid: guid.clone(),
            ..Message::default()
        };
        self.landed(flight, &message, watched);
        Ok(guid)
    }

    /// Remembers a send before anything of it leaves.
    fn take_off(&self, to: &str, content: &str) -> Result<u64, super::journal::JournalError> {
        let mut random = [0; 24];
        self.entropy.fill(&mut random);
        let (id, salt) = random.split_at(8);
        let id = id.iter().fold(0, |id, octet| (id << 8) | u64::from(*octet));
        let salt = data_encoding::HEXLOWER.encode(salt);
        let at = self.clock.now();
        self.keep(|state| {
            state.flights.push(Flight {
                id,
                to: to.to_owned(),
                digest: digest(&salt, content),
                salt,
                floor: state.cursor.unwrap_or(0),
                at,
            });
            id
        })
    }

    /// A send has its row, which is watched from now on.
    fn landed(&self, flight: u64, message: &Message, watched: Duration) {
        let (guid, until) = (message.guid.clone(), self.clock.now() + watched);
        let failed = message.error.unwrap_or(0) != 0;
        self.traffic();
        self.kept(|state| {
            state.flights.retain(|one| one.id != flight);
            state.own(&guid);
            if state.look(&guid).is_none() {
                state.saw(&guid, Look::default());
            }
            if !failed {
                state.watches.insert(guid, Watch { until });
            }
        });
    }

    fn forget(&self, flight: u64) {
        self.kept(|state| state.flights.retain(|one| one.id != flight));
    }

    fn reacted(&self, target: &str, reaction: &str, guid: &str) {
        self.kept(|state| {
            state
                .tapbacks
                .retain(|put| put.target != target || !put.by.is_empty());
            if !reaction.starts_with('-') {
                state.tapbacks.push_back(Put {
                    guid: guid.to_owned(),
                    target: target.to_owned(),
                    name: reaction.to_owned(),
                    by: String::new(),
                });
            }
        });
    }

    /// Changes a message that is there. The server answers with the message as it is then.
    async fn rewrite(
        &self,
        guid: &str,
        request: impl Future<Output = Result<Message, Failure>>,
    ) -> Result<String, SendError> {
        self.rewriting(guid);
        let error = match request.await {
            Ok(message) => {
                // A later change is news again.
                let mut look = super::updates::look(&message);
                self.kept(|state| {
                    look.outcome = state.look(guid).and_then(|before| before.outcome);
                    state.saw(guid, look);
                });
                self.rewriting_ended(guid);
                return Ok(message.guid);
            }
            Err(failure @ (Failure::Failed { .. } | Failure::Lost(_))) => {
                return Err(SendError::Unknown {
                    detail: failure.to_string(),
                });
            }
            Err(failure @ Failure::Away(_)) => later(AWAY, &failure.to_string()),
            Err(failure @ Failure::Refused) => later(REFUSED, &failure.to_string()),
            Err(Failure::Missing | Failure::Invalid(_)) => rejected(
                Reason::BadContent,
                "the message cannot be changed: it is not on the Mac any more, or it is too old",
            ),
        };
        self.rewriting_ended(guid);
        Err(error)
    }

    /// What is only remembered to recognise it again is no reason to call a send failed.
    fn kept(&self, change: impl FnOnce(&mut super::journal::State)) {
        if let Err(error) = self.keep(change) {
            tracing::error!(connector = %self.id, %error, "what was sent cannot be remembered; it may show up as written on the phone");
        }
    }
}

fn path_of(media: &Media) -> Result<PathBuf, SendError> {
    crate::provider::files::path(media)
        .filter(|path| path.is_file())
        .ok_or_else(|| rejected(Reason::BadContent, "the file is not on this machine"))
}

fn name_of(media: &Media, path: &std::path::Path) -> String {
    let given = media.name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    match given.is_empty() {
        false => given.to_owned(),
        true => path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("file")
            .to_owned(),
    }
}

/// Nothing of it left.
fn later(delay: Duration, detail: &str) -> SendError {
    SendError::RetryAfter {
        delay,
        detail: detail.to_owned(),
        counts: false,
    }
}
