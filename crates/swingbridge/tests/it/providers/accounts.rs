//! Accounts at the lab's providers, as an operator writes them down.

use serde_json::{Value, json};
use swingbridge_lab::maap::{self, Maap};
use swingbridge_lab::rbm::{self, Rbm};
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};
use swingbridge_lab::webhook_http::{self, Provider};

/// What a person would wait for at a real provider is made short.
pub fn twilio(twilio: &Twilio) -> Value {
    json!({
        "type": "twilio", "url": twilio.url(), "account_sid": twilio::ACCOUNT, "auth_token": twilio::AUTH_TOKEN,
        "timing": { "poll": 0.5, "longest_wait": 1, "ask_after": 1 },
    })
}

pub fn telnyx(telnyx: &Telnyx) -> Value {
    json!({
        "type": "telnyx", "url": telnyx.url(), "api_key": telnyx::API_KEY, "public_key": telnyx::public_key(),
        "timing": { "poll": 0.5, "longest_wait": 1, "ask_after": 1 },
    })
}

/// `api`: where it is reached, since Google speaks TLS and the lab's does not.
pub fn rbm(rbm: &Rbm, api: &str) -> Value {
    json!({
        "type": "rbm", "base_url": api, "agent_id": rbm::AGENT, "service_account": rbm.service_account(),
        "client_token": rbm::CLIENT_TOKEN,
    })
}

pub fn maap(maap: &Maap) -> Value {
    json!({
        "type": "maap", "url": maap.url(), "bot_id": maap::BOT, "webhook_token": maap::WEBHOOK_TOKEN,
        "oauth": { "token_url": maap.token_url(), "client_id": maap::CLIENT.0, "client_secret": maap::CLIENT.1 },
    })
}

/// A provider that has no connector of its own.
pub fn acme(provider: &Provider) -> Value {
    let signature = json!({
        "secret": webhook_http::SIGNING_KEY, "header": "X-Signature", "prefix": "sha256=", "timestamp_header": "X-Timestamp",
    });
    json!({
        "type": "webhook", "provider": "Acme", "networks": ["sms"],
        "send": {
            "url": format!("{}/v1/messages", provider.url()), "secret": webhook_http::SECRET,
            "headers": { "authorization": "Bearer {secret}" },
            "json": { "to": ["{to}"], "from": "{from}", "body": "{text}", "reference": "{id}" },
            "signature": signature, "idempotency_header": "X-Request-Key", "id": "/messages/0/id",
        },
        "receive": {
            "signature": signature, "each": "/events", "kind": "/type", "message_kinds": ["message"], "receipt_kinds": ["state"],
            "from": "/data/from/number", "text": "/data/body", "id": "/data/id", "time": "/data/at",
            "receipt_id": "/data/id", "receipt_status": "/data/state", "receipt_error": "/data/code",
            "statuses": { "ENROUTE": "sent", "DELIVRD": "delivered", "UNDELIV": "rejected" },
        },
    })
}

/// In seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "providers' clocks go with ours")]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}
