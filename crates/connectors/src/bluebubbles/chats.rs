//! The server's chats, as far as they are known: who is in which, and which one is with whom. A chat's name is never made up: only
//! the server knows it.

use super::api::{Api, Failure};
use super::shapes::Chat;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use swingbridge_domain::address::{Address, Hint};
use swingbridge_domain::inbox::NetworkAddress;

#[derive(Default)]
pub(super) struct Chats {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    chats: HashMap<String, Chat>,
    /// The chat with one person that was used last, by their address.
    direct: HashMap<String, String>,
    handles: HashMap<i64, String>,
}

impl Chats {
    /// Remembers that the chat was used. `chat` need not tell who is in it.
    pub fn used(&self, chat: &Chat) {
        if let Some(contact) = contact(chat) {
            self.with(|known| known.direct.insert(key(&contact), chat.guid.clone()));
        }
    }

    /// Its members or its name may be others now.
    pub fn forget(&self, guid: &str) {
        self.with(|known| known.chats.remove(guid));
    }

    /// The chat with who is in it.
    ///
    /// # Errors
    /// The server's; a repetition does no harm.
    pub async fn of(&self, api: &Api, guid: &str) -> Result<Chat, Failure> {
        if let Some(chat) = self.with(|known| known.chats.get(guid).cloned()) {
            return Ok(chat);
        }
        let chat = api.chat(guid).await?;
        self.remember(&chat);
        Ok(chat)
    }

    /// The chat with one person.
    ///
    /// # Errors
    /// The server's; a repetition does no harm.
    pub async fn with_contact(&self, api: &Api, address: &Address) -> Result<Option<String>, Failure> {
        let wanted = key(address.full());
        let found = || self.with(|known| known.direct.get(&wanted).cloned());
        if let Some(guid) = found() {
            return Ok(Some(guid));
        }
        let mut offset = 0;
        loop {
            let chats = api.chats(offset).await?;
            offset += chats.len();
            let end = chats.is_empty();
            for chat in chats {
                self.remember(&chat);
                // The one that was used last comes first.
                if let Some(contact) = contact(&chat) {
                    self.with(|known| {
                        known
                            .direct
                            .entry(key(&contact))
                            .or_insert_with(|| chat.guid.clone());
                    });
                }
            }
            if end || found().is_some() {
                return Ok(found());
            }
        }
    }

    /// The address of a row of the handle table.
    ///
    /// # Errors
    /// The server's; a repetition does no harm.
    pub async fn handle(&self, api: &Api, row: i64) -> Result<Option<String>, Failure> {
        let found = || self.with(|known| known.handles.get(&row).cloned());
        if let Some(address) = found() {
            return Ok(Some(address));
        }
        let mut offset = 0;
        loop {
            let handles = api.handles(offset).await?;
            offset += handles.len();
            let end = handles.is_empty();
            self.with(|known| {
                let whole = handles
                    .into_iter()
                    .filter_map(|handle| Some((handle.row?, handle.address?)));
                known.handles.extend(whole);
            });
            if end || found().is_some() {
                return Ok(found());
            }
        }
    }

    fn remember(&self, chat: &Chat) {
        self.with(|known| {
            for handle in &chat.participants {
                if let (Some(row), Some(address)) = (handle.row, &handle.address) {
                    known.handles.insert(row, address.clone());
                }
            }
            known.chats.insert(chat.guid.clone(), chat.clone());
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The other one of a chat of two.
pub(super) fn contact(chat: &Chat) -> Option<String> {
    if chat.is_group() {
        return None;
    }
    let participant = chat
        .participants
        .first()
        .and_then(|handle| handle.address.clone());
    participant.or_else(|| chat.chat_identifier.clone())
}

/// As the inbox takes an address of the server's.
pub(super) fn address(text: &str) -> NetworkAddress {
    let hint = match text {
        _ if text.contains('@') => Hint::Mail,
        _ if text.starts_with('+') => Hint::International,
        _ => Hint::Unknown,
    };
    NetworkAddress {
        text: text.to_owned(),
        hint,
    }
}

fn key(address: &str) -> String {
    address.to_lowercase()
}
