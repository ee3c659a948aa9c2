//! Sends that are under way. A row of ours may be read before the answer to its send comes, or without one: it must not be taken
//! for something that the user wrote on the phone.

use super::journal::{Flight, State, digest};
use super::shapes::{Chat, Message};
use super::tapback;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

#[derive(Default)]
pub(super) struct Flights {
    active: Mutex<HashMap<u64, watch::Sender<Option<String>>>>,
    chats: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Whose a row from our own account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is this send's.
    Ours(u64),
    /// A send in the same chat has no answer yet: it may be its.
    Unsure,
    /// The user wrote it on a device.
    NotOurs,
}

/// A send under way; when it is dropped, it is so no longer.
pub(super) struct Aloft<'a> {
    flights: &'a Flights,
    id: u64,
    pub claimed: watch::Receiver<Option<String>>,
}

impl Drop for Aloft<'_> {
    fn drop(&mut self) {
        self.flights.with(|active| active.remove(&self.id));
    }
}

impl Flights {
    pub fn begin(&self, id: u64) -> Aloft<'_> {
        let (sender, claimed) = watch::channel(None);
        self.with(|active| active.insert(id, sender));
        Aloft {
            flights: self,
            id,
            claimed,
        }
    }

    pub fn any(&self) -> bool {
        self.with(|active| !active.is_empty())
    }

    /// One send in a chat at a time, so that rows can be told apart.
    pub fn turn(&self, chat: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut chats = self.chats.lock().unwrap_or_else(PoisonError::into_inner);
        chats.entry(chat.to_owned()).or_default().clone()
    }

    pub fn claim(&self, state: &State, message: &Message, chat: &Chat) -> Claim {
        let content = content_of(message);
        let here: Vec<&Flight> = state
            .flights
            .iter()
            .filter(|flight| message.row.is_none_or(|row| row > flight.floor) && concerns(flight, chat))
            .collect();
        if let Some(flight) = here
            .iter()
            .find(|flight| digest(&flight.salt, &content) == flight.digest)
        {
            return Claim::Ours(flight.id);
        }
        let waits = self.with(|active| here.iter().any(|flight| active.contains_key(&flight.id)));
        match waits {
            true => Claim::Unsure,
            false => Claim::NotOurs,
        }
    }

    /// Tells the send which row is its.
    pub fn found(&self, id: u64, guid: &str) {
        self.with(|active| {
            if let Some(sender) = active.get(&id) {
                sender.send_replace(Some(guid.to_owned()));
            }
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<u64, watch::Sender<Option<String>>>) -> T) -> T {
        look(&mut self.active.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn concerns(flight: &Flight, chat: &Chat) -> bool {
    flight.to == chat.guid
        || (!chat.is_group()
            && (chat.chat_identifier.as_deref() == Some(flight.to.as_str())
                || chat
                    .participants
                    .iter()
                    .any(|handle| handle.address.as_deref() == Some(flight.to.as_str()))))
}

pub(super) fn of_text(text: &str) -> String {
    format!("text|{}", text.trim())
}

pub(super) fn of_file(name: &str) -> String {
    format!("file|{name}")
}

pub(super) fn of_tapback(target: &str, reaction: &str) -> String {
    format!("tapback|{target}|{reaction}")
}

/// What a row says, in the same words as [`of_text`] and its like.
fn content_of(message: &Message) -> String {
    let about = message.associated_message_guid.as_deref();
    let kind = message.associated_message_type.as_deref().and_then(tapback::read);
    match (about, kind) {
        (Some(about), Some(tapback::Tapback::Put(name))) => of_tapback(tapback::target(about), &name),
        (Some(about), Some(tapback::Tapback::TakenBack(name))) => {
            of_tapback(tapback::target(about), &format!("-{name}"))
        }
        _ => match message.attachments.first() {
            Some(file) if message.words().is_empty() => {
                of_file(file.transfer_name.as_deref().unwrap_or_default())
            }
            _ => of_text(&message.words()),
        },
    }
}
