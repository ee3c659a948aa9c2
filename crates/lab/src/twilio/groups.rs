//! Conversations with their participants and messages, and the phones that write to groups.

use super::NUMBER;
use super::state::{Incoming, World};
use std::collections::BTreeSet;

/// Group texts, as Twilio's Conversations API has them.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub sid: String,
    pub participants: Vec<Participant>,
    pub messages: Vec<Said>,
    pub closed: bool,
    /// Seconds since the epoch.
    pub at: i64,
}

/// Somebody in a conversation.
#[derive(Clone, Debug, Default)]
pub struct Participant {
    pub sid: String,
    /// A phone.
    pub address: Option<String>,
    /// The number of ours that the phone is spoken to by, one to one.
    pub proxy: Option<String>,
    /// A number of ours that is seen in the group.
    pub projected: Option<String>,
    pub at: i64,
}

/// A message of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub sid: String,
    pub author: String,
    pub participant: String,
    pub text: String,
    /// SIDs of files.
    pub media: Vec<String>,
    pub by_phone: bool,
    pub index: usize,
    /// For each participant with a phone: SID, status, error.
    pub receipts: Vec<(String, String, Option<u32>)>,
    /// Seconds since the epoch.
    pub at: i64,
}

/// A refusal: HTTP status, code, words.
pub type Refused = (u16, u32, &'static str);

impl Conversation {
    /// The phones of a group; empty for a conversation that is none.
    pub fn phones(&self) -> BTreeSet<&str> {
        let projected = self.participants.iter().any(|one| one.projected.is_some());
        self.participants
            .iter()
            .filter(|one| projected && one.proxy.is_none())
            .filter_map(|one| one.address.as_deref())
            .collect()
    }

    pub fn who(&self, address: &str) -> Option<&Participant> {
        self.participants
            .iter()
            .find(|one| one.address.as_deref() == Some(address) || one.projected.as_deref() == Some(address))
    }
}

fn is_reachable(address: &str) -> bool {
    // The North American numbering plan, and no number of the account's.
    let digits = address.strip_prefix("+1").unwrap_or_default();
    digits.len() == 10 && digits.bytes().all(|octet| octet.is_ascii_digit()) && address != NUMBER
}

impl World {
    pub fn conversation(&mut self, sid: &str) -> Option<&mut Conversation> {
        self.conversations.iter_mut().find(|one| one.sid == sid)
    }

    /// Makes a conversation, or says with which code not.
    pub fn converse(&mut self, participants: Vec<Participant>) -> Result<Conversation, Refused> {
        if participants.len() > 10 {
            return Err((400, 50436, "Participant limit exceeded for group conversation"));
        }
        for one in &participants {
            check(one)?;
        }
        let mut made = Conversation {
            sid: self.sid("CH"),
            at: self.now,
            ..Conversation::default()
        };
        for one in participants {
            made.participants.push(Participant {
                sid: self.sid("MB"),
                at: self.now,
                ..one
            });
        }
        let phones = made.phones();
        let again = |other: &Conversation| !other.closed && !phones.is_empty() && other.phones() == phones;
        if self.conversations.iter().any(again) {
            return Err((
                409,
                50438,
                "Group conversation with given participant list already exists",
            ));
        }
        if !phones.is_empty() && phones.len() < 2 {
            return Err((400, 50435, "Group MMS activation failed"));
        }
        self.conversations.push(made.clone());
        Ok(made)
    }

    pub fn join(&mut self, conversation: &str, participant: Participant) -> Result<Participant, Refused> {
        check(&participant)?;
        let participant = Participant {
            sid: self.sid("MB"),
            at: self.now,
            ..participant
        };
        let Some(found) = self.conversation(conversation) else {
            return Err(NOT_THERE);
        };
        if found.participants.len() >= 10 {
            return Err((400, 50436, "Participant limit exceeded for group conversation"));
        }
        found.participants.push(participant.clone());
        Ok(participant)
    }

    /// Says something in a conversation, through the API.
    pub fn say(
        &mut self,
        conversation: &str,
        author: &str,
        text: &str,
        media: Vec<String>,
    ) -> Result<Said, Refused> {
        if text.is_empty() && media.is_empty() {
            return Err((400, 50501, "Message body or media must be given"));
        }
        if text.chars().count() > 1600 {
            return Err((400, 50505, "Message body is too long"));
        }
        if media.iter().any(|file| !self.media.contains_key(file)) {
            return Err((400, 50511, "Media not found"));
        }
        let opted_out = self.opted_out.clone();
        self.now += 1;
        let (at, sid) = (self.now, self.sid("IM"));
        let Some(found) = self.conversation(conversation) else {
            return Err(NOT_THERE);
        };
        if found.closed {
            return Err((409, 50353, "Conversation is not in the active state"));
        }
        let Some(participant) = found.who(author).map(|one| one.sid.clone()) else {
            return Err((
                400,
                50513,
                "Message author should be among Group MMS participants.",
            ));
        };
        let receipts = found
            .participants
            .iter()
            .filter_map(|one| Some((one.sid.clone(), one.address.as_ref()?)))
            .map(|(sid, address)| match opted_out.contains(address) {
                true => (sid, "failed".to_owned(), Some(21610)),
                false => (sid, "sent".to_owned(), None),
            })
            .collect();
        let said = Said {
            sid,
            author: author.to_owned(),
            participant,
            text: text.to_owned(),
            media,
            by_phone: false,
            index: found.messages.len(),
            receipts,
            at,
        };
        found.messages.push(said.clone());
        Ok(said)
    }

    /// What a phone wrote to a group goes into the conversation of exactly these phones, which is made when there is none and it may be.
    /// Gives the conversation and its message, and whether it was made for it.
    pub fn heard(&mut self, incoming: &Incoming, make: bool) -> Option<(Conversation, Said, bool)> {
        let phones: BTreeSet<&str> = incoming
            .others
            .iter()
            .map(String::as_str)
            .chain([incoming.from.as_str()])
            .collect();
        let fits = |one: &Conversation| !one.closed && one.phones() == phones;
        let known = self
            .conversations
            .iter()
            .find(|one| fits(one))
            .map(|one| one.sid.clone());
        let (sid, made) = match known {
            Some(sid) => (sid, false),
            None if make => {
                let phone = |address: &&str| Participant {
                    address: Some((*address).to_owned()),
                    ..Participant::default()
                };
                let mut all: Vec<Participant> = phones.iter().map(phone).collect();
                all.push(Participant {
                    projected: Some(NUMBER.to_owned()),
                    ..Participant::default()
                });
                (self.converse(all).ok()?.sid, true)
            }
            None => return None,
        };
        let mut media = Vec::new();
        for file in &incoming.files {
            let name = self.sid("ME");
            self.media.insert(name.clone(), file.clone());
            media.push(name);
        }
        let (at, message) = (self.now, self.sid("IM"));
        let found = self.conversation(&sid)?;
        let said = Said {
            sid: message,
            author: incoming.from.clone(),
            participant: found.who(&incoming.from)?.sid.clone(),
            text: incoming.text.clone(),
            media,
            by_phone: true,
            index: found.messages.len(),
            receipts: Vec::new(),
            at,
        };
        found.messages.push(said.clone());
        Some((found.clone(), said, made))
    }
}

pub const NOT_THERE: Refused = (404, 20404, "The requested resource was not found");

fn check(one: &Participant) -> Result<(), Refused> {
    let invalid = Err((400, 50407, "Invalid messaging binding address"));
    match (&one.address, &one.projected) {
        (Some(_), Some(_)) => invalid,
        (Some(address), None) if !is_reachable(address) => invalid,
        (None, Some(projected)) if projected != NUMBER => {
            Err((400, 50408, "Invalid messaging binding projected address"))
        }
        (None, None) => Err((400, 50434, "Participant projected address not provided")),
        _ => Ok(()),
    }
}
