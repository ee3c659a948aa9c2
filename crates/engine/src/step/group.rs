//! Groups and address books: what contacts and groups are called, and who is in a group.

use super::{Scene, for_room, notice};
use crate::effect::Effect;
use crate::payload::Payload;
use crate::state::{Card, Talk};
use crate::words;
use swingbridge_domain::address::Address;
use swingbridge_domain::inbox::{Card as Entry, Change, Group, GroupChange};

/// An address book says something of a contact.
pub(super) fn entry(scene: &Scene<'_>, entry: &Entry) -> Vec<Effect> {
    let Some((contact, known)) = &scene.state.met else {
        return Vec::new();
    };
    let card = Card {
        name: entry.name.clone(),
        picture: entry.picture.clone(),
    };
    if &card == known {
        return Vec::new();
    }
    let mut effects = vec![Effect::SetCard(Box::new(contact.clone()), card)];
    effects.extend(describe(scene.state.talk.as_ref()));
    effects
}

/// What a message or a change tells of its group: another name of the network's, another name of its members'.
pub(super) fn known(scene: &Scene<'_>, talk: &Talk, group: &Group) -> Vec<Effect> {
    let mut effects = Vec::new();
    let name = scene.state.group_name.as_ref();
    // Who is in it names it only as long as nobody gave it a name.
    let news = name.is_some() && name != talk.who.card.name.as_ref();
    if news && (group.name.is_some() || talk.who.card.name.is_none()) {
        let card = Card {
            name: name.cloned(),
            ..talk.who.card.clone()
        };
        effects.push(Effect::SetCard(Box::new(talk.who.contact.clone()), card));
        effects.extend(describe(Some(talk)));
    }
    let address = Address::Group(group.thread.0.clone());
    if talk.who.address != address {
        effects.push(Effect::Move {
            conversation: talk.conversation.id,
            line: talk.line.id.clone(),
            address,
        });
    }
    effects
}

/// Something happened to a group. One in which nothing was said yet has no room to say it in.
pub(super) fn changed(scene: &Scene<'_>, change: &GroupChange) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let mut effects = known(scene, talk, &change.group);
    let by = scene.state.by.as_deref();
    let whom = scene.state.whom.as_deref();
    let said = match &change.change {
        Change::Renamed => words::group_renamed(by, change.group.name.as_deref()),
        Change::Joined(_) => words::group_joined(by, whom),
        Change::Left(_) => words::group_left(by, whom),
        Change::Picture(picture) => {
            let card = Card {
                picture: picture.clone(),
                ..talk.who.card.clone()
            };
            effects.push(Effect::SetCard(Box::new(talk.who.contact.clone()), card));
            effects.extend(describe(Some(talk)));
            words::group_picture(by, picture.is_some())
        }
    };
    if talk.conversation.room.is_some() {
        effects.push(notice(talk, said, None));
    }
    effects
}

/// Brings the room's name and picture up to date, where there is one.
fn describe(talk: Option<&Talk>) -> Option<Effect> {
    let talk = talk?;
    talk.conversation.room.as_ref()?;
    Some(for_room(talk, Payload::Describe))
}
