//! Sending: the app takes a message under an id of ours, and takes each id once. So a doubt is resolved by asking again.

use super::api::Failure;
use super::connector::Shared;
use super::time;
use crate::provider::content::number;
use crate::provider::files;
use crate::provider::http::{escaped, rejected};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use swingbridge_domain::connector::{Accepted, Outbound, Revocation, Revoked, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Body, Media};
use tokio::time::{Instant, sleep};

/// The first wait before the app is asked again; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The wait that the engine is asked for while the app is away.
const AWAY: Duration = Duration::from_secs(15);

/// Hands one message to the app.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let now = shared.account.clock.now();
    let number = number(&outbound.to)?;
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let (kind, content) = content(shared, outbound).await?;
    let told = match kind {
        "textMessage" => content["text"].as_str().unwrap_or_default().to_owned(),
        _ => content.to_string(),
    };
    let id = id(shared, outbound, number, &told);
    let mut body = json!({
        "id": id,
        "phoneNumbers": [number],
        "withDeliveryReport": shared.config.receipts,
    });
    body[kind] = content;
    if let Some(sim) = shared.config.sim {
        body["simNumber"] = sim.into();
    }
    if let Some(device) = &shared.config.device_id {
        body["deviceId"] = device.as_str().into();
    }
    if let Some(at) = outbound.expires_at {
        body["validUntil"] = time::write(at).into();
    }
    let until = Instant::now() + shared.config.timing.resolve;
    let mut wait = FIRST_WAIT;
    // Once a request may have reached the app, only its own word ends the doubt.
    let mut doubt = false;
    loop {
        match attempt(shared, &id, &body).await {
            Attempt::Taken => {
                if shared.config.receipts
                    && let Err(error) = shared.kept.change(|memory| memory.await_receipts(&id, now))
                {
                    tracing::warn!(connector = %shared.account.id, %error, "the receipts of a message may be missed after a restart");
                }
                shared.account.traffic();
                return Ok(Accepted {
                    network_ids: vec![NetworkId::new(id)],
                    ..Accepted::default()
                });
            }
            Attempt::Refused(error) => return Err(error),
            Attempt::Later(failure) if !doubt => return Err(again(&failure)),
            Attempt::Later(_) => {}
            Attempt::Doubt => doubt = true,
        }
        if Instant::now() + wait > until {
            return Err(SendError::Unknown {
                detail: "the app did not say whether it has it".to_owned(),
            });
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

enum Attempt {
    Taken,
    Refused(SendError),
    /// It did not take it this time.
    Later(Failure),
    /// It may have it.
    Doubt,
}

async fn attempt(shared: &Shared, id: &str, body: &Value) -> Attempt {
    match shared.api.post("/messages", body).await {
        // What it answers beside is of no use: it took it.
        Ok(_) | Err(Failure::Junk) => Attempt::Taken,
        // It has one with this id; older versions say so by an error of their database.
        Err(Failure::Status(409 | 500)) => look(shared, id).await,
        Err(Failure::Status(status @ (400 | 413 | 422))) => Attempt::Refused(rejected(
            Reason::BadContent,
            &match body.get("mmsMessage") {
                Some(_) => {
                    format!("the app refuses the MMS with {status}: it may be a version that sends none")
                }
                None => {
                    format!("the app refuses it with {status}: the number or the text is not to its liking")
                }
            },
        )),
        Err(Failure::Status(404 | 405)) => Attempt::Refused(rejected(
            Reason::NotAllowed,
            "the app does not know how to take it: bring it up to date",
        )),
        Err(failure @ (Failure::Unreachable | Failure::Refused | Failure::Status(429 | 503))) => {
            Attempt::Later(failure)
        }
        Err(Failure::Status(_) | Failure::NoAnswer) => look(shared, id).await,
    }
}

/// Asks whether the app has it.
async fn look(shared: &Shared, id: &str) -> Attempt {
    match shared.api.get(&format!("/messages/{}", escaped(id))).await {
        Ok(found) => match found.get("state").and_then(Value::as_str) {
            Some("Failed") => {
                Attempt::Refused(rejected(Reason::NetworkRefused, "the phone could not send it"))
            }
            Some("Cancelled") => {
                Attempt::Refused(rejected(Reason::NetworkRefused, "it was cancelled in the app"))
            }
            _ => Attempt::Taken,
        },
        // It may still be reading the request.
        Err(_) => Attempt::Doubt,
    }
}

/// Takes back what the app has and did not send yet. It has one message for each of ours.
pub async fn revoke(shared: &Shared, revocation: &Revocation) -> Result<Revoked, SendError> {
    let Some(id) = revocation.network_ids.first() else {
        return Ok(Revoked::Impossible);
    };
    let path = format!("/messages/{}", escaped(id.as_str()));
    let state = match shared.api.delete(&path).await {
        Ok(cancelled) => cancelled,
        // It is not pending any more.
        Err(Failure::Status(400 | 409)) => shared.api.get(&path).await.map_err(|failure| again(&failure))?,
        // It does not have it, or is too old to take anything back.
        Err(Failure::Status(404 | 405)) => return Ok(Revoked::Impossible),
        Err(failure) => return Err(again(&failure)),
    };
    match state.get("state").and_then(Value::as_str) {
        Some("Cancelled" | "Failed") => Ok(Revoked::Withdrawn),
        Some("Delivered") => Ok(Revoked::TooLate),
        Some("Cancelling") => Err(SendError::Unknown {
            detail: "the app is about to take it back".to_owned(),
        }),
        _ => Ok(Revoked::Impossible),
    }
}

/// To ask again does no harm.
fn again(failure: &Failure) -> SendError {
    SendError::RetryAfter {
        delay: AWAY,
        detail: failure.to_string(),
        counts: !matches!(failure, Failure::Unreachable | Failure::Refused),
    }
}

/// The same for a repetition of the same message, and another for any other: the program's own number may begin anew when its
/// database does.
fn id(shared: &Shared, outbound: &Outbound, number: &str, content: &str) -> String {
    let mut digest = Sha256::new();
    let token = shared.kept.look(|memory| memory.token.clone());
    let expires = outbound.expires_at.map_or(0, |at| at.millis());
    for field in [
        token.as_bytes(),
        &outbound.id.0.to_be_bytes(),
        &expires.to_be_bytes(),
        number.as_bytes(),
        content.as_bytes(),
    ] {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    }
    // At most 36 characters are taken, and 21 by older servers.
    data_encoding::BASE32_NOPAD
        .encode(&digest.finalize()[..13])
        .to_lowercase()
}

/// What is in a message, and what the API calls that: one text, or one file as an MMS.
async fn content(shared: &Shared, outbound: &Outbound) -> Result<(&'static str, Value), SendError> {
    let bad = |detail| Err(rejected(Reason::BadContent, detail));
    let [part] = outbound.message.parts.as_slice() else {
        return bad("one text or one file is sent by this phone, and nothing else");
    };
    match &part.body {
        Body::Text(text) if text.plain.is_empty() => bad("there is no text in it"),
        Body::Text(text) => Ok(("textMessage", json!({ "text": text.plain }))),
        Body::Media(media) if shared.config.mms => Ok(("mmsMessage", mms(shared, media).await?)),
        Body::Media(_) => bad("files leave this phone as MMS, and that is turned off"),
        _ => bad("only texts and files are sent by this phone"),
    }
}

async fn mms(shared: &Shared, media: &Media) -> Result<Value, SendError> {
    let octets = files::read(media, shared.config.mms_limit, "mms_limit").await?;
    let mut content = json!({ "attachments": [{
        "contentType": files::mime(media),
        "name": media.name,
        "data": data_encoding::BASE64.encode(&octets),
    }] });
    if let Some(caption) = media.caption.as_deref().filter(|caption| !caption.is_empty()) {
        content["text"] = caption.into();
    }
    Ok(content)
}
