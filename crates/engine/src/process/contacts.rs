//! Contacts, their cards, and the conversations with them.

use super::Work;
use crate::state::{Card, Talk, Who};
use std::sync::Arc;
use swingbridge_domain::address::Address;
use swingbridge_domain::id::{ConversationId, LineId};
use swingbridge_domain::store::{Contact, Conversation, StoreError, seal};

type Loaded<T> = Result<T, StoreError>;

impl Work<'_> {
    /// The conversation with its names; `None` when its line is no longer configured.
    pub fn talk(&mut self, conversation: Conversation) -> Loaded<Option<Talk>> {
        let Some(line) = self.site.line(&conversation.line).cloned() else {
            return Ok(None);
        };
        let who = match self.contacts.get(conversation.contact) {
            Some(known) => known,
            None => self.read_contact(&conversation)?,
        };
        Ok(Some(Talk {
            conversation,
            who,
            line,
        }))
    }

    fn read_contact(&mut self, conversation: &Conversation) -> Loaded<Arc<Who>> {
        let Some(contact) = self.tables.contact(conversation.contact)? else {
            return Err(StoreError::Damaged(format!(
                "conversation {} has no contact",
                conversation.id
            )));
        };
        let address = self.address(&contact)?;
        let card = self.card(&contact)?;
        let who = Arc::new(Who {
            contact,
            address,
            card,
        });
        self.after.met.push(who.clone());
        Ok(who)
    }

    pub fn address(&self, contact: &Contact) -> Loaded<Address> {
        let opened = self
            .keys
            .open(seal::ADDRESS, &contact.address)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        String::from_utf8(opened)
            .ok()
            .and_then(|text| Address::from_canonical(&text))
            .ok_or_else(|| StoreError::Damaged(format!("contact {} has no readable address", contact.id)))
    }

    /// What is known of a contact besides the address.
    pub fn card(&self, contact: &Contact) -> Loaded<Card> {
        match &contact.card {
            Some(sealed) => self.open(seal::CARD, sealed),
            None => Ok(Card::default()),
        }
    }

    pub fn set_card(&mut self, contact: Contact, card: Card) -> Loaded<()> {
        let sealed = self.seal(seal::CARD, &card)?;
        self.tables.contact_set_card(contact.id, &sealed)?;
        let address = self.address(&contact)?;
        let contact = Contact {
            card: Some(sealed),
            ..contact
        };
        self.after.met.push(Arc::new(Who {
            contact,
            address,
            card,
        }));
        Ok(())
    }

    /// A group goes on under another name of its network's; what its members call it goes along.
    pub fn move_conversation(
        &mut self,
        conversation: ConversationId,
        line: &LineId,
        address: &Address,
    ) -> Loaded<()> {
        let Some(found) = self.tables.conversation(conversation)? else {
            return Ok(());
        };
        let index = self.index(address);
        self.tables.alias_set(line, &index, conversation)?;
        let card = match self.tables.contact(found.contact)? {
            Some(former) => self.card(&former)?,
            None => Card::default(),
        };
        let contact = self.contact(address)?;
        self.tables.conversation_set_contact(conversation, contact.id)?;
        self.move_suppression(line, found.contact, contact.id)?;
        self.set_card(contact, card)
    }

    pub fn index(&self, address: &Address) -> [u8; 32] {
        self.keys.index("address", &address.canonical())
    }

    /// Finds or adds the contact of an address.
    pub fn contact(&mut self, address: &Address) -> Loaded<Contact> {
        let index = self.index(address);
        if let Some(known) = self.tables.contact_by_index(&index)? {
            return Ok(known);
        }
        let canonical = address.canonical();
        let sealed = self.keys.seal(seal::ADDRESS, canonical.as_bytes());
        let ghost = self.keys.pseudonym("ghost", &canonical);
        let id = self.tables.contact_add(&index, &sealed, &ghost)?;
        Ok(Contact {
            id,
            index,
            address: sealed,
            ghost,
            card: None,
        })
    }

    /// The conversation with an address on a line, if there is one.
    pub fn conversation_with(&mut self, line: &LineId, address: &Address) -> Loaded<Option<Talk>> {
        let index = self.index(address);
        match self.tables.conversation_by_alias(line, &index)? {
            Some(found) => self.talk(found),
            None => Ok(None),
        }
    }
}
