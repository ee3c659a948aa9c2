//! Sending: the capability, the files, and then the messages, each under an id that is made of the message's key.

use super::api::WORDS;
use super::connector::Shared;
use super::content::{Draft, drafts};
use super::reachable::Has;
use crate::provider::http::rejected;
use crate::rcs::{TakenBack, files, in_part, recipient, uuid};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{
    Accepted, Outbound, Reach, Revocation, Revoked, SendError, Signal, SignalKind,
};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::Media;

/// The shortest and the longest time that Google may be given to deliver (guide "Send messages", message expiration).
const SHORTEST_TTL: Duration = Duration::from_secs(10);
const LONGEST_TTL: Duration = Duration::from_secs(15 * 24 * 60 * 60);
/// How long an uploaded file is used again; Google keeps it for 60 days.
const UPLOAD_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many parts of a message of unknown fate are taken back.
const MOST_PARTS: usize = 16;

/// The id of a message's n-th part, now and for ever.
fn id_of(key: &str, place: usize) -> String {
    uuid(&["rbm message", key, &place.to_string()])
}

/// Hands one message to Google.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let number = recipient(&outbound.to)?;
    // Without a name of its own its number must do; a new database would begin anew with it.
    let key = match outbound.key.is_empty() {
        true => format!("{}/{}", shared.account.id, outbound.id),
        false => outbound.key.clone(),
    };
    let now = shared.account.clock.now();
    let ttl = time_left(outbound.expires_at, now)?;
    let has = match shared.reachable.check(&shared.api, number, now).await {
        Ok(has) => has,
        Err(failure) => return Err(shared.failed(&failure, failure.before_sending())),
    };
    shared.answers();
    if has == Has::Nothing {
        return Err(rejected(Reason::NotReachable, WORDS.nobody));
    }
    // All that can be refused is refused before anything leaves.
    let mut drafts = drafts(&outbound.message, &has, |place| id_of(&key, place))?;
    for draft in &mut drafts {
        tell_files(shared, draft, now).await?;
    }
    let mut network_ids = Vec::new();
    for draft in drafts {
        let mut message = json!({ "contentMessage": draft.content });
        if let Some(kind) = shared.config.traffic_type {
            message["messageTrafficType"] = kind.word().into();
        }
        if let Some(ttl) = ttl {
            message["ttl"] = format!("{}s", ttl.as_secs()).into();
        }
        match deliver(shared, number, &draft.id, &message).await {
            Ok(()) => network_ids.push(NetworkId::new(draft.id)),
            // A part of it has left: that the rest did not is not all that is to be said. The same is safe to send again.
            Err(SendError::RetryAfter { detail, .. }) if !network_ids.is_empty() => {
                return Err(SendError::Unknown { detail });
            }
            Err(error @ SendError::Rejected { .. }) if !network_ids.is_empty() => {
                let taken_back = take_back(shared, number, &network_ids, true).await;
                return Err(in_part(error, &taken_back));
            }
            Err(error) => return Err(error),
        }
    }
    shared.account.traffic();
    Ok(Accepted {
        segments: u16::try_from(network_ids.len()).unwrap_or(u16::MAX),
        network_ids,
        encoding: "UTF-8".to_owned(),
        ..Accepted::default()
    })
}

async fn deliver(shared: &Shared, number: &str, id: &str, message: &Value) -> Result<(), SendError> {
    let taken = |told: &Value| {
        let name = told.get("name").and_then(Value::as_str);
        name.is_some_and(|name| name.ends_with(id))
    };
    let failure = match shared.api.send(number, id, message).await {
        // It says itself which message it took.
        Ok(told) if taken(&told) => None,
        Ok(_) => Some(shared.api.junk()),
        // It has one with this id, and the id is of this message alone.
        Err(failure) if failure.status() == Some(409) => None,
        Err(failure) => Some(failure),
    };
    let Some(failure) = failure else {
        shared.answers();
        return Ok(());
    };
    if failure.status() == Some(404) {
        let now = shared.account.clock.now();
        shared.reachable.learn(number, Has::Nothing, now);
    }
    Err(shared.failed(&failure, failure.to_error()))
}

/// How long Google may try. Not longer than asked for: where too little is left, it is over.
fn time_left(expires_at: Option<Timestamp>, now: Timestamp) -> Result<Option<Duration>, SendError> {
    let Some(at) = expires_at else { return Ok(None) };
    let left = at.since(now);
    match left < SHORTEST_TTL {
        true => Err(rejected(
            Reason::Expired,
            "its time was over, or all but over, before it left",
        )),
        false => Ok(Some(left.min(LONGEST_TTL))),
    }
}

/// Gives Google the files of a message, and tells where they are.
async fn tell_files(shared: &Shared, draft: &mut Draft, now: Timestamp) -> Result<(), SendError> {
    for (pointer, media) in std::mem::take(&mut draft.files) {
        let Some(object) = draft.content.pointer_mut(&pointer) else {
            continue;
        };
        if media.uri.starts_with("https://") {
            object["contentInfo"] = json!({ "fileUrl": media.uri });
            continue;
        }
        object["fileName"] = upload(shared, &media, now).await?.into();
    }
    Ok(())
}

async fn upload(shared: &Shared, media: &Media, now: Timestamp) -> Result<String, SendError> {
    let octets = shared.files.read(media).await?;
    let mime = files::mime(media);
    let mut digest = Sha256::new();
    digest.update(mime.as_bytes());
    digest.update([0]);
    digest.update(&octets);
    let digest = data_encoding::HEXLOWER.encode(&digest.finalize());
    let known = shared.memory().uploads.get(&digest).cloned();
    if let Some((name, at)) = known
        && now.since(at) < UPLOAD_AGE
    {
        return Ok(name);
    }
    let name = match shared.api.upload(mime, &octets).await {
        Ok(name) => name,
        Err(failure) => return Err(shared.failed(&failure, failure.before_sending())),
    };
    shared.answers();
    shared.memory().uploads.insert(&digest, (name.clone(), now));
    Ok(name)
}

/// Takes back what has not reached the phone.
pub async fn revoke(shared: &Shared, revocation: &Revocation) -> Result<Revoked, SendError> {
    let number = recipient(std::slice::from_ref(&revocation.to))?;
    if !revocation.network_ids.is_empty() {
        return take_back(shared, number, &revocation.network_ids, true).await;
    }
    // Of how many parts it was is not known any more: those that Google has come first.
    let ids: Vec<NetworkId> = (0..MOST_PARTS)
        .map(|place| NetworkId(id_of(&revocation.key, place)))
        .collect();
    take_back(shared, number, &ids, false).await
}

/// `accepted`: Google has each of them. It says 404 of what it has delivered, and of what it never had.
async fn take_back(
    shared: &Shared,
    number: &str,
    ids: &[NetworkId],
    accepted: bool,
) -> Result<Revoked, SendError> {
    let mut all = TakenBack::default();
    for (place, id) in ids.iter().enumerate() {
        let Err(failure) = shared.api.revoke(number, id.as_str()).await else {
            all.note(Revoked::Withdrawn);
            continue;
        };
        match failure.status() {
            Some(404) if accepted => all.note(Revoked::TooLate),
            // There are no more.
            Some(404) if place > 0 => break,
            Some(400 | 403 | 404) => all.note(Revoked::Impossible),
            _ => return Err(shared.failed(&failure, failure.to_error())),
        }
        if !accepted {
            break;
        }
    }
    shared.answers();
    Ok(all.whole())
}

pub async fn reach(shared: &Shared, addresses: &[Address]) -> Vec<Reach> {
    shared
        .reachable
        .check_all(&shared.api, addresses, shared.account.clock.now())
        .await
}

/// Passes on what is worth something only now.
pub async fn signal(shared: &Shared, signal: &Signal) {
    let Address::Number(number) = &signal.to else {
        return;
    };
    let now = shared.account.clock.now().millis().to_string();
    let (id, event) = match &signal.kind {
        SignalKind::Read { up_to } => {
            let last = || shared.memory().last_in.get(number).cloned();
            let Some(message) = up_to.as_ref().map(|id| id.0.clone()).or_else(last) else {
                return;
            };
            // An id of the engine's may stand for one file of several.
            let message = message.split('#').next().unwrap_or_default().to_owned();
            let id = uuid(&["rbm read", number, &message]);
            (id, json!({ "eventType": "READ", "messageId": message }))
        }
        SignalKind::Typing(true) => (
            uuid(&["rbm typing", number, &now]),
            json!({ "eventType": "IS_TYPING" }),
        ),
        // Google has no word for the end of it; phones forget it by themselves.
        SignalKind::Typing(false) => return,
    };
    if let Err(failure) = shared.api.event(number, &id, &event).await {
        tracing::debug!(connector = %shared.account.id, %failure, "a mark is lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_made_longer() {
        let now = Timestamp(1_000_000);
        let left = |seconds| time_left(Some(now + Duration::from_secs(seconds)), now);
        assert!(left(9).is_err());
        assert_eq!(left(10), Ok(Some(Duration::from_secs(10))));
        assert_eq!(left(100 * 24 * 3600), Ok(Some(LONGEST_TTL)));
        assert_eq!(time_left(None, now), Ok(None));
    }
}
