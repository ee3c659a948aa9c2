//! Writing to a group: its conversation is found or made, files are kept at Twilio, and then each piece is said. Twilio takes no
//! idempotency key here either.

use super::book::Known;
use super::place::people;
use super::receipts::id_of;
use super::{Groups, api, learn, write};
use crate::provider::files;
use crate::provider::http::rejected;
use crate::twilio::ask::Refusal;
use crate::twilio::connector::Shared;
use std::collections::BTreeSet;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Body, Media, Message};

/// How many people a group may have besides us.
const PEOPLE: usize = 9;
/// How many files one message may have.
const FILES: usize = 10;
/// Twilio: a group with these people is there already.
const EXISTS: u32 = 50438;

/// One message of Twilio's.
struct Piece<'a> {
    text: String,
    file: Option<&'a Media>,
}

/// Hands one message to a group.
pub async fn send(
    shared: &Shared,
    groups: &Groups,
    outbound: &Outbound,
    thread: &str,
) -> Result<Accepted, SendError> {
    let now = shared.account.clock.now();
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let numbers = numbers(thread)?;
    let pieces = pieces(&outbound.message)?;
    let mut ready = Vec::new();
    for piece in &pieces {
        let file = match piece.file {
            Some(media) => Some(keep(shared, groups, media).await?),
            None => None,
        };
        ready.push((piece.text.as_str(), file));
    }
    let (mut conversation, mut known) = conversation(shared, groups, thread, &numbers).await?;
    let mut said: Vec<String> = Vec::new();
    for (text, file) in ready {
        let mut told = api::say(shared, groups, &conversation, text, file.as_deref()).await;
        if said.is_empty() && told.as_ref().is_err_and(|refusal| refusal.status() == Some(404)) {
            // Somebody removed it. The next one of the same people is the same group.
            groups.book.change(|page| page.forget(&conversation));
            (conversation, known) = self::conversation(shared, groups, thread, &numbers).await?;
            told = api::say(shared, groups, &conversation, text, file.as_deref()).await;
        }
        match told.map_err(|refusal| refusal.after_sending(shared)) {
            Ok(sid) => said.push(sid),
            // A part of it has left: that the rest did not is not all that is to be said.
            Err(SendError::RetryAfter { detail, .. }) if !said.is_empty() => {
                return Err(SendError::Unknown { detail });
            }
            Err(SendError::Rejected { detail, .. }) if !said.is_empty() => {
                return Err(rejected(Reason::InPart, detail));
            }
            Err(error) => return Err(error),
        }
    }
    shared.account.connected(None);
    shared.account.traffic();
    let mut network_ids = Vec::new();
    for sid in &said {
        if shared.config.receipts {
            let name = format!("{conversation}/{sid}");
            shared.kept.change(|memory| memory.await_receipts(&name, now));
        }
        match known.people.is_empty() {
            true => network_ids.push(NetworkId::new(sid)),
            // Each of the group has a state of their own.
            false => network_ids.extend(known.people.values().map(|participant| id_of(sid, participant))),
        }
    }
    Ok(Accepted {
        segments: u16::try_from(said.len()).unwrap_or(u16::MAX),
        network_ids,
        ..Accepted::default()
    })
}

fn numbers(thread: &str) -> Result<Vec<String>, SendError> {
    let numbers: Vec<String> = people(thread).map(str::to_owned).collect();
    let is_number = |text: &String| {
        text.strip_prefix('+')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()))
    };
    if !numbers.iter().all(is_number) {
        return Err(rejected(
            Reason::BadAddress,
            "this group is another network's: it has no numbers that Twilio could write to",
        ));
    }
    if numbers.len() > PEOPLE {
        return Err(rejected(
            Reason::BadAddress,
            "Twilio writes to groups of at most nine others",
        ));
    }
    Ok(numbers)
}

/// The first file goes with the text, each further one by itself: Twilio takes one with a message.
fn pieces(message: &Message) -> Result<Vec<Piece<'_>>, SendError> {
    let mut words: Vec<String> = Vec::new();
    let mut files: Vec<&Media> = Vec::new();
    for part in &message.parts {
        match &part.body {
            Body::Text(text) => words.push(text.plain.clone()),
            Body::Media(media) => {
                files.push(media);
                words.extend(media.caption.clone());
            }
            Body::RichCard(card) => {
                files.extend(&card.media);
                words.push(card.words());
            }
            Body::Location { geo_uri, description } => {
                words.push(format!("{description}\n{geo_uri}").trim().to_owned());
            }
            Body::Other {
                fallback: Some(fallback),
                ..
            } => words.push(fallback.clone()),
            Body::Null | Body::Poll { .. } | Body::Other { fallback: None, .. } => {
                return Err(rejected(
                    Reason::BadContent,
                    "this provider carries texts and files only",
                ));
            }
        }
    }
    words.retain(|words| !words.is_empty());
    if files.len() > FILES {
        return Err(rejected(
            Reason::BadContent,
            "at most ten files are sent in one message",
        ));
    }
    let mut files = files.into_iter();
    let mut pieces = vec![Piece {
        text: words.join("\n"),
        file: files.next(),
    }];
    if pieces[0].text.is_empty() && pieces[0].file.is_none() {
        return Err(rejected(Reason::BadContent, "there is nothing in it"));
    }
    pieces.extend(files.map(|file| Piece {
        text: String::new(),
        file: Some(file),
    }));
    Ok(pieces)
}

async fn keep(shared: &Shared, groups: &Groups, media: &Media) -> Result<String, SendError> {
    let most = u64::from(shared.config.largest_file);
    let octets = files::read(media, most, "largest_file").await?;
    api::upload(shared, groups, files::mime(media), octets)
        .await
        .map_err(|refusal| refusal.before_sending(shared))
}

/// The conversation that a group is. Making one sends nothing to anybody.
async fn conversation(
    shared: &Shared,
    groups: &Groups,
    thread: &str,
    numbers: &[String],
) -> Result<(String, Known), SendError> {
    let found = groups.book.look(|page| {
        let (sid, known) = page.conversation_of(thread)?;
        Some((sid.clone(), known.clone()))
    });
    if let Some(found) = found {
        return Ok(found);
    }
    let sid = match api::create(shared, groups, numbers).await {
        Ok(sid) => sid,
        Err(refusal) if refusal.code() == Some(EXISTS) => find(shared, groups, numbers).await?,
        Err(refusal) => return Err(refusal.before_sending(shared)),
    };
    let learnt = learn(shared, groups, &sid)
        .await
        .map_err(|refusal| refusal.before_sending(shared))?;
    write(shared, groups);
    Ok((sid, learnt.map(|learnt| learnt.known).unwrap_or_default()))
}

/// The conversation of exactly these people.
async fn find(shared: &Shared, groups: &Groups, numbers: &[String]) -> Result<String, SendError> {
    let wanted: BTreeSet<&str> = numbers.iter().map(String::as_str).collect();
    let failed = |refusal: Refusal| refusal.before_sending(shared);
    let first = numbers.first().map(String::as_str).unwrap_or_default();
    for conversation in api::conversations_of(shared, groups, first)
        .await
        .map_err(failed)?
    {
        let people = api::people(shared, groups, &conversation).await.map_err(failed)?;
        if people.is_some_and(|people| people.keys().map(String::as_str).eq(wanted.iter().copied())) {
            return Ok(conversation);
        }
    }
    Err(rejected(
        Reason::NetworkRefused,
        "Twilio has a conversation of this group in another Conversation Service: correct service_sid, or close that one",
    ))
}
