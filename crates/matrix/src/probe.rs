//! Trying out the homeserver: each probe says what was found, and for a failure its cause and its cure.

use crate::crypto::{Mode, PREFIX};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::RoomId;
use ruma::api::client::account::whoami;
use ruma::api::client::appservice::request_ping;
use ruma::api::client::discovery::get_capabilities;
use ruma::api::client::keys::get_keys;
use std::time::Duration;
use swingbridge_domain::homeserver::PerformError;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried, in a few words: `the homeserver answers`.
    pub what: &'static str,
    pub result: Result<String, Fault>,
}

/// Why a probe failed, and what a person does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}. {cure}")]
pub struct Fault {
    pub cause: String,
    pub cure: String,
    /// The homeserver was away or busy: the same probe may pass in a while, and nobody need act yet.
    pub may_pass: bool,
}

impl Fault {
    fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            cure: cure.into(),
            may_pass: false,
        }
    }

    fn of(self, failure: &Failure) -> Self {
        Self {
            may_pass: matches!(failure, Failure::Away { .. }),
            ..self
        }
    }
}

impl Matrix {
    /// Tries everything that needs no answer of ours, in the order in which one depends on the other; ends at the first
    /// failure on which the rest depends.
    pub async fn probe(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let versions = self.probe_versions().await;
        let reached = versions.is_ok();
        found.push(Finding {
            what: "the homeserver answers",
            result: versions,
        });
        if !reached {
            return found;
        }
        let token = self.probe_token().await;
        let known = token.is_ok();
        found.push(Finding {
            what: "it takes our token and lets us act as the bot",
            result: token,
        });
        if known {
            found.push(Finding {
                what: "the version of new rooms",
                result: self.probe_rooms().await,
            });
            found.push(Finding {
                what: "messages repeated after its restart stay one",
                result: self.probe_device().await,
            });
            if self.config.encryption != Mode::Off {
                found.push(Finding {
                    what: "encrypted rooms",
                    result: self.probe_encryption().await,
                });
            }
        }
        found
    }

    /// The versions of the client API: a cheap request that needs no token.
    ///
    /// # Errors
    /// [`Fault`] with cause and cure; safe to repeat.
    pub async fn probe_versions(&self) -> Result<String, Fault> {
        let unreachable = |cause: String| {
            Fault {
            cause: format!("{} does not answer as a homeserver: {cause}", self.api.base()),
            cure: "Is the homeserver running, is the address in the configuration right, and may this machine reach it?".into(),
            may_pass: true,
        }
        };
        #[derive(serde::Deserialize)]
        struct Answer {
            versions: Vec<String>,
        }
        let request = self
            .api
            .plain("/_matrix/client/versions", None)
            .timeout(self.api.timeout());
        let answer = request
            .send()
            .await
            .map_err(|error| unreachable(crate::api::net(&error).to_string()))?;
        if !answer.status().is_success() {
            return Err(unreachable(crate::api::refused(answer).await.to_string()));
        }
        let answer: Answer = answer
            .json()
            .await
            .map_err(|_| unreachable("its answer has no list of versions".to_owned()))?;
        match answer.versions.last() {
            Some(newest) => Ok(format!("{}, versions up to {newest}", self.api.base())),
            None => Err(unreachable("it names no version".to_owned())),
        }
    }

    /// Whether the as_token is known, and the bot ours to act as. Makes the bot.
    ///
    /// # Errors
    /// [`Fault`] with cause and cure; safe to repeat.
    pub async fn probe_token(&self) -> Result<String, Fault> {
        if let Err(failure) = self.ensure_bot().await {
            return Err(self.token_fault(&failure));
        }
        match self.api.call(Some(self.bot()), whoami::v3::Request::new()).await {
            Ok(answer) if answer.user_id == self.bot => Ok(format!("acting as {}", answer.user_id)),
            Ok(answer) => Err(Fault::new(
                format!(
                    "acting as {}, the homeserver takes us for {}",
                    self.bot, answer.user_id
                ),
                "The as_token belongs to somebody else: use the one of this bridge's registration.",
            )),
            Err(failure) => Err(self.token_fault(&failure)),
        }
    }

    fn token_fault(&self, failure: &Failure) -> Fault {
        let fault = match failure.code() {
            Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_UNAUTHORIZED") => Fault::new(
                format!("the homeserver does not know the as_token ({failure})"),
                "Give registration.yaml to the homeserver (Synapse: app_service_config_files) and restart it; if it has one already, \
                 the as_token in it is another than in the configuration.",
            ),
            Some("M_EXCLUSIVE" | "M_FORBIDDEN" | "M_INVALID_USERNAME") => Fault::new(
                format!("the homeserver does not let us be {} ({failure})", self.bot),
                "The registration that the homeserver has read does not cover this bot or this server name: write registration.yaml \
                 anew, check server_name, and restart the homeserver.",
            ),
            _ => Fault::new(
                format!("the homeserver does not let the bot in ({failure})"),
                "Look into the homeserver's log for this request.",
            ),
        };
        fault.of(failure)
    }

    /// Whether our users can have devices, without which a homeserver forgets transactions when it restarts. Nobody can cure
    /// a homeserver that has it not, so that is told as a finding.
    async fn probe_device(&self) -> Result<String, Fault> {
        let made = self.people.make_device(&self.api, &self.bot).await;
        made.map_err(|failure| self.token_fault(&failure))?;
        match self
            .api
            .call(Some(self.people.sender(&self.bot)), whoami::v3::Request::new())
            .await
        {
            Ok(answer)
                if answer.device_id.as_deref() == self.people.device() && answer.device_id.is_some() =>
            {
                Ok("our users have devices".to_owned())
            }
            Ok(_) => Ok("not certain: the homeserver does not say whether our users have devices".to_owned()),
            Err(failure) => Err(self.token_fault(&failure)),
        }
    }

    /// Whether the bot has a device with keys, as everybody sees it. The gateway makes it when it first runs; its folder of keys is
    /// not touched here, since a running gateway works with it.
    async fn probe_encryption(&self) -> Result<String, Fault> {
        let mut request = get_keys::v3::Request::new();
        request.device_keys.insert(self.bot.clone(), Vec::new());
        let answer = match self.api.call(Some(self.bot()), request).await {
            Ok(answer) => answer,
            // Rooms stay plain then, which is nothing to stop at unless encryption is required.
            Err(failure @ Failure::Refused { .. }) if self.config.encryption != Mode::Require => {
                return Ok(format!(
                    "none: the homeserver says nothing of keys to us, so rooms stay plain ({failure})"
                ));
            }
            Err(failure) => {
                return Err(Fault::new(
                    format!("the homeserver says nothing of keys to us, so rooms stay plain ({failure})"),
                    "It needs MSC4190: on Synapse, io.element.msc4190 and org.matrix.msc3202 in registration.yaml, and a restart.",
                )
                .of(&failure));
            }
        };
        let devices = answer.device_keys.get(&self.bot);
        let ours = devices
            .into_iter()
            .flatten()
            .any(|(device, _)| device.as_str().starts_with(PREFIX));
        let signed = answer.self_signing_keys.contains_key(&self.bot);
        // Whether keys come with transactions shows only by doing.
        let advice = "Synapse sends keys with transactions only with msc2409_to_device_messages_enabled and \
                      msc3202_transaction_extensions below experimental_features; without, they are fetched, and come late";
        Ok(match (ours, signed) {
            (true, true) => format!("the bot has a device with signed keys. {advice}"),
            (true, false) => {
                format!("the bot has a device, and it is not signed: clients warn of it. {advice}")
            }
            (false, _) => format!("the bot's device is made when the gateway first runs. {advice}"),
        })
    }

    /// Whether the bot is in a room that people share a line in. Enters it when the bot is invited.
    ///
    /// # Errors
    /// [`Fault`] with cause and cure; safe to repeat.
    pub async fn probe_shared_room(&self, room: &str) -> Result<(), Fault> {
        let outside = || {
            Fault::new(
                format!("the bot is not in the room {room}, so nobody can use the line"),
                format!(
                    "Let one of its members, who needs a permission here, invite {}.",
                    self.bot
                ),
            )
        };
        let id = RoomId::parse(room).map_err(|_| outside())?;
        match self.is_inside(&id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(outside()),
            Err(failure) => Err(Fault {
                may_pass: matches!(failure, PerformError::Later { .. }),
                ..Fault::new(
                    format!("the bot does not come into the room {room} ({failure})"),
                    "Look into the homeserver's log for this request.",
                )
            }),
        }
    }

    async fn probe_rooms(&self) -> Result<String, Fault> {
        if let Some(wanted) = &self.config.room_version {
            let request = get_capabilities::v3::Request::new();
            if let Ok(answer) = self.api.call(Some(self.bot()), request).await {
                let versions = answer.capabilities.room_versions;
                if !versions
                    .available
                    .keys()
                    .any(|version| version.as_str() == wanted)
                {
                    return Err(Fault::new(
                        format!("the homeserver cannot make rooms of version {wanted}"),
                        format!(
                            "Leave the room version out of the configuration; the homeserver's own choice is {}.",
                            versions.default
                        ),
                    ));
                }
            }
        }
        match self.room_version().await {
            Ok(version) => Ok(version.id().to_owned()),
            Err(failure) => Err(Fault::new(
                format!("the homeserver does not say which room version it makes ({failure})"),
                "Set the room version in the configuration: \"11\" works almost everywhere.",
            )
            .of(&failure)),
        }
    }

    /// Asks the homeserver to call us (`POST /appservice/{id}/ping`), so the router must be serving. Synapse then also
    /// sends at once what it kept for us. Gives the time that the call took.
    ///
    /// # Errors
    /// [`Fault`] with cause and cure; safe to repeat.
    pub async fn ping(&self) -> Result<Duration, Fault> {
        let request = request_ping::v1::Request::new(self.config.appservice_id.clone());
        match self.api.call(None, request).await {
            Ok(answer) => Ok(answer.duration),
            Err(failure) => Err(self.ping_fault(&failure)),
        }
    }

    /// Pings until it works, for the start of the program: then the homeserver delivers at once what it kept. Gives up after
    /// ten tries in about three minutes, since some homeservers can not ping; messages come all the same. Ends at once when
    /// dropped.
    pub async fn announce(&self) {
        let mut pause = Duration::from_secs(1);
        for attempt in 1..=10 {
            match self.ping().await {
                Ok(took) => {
                    tracing::info!(?took, "the homeserver reaches us");
                    return;
                }
                Err(fault) if attempt == 10 => tracing::warn!(%fault, "no ping from the homeserver"),
                Err(fault) => tracing::debug!(%fault, attempt, "no ping from the homeserver yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }

    fn ping_fault(&self, failure: &Failure) -> Fault {
        let fault = match failure.code() {
            Some("M_CONNECTION_FAILED" | "M_CONNECTION_TIMEOUT") => Fault::new(
                format!("the homeserver cannot reach us ({failure})"),
                "Check url in registration.yaml: it must be an address of this program as the homeserver's machine (or container) \
                 sees it, and no firewall may stand between. After a change restart the homeserver.",
            ),
            Some("M_BAD_STATUS") => Fault::new(
                format!("the homeserver reached something that refused it ({failure})"),
                "The hs_token in the homeserver's registration is another than in the configuration, or url in registration.yaml leads \
                 to another program.",
            ),
            Some("M_URL_NOT_SET") => Fault::new(
                "the registration that the homeserver has read has no url",
                "Set url in registration.yaml to this program's address and restart the homeserver.",
            ),
            Some("M_FORBIDDEN") => Fault::new(
                format!(
                    "the homeserver knows us under another id than {:?}",
                    self.config.appservice_id
                ),
                "Use the id of registration.yaml in the configuration.",
            ),
            Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN") => self.token_fault(failure),
            Some("M_UNRECOGNIZED") => Fault::new(
                "the homeserver has no ping for application services",
                "Nothing to do: it is older than Matrix 1.7 or never had it. Whether it reaches us shows with the first message.",
            ),
            _ => Fault::new(
                format!("the ping failed ({failure})"),
                "Look into the homeserver's log for this request.",
            ),
        };
        fault.of(failure)
    }
}
