//! Contacts that were met lately, so that they need not be read and unsealed each time.
//!
//! A contact's address never changes, and its card seldom. One is remembered only after a commit: until then its number may still become another's.

use std::collections::HashMap;
use std::sync::Mutex;
use swingbridge_domain::address::Address;
use swingbridge_domain::id::ContactId;
use swingbridge_domain::store::Contact;

use crate::kernel::lock;
use crate::state::Card;

/// So many are remembered; about a megabyte.
const MOST: usize = 4096;

/// A contact with its address and card, opened.
pub(crate) type Known = (Contact, Address, Card);

#[derive(Default)]
pub(crate) struct Contacts(Mutex<HashMap<ContactId, Known>>);

impl Contacts {
    pub fn get(&self, id: ContactId) -> Option<Known> {
        lock(&self.0).get(&id).cloned()
    }

    /// Remembers what a committed transaction read.
    pub fn met(&self, contacts: Vec<Known>) {
        if contacts.is_empty() {
            return;
        }
        let mut known = lock(&self.0);
        for known_one in contacts {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(known_one.0.id, known_one);
        }
    }
}
