//! The phone's address book: what changed in it since it was read last.

use super::command::Failure;
use super::connector::{Beside, Shared};
use super::read::{self, Read};
use crate::journal::Journal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use swingbridge_domain::inbox::{Arrival, Card, Dedupe, Inbound, Inbox, InboxError, NetworkAddress, What};
use tokio::time::sleep;

const PROGRAM: &str = "termux-contact-list";
/// How many cards are handed in at once.
const BATCH: usize = 100;
/// The wait while the store takes nothing.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// What was handed in: for each number the print of its name. The number itself must stand here, since a contact that is deleted is
/// told by it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeMap<String, String>);

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared, file: &Journal, inbox: &dyn Inbox) {
    if shared.config.contacts.is_zero() {
        return std::future::pending().await;
    }
    // Its loss costs one reading of the whole book, which does no harm.
    let mut known: Known = file.read().ok().flatten().unwrap_or_default();
    loop {
        let mut wait = shared.config.contacts;
        match list(shared).await {
            Ok(book) => {
                shared.beside(Beside::Contacts, None);
                match hand_in(shared, &mut known, book, file, inbox).await {
                    Ok(()) => {}
                    Err(InboxError::Closed) => return,
                    Err(InboxError::Unavailable(_)) => wait = wait.min(STORE_WAIT),
                }
            }
            Err(failure) => {
                let problem = format!("the address book cannot be read: {failure}");
                shared.beside(Beside::Contacts, Some(problem));
            }
        }
        sleep(wait).await;
    }
}

async fn list(shared: &Shared) -> Result<BTreeMap<String, String>, Failure> {
    let printed = shared.programs.run(PROGRAM, &[], None).await?;
    let Ok(Read { items, .. }) = read::contacts(&printed) else {
        return Err(Failure::Junk(PROGRAM));
    };
    Ok(items
        .into_iter()
        .map(|entry| (entry.number, entry.name))
        .collect())
}

async fn hand_in(
    shared: &Shared,
    known: &mut Known,
    book: BTreeMap<String, String>,
    file: &Journal,
    inbox: &dyn Inbox,
) -> Result<(), InboxError> {
    let changes = changes(known, &book);
    for batch in changes.chunks(BATCH) {
        let arrivals = batch
            .iter()
            .map(|(number, name)| card(shared, number, name.clone()));
        inbox.deliver(arrivals.collect()).await?;
        for (number, name) in batch {
            match name {
                Some(name) => known.0.insert(number.clone(), print(name)),
                None => known.0.remove(number),
            };
        }
        if let Err(error) = file.write(known) {
            tracing::warn!(connector = %shared.id, %error, "the address book will be read anew after a restart");
        }
    }
    Ok(())
}

/// What is new, changed or gone; by number.
fn changes(known: &Known, book: &BTreeMap<String, String>) -> Vec<(String, Option<String>)> {
    let new = book
        .iter()
        .filter(|(number, name)| known.0.get(*number) != Some(&print(name)))
        .map(|(number, name)| (number.clone(), Some(name.clone())));
    // An empty book is more often a phone that is just starting than one without contacts.
    let gone = known
        .0
        .keys()
        .filter(|number| !book.is_empty() && !book.contains_key(*number))
        .map(|number| (number.clone(), None));
    new.chain(gone).collect()
}

fn card(shared: &Shared, number: &str, name: Option<String>) -> Arrival {
    let contact = NetworkAddress {
        text: number.to_owned(),
        hint: Default::default(),
    };
    Arrival {
        dedupe: Dedupe::Harmless,
        what: What::Network(Inbound::Card(Card {
            connector: shared.id.clone(),
            contact,
            name,
            picture: None,
        })),
    }
}

fn print(name: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(name)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(number, name)| ((*number).to_owned(), (*name).to_owned()))
            .collect()
    }

    #[test]
    fn only_changes_are_told() {
        let known = Known(
            book(&[("1", "Ann"), ("2", "Bob"), ("3", "Cid")])
                .into_iter()
                .map(|(number, name)| (number, print(&name)))
                .collect(),
        );
        let told = changes(&known, &book(&[("1", "Ann"), ("2", "Robert"), ("4", "Dot")]));
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            told,
            [
                ("2".to_owned(), some("Robert")),
                ("4".to_owned(), some("Dot")),
                ("3".to_owned(), None)
            ]
        );
        assert_eq!(changes(&known, &BTreeMap::new()), []);
    }
}
