//! What is remembered of groups over a restart: which conversation at Twilio is which group, and which messages were told by which way.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::id::ConnectorId;

/// How far apart the two tellings of one message may be dated.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How many messages are kept in mind.
const SIGHTINGS: usize = 1000;
/// How many earlier names of a group are kept.
const FORMERLY: usize = 8;

/// The book and its file.
pub struct Book {
    file: Journal,
    page: Mutex<Page>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// By the conversation's SID.
    groups: BTreeMap<String, Known>,
    /// How often a group gave up the name of these people: the name stays with its room.
    given_up: BTreeMap<String, u32>,
    /// The oldest first.
    sightings: VecDeque<Sighting>,
}

/// A group at Twilio.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What it is called here.
    pub thread: String,
    /// What it was called before, the last name first.
    pub formerly: Vec<String>,
    /// Everybody but us, each with the SID as a participant.
    pub people: BTreeMap<String, String>,
    /// How often its people changed.
    pub changed: u32,
}

/// A message of a group, by the two names that it may have.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// A keyed digest of who wrote what.
    mark: String,
    at: Timestamp,
    /// The name that it is handed in under.
    pub name: String,
    /// The group that it was said in.
    pub thread: String,
    message: Option<String>,
    conversation: Option<String>,
}

/// By which way a message was told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As any message to the number (`MM…`).
    Message,
    /// As one of a conversation (`IM…`).
    Conversation,
}

impl Book {
    /// Opens the file in a folder that is made. Blocks on the disk.
    ///
    /// # Errors
    /// A person must act.
    pub fn open(folder: &Path, connector: &ConnectorId) -> Result<Self, ConnectorError> {
        let read = || -> Result<Self, JournalError> {
            let file = Journal::in_folder(folder, "groups.json")?;
            let page = file.read()?.unwrap_or_default();
            Ok(Self {
                file,
                page: Mutex::new(page),
            })
        };
        read().map_err(|error| ConnectorError {
            connector: connector.clone(),
            cure: match &error {
                JournalError::Io { .. } => "look at the disk and at who may write there",
                JournalError::Content { .. } => {
                    "put the file back from a backup, or remove it: groups whose people changed may then begin anew"
                }
            }
            .to_owned(),
            cause: error.to_string(),
        })
    }

    pub fn look<T>(&self, look: impl FnOnce(&Page) -> T) -> T {
        look(&self.page())
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Page) -> T) -> T {
        change(&mut self.page())
    }

    /// Writes it down. Blocks for a moment.
    ///
    /// # Errors
    /// It will not outlast a restart.
    pub fn write(&self) -> Result<(), JournalError> {
        let page = self.page().clone();
        self.file.write(&page)
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// People as one name.
pub fn joined<'a>(people: impl IntoIterator<Item = &'a str>) -> String {
    let sorted: BTreeSet<&str> = people.into_iter().collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

impl Page {
    pub fn known(&self, conversation: &str) -> Option<&Known> {
        self.groups.get(conversation)
    }

    /// The conversation that a group is now.
    pub fn conversation_of(&self, thread: &str) -> Option<(&String, &Known)> {
        self.groups.iter().find(|(_, known)| known.thread == thread)
    }

    /// The group of these people, when there is a conversation of exactly them.
    pub fn among(&self, people: &BTreeSet<&str>) -> Option<&Known> {
        self.groups
            .values()
            .find(|known| known.people.keys().map(String::as_str).eq(people.iter().copied()))
    }

    /// The conversations that any of these is in.
    pub fn of(&self, people: &BTreeSet<&str>) -> Vec<String> {
        let shares = |known: &Known| known.people.keys().any(|number| people.contains(number.as_str()));
        self.groups
            .iter()
            .filter(|(_, known)| shares(known))
            .map(|(conversation, _)| conversation.clone())
            .collect()
    }

    /// What a group of these people is called that no conversation is known of.
    pub fn name_of(&self, people: &BTreeSet<&str>) -> String {
        let name = joined(people.iter().copied());
        match self.given_up.get(&name) {
            Some(times) => format!("{name};{times}"),
            None => name,
        }
    }

    /// Notes who is in a conversation now.
    pub fn learn(&mut self, conversation: &str, people: BTreeMap<String, String>) -> &Known {
        let numbers: BTreeSet<&str> = people.keys().map(String::as_str).collect();
        let before = self.groups.remove(conversation);
        let known = match before {
            Some(before)
                if before
                    .people
                    .keys()
                    .map(String::as_str)
                    .eq(numbers.iter().copied()) =>
            {
                Known { people, ..before }
            }
            Some(before) => {
                let name = joined(before.people.keys().map(String::as_str));
                *self.given_up.entry(name).or_default() += 1;
                let mut formerly = before.formerly;
                formerly.insert(0, before.thread);
                formerly.truncate(FORMERLY);
                Known {
                    thread: self.name_of(&numbers),
                    formerly,
                    changed: before.changed + 1,
                    people,
                }
            }
            None => Known {
                thread: self.name_of(&numbers),
                people,
                ..Known::default()
            },
        };
        self.groups
            .entry(conversation.to_owned())
            .insert_entry(known)
            .into_mut()
    }

    /// The conversation is over. What the group is called stays: the next one of the same people is the same.
    pub fn forget(&mut self, conversation: &str) {
        self.groups.remove(conversation);
    }

    /// Notes that a message was told, and gives what is known of it: it may have been told by the other way before.
    pub fn sight(&mut self, way: Way, id: &str, mark: &str, at: Timestamp, thread: &str) -> Sighting {
        let known = self.sightings.iter().position(|seen| seen.id(way) == Some(id));
        let found = known.or_else(|| {
            self.sightings
                .iter()
                .position(|seen| seen.lacks(way) && seen.fits(mark, at))
        });
        if let Some(seen) = found.and_then(|at| self.sightings.get_mut(at)) {
            *seen.place(way) = Some(id.to_owned());
            return seen.clone();
        }
        let mut seen = Sighting {
            mark: mark.to_owned(),
            at,
            name: id.to_owned(),
            thread: thread.to_owned(),
            message: None,
            conversation: None,
        };
        *seen.place(way) = Some(id.to_owned());
        self.sightings.push_back(seen.clone());
        if self.sightings.len() > SIGHTINGS {
            self.sightings.pop_front();
        }
        seen
    }

    /// The group in whose conversation a message was told that `id` is the other name of.
    pub fn told_in(&self, id: &str, mark: &str, at: Timestamp) -> Option<&Sighting> {
        let known = self
            .sightings
            .iter()
            .find(|seen| seen.message.as_deref() == Some(id));
        known.or_else(|| {
            self.sightings
                .iter()
                .find(|seen| seen.lacks(Way::Message) && seen.fits(mark, at))
        })
    }

    /// Whether a message of a conversation has its other name already.
    pub fn is_paired(&self, id: &str) -> bool {
        self.sightings
            .iter()
            .any(|seen| seen.conversation.as_deref() == Some(id) && seen.message.is_some())
    }
}

impl Sighting {
    fn place(&mut self, way: Way) -> &mut Option<String> {
        match way {
            Way::Message => &mut self.message,
            Way::Conversation => &mut self.conversation,
        }
    }

    fn id(&self, way: Way) -> Option<&str> {
        match way {
            Way::Message => self.message.as_deref(),
            Way::Conversation => self.conversation.as_deref(),
        }
    }

    fn lacks(&self, way: Way) -> bool {
        self.id(way).is_none()
    }

    fn fits(&self, mark: &str, at: Timestamp) -> bool {
        self.mark == mark && self.at.since(at).max(at.since(self.at)) <= WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(numbers: &[&str]) -> BTreeMap<String, String> {
        numbers
            .iter()
            .map(|number| ((*number).to_owned(), format!("MB{number}")))
            .collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn a_group_whose_people_change_says_what_it_was_called() {
        let mut page = Page::default();
        assert_eq!(page.learn("CH1", people(&["+2", "+1"])).thread, "+1,+2");
        assert_eq!(page.learn("CH1", people(&["+1", "+2"])).changed, 0);
        let moved = page.learn("CH1", people(&["+1", "+2", "+3"])).clone();
        assert_eq!((moved.thread.as_str(), moved.changed), ("+1,+2,+3", 1));
        assert_eq!(moved.formerly, ["+1,+2"]);
        // The first two write to each other and us anew: the room is the other one's.
        assert_eq!(page.learn("CH2", people(&["+1", "+2"])).thread, "+1,+2;1");
        let back = page.learn("CH1", people(&["+1", "+3"])).clone();
        assert_eq!(back.formerly, ["+1,+2,+3", "+1,+2"]);
        assert_eq!(page.conversation_of("+1,+2;1").unwrap().0, "CH2");
        page.forget("CH2");
        assert_eq!(page.learn("CH3", people(&["+1", "+2"])).thread, "+1,+2;1");
    }

    #[test]
    fn two_names_of_one_message_are_paired_and_equal_texts_are_two() {
        let mut page = Page::default();
        let name = |page: &mut Page, way, id: &str, when| page.sight(way, id, "ok", at(when), "t").name;
        assert_eq!(name(&mut page, Way::Message, "MM1", 0), "MM1");
        assert_eq!(name(&mut page, Way::Message, "MM2", 5), "MM2");
        assert_eq!(name(&mut page, Way::Conversation, "IM1", 1), "MM1");
        assert_eq!(name(&mut page, Way::Conversation, "IM2", 6), "MM2");
        assert_eq!(
            name(&mut page, Way::Conversation, "IM1", 900),
            "MM1",
            "told again"
        );
        assert_eq!(name(&mut page, Way::Conversation, "IM3", 7), "IM3");
        assert_eq!(
            page.told_in("MM3", "ok", at(700)).map(|seen| seen.name.as_str()),
            None
        );
        assert_eq!(page.told_in("MM3", "ok", at(10)).unwrap().name, "IM3");
        assert!(page.is_paired("IM1") && !page.is_paired("IM3"));
    }
}
