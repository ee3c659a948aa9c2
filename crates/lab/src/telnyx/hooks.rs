//! Webhooks, signed.

use super::key;
use super::state::{Incoming, Sent, Shared, written};
use crate::trouble::Hook;
use serde_json::{Value, json};
use std::sync::Arc;

/// How often a webhook is tried.
const TRIES: u32 = 3;

/// The two headers of a webhook.
#[derive(Clone, Debug)]
pub struct Signed {
    pub timestamp: String,
    pub signature: String,
}

/// Signs a body at a time in seconds since the epoch.
#[must_use]
pub fn sign(body: &str, at: i64) -> Signed {
    let signature = key().sign(format!("{at}|{body}").as_bytes());
    Signed {
        timestamp: at.to_string(),
        signature: data_encoding::BASE64.encode(signature.as_ref()),
    }
}

fn tell(shared: &Arc<Shared>, url: &str, kind: &str, payload: Value) {
    let (id, now) = {
        let mut world = shared.world();
        (world.id(), world.now)
    };
    let body = json!({
        "data": { "event_type": kind, "id": id, "occurred_at": written(now), "payload": payload, "record_type": "event" },
        "meta": { "attempt": 1, "delivered_to": url },
    })
    .to_string();
    let signer = shared.clone();
    let hook = Hook {
        url: url.to_owned(),
        mime: "application/json",
        body,
        sign: Arc::new(move |body| {
            let signed = sign(body, signer.world().now / 1000);
            vec![
                ("telnyx-timestamp", signed.timestamp),
                ("telnyx-signature-ed25519", signed.signature),
            ]
        }),
        tries: TRIES,
    };
    shared.troubles.tell(hook);
}

pub fn tell_of(shared: &Arc<Shared>, incoming: &Incoming) {
    let url = shared.world().webhook.clone();
    tell(shared, &url, "message.received", incoming.shown(&shared.api));
}

pub fn tell_state(shared: &Arc<Shared>, sent: &Sent, status: &str) {
    let Some(url) = &sent.webhook else {
        return;
    };
    let kind = match status {
        "sent" => "message.sent",
        _ => "message.finalized",
    };
    tell(shared, url, kind, sent.shown());
}
