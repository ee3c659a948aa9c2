//! The Mac's address book.

use super::api::{Api, Failure};
use super::chats::address;
use super::files::Files;
use super::shapes::Contact;
use crate::address_book::picture_kind;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::{Arrival, Card, Dedupe, Inbound, What};

/// What was handed in, so that only what is another now is handed in again.
#[derive(Default)]
pub(super) struct Book {
    known: HashMap<String, [u8; 32]>,
}

/// The cards that are new or other than at the last call, and what to remember once they are handed in.
pub(super) async fn cards(
    api: &Api,
    files: &Files,
    connector: &ConnectorId,
    book: &Book,
) -> Result<(Vec<Arrival>, Book), Failure> {
    let mut arrivals = Vec::new();
    let mut next = Book::default();
    for contact in api.contacts().await? {
        let name = name(&contact);
        let avatar = contact.avatar.as_deref().filter(|avatar| !avatar.is_empty());
        if name.is_none() && avatar.is_none() {
            continue;
        }
        let mut sha = Sha256::new();
        sha.update(name.as_deref().unwrap_or_default());
        sha.update([0]);
        sha.update(avatar.unwrap_or_default());
        let look: [u8; 32] = sha.finalize().into();
        let mut picture = None;
        for handle in contact.phone_numbers.iter().chain(&contact.emails) {
            let Some(written) = handle.address.as_deref().filter(|text| !text.trim().is_empty()) else {
                continue;
            };
            let known = book.known.get(written) == Some(&look);
            next.known.insert(written.to_owned(), look);
            if known {
                continue;
            }
            if let (None, Some(avatar)) = (&picture, avatar) {
                picture = kept(files, avatar).await;
            }
            let card = Card {
                connector: connector.clone(),
                contact: address(written),
                name: name.clone(),
                picture: picture.clone(),
            };
            arrivals.push(Arrival {
                dedupe: Dedupe::Harmless,
                what: What::Network(Inbound::Card(card)),
            });
        }
    }
    Ok((arrivals, next))
}

fn name(contact: &Contact) -> Option<String> {
    let given = contact.display_name.clone().unwrap_or_default();
    let whole = match given.trim().is_empty() {
        false => given,
        true => [&contact.first_name, &contact.last_name]
            .into_iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(" "),
    };
    let whole = whole.trim();
    (!whole.is_empty()).then(|| whole.to_owned())
}

/// A picture that cannot be read or kept is no reason to go without the name.
async fn kept(files: &Files, avatar: &str) -> Option<swingbridge_domain::message::Media> {
    let bare = avatar
        .rsplit_once("base64,")
        .map_or(avatar, |(_, content)| content);
    let content = BASE64.decode(bare.trim().as_bytes()).ok()?;
    let (mime, end) = picture_kind(&content);
    let digest = HEXLOWER.encode(&Sha256::digest(&content)[..12]);
    files
        .keep(&format!("contact-{digest}.{end}"), mime, &content)
        .await
        .inspect_err(|error| tracing::warn!(%error, "a contact's picture cannot be kept"))
        .ok()
}
