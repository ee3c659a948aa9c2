//! Contacts that were met lately, so that they need not be read and unsealed each time.
//!
//! A contact's address never changes, and its card seldom. One is remembered only after a commit: until then its number may still become another's.

use crate::kernel::lock;
use crate::state::Who;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use swingbridge_domain::id::ContactId;

/// So many are remembered; about a megabyte.
const MOST: usize = 4096;

#[derive(Default)]
pub(crate) struct Contacts(Mutex<HashMap<ContactId, Arc<Who>>>);

impl Contacts {
    pub fn get(&self, id: ContactId) -> Option<Arc<Who>> {
        lock(&self.0).get(&id).cloned()
    }

    /// Remembers what a committed transaction read.
    pub fn met(&self, contacts: Vec<Arc<Who>>) {
        if contacts.is_empty() {
            return;
        }
        let mut known = lock(&self.0);
        for one in contacts {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(one.contact.id, one);
        }
    }
}
