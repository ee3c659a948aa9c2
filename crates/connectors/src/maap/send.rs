//! Sending. The platform names each message when it takes it, so nothing of unknown fate is sent again.

use super::api::Failure;
use super::connector::Shared;
use super::content::{Draft, drafts};
use crate::rcs::{files, recipient, rejected, uuid};
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
    let now = shared.clock.now();
    // FNW.11 has no time to live: what is over is not sent, and what waits there is taken back by the engine.
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let name = uuid(&["maap message", &outbound.key, &outbound.id.to_string()]);
    let mut drafts = drafts(&outbound.message, &name)?;
    match capable(shared, number).await {
        Ok(true) => {}
        Ok(false) => {
            let failure = Failure::Refused {
                status: 404,
                wait: None,
            };
            return Err(failure.to_error());
        }
        // Not every platform can be asked.
        Err(Failure::Refused {
            status: 400 | 405 | 501,
            ..
        }) => {}
        Err(failure) => return Err(shared.failed(&failure, failure.before_sending())),
    }
    for draft in &mut drafts {
        tell_files(shared, draft).await?;
    }
    let mut network_ids = Vec::new();
    for draft in drafts {
        match deliver(shared, number, &draft, &name).await {
            Ok(id) => network_ids.extend(id),
            // A part of it has left; what is to become of the rest, a person must say.
            Err(SendError::RetryAfter { detail, .. } | SendError::Rejected { detail, .. })
                if !network_ids.is_empty() =>
            {
                return Err(SendError::Unknown {
                    detail: format!("a part of it was taken and another not: {detail}"),
                });
            }
            Err(error) => return Err(error),
        }
    }
    shared.pulse.traffic();
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
            if matches!(failure, Failure::Refused { status: 404, .. }) {
                shared
                    .memory()
                    .capable
                    .insert(number, (false, shared.clock.now()));
            }
            return Err(shared.failed(&failure, failure.to_error()));
        }
    };
    // Some platforms say no with a success.
    if told.get("error").is_some() || told.get("reason").is_some() {
        return Err(rejected(
            Reason::NetworkRefused,
            "the platform says that it does not take it",
        ));
    }
    shared.pulse.connected();
    let field = &shared.config.dialect.id_field;
    let holder = told.get("RCSMessage").unwrap_or(&told);
    let Some(id) = holder.get(field).and_then(Value::as_str) else {
        return Ok(None);
    };
    if draft.has_buttons
        && let Err(error) = shared.kept.sent(name, id)
    {
        tracing::warn!(connector = %shared.id, %error, "a tap may not be known for an answer to its message");
    }
    Ok(Some(NetworkId::new(id)))
}

async fn capable(shared: &Shared, number: &str) -> Result<bool, Failure> {
    if !shared.config.dialect.checks {
        return Ok(true);
    }
    ask_capable(shared, number).await
}

async fn ask_capable(shared: &Shared, number: &str) -> Result<bool, Failure> {
    let now = shared.clock.now();
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
    let lost = || rejected(Reason::BadContent, "the file is not there any more");
    let path =
        files::path(media).ok_or_else(|| rejected(Reason::BadContent, "the file is nowhere to be had"))?;
    let size = tokio::fs::metadata(&path).await.map_err(|_| lost())?.len();
    if size > shared.config.most() {
        let most = shared.config.largest_file;
        let detail =
            format!("the file is larger than {most} MB, which is the most that is sent (largest_file)");
        return Err(rejected(Reason::BadContent, detail));
    }
    let octets = tokio::fs::read(&path).await.map_err(|_| lost())?;
    let uploaded = shared
        .api
        .upload(&media.name, files::mime(media), &octets, shared.clock.now())
        .await;
    match uploaded {
        Ok(address) => Ok((address, size)),
        Err(failure) => Err(shared.failed(&failure, failure.before_sending())),
    }
}

/// Cancels what has not reached the phone. Only the platform's word that it did is one.
pub async fn revoke(shared: &Shared, revocation: &Revocation) -> Result<Revoked, SendError> {
    if revocation.network_ids.is_empty() {
        return Ok(Revoked::Impossible);
    }
    let mut all = Revoked::Withdrawn;
    for id in &revocation.network_ids {
        let told = match shared.api.set_state(id.as_str(), "cancelled").await {
            Ok(Some(word)) => Some(word),
            Ok(None)
            | Err(
                Failure::Junk
                | Failure::Refused {
                    status: 400 | 403 | 404 | 405 | 409 | 410 | 422,
                    ..
                },
            ) => match shared.api.state(id.as_str()).await {
                Ok(word) => word,
                Err(Failure::Refused {
                    status: 400 | 403 | 404 | 405 | 409 | 410 | 422,
                    ..
                }) => None,
                Err(failure) => return Err(shared.failed(&failure, failure.to_error())),
            },
            Err(failure) => return Err(shared.failed(&failure, failure.to_error())),
        };
        match told.as_deref() {
            Some("cancelled" | "canceled" | "revoked") => {}
            Some(word) => match shared.config.dialect.outcome(word) {
                Some(Outcome::Delivered | Outcome::Read) => all = Revoked::TooLate,
                _ => return Ok(Revoked::Impossible),
            },
            None => return Ok(Revoked::Impossible),
        }
    }
    Ok(all)
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
                tracing::warn!(connector = %shared.id, %failure, "whether a number has RCS cannot be learnt now");
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
        tracing::debug!(connector = %shared.id, %failure, "a mark is lost");
    }
}
