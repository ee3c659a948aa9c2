//! A device's address book: what changed in it since it was handed in last.

use crate::journal::Journal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::{Arrival, Card, Dedupe, Inbound, Inbox, InboxError, NetworkAddress, What};
use swingbridge_domain::message::Media;

/// How many cards are handed in at once.
const BATCH: usize = 100;

/// A whole book: what it says of each address, by the address as it stands there.
pub type Book = BTreeMap<String, Entry>;

/// What a book says of an address. `Debug` is not there: it is a person's name.
#[derive(Clone, Default, PartialEq)]
pub struct Entry {
    pub name: Option<String>,
    /// Its place changes with its content.
    pub picture: Option<Media>,
}

/// What was handed in: for each address the print of its card. The address itself must stand here, since a contact that is deleted
/// is told by it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Known(BTreeMap<String, String>);

/// Hands in what changes.
pub struct AddressBook<'a> {
    connector: &'a ConnectorId,
    /// How an address is meant that stands in the book.
    contact: fn(&str) -> NetworkAddress,
    file: &'a Journal,
    known: Known,
}

impl<'a> AddressBook<'a> {
    /// Goes on from what `file` says was handed in. Its loss costs one reading of the whole book, which does no harm.
    pub fn open(
        connector: &'a ConnectorId,
        contact: fn(&str) -> NetworkAddress,
        file: &'a Journal,
    ) -> AddressBook<'a> {
        AddressBook {
            connector,
            contact,
            file,
            known: file.read().ok().flatten().unwrap_or_default(),
        }
    }

    /// Hands in what is new, changed or gone. `whole`: the book could be read to its end, and what is not in it is gone.
    ///
    /// # Errors
    /// The inbox's. What it took is remembered; call it again with the same book.
    pub async fn hand_in(&mut self, book: &Book, whole: bool, inbox: &dyn Inbox) -> Result<(), InboxError> {
        let changes = changes(&self.known, book, whole);
        for batch in changes.chunks(BATCH) {
            let arrivals = batch.iter().map(|(address, entry)| self.card(address, *entry));
            inbox.deliver(arrivals.collect()).await?;
            for (address, entry) in batch {
                match entry {
                    Some(entry) => self.known.0.insert(address.clone(), print(entry)),
                    None => self.known.0.remove(address),
                };
            }
            if let Err(error) = self.file.write(&self.known) {
                tracing::warn!(connector = %self.connector, %error, "the address book will be read anew after a restart");
            }
        }
        Ok(())
    }

    fn card(&self, address: &str, entry: Option<&Entry>) -> Arrival {
        let Entry { name, picture } = entry.cloned().unwrap_or_default();
        Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Card(Card {
                connector: self.connector.clone(),
                contact: (self.contact)(address),
                name,
                picture,
            })),
        }
    }
}

/// By address.
fn changes<'b>(known: &Known, book: &'b Book, whole: bool) -> Vec<(String, Option<&'b Entry>)> {
    let new = book
        .iter()
        .filter(|(address, entry)| known.0.get(*address) != Some(&print(entry)))
        .map(|(address, entry)| (address.clone(), Some(entry)));
    // An empty book is more often a device that is just starting than one without contacts.
    let gone = known
        .0
        .keys()
        .filter(|address| whole && !book.is_empty() && !book.contains_key(*address))
        .map(|address| (address.clone(), None));
    new.chain(gone).collect()
}

fn print(entry: &Entry) -> String {
    let mut sha = Sha256::new();
    sha.update(entry.name.as_deref().unwrap_or_default());
    if let Some(picture) = &entry.picture {
        sha.update([0]);
        sha.update(&picture.uri);
    }
    data_encoding::HEXLOWER.encode(&sha.finalize()[..8])
}

/// The type of a picture and the end of its file's name, by the first octets of its content.
pub fn picture_kind(content: &[u8]) -> (&'static str, &'static str) {
    match content {
        [0x89, b'P', b'N', b'G', ..] => ("image/png", "png"),
        [b'G', b'I', b'F', ..] => ("image/gif", "gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ("image/webp", "webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ("image/heic", "heic"),
        _ => ("image/jpeg", "jpg"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry {
            name: Some(name.to_owned()),
            picture: None,
        }
    }

    fn book(entries: &[(&str, &str)]) -> Book {
        let entries = entries.iter();
        entries
            .map(|(address, name)| ((*address).to_owned(), entry(name)))
            .collect()
    }

    fn known(entries: &[(&str, &str)]) -> Known {
        let book = book(entries).into_iter();
        Known(book.map(|(address, entry)| (address, print(&entry))).collect())
    }

    fn told<'b>(known: &Known, book: &'b Book, whole: bool) -> Vec<(String, Option<&'b str>)> {
        let changes = changes(known, book, whole).into_iter();
        changes
            .map(|(address, entry)| (address, entry.and_then(|entry| entry.name.as_deref())))
            .collect()
    }

    #[test]
    fn only_changes_are_told() {
        let known = known(&[("1", "Ann"), ("2", "Bob"), ("3", "Cid")]);
        let now = book(&[("1", "Ann"), ("2", "Robert"), ("4", "Dot")]);
        let mut expected = vec![
            ("2".to_owned(), Some("Robert")),
            ("4".to_owned(), Some("Dot")),
            ("3".to_owned(), None),
        ];
        assert_eq!(told(&known, &now, true), expected);
        // What could not be read to its end says of nobody that they are gone.
        expected.pop();
        assert_eq!(told(&known, &now, false), expected);
        assert_eq!(told(&known, &Book::new(), true), []);
    }

    #[test]
    fn another_picture_is_a_change() {
        let known = known(&[("1", "Ann")]);
        let mut now = book(&[("1", "Ann")]);
        assert_eq!(told(&known, &now, true), []);
        now.get_mut("1").unwrap().picture = Some(Media {
            uri: "file:///ann.jpg".into(),
            ..Media::default()
        });
        assert_eq!(told(&known, &now, true), [("1".to_owned(), Some("Ann"))]);
    }
}
