//! Telnyx's webhooks: who sent them, and when they are answered.

use super::arrivals::{arrival, receipts, states};
use super::codes;
use super::connector::Shared;
use crate::webhook::{Request, Response};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

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
    let payload = &event["data"]["payload"];
    let Some(id) = payload["id"].as_str() else {
        return Response::new(
            400,
            "it names no message: data.payload.id is missing; choose webhook version 2",
        );
    };
    match event["data"]["event_type"].as_str().unwrap_or_default() {
        "message.received" => came(shared, id, payload).await,
        "message.sent" | "message.finalized" | "message.read" => {
            if shared.account.deliver(receipts(shared, payload)).await.is_err() {
                return LATER;
            }
            if states(payload).iter().all(|(_, state)| codes::is_last(state)) {
                shared.kept.change(|memory| memory.reached(id, "", true));
            }
            Response::TAKEN
        }
        // What newer versions tell.
        _ => Response::TAKEN,
    }
}

async fn came(shared: &Shared, id: &str, payload: &Value) -> Response {
    if shared.kept.look(|memory| memory.has_seen(id)) {
        return Response::TAKEN;
    }
    let arrival = match arrival(shared, id, payload).await {
        Ok(Some(arrival)) => arrival,
        Ok(None) => return Response::new(400, "it names no sender: data.payload.from is missing"),
        Err(error) => {
            tracing::warn!(connector = %shared.account.id, error = %error.kind(), "a file cannot be kept");
            return LATER;
        }
    };
    if shared.account.deliver(vec![arrival]).await.is_err() {
        return LATER;
    }
    shared.kept.change(|memory| memory.saw(id));
    Response::TAKEN
}

/// `telnyx-signature-ed25519` signs the text of `telnyx-timestamp`, a bar, and the body as it came.
fn verify(shared: &Shared, request: &Request) -> Result<(), Response> {
    let refuse = |words| Err(Response::new(401, words));
    let (Some(signature), Some(stamp)) = (
        request.header("telnyx-signature-ed25519"),
        request.header("telnyx-timestamp"),
    ) else {
        return refuse("it is not signed");
    };
    let Ok(signature) = data_encoding::BASE64.decode(signature.trim().as_bytes()) else {
        return refuse("its signature is not base64");
    };
    let mut signed = Vec::with_capacity(stamp.len() + 1 + request.body.len());
    signed.extend_from_slice(stamp.as_bytes());
    signed.push(b'|');
    signed.extend_from_slice(&request.body);
    if UnparsedPublicKey::new(&ED25519, &shared.key)
        .verify(&signed, &signature)
        .is_err()
    {
        return refuse("its signature is wrong: compare public_key with the portal");
    }
    let ours = shared.account.clock.now().millis() / 1000;
    let window = shared.config.timing.replay_window.as_secs();
    let near = stamp
        .trim()
        .parse::<i64>()
        .is_ok_and(|theirs| theirs.abs_diff(ours) <= window);
    match near {
        true => Ok(()),
        false => refuse("it was signed at another time: compare the clocks"),
    }
}
