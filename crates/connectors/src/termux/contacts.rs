//! The phone's address book: what changed in it since it was read last.

use super::command::Failure;
use super::connector::{Beside, Shared};
use super::read::{self, Read};
use crate::address_book::{AddressBook, Book, Entry};
use crate::journal::Journal;
use std::time::Duration;
use swingbridge_domain::address::Hint;
use swingbridge_domain::inbox::{Inbox, InboxError, NetworkAddress};
use tokio::time::sleep;

const PROGRAM: &str = "termux-contact-list";
/// The wait while the store takes nothing.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared, file: &Journal, inbox: &dyn Inbox) {
    if shared.config.contacts.is_zero() {
        return std::future::pending().await;
    }
    let mut known = AddressBook::open(&shared.id, contact, file);
    loop {
        let mut wait = shared.config.contacts;
        match list(shared).await {
            Ok(book) => {
                shared.beside(Beside::Contacts, None);
                match known.hand_in(&book, true, inbox).await {
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

async fn list(shared: &Shared) -> Result<Book, Failure> {
    let printed = shared.programs.run(PROGRAM, &[], None).await?;
    let Ok(Read { items, .. }) = read::contacts(&printed) else {
        return Err(Failure::Junk(PROGRAM));
    };
    Ok(items
        .into_iter()
        .map(|read| {
            let entry = Entry {
                name: Some(read.name),
                picture: None,
            };
            (read.number, entry)
        })
        .collect())
}

/// As it stands in the book: the line's region says what it means.
fn contact(number: &str) -> NetworkAddress {
    NetworkAddress {
        text: number.to_owned(),
        hint: Hint::default(),
    }
}
