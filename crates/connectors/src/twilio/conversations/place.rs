//! Where a message to the number was said: to us alone, or in a group.

use super::book::{Way, joined};
use super::{Groups, api, group, learn, same, write};
use crate::twilio::arrivals::Incoming;
use crate::twilio::ask::Refusal;
use crate::twilio::connector::Shared;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::{Arrival, Group};
use tokio::time::sleep;

/// How often a group's conversation is looked into for a message that was just told: its copy there may be a little later.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(700), Duration::from_secs(2)];

/// What a message is handed in with.
pub struct Place {
    /// The name that it is handed in under.
    pub name: String,
    /// `None`: it was said to us alone.
    pub group: Option<Group>,
    /// What turned out to have changed in groups, to be handed in before it.
    pub changes: Vec<Arrival>,
}

/// Finds where a message was said. What it says of itself is believed; one that is of a kind that groups have, and says nothing, is looked
/// for in the conversations of who sent it.
///
/// # Errors
/// Twilio cannot be asked now; worth a retry.
pub async fn place(shared: &Shared, told: &Incoming<'_>) -> io::Result<Place> {
    let alone = Place {
        name: told.sid.to_owned(),
        group: None,
        changes: Vec::new(),
    };
    if shared.config.is_rcs() || told.from.starts_with("rcs:") {
        return Ok(alone);
    }
    let at = told.sent_at.unwrap_or_else(|| shared.account.clock.now());
    if !told.others.is_empty() {
        return Ok(named(shared, told, at).await);
    }
    let Some(groups) = &shared.groups else {
        return Ok(alone);
    };
    // Groups have MMS, also for nothing but text.
    if !told.sid.starts_with("MM") {
        return Ok(alone);
    }
    let mark = mark(shared, told.from, told.text, told.files.len());
    let seen = groups
        .book
        .look(|page| page.told_in(told.sid, &mark, at).map(|seen| seen.thread.clone()));
    if let Some(thread) = seen {
        return Ok(sighted(
            shared,
            groups,
            told.sid,
            &mark,
            at,
            &thread,
            alone.changes,
        ));
    }
    match search(shared, groups, told, &mark, at).await {
        Ok((Some(thread), changes)) => Ok(sighted(shared, groups, told.sid, &mark, at, &thread, changes)),
        Ok((None, changes)) => Ok(Place { changes, ..alone }),
        Err(refusal) if refusal.may_pass() => Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "Twilio's conversations do not answer",
        )),
        // An account or a key that may not look: what is certain is that it came.
        Err(_) => Ok(alone),
    }
}

/// It names everybody that it went to.
async fn named(shared: &Shared, told: &Incoming<'_>, at: Timestamp) -> Place {
    let everybody = told.others.iter().map(String::as_str).chain([told.from]);
    let people: BTreeSet<&str> = everybody.filter(|number| !same(number, told.to)).collect();
    let Some(groups) = &shared.groups else {
        return Place {
            name: told.sid.to_owned(),
            group: Some(group(&joined(people.iter().copied()), &[], people)),
            changes: Vec::new(),
        };
    };
    let mut changes = Vec::new();
    let mut found = groups.book.look(|page| page.among(&people).cloned());
    if found.is_none() {
        // A conversation that is known may have these people now.
        for conversation in groups.book.look(|page| page.of(&people)) {
            if let Ok(Some(learnt)) = learn(shared, groups, &conversation).await {
                changes.extend(learnt.changes);
            }
        }
        found = groups.book.look(|page| page.among(&people).cloned());
    }
    let thread = match &found {
        Some(known) => known.thread.clone(),
        None => groups.book.look(|page| page.name_of(&people)),
    };
    let mark = mark(shared, told.from, told.text, told.files.len());
    let place = sighted(shared, groups, told.sid, &mark, at, &thread, changes);
    Place {
        group: match found {
            Some(known) => Some(known.group()),
            None => Some(group(&thread, &[], people)),
        },
        ..place
    }
}

fn sighted(
    shared: &Shared,
    groups: &Groups,
    sid: &str,
    mark: &str,
    at: Timestamp,
    thread: &str,
    changes: Vec<Arrival>,
) -> Place {
    let (seen, known) = groups.book.change(|page| {
        let seen = page.sight(Way::Message, sid, mark, at, thread);
        let known = page.conversation_of(&seen.thread).map(|(_, known)| known.clone());
        (seen, known)
    });
    // Before it is handed in: its other name must find it after a restart, too.
    write(shared, groups);
    Place {
        name: seen.name,
        group: Some(match known {
            Some(known) => known.group(),
            None => group(&seen.thread, &[], people(&seen.thread)),
        }),
        changes,
    }
}

/// The group of ours in whose conversation a message stands, and what changed in groups on the way.
async fn search(
    shared: &Shared,
    groups: &Groups,
    told: &Incoming<'_>,
    mark: &str,
    at: Timestamp,
) -> Result<(Option<String>, Vec<Arrival>), Refusal> {
    let mut changes = Vec::new();
    let mut ours = Vec::new();
    for conversation in api::conversations_of(shared, groups, told.from).await? {
        if let Some(learnt) = learn(shared, groups, &conversation).await? {
            changes.extend(learnt.changes);
            ours.push((conversation, learnt.known.thread));
        }
    }
    let looks = if told.patient { LOOKS.len() } else { 1 };
    for wait in LOOKS.iter().take(looks) {
        sleep(*wait).await;
        for (conversation, thread) in &ours {
            for message in api::messages(shared, groups, conversation).await? {
                if let Some(sid) = is_it(shared, &message, told.from, mark, at)
                    && groups.book.change(|page| {
                        let free = !page.is_paired(sid);
                        if free {
                            page.sight(Way::Conversation, sid, mark, at, thread);
                        }
                        free
                    })
                {
                    return Ok((Some(thread.clone()), changes));
                }
            }
        }
        if ours.is_empty() {
            break;
        }
    }
    Ok((None, changes))
}

/// The name of a message of a conversation, if it may be the one that was told.
fn is_it<'a>(
    shared: &Shared,
    message: &'a Value,
    from: &str,
    wanted: &str,
    at: Timestamp,
) -> Option<&'a str> {
    const WINDOW: Duration = Duration::from_secs(10 * 60);
    let author = message["author"].as_str().filter(|author| same(author, from))?;
    let text = message["body"].as_str().unwrap_or_default();
    let files = message["media"].as_array().map_or(0, Vec::len);
    let said = message["date_created"]
        .as_str()
        .and_then(crate::sms_gateway::time::read)?;
    let near = said.since(at).max(at.since(said)) <= WINDOW;
    let fits = near && mark(shared, author, text, files) == wanted;
    message["sid"].as_str().filter(|_| fits)
}

/// Who wrote what, as far as both ways tell it. It stands on the disk: without the auth token nothing is to be read from it.
pub fn mark(shared: &Shared, from: &str, text: &str, files: usize) -> String {
    let key = shared.config.auth_token.expose().as_bytes();
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    let digits: String = from.chars().filter(char::is_ascii_digit).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    mac.update(format!("group\0{digits}\0{}\0{files}", words.join(" ")).as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
}

/// The numbers that a group's name is made of.
pub fn people(thread: &str) -> impl Iterator<Item = &str> {
    thread.split(';').next().unwrap_or_default().split(',')
}
