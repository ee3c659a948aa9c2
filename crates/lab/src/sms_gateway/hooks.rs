//! Webhooks: signed anew with each try, and tried again until they are taken.

use super::SIGNING_KEY;
use super::state::Shared;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// How often one is tried; the app's default.
const TRIES: u32 = 15;

/// Tells all who want to know.
pub fn tell(shared: &Arc<Shared>, told: Option<(String, Value)>) {
    let Some((event, payload)) = told else {
        return;
    };
    let mut world = shared.world();
    if world.scenario.tells_nothing {
        return;
    }
    let times = match world.scenario.doubles_webhooks {
        true => 2,
        false => 1,
    };
    let hooks: Vec<_> = world
        .hooks
        .iter()
        .filter(|hook| hook.event == event)
        .cloned()
        .collect();
    for hook in hooks {
        for _ in 0..times {
            let body = json!({ "id": world.id(), "webhookId": hook.id, "deviceId": "phone", "event": event, "payload": payload });
            tokio::spawn(send(shared.clone(), hook.url.clone(), body.to_string()));
        }
    }
}

async fn send(shared: Arc<Shared>, url: String, body: String) {
    let mut wait = Duration::from_millis(20);
    for _ in 0..TRIES {
        let stamp = shared.world().now.to_string();
        let answer = shared
            .client
            .post(&url)
            .header("content-type", "application/json")
            .header("x-timestamp", &stamp)
            .header("x-signature", signature(&body, &stamp))
            .body(body.clone())
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

/// Hex of the HMAC-SHA-256 of the body and the timestamp.
#[must_use]
pub fn signature(body: &str, stamp: &str) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SIGNING_KEY.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    mac.update(stamp.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}
