//! Verification: two people (or one, with two devices) compare seven emoji, and from then on no client warns of the other (Matrix,
//! "Short Authentication String").

use super::requests::Asked;
use super::sync::sync_keys;
use super::{Puppet, failure};
use crate::failure::Failure;
use async_trait::async_trait;
use futures_util::{FutureExt, Stream, StreamExt};
use matrix_sdk::Client;
use matrix_sdk::encryption::verification::{
    SasState, SasVerification, Verification, VerificationRequest, VerificationRequestState,
};
use matrix_sdk_crypto::CancelInfo;
use ruma::UserId as MatrixUserId;
use ruma::events::key::verification::VerificationMethod;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::id::UserId;

/// How long the other side may take to choose the way of comparing, before we do.
const CHOOSE: Duration = Duration::from_secs(5);

/// With whom keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The owner, in whichever client they use.
    Owner,
    /// Another device that is logged in to the puppet's own account.
    OwnDevice,
    /// The owner's second session here with another device of theirs.
    OwnersDevice,
}

/// Who begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// We ask the other side.
    Ask,
    /// The other side asks; we wait for it.
    Wait,
}

/// One of the seven pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emoji {
    pub symbol: &'static str,
    /// Its name in English, as all clients show it.
    pub name: &'static str,
}

/// What the person says of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The other side shows the same.
    Same,
    /// It shows others: somebody is between us.
    Different,
    /// Nothing: nobody is there to look.
    Gone,
}

/// The person at this device.
#[async_trait]
pub trait Ui: Send + Sync {
    /// Asks whether the other device shows the same.
    async fn compare(&self, user: &UserId, device: &str, emoji: &[Emoji; 7]) -> Answer;

    /// The other side was asked, or is waited for.
    async fn waiting(&self) {}

    /// Completes when the person has gone, so that nobody will answer any more.
    async fn gone(&self) {
        std::future::pending().await
    }
}

/// Nothing was verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the homeserver cannot do it now: {0}")]
    Homeserver(#[from] Failure),
    /// There is nobody to ask: the cure is in the text.
    #[error("{0}")]
    Nobody(&'static str),
    /// The other side, or the person here, broke it off.
    #[error("the verification was broken off: {0}")]
    Cancelled(String),
    /// The pictures differed. Somebody may be reading along.
    #[error("the emoji differed: do not trust this connection, and look at the account's list of sessions")]
    Different,
}

impl Puppet {
    /// Compares keys, while [`Puppet::run`] is going on. Where the other side has asked already, that is taken up. Whoever else asks is
    /// not answered.
    ///
    /// # Errors
    /// [`VerifyError`]; safe to repeat.
    pub async fn verify(&self, whom: Whom, begin: Begin, ui: &dyn Ui) -> Result<(), VerifyError> {
        let client = self.verifier(whom)?;
        let current = Mutex::new(None);
        let comparing = async {
            let request = self.request(client, whom, begin, ui).await?;
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
            self.go_through(client, request, ui).await
        };
        tokio::select! {
            done = comparing => return done,
            () = ui.gone() => {}
        }
        let left = current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(request) = left {
            // The other side need not wait for its ten minutes to pass.
            request.cancel().boxed().await.map_err(failure::any)?;
        }
        Err(VerifyError::Cancelled(
            "nobody is at the device any more".to_owned(),
        ))
    }

    /// Tells when the owner asks to compare keys. A request waits for [`Puppet::verify`] as long as the owner's client lets it.
    pub fn asked(&self) -> Asked {
        Asked::new(self.requests.clone())
    }

    /// The request that the other side has made; else one of ours, or the next that it makes.
    async fn request(
        &self,
        client: &Client,
        whom: Whom,
        begin: Begin,
        ui: &dyn Ui,
    ) -> Result<VerificationRequest, VerifyError> {
        let encryption = client.encryption();
        let mut waits = false;
        loop {
            let more = self.requests.next();
            for asked in self.requests.of(whom) {
                let request = encryption
                    .get_verification_request(&asked.user, &asked.flow)
                    .await;
                // What nobody has taken up yet, and nobody has given up.
                let open = request
                    .filter(|request| matches!(request.state(), VerificationRequestState::Requested { .. }));
                if let Some(request) = open {
                    return Ok(request);
                }
            }
            if begin == Begin::Ask {
                let other = match whom {
                    Whom::Owner | Whom::OwnersDevice => &self.owner,
                    Whom::OwnDevice => &self.me,
                };
                let request = ask(client, other).await?;
                ui.waiting().await;
                return Ok(request);
            }
            if !waits {
                waits = true;
                ui.waiting().await;
            }
            more.await;
        }
    }

    /// Compares keys while nothing else is going on: asks the homeserver itself, and leaves everything but keys to be read by
    /// [`Puppet::run`] later.
    ///
    /// # Errors
    /// [`VerifyError`]; safe to repeat.
    pub async fn verify_alone(&self, whom: Whom, begin: Begin, ui: &dyn Ui) -> Result<(), VerifyError> {
        let client = self.verifier(whom)?;
        let place = tokio::sync::Mutex::new(self.ledger.token().await?);
        let read = async |poll| {
            if whom == Whom::OwnersDevice {
                return sync_keys(client, poll).await;
            }
            let mut place = place.lock().await;
            let answer = self.sync(place.as_deref(), poll).await?;
            *place = Some(answer.next_batch);
            Ok(())
        };
        // Who is in which room, and whose keys they are.
        read(Duration::ZERO).await?;
        let reading = async {
            loop {
                match read(Duration::from_secs(10)).await {
                    Ok(()) => {}
                    Err(failure) if failure.is_unknown_token() => return failure,
                    Err(failure) => {
                        tracing::warn!(%failure, "it is tried again");
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                }
            }
        };
        let done = tokio::select! {
            done = self.verify(whom, begin, ui) => done,
            failure = reading => return Err(failure.into()),
        };
        // What the client has to say last, signatures among it.
        done.and(read(Duration::ZERO).await.map_err(Into::into))
    }

    fn verifier(&self, whom: Whom) -> Result<&Client, VerifyError> {
        match whom {
            Whom::Owner | Whom::OwnDevice => Ok(&self.client),
            Whom::OwnersDevice => self.double.as_ref().ok_or(VerifyError::Nobody(
                "there is no second session of the owner here: log in as the owner first",
            )),
        }
    }

    async fn go_through(
        &self,
        client: &Client,
        request: VerificationRequest,
        ui: &dyn Ui,
    ) -> Result<(), VerifyError> {
        if !request.we_started() {
            let methods = vec![VerificationMethod::SasV1];
            request
                .accept_with_methods(methods)
                .boxed()
                .await
                .map_err(failure::any)?;
        }
        let mut changes = request.changes();
        let mut state = request.state();
        loop {
            match state {
                VerificationRequestState::Ready { .. } => {
                    // The other side chooses; nobody has to choose twice.
                    let patience = match request.we_started() {
                        true => Duration::ZERO,
                        false => CHOOSE,
                    };
                    match tokio::time::timeout(patience, changes.next()).await {
                        Ok(Some(next)) => {
                            state = next;
                            continue;
                        }
                        Ok(None) => break,
                        Err(_) => {}
                    }
                    if let Some(sas) = request.start_sas().boxed().await.map_err(failure::any)? {
                        return compare(client, &sas, ui).await;
                    }
                }
                VerificationRequestState::Transitioned { verification } => match verification {
                    Verification::SasV1(sas) => return compare(client, &sas, ui).await,
                    _ => {
                        return Err(VerifyError::Cancelled(
                            "the other side wants another way than emoji".to_owned(),
                        ));
                    }
                },
                VerificationRequestState::Done => return Ok(()),
                VerificationRequestState::Cancelled(info) => return Err(cancelled(&info)),
                _ => {}
            }
            match changes.next().await {
                Some(next) => state = next,
                None => break,
            }
        }
        Err(VerifyError::Cancelled("it ended without a word".to_owned()))
    }
}

async fn ask(client: &Client, other: &MatrixUserId) -> Result<VerificationRequest, VerifyError> {
    let encryption = client.encryption();
    let identity = encryption
        .request_user_identity(other)
        .await
        .map_err(failure::any)?;
    let identity = identity.ok_or(VerifyError::Nobody(
        "the account has no identity to verify: open it in a client that sets up verification first",
    ))?;
    if client.user_id() != Some(other) && client.get_dm_room(other).is_none() {
        return Err(VerifyError::Nobody(
            "there is no direct chat with the owner yet: invite the device's account to one",
        ));
    }
    let methods = vec![VerificationMethod::SasV1];
    let request = identity.request_verification_with_methods(methods).boxed().await;
    request.map_err(|error| VerifyError::Homeserver(Failure::away(error.to_string())))
}

async fn compare(client: &Client, sas: &SasVerification, ui: &dyn Ui) -> Result<(), VerifyError> {
    let mut changes = sas.changes();
    let mut state = sas.state();
    let (mut accepted, mut asked) = (sas.we_started(), false);
    loop {
        match state {
            SasState::Started { .. } if !accepted => {
                accepted = true;
                sas.accept().await.map_err(failure::any)?;
            }
            SasState::KeysExchanged { .. } if !asked => {
                asked = true;
                let Some(emoji) = sas.emoji() else {
                    sas.cancel().await.map_err(failure::any)?;
                    return Err(VerifyError::Cancelled("the other side shows no emoji".to_owned()));
                };
                let emoji = emoji.map(|emoji| Emoji {
                    symbol: emoji.symbol,
                    name: emoji.description,
                });
                let device = sas.other_device();
                let user = UserId::new(device.user_id().as_str());
                let answer = tokio::select! {
                    answer = ui.compare(&user, device.device_id().as_str(), &emoji) => answer,
                    info = broken_off(&mut changes) => return Err(cancelled(&info)),
                };
                match answer {
                    Answer::Same => sas.confirm().await.map_err(failure::any)?,
                    Answer::Different => {
                        sas.mismatch().await.map_err(failure::any)?;
                        return Err(VerifyError::Different);
                    }
                    Answer::Gone => {
                        sas.cancel().await.map_err(failure::any)?;
                        return Err(VerifyError::Cancelled("nobody looked at the emoji".to_owned()));
                    }
                }
                // It may have gone on while the person looked.
                state = sas.state();
                continue;
            }
            SasState::Done { .. } => {
                tracing::info!(user = %client.user_id().map_or("", |user| user.as_str()), "a verification is done");
                return Ok(());
            }
            SasState::Cancelled(info) => return Err(cancelled(&info)),
            _ => {}
        }
        match changes.next().await {
            Some(next) => state = next,
            None => return Err(VerifyError::Cancelled("it ended without a word".to_owned())),
        }
    }
}

/// The other side does not wait for the person here.
async fn broken_off(changes: &mut (impl Stream<Item = SasState> + Unpin)) -> CancelInfo {
    loop {
        match changes.next().await {
            Some(SasState::Cancelled(info)) => return info,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

fn cancelled(info: &CancelInfo) -> VerifyError {
    match info.cancel_code().as_str() {
        "m.mismatched_sas" | "m.key_mismatch" => VerifyError::Different,
        _ => VerifyError::Cancelled(info.reason().to_owned()),
    }
}
