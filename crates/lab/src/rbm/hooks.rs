//! Webhooks: one after the other, signed, and tried again until they are taken.

use super::CLIENT_TOKEN;
use super::state::Shared;
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

const FIRST_WAIT: Duration = Duration::from_millis(20);
/// Google waits up to ten minutes; here nobody has the time.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Asks an address whether it knows the client token.
pub async fn set_up(shared: &Shared, webhook: &str) -> Result<(), String> {
    let secret = "one two three";
    let body = json!({ "clientToken": CLIENT_TOKEN, "secret": secret });
    let answer = shared.client.post(webhook).json(&body).send().await;
    let answer = answer.map_err(|_| "nobody answers there".to_owned())?;
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    match status.as_u16() == 200 && said == secret {
        true => Ok(()),
        false => Err(format!("it answers {status}, and not with the secret")),
    }
}

/// Sends what is told, until the service ends.
pub async fn run(shared: Arc<Shared>, mut told: UnboundedReceiver<Value>) {
    while let Some(event) = told.recv().await {
        let scenario = shared.world().scenario.clone();
        let mut batch = vec![event];
        if scenario.reorders_webhooks
            && let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(500), told.recv()).await
        {
            batch.insert(0, next);
        }
        for event in batch {
            let times = if scenario.doubles_webhooks { 2 } else { 1 };
            for _ in 0..times {
                send(&shared, &event).await;
            }
        }
    }
}

async fn send(shared: &Shared, event: &Value) {
    let data = event.to_string();
    let mut wait = FIRST_WAIT;
    loop {
        let webhook = {
            let world = shared.world();
            world.webhook.clone().filter(|_| !world.scenario.outage)
        };
        if let Some(webhook) = webhook {
            let body = json!({
                "message": { "data": BASE64.encode(data.as_bytes()), "attributes": {}, "messageId": "0" },
                "subscription": "projects/lab/subscriptions/agent",
            });
            let request = shared
                .client
                .post(&webhook)
                .header("x-goog-signature", signature(data.as_bytes()))
                .json(&body);
            if request
                .send()
                .await
                .is_ok_and(|answer| answer.status().as_u16() == 200)
            {
                return;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Base64 of the HMAC-SHA-512 of the decoded data.
#[must_use]
pub fn signature(data: &[u8]) -> String {
    let mut mac =
        <Hmac<Sha512> as Mac>::new_from_slice(CLIENT_TOKEN.as_bytes()).expect("a key of any length");
    mac.update(data);
    BASE64.encode(&mac.finalize().into_bytes())
}
