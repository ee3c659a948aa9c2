//! Asks the app for what no webhook told: messages in its inbox, and the states of ours.

use super::api::Failure;
use super::arrivals::{Content, Item};
use super::connector::Shared;
use super::hook::EVENTS;
use super::time;
use crate::provider::http::escaped;
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboxError, Receipt, What};
use tokio::time::sleep;

/// How many elements of the inbox are asked for at once.
const PAGE: usize = 200;
/// How far back each reading goes: the app's times are the networks' own.
const OVERLAP: Duration = Duration::from_secs(60 * 60);
/// How far the networks' clocks may be behind ours at the first start.
const SKEW: Duration = Duration::from_secs(120);
/// How long it is asked what became of a message.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How many are asked after in one round.
const ASKED: usize = 20;
const DAY: u64 = 24 * 60 * 60;
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Why a round ended early. Nothing is lost by it.
pub enum Stop {
    App(Failure),
    Store,
    Closed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::App(failure)
    }
}

impl From<InboxError> for Stop {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Unavailable(_) => Self::Store,
            InboxError::Closed => Self::Closed,
        }
    }
}

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared) {
    let mut gap = true;
    let mut wait = shared.config.timing.poll;
    loop {
        match round(shared, gap).await {
            Ok(problem) => {
                shared.account.connected(problem);
                gap = false;
                wait = shared.config.timing.poll;
            }
            Err(Stop::App(failure)) => {
                shared.failed(&failure);
                gap = true;
                wait = (wait * 2).min(shared.config.timing.longest_wait);
            }
            Err(Stop::Store) => wait = STORE_WAIT,
            Err(Stop::Closed) => return,
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.gap.notified() => gap = true,
        }
    }
}

/// One reading of all; gives what is not as it should be.
async fn round(shared: &Shared, gap: bool) -> Result<Option<&'static str>, Stop> {
    let now = shared.account.clock.now();
    let config = &shared.config;
    let days = Duration::from_secs(DAY * u64::from(config.history_days));
    let (begun, contact) = shared.kept.look(|memory| (memory.begun, memory.contact));
    let begun = begun.unwrap_or(now);
    let oldest = time::before(begun, days + SKEW);
    let back = match gap {
        true => config.timing.look_back,
        false => OVERLAP,
    };
    let from = time::before(contact.unwrap_or(now), back).max(oldest);
    if gap {
        register(shared).await?;
        refresh(shared, from, now).await?;
    }
    let problem = match read_inbox(shared, from, begun).await {
        Err(Stop::App(Failure::Status(404 | 405 | 501))) => Some(
            "this version of the app has no inbox to read: what no webhook tells is not seen; bring it up to date",
        ),
        other => other.map(|()| None)?,
    };
    let written = shared.kept.change(|memory| {
        memory.begun = Some(begun);
        memory.contact = Some(now);
    });
    if let Err(error) = written {
        tracing::warn!(connector = %shared.account.id, %error, "how far the app was read cannot be written down");
        return Err(Stop::Store);
    }
    ask_after_ours(shared, now).await?;
    Ok(problem)
}

/// Tells the app where to tell us. The same ids replace what an earlier start registered.
async fn register(shared: &Shared) -> Result<(), Stop> {
    let Some(url) = &shared.config.webhook_url else {
        return Ok(());
    };
    for event in EVENTS {
        let mut hook = json!({
            "id": format!("swingbridge-{}", event.replace(':', "-")),
            "url": url,
            "event": event,
        });
        if let Some(device) = &shared.config.device_id {
            hook["deviceId"] = device.as_str().into();
        }
        match shared.api.post("/webhooks", &hook).await {
            Ok(_) | Err(Failure::Junk) => {}
            // One of an older version, which does not know the event; or the address is not to its liking.
            Err(Failure::Status(400 | 422 | 500)) => {
                tracing::warn!(
                    connector = %shared.account.id, event,
                    "the app takes no webhook for this event: it wants an https address, or is too old for it"
                );
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// Lets the app read the phone's own database, where there is what the app missed.
async fn refresh(shared: &Shared, from: Timestamp, now: Timestamp) -> Result<(), Stop> {
    let mut body = json!({
        "since": time::write(from),
        "until": time::write(now),
        "messageTypes": ["SMS", "MMS"],
        "triggerWebhooks": false,
    });
    if let Some(device) = &shared.config.device_id {
        body["deviceId"] = device.as_str().into();
    }
    match shared.api.post("/inbox/refresh", &body).await {
        // Not every version can, or can all of it.
        Ok(_) | Err(Failure::Junk | Failure::Status(400 | 404 | 405 | 500 | 501)) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

async fn read_inbox(shared: &Shared, from: Timestamp, begun: Timestamp) -> Result<(), Stop> {
    let mut items = Vec::new();
    let mut unreadable = 0;
    let mut offset = 0;
    loop {
        let mut path = format!(
            "/inbox?from={}&limit={PAGE}&offset={offset}&includeAttachments=true",
            escaped(&time::write(from))
        );
        if let Some(device) = &shared.config.device_id {
            path.push_str(&format!("&deviceId={}", escaped(device)));
        }
        let page = shared.api.get(&path).await?;
        let page = page.as_array().ok_or(Failure::Junk)?;
        for told in page {
            match Item::from_inbox(told) {
                Ok(Some(item)) => {
                    let id = told.get("id").and_then(Value::as_str).unwrap_or_default();
                    items.push((id.to_owned(), item));
                }
                Ok(None) => {}
                Err(_) => unreadable += 1,
            }
        }
        offset += page.len();
        if page.len() < PAGE {
            break;
        }
    }
    if unreadable > 0 {
        tracing::warn!(connector = %shared.account.id, unreadable, "elements of the app's inbox have another form and are passed over");
    }
    items.sort_by_key(|(_, item)| item.at);
    let earliest = time::before(
        begun,
        SKEW + Duration::from_secs(DAY * u64::from(shared.config.history_days)),
    );
    let mut fresh = Vec::new();
    for (id, mut item) in items {
        let identity = item.identity();
        if item.at < earliest || shared.kept.look(|memory| memory.has_seen(&identity)) {
            continue;
        }
        fetch(shared, &id, &mut item).await?;
        fresh.push(item);
    }
    hand_in(shared, fresh).await
}

/// Fetches the attachments of an MMS.
async fn fetch(shared: &Shared, id: &str, item: &mut Item) -> Result<(), Stop> {
    let Content::Mms { attachments, .. } = &mut item.content else {
        return Ok(());
    };
    for attachment in attachments.iter_mut().filter(|one| one.octets.is_none()) {
        let path = format!("/inbox/{}/attachments/{}", escaped(id), attachment.part);
        attachment.octets = match shared.api.octets(&path).await {
            Ok(octets) => Some(octets),
            // The app does not keep them for ever.
            Err(Failure::Status(404)) => None,
            Err(failure) => return Err(failure.into()),
        };
    }
    Ok(())
}

/// Hands in what was not handed in before.
pub async fn hand_in(shared: &Shared, items: Vec<Item>) -> Result<(), Stop> {
    let _turn = shared.turn.lock().await;
    let begun = shared.kept.look(|memory| memory.begun);
    let mut identities = Vec::new();
    let mut arrivals = Vec::new();
    for item in items {
        let identity = item.identity();
        let ours = shared.config.sim.map(i64::from);
        let other_sim = ours.is_some() && item.sim.is_some() && item.sim != ours;
        let seen = identities.contains(&identity) || shared.kept.look(|memory| memory.has_seen(&identity));
        if seen || other_sim {
            continue;
        }
        let arrival = item
            .arrival(
                &shared.account.id,
                &shared.config.number,
                begun,
                &shared.account.media,
            )
            .map_err(|error| {
                tracing::warn!(connector = %shared.account.id, error = %error.kind(), "an attachment cannot be kept");
                Stop::Store
            })?;
        arrivals.push(arrival);
        identities.push(identity);
    }
    if arrivals.is_empty() {
        return Ok(());
    }
    shared.account.deliver(arrivals).await?;
    let written = shared.kept.change(|memory| {
        for identity in identities {
            memory.saw(identity);
        }
    });
    if let Err(error) = written {
        // The inbox knows them by their ids.
        tracing::warn!(connector = %shared.account.id, %error, "what was handed in may be handed in again after a restart");
    }
    Ok(())
}

async fn ask_after_ours(shared: &Shared, now: Timestamp) -> Result<(), Stop> {
    for (id, pending) in shared.kept.look(|memory| memory.next(now, ASKED)) {
        shared.kept.asks(&id);
        let state = match shared.api.get(&format!("/messages/{}", escaped(&id))).await {
            Ok(found) => found,
            Err(Failure::Status(404)) => json!({ "state": "Gone" }),
            Err(failure) => return Err(failure.into()),
        };
        let word = state.get("state").and_then(Value::as_str).unwrap_or_default();
        let old = now.since(pending.since) > PATIENCE || word == "Gone";
        if old {
            let _ = shared.kept.change(|memory| memory.reached(&id, word, true));
        } else if word != pending.state && matches!(word, "Sent" | "Delivered" | "Failed" | "Cancelled") {
            let reason = state
                .pointer("/recipients/0/error")
                .cloned()
                .unwrap_or(Value::Null);
            let told = json!({ "messageId": id, "reason": reason });
            receipt(shared, &told, word).await?;
        }
    }
    Ok(())
}

/// Hands in what became of a message of ours, by the app's word for it.
pub async fn receipt(shared: &Shared, payload: &Value, state: &str) -> Result<(), Stop> {
    let Some(id) = payload.get("messageId").and_then(Value::as_str) else {
        return Ok(());
    };
    let outcome = match state {
        "Sent" => Outcome::Sent,
        "Delivered" => Outcome::Delivered,
        _ => Outcome::Rejected,
    };
    let at = ["deliveredAt", "sentAt", "failedAt"]
        .iter()
        .find_map(|name| time::read(payload.get(*name)?.as_str()?));
    let error = match state {
        "Cancelled" => Some("it was cancelled in the app".to_owned()),
        "Failed" => payload.get("reason").and_then(Value::as_str).map(without_numbers),
        _ => None,
    };
    let receipt = Receipt {
        connector: shared.account.id.clone(),
        network_ids: vec![NetworkId::new(id)],
        outcome,
        error,
        at,
        way: Vec::new(),
    };
    shared
        .account
        .deliver(vec![Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(receipt)),
        }])
        .await?;
    let last = state != "Sent";
    if let Err(error) = shared.kept.change(|memory| memory.reached(id, state, last)) {
        tracing::debug!(connector = %shared.account.id, %error, "a state is asked for once more");
    }
    Ok(())
}

/// The app's own words for a failure may name a number.
fn without_numbers(words: &str) -> String {
    let short: String = words.chars().take(120).collect();
    let mut out = String::new();
    for word in short.split_inclusive(' ') {
        match word.chars().filter(char::is_ascii_digit).count() {
            0..=4 => out.push_str(word),
            _ => out.push_str("… "),
        }
    }
    out.trim().to_owned()
}
