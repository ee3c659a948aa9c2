//! Sending. The platform names each message when it takes it, so nothing of unknown fate is sent again.

use super::api::WORDS;
use super::connector::Shared;
use super::content::{Draft, drafts};
use crate::provider::http::rejected;
use crate::rcs::api::Failure;
use crate::rcs::{TakenBack, files, in_part, recipient, uuid};
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{
    Accepted, Outbound, Reach, Revocation, Revoked, SendError, Signal, SignalKind,
};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::Media;

/// How long it is believed that a number has no RCS, at most.
const NO_AGE: Duration = Duration::from_secs(5 * 60);

/// Hands one message to the platform.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let number = recipient(&outbound.to)?;
    let now = shared.account.clock.now();
    // FNW.11 has no time to live: what is over is not sent, and what waits there is taken back by the engine.
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let name = uuid(&["maap message", &outbound.key, &outbound.id.to_string()]);
    let mut drafts = drafts(&outbound.message, &name)?;
    match capable(shared, number).await {
        Ok(true) => {}
        Ok(false) => return Err(rejected(Reason::NotReachable, WORDS.nobody)),
        // Not every platform can be asked.
        Err(failure) if matches!(failure.status(), Some(400 | 405 | 501)) => {}
        Err(failure) => return Err(shared.failed(&failure, failure.before_sending())),
    }
    for draft in &mut drafts {
        tell_files(shared, draft).await?;
    }
    let (mut network_ids, mut unnamed) = (Vec::new(), false);
    for (place, draft) in drafts.iter().enumerate() {
        match deliver(shared, number, draft, &name).await {
            Ok(Some(id)) => network_ids.push(id),
            Ok(None) => unnamed = true,
            Err(doubt @ SendError::Unknown { .. }) => return Err(doubt),
            Err(error) if place == 0 => return Err(error),
            // A part of it has left, and is taken back where it has a name.
            Err(error) => {
                let taken_back = match unnamed {
                    true => Ok(Revoked::Impossible),
                    false => take_back(shared, &network_ids).await,
                };
                return Err(in_part(error, &taken_back));
            }
        }
    }
    shared.account.traffic();
    Ok(Accepted {
        segments: u16::try_from(network_ids.len()).unwrap_or(u16::MAX),
        network_ids,
        encoding: "UTF-8".to_owned(),
        ..Accepted::default()
    })
}

async fn deliver(
    shared: &Shared,
    number: &str,
    draft: &Draft,
    name: &str,
) -> Result<Option<NetworkId>, SendError> {
    let told = match shared.api.send(number, &draft.message).await {
        Ok(told) => told,
        Err(failure) => {
            if failure.status() == Some(404) {
                let now = shared.account.clock.now();
                shared.memory().capable.insert(number, (false, now));
            }
            return Err(shared.failed(&failure, failure.to_error()));
        }
    };
    let field = &shared.config.dialect.id_field;
    let holder = told.get("RCSMessage").unwrap_or(&told);
    let id = holder.get(field).and_then(Value::as_str);
    // Some platforms say no with a success. What has an id is taken, whatever stands beside it.
    if id.is_none() && (says(&told, "error") || says(&told, "reason")) {
        return Err(rejected(
            Reason::NetworkRefused,
            "the platform says that it does not take it",
        ));
    }
    shared.account.connected(None);
    let Some(id) = id else {
        return Ok(None);
    };
    if draft.has_buttons
        && let Err(error) = shared.kept.sent(name, id)
    {
        tracing::warn!(connector = %shared.account.id, %error, "a tap may not be known for an answer to its message");
    }
    Ok(Some(NetworkId::new(id)))
}

/// Whether something stands under a name. Some platforms write each name, with `null` where there is nothing to say.
fn says(told: &Value, name: &str) -> bool {
    told.get(name).is_some_and(|value| !value.is_null())
}

async fn capable(shared: &Shared, number: &str) -> Result<bool, Failure> {
    if !shared.config.dialect.checks {
        return Ok(true);
    }
    ask_capable(shared, number).await
}

async fn ask_capable(shared: &Shared, number: &str) -> Result<bool, Failure> {
    let now = shared.account.clock.now();
    let known = shared.memory().capable.get(number).copied();
    let age = shared.config.capability_age;
    if let Some((has, at)) = known
        && now.since(at) < if has { age } else { age.min(NO_AGE) }
    {
        return Ok(has);
    }
    let has = shared.api.capable(number).await?;
    shared.memory().capable.insert(number, (has, now));
    Ok(has)
}

async fn tell_files(shared: &Shared, draft: &mut Draft) -> Result<(), SendError> {
    for (pointer, media) in std::mem::take(&mut draft.files) {
        let (address, size) = match media.uri.starts_with("https://") {
            true => (media.uri.clone(), media.size),
            false => {
                let (address, size) = upload(shared, &media).await?;
                (address, Some(size))
            }
        };
        let Some(object) = draft.message.pointer_mut(&pointer) else {
            continue;
        };
        let names = match pointer.ends_with("/media") {
            true => ["mediaUrl", "mediaContentType", "mediaFileSize"],
            false => {
                object["fileName"] = media.name.as_str().into();
                ["fileUrl", "fileMIMEType", "fileSize"]
            }
        };
        object[names[0]] = address.into();
        object[names[1]] = files::mime(&media).into();
        if let Some(size) = size {
            object[names[2]] = size.into();
        }
    }
    Ok(())
}

async fn upload(shared: &Shared, media: &Media) -> Result<(String, u64), SendError> {
    let octets = shared.files.read(media).await?;
    let size = octets.len() as u64;
    let now = shared.account.clock.now();
    let uploaded = shared
        .api
        .upload(&media.name, files::mime(media), &octets, now)
        .await;
    match uploaded {
        Ok(address) => Ok((address, size)),
        Err(failure) => Err(shared.failed(&failure, failure.before_sending())),
    }
}

/// Cancels what has not reached the phone.
pub async fn revoke(shared: &Shared, revocation: &Revocation) -> Result<Revoked, SendError> {
    take_back(shared, &revocation.network_ids).await
}

/// Only the platform's word that it did is one.
async fn take_back(shared: &Shared, ids: &[NetworkId]) -> Result<Revoked, SendError> {
    let is_no = |failure: &Failure| matches!(failure.status(), Some(400 | 403 | 404 | 405 | 409 | 410 | 422));
    if ids.is_empty() {
        return Ok(Revoked::Impossible);
    }
    let mut all = TakenBack::default();
    for id in ids {
        let mut told = shared.api.set_state(id.as_str(), "cancelled").await;
        if match &told {
            Ok(word) => word.is_none(),
            Err(failure) => failure.is_junk() || is_no(failure),
        } {
            told = shared.api.state(id.as_str()).await;
        }
        let word = match told {
            Ok(word) => word,
            Err(failure) if is_no(&failure) => None,
            Err(failure) => return Err(shared.failed(&failure, failure.to_error())),
        };
        let outcome = |word| shared.config.dialect.outcome(word);
        all.note(match word.as_deref() {
            Some("cancelled" | "canceled" | "revoked") => Revoked::Withdrawn,
            Some(word) if matches!(outcome(word), Some(Outcome::Delivered | Outcome::Read)) => {
                Revoked::TooLate
            }
            _ => Revoked::Impossible,
        });
    }
    Ok(all.whole())
}

pub async fn reach(shared: &Shared, addresses: &[Address]) -> Vec<Reach> {
    let mut all = Vec::with_capacity(addresses.len());
    for address in addresses {
        let Address::Number(number) = address else {
            all.push(Reach::No);
            continue;
        };
        all.push(match ask_capable(shared, number).await {
            Ok(true) => Reach::Yes,
            Ok(false) => Reach::No,
            Err(failure) => {
                tracing::warn!(connector = %shared.account.id, %failure, "whether a number has RCS cannot be learnt now");
                Reach::Unknown
            }
        });
    }
    all
}

/// Passes on what is worth something only now.
pub async fn signal(shared: &Shared, signal: &Signal) {
    let Address::Number(number) = &signal.to else {
        return;
    };
    let outcome = match &signal.kind {
        SignalKind::Typing(active) => {
            let word = if *active { "active" } else { "idle" };
            shared
                .api
                .send(number, &json!({ "isTyping": word }))
                .await
                .map(drop)
        }
        SignalKind::Read { up_to } => {
            let last = || shared.memory().last_in.get(number).cloned();
            let Some(message) = up_to.as_ref().map(|id| id.0.clone()).or_else(last) else {
                return;
            };
            let message = message.split('#').next().unwrap_or_default();
            shared.api.set_state(message, "displayed").await.map(drop)
        }
    };
    if let Err(failure) = outcome {
        tracing::debug!(connector = %shared.account.id, %failure, "a mark is lost");
    }
}
