//! The app's webhooks: who sent them, what they bring, and when they are answered.

use super::arrivals::Item;
use super::connector::Shared;
use super::watch::{Stop, hand_in, receipt};
use crate::webhook::{Request, Response};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::time::Duration;

/// What is asked of the app to tell. `sms:failed` and the like tell of what we sent.
pub const EVENTS: [&str; 9] = [
    "sms:received",
    "sms:data-received",
    "mms:received",
    "mms:downloaded",
    "sms:sent",
    "sms:delivered",
    "sms:failed",
    "system:ping",
    "app:started",
];

/// How far the app's clock may be from ours. It signs anew each time that it tries.
const WINDOW: Duration = Duration::from_secs(5 * 60);

const LATER: Response = Response::new(503, "not now, come again");

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::new(405, "POST only");
    }
    if let Err(response) = verify(shared, request) {
        tracing::warn!(connector = %shared.account.id, status = response.status, "a webhook is refused: {}", response.body);
        return response;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else {
        return Response::new(400, "the body is no JSON");
    };
    let theirs = event.get("deviceId").and_then(Value::as_str);
    if let Some(ours) = shared
        .config
        .device_id
        .as_deref()
        .filter(|ours| theirs != Some(*ours))
    {
        tracing::debug!(connector = %shared.account.id, device = ours.len(), "a webhook of another phone is passed over");
        return Response::TAKEN;
    }
    let kind = event.get("event").and_then(Value::as_str).unwrap_or_default();
    let Some(payload) = event.get("payload") else {
        return Response::new(400, "the event has no payload");
    };
    take(shared, kind, payload).await
}

async fn take(shared: &Shared, kind: &str, payload: &Value) -> Response {
    let outcome = match kind {
        "sms:received" | "sms:data-received" | "mms:downloaded" => match Item::from_event(kind, payload) {
            Ok(item) => hand_in(shared, vec![item]).await,
            Err(error) => {
                tracing::warn!(connector = %shared.account.id, kind, %error, "a webhook cannot be understood");
                // The app's inbox is asked for it.
                shared.gap.notify_one();
                return Response::new(422, "the payload has another form");
            }
        },
        "sms:sent" => receipt(shared, payload, "Sent").await,
        "sms:delivered" => receipt(shared, payload, "Delivered").await,
        "sms:failed" => receipt(shared, payload, "Failed").await,
        "sms:cancelled" => receipt(shared, payload, "Cancelled").await,
        // The app came up: what it could not tell meanwhile is in its inbox.
        "app:started" => {
            shared.gap.notify_one();
            Ok(())
        }
        // A notice only: what came is told by `mms:downloaded`. And what newer versions tell.
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => Response::TAKEN,
        Err(Stop::App(_) | Stop::Store | Stop::Closed) => LATER,
    }
}

/// `X-Signature` is the HMAC-SHA-256 of the body and the text of `X-Timestamp`, in hex.
fn verify(shared: &Shared, request: &Request) -> Result<(), Response> {
    let refuse = |words| Err(Response::new(401, words));
    if shared.config.signing_key.is_empty() {
        return refuse("no signing key is configured");
    }
    let (Some(signature), Some(stamp)) = (request.header("x-signature"), request.header("x-timestamp"))
    else {
        return refuse("it is not signed");
    };
    let Ok(signature) = data_encoding::HEXLOWER_PERMISSIVE.decode(signature.trim().as_bytes()) else {
        return refuse("its signature is not hex");
    };
    let key = shared.config.signing_key.expose().as_bytes();
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else {
        return refuse("the signing key cannot be used");
    };
    mac.update(&request.body);
    mac.update(stamp.as_bytes());
    if mac.verify_slice(&signature).is_err() {
        return refuse("its signature is wrong: compare the signing key with the app's");
    }
    let ours = shared.account.clock.now().millis() / 1000;
    let near = stamp
        .trim()
        .parse::<i64>()
        .is_ok_and(|theirs| theirs.abs_diff(ours) <= WINDOW.as_secs());
    match near {
        true => Ok(()),
        false => refuse("it was signed at another time: compare the clocks"),
    }
}
