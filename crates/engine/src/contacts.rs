//! Contacts that were met lately, so that they need not be read and unsealed each time.
//!
//! A contact never changes. One is remembered only after a commit: until then its number may still become another's.

use std::collections::HashMap;
use std::sync::Mutex;
use swingbridge_domain::address::Address;
use swingbridge_domain::id::ContactId;
use swingbridge_domain::store::Contact;

use crate::kernel::lock;

/// So many are remembered; about a megabyte.
const MOST: usize = 4096;

#[derive(Default)]
pub(crate) struct Contacts(Mutex<HashMap<ContactId, (Contact, Address)>>);

impl Contacts {
    pub fn get(&self, id: ContactId) -> Option<(Contact, Address)> {
        lock(&self.0).get(&id).cloned()
    }

    /// Remembers what a committed transaction read.
    pub fn met(&self, contacts: Vec<(Contact, Address)>) {
        if contacts.is_empty() {
            return;
        }
        let mut known = lock(&self.0);
        for (contact, address) in contacts {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(contact.id, (contact, address));
        }
    }
}
