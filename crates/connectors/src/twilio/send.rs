//! Sending. Twilio takes no idempotency key: it is asked once, and where no answer says what became of it, that is so.

use super::cards;
use super::codes::{self, Meaning};
use super::connector::Shared;
use super::conversations;
use crate::provider::content::{content, number};
use crate::provider::http::{ANSWER, Answer, call, fate, later, rejected};
use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::Message;

/// How many files one message may have.
const FILES: usize = 10;
/// The longest that Twilio keeps a message that it cannot hand on, in seconds.
const LONGEST_VALIDITY: u64 = 36_000;
/// The wait that the engine is asked for when the credentials are refused.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Hands one message to Twilio.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    if let (Some(groups), [Address::Group(thread)]) = (&shared.groups, outbound.to.as_slice()) {
        return conversations::send::send(shared, groups, outbound, thread).await;
    }
    if shared.config.is_rcs() && cards::has_card(&outbound.message) {
        return cards::send(shared, outbound).await;
    }
    let now = shared.account.clock.now();
    let mut form = envelope(shared, outbound, now)?;
    form.extend(plain(shared, &outbound.message)?);
    hand_over(shared, form, now).await
}

/// Makes a message of a form.
pub async fn hand_over(
    shared: &Shared,
    form: Vec<(&'static str, String)>,
    now: Timestamp,
) -> Result<Accepted, SendError> {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&form)
        .finish();
    let request = shared
        .authorised(shared.account.http.post(&shared.of_account("/Messages.json")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    match call(request, ANSWER).await {
        Ok(answer) => read(shared, &answer, now),
        Err(failure) => {
            shared.account.disconnected(&failure.to_string());
            Err(fate(failure))
        }
    }
}

/// From whom and to whom, and until when.
pub fn envelope(
    shared: &Shared,
    outbound: &Outbound,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, SendError> {
    let config = &shared.config;
    let to = number(&outbound.to)?;
    let mut form = Vec::new();
    if config.is_rcs() {
        // The prefix is what turns Twilio's own fallback to SMS off.
        form.push(("To", format!("rcs:{to}")));
        form.extend(config.rcs_address().map(|sender| ("From", sender)));
    } else {
        form.push(("To", to.to_owned()));
        // Always: without it a Messaging Service would choose, and it chooses RCS where it can.
        form.push(("From", config.number.clone()));
    }
    if let Some(service) = &config.messaging_service_sid {
        form.push(("MessagingServiceSid", service.clone()));
        form.push(("ShortenUrls", "false".to_owned()));
    }
    if config.receipts {
        form.push(("StatusCallback", config.public_url.clone()));
    }
    if let Some(at) = outbound.expires_at {
        if at <= now {
            return Err(rejected(Reason::Expired, "its time was over before it left"));
        }
        let seconds = at.since(now).as_secs().clamp(1, LONGEST_VALIDITY);
        form.push(("ValidityPeriod", seconds.to_string()));
    }
    Ok(form)
}

/// Words and files.
pub fn plain(shared: &Shared, message: &Message) -> Result<Vec<(&'static str, String)>, SendError> {
    let config = &shared.config;
    let content = content(message, config.url.starts_with("http:"))?;
    if content.links.len() > FILES {
        return Err(rejected(
            Reason::BadContent,
            "Twilio takes at most ten files in one message",
        ));
    }
    let mut form = Vec::new();
    if !content.text.is_empty() {
        form.push(("Body", content.text));
    }
    form.extend(content.links.into_iter().map(|link| ("MediaUrl", link)));
    form.push(("SmartEncoded", config.smart_encoding.to_string()));
    Ok(form)
}

fn read(shared: &Shared, answer: &Answer, now: Timestamp) -> Result<Accepted, SendError> {
    let json = answer.json();
    let code = |name: &str| {
        let value = json.as_ref()?.get(name)?;
        u32::try_from(value.as_u64()?).ok()
    };
    if !answer.is_success() {
        let error = refused(shared, answer, code("code"));
        return Err(error);
    }
    shared.account.connected(None);
    let text = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    if let Some("failed" | "undelivered" | "canceled") = text("status").as_deref() {
        return Err(refused(shared, answer, code("error_code")));
    }
    shared.account.traffic();
    // An answer that was cut off: it took it, and its states cannot be told apart from others'.
    let sid = text("sid");
    if shared.config.receipts
        && let Some(sid) = &sid
    {
        shared.kept.change(|memory| memory.await_receipts(sid, now));
    }
    Ok(Accepted {
        network_ids: sid.into_iter().map(NetworkId::new).collect(),
        segments: text("num_segments")
            .and_then(|many| many.parse().ok())
            .unwrap_or_default(),
        ..Accepted::default()
    })
}

fn refused(shared: &Shared, answer: &Answer, code: Option<u32>) -> SendError {
    let meaning = code.map(|code| codes::meaning(code, shared.config.is_rcs()));
    if answer.status == 401 || meaning == Some(Meaning::Credentials) {
        let detail =
            "Twilio refuses the account's credentials: compare account_sid and auth_token, or the API key";
        shared.account.refused(detail);
        return later(REFUSED_WAIT, detail, false);
    }
    match meaning {
        Some(Meaning::Slower) => return answer.slower(),
        Some(Meaning::Refused(reason, words)) if answer.status < 500 && answer.status != 429 => {
            let code = code.unwrap_or_default();
            return rejected(reason, format!("{words} ({code})"));
        }
        _ => {}
    }
    match answer.verdict() {
        Err(error) => error,
        Ok(()) => rejected(
            Reason::NetworkRefused,
            format!("Twilio refuses it with {} and says no more", answer.status),
        ),
    }
}

/// An error code, as Twilio writes it in its answers and in its webhooks.
pub fn code(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}
