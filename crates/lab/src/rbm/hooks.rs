//! Webhooks, signed.

use super::CLIENT_TOKEN;
use super::state::Shared;
use crate::trouble::Hook;
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha512;
use std::sync::Arc;

/// How often one is tried that was held back; Google itself does so for days.
const TRIES: u32 = 5;

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

/// An event's webhook, once it was set up where webhooks go.
pub fn hook(shared: &Shared, event: &Value) -> Option<Hook> {
    let data = event.to_string();
    let body = json!({
        "message": { "data": BASE64.encode(data.as_bytes()), "attributes": {}, "messageId": "0" },
        "subscription": "projects/lab/subscriptions/agent",
    });
    Some(Hook {
        url: shared.world().webhook.clone()?,
        mime: "application/json",
        body: body.to_string(),
        // Over the data alone: there is no time in it.
        sign: Arc::new(move |_| vec![("x-goog-signature", signature(data.as_bytes()))]),
        tries: TRIES,
    })
}

/// Base64 of the HMAC-SHA-512 of the decoded data.
#[must_use]
pub fn signature(data: &[u8]) -> String {
    let mut mac =
        <Hmac<Sha512> as Mac>::new_from_slice(CLIENT_TOKEN.as_bytes()).expect("a key of any length");
    mac.update(data);
    BASE64.encode(&mac.finalize().into_bytes())
}
