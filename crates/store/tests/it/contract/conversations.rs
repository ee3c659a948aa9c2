use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::id::{LineId, RoomId};
use swingbridge_domain::store::{Contact, RoomRole, Store, StoreError};

pub fn a_contact_is_found_by_each_of_its_names(store: &Arc<dyn Store>) {
    let id = work(store, |t| t.contact_add(&[1; 32], b"sealed", "abcdef"));
    let contact = Contact {
        id,
        index: [1; 32],
        address: b"sealed".to_vec(),
        ghost: "abcdef".into(),
        card: None,
    };
    assert_eq!(work(store, move |t| t.contact(id)), Some(contact.clone()));
    assert_eq!(
        work(store, |t| t.contact_by_index(&[1; 32])),
        Some(contact.clone())
    );
    assert_eq!(work(store, |t| t.contact_by_ghost("abcdef")), Some(contact));
    assert_eq!(work(store, |t| t.contact_by_index(&[2; 32])), None);
    assert_eq!(work(store, |t| t.contact_by_ghost("ABCDEF")), None);
}

pub fn a_contact_keeps_its_card(store: &Arc<dyn Store>) {
    let id = work(store, |t| {
        let id = t.contact_add(&[1; 32], b"sealed", "a")?;
        t.contact_set_card(id, b"an old card")?;
        t.contact_set_card(id, b"a sealed card")?;
        Ok(id)
    });
    let card = work(store, move |t| t.contact(id)).unwrap().card;
    assert_eq!(card.as_deref(), Some(&b"a sealed card"[..]));
}

pub fn a_conversation_moves_to_another_contact(store: &Arc<dyn Store>) {
    let (id, other) = work(store, |t| {
        let id = conversation(t, 1)?;
        let other = t.contact_add(&[2; 32], b"sealed", "other")?;
        t.conversation_set_contact(id, other)?;
        Ok((id, other))
    });
    assert_eq!(work(store, move |t| t.conversation(id)).unwrap().contact, other);
}

pub fn a_contact_is_not_added_twice(store: &Arc<dyn Store>) {
    work(store, |t| t.contact_add(&[1; 32], b"sealed", "a"));
    for (index, ghost) in [(1, "b"), (2, "a")] {
        let again = attempt(store, move |t| t.contact_add(&[index; 32], b"sealed", ghost));
        assert!(matches!(again, Err(StoreError::Failed(_))), "{again:?}");
    }
}

pub fn a_conversation_is_found_by_room_and_alias(store: &Arc<dyn Store>) {
    let id = work(store, |t| {
        let id = conversation(t, 1)?;
        t.alias_set(&line(), &[9; 32], id)?;
        t.conversation_set_room(id, Some(&RoomId::new("!room")))?;
        Ok(id)
    });
    let found = work(store, move |t| t.conversation(id)).unwrap();
    assert_eq!((found.id, &found.line), (id, &line()));
    assert_eq!((found.generation, found.created_at, found.last_at), (0, NOW, NOW));
    assert_eq!(found.room, Some(RoomId::new("!room")));
    let by_room = work(store, |t| t.conversation_by_room(&RoomId::new("!room")));
    assert_eq!(by_room.as_ref(), Some(&found));
    let by_alias = work(store, |t| t.conversation_by_alias(&line(), &[9; 32]));
    assert_eq!(by_alias, Some(found));
    let elsewhere = work(store, |t| {
        t.conversation_by_alias(&LineId::new("other"), &[9; 32])
    });
    assert_eq!(elsewhere, None);

    work(store, move |t| t.conversation_set_room(id, None));
    assert_eq!(
        work(store, |t| t.conversation_by_room(&RoomId::new("!room"))),
        None
    );
}

pub fn an_alias_moves(store: &Arc<dyn Store>) {
    let second = work(store, |t| {
        let first = conversation(t, 1)?;
        let second = conversation(t, 2)?;
        t.alias_set(&line(), &[9; 32], first)?;
        t.alias_set(&line(), &[9; 32], second)?;
        Ok(second)
    });
    let found = work(store, |t| t.conversation_by_alias(&line(), &[9; 32]));
    assert_eq!(found.map(|found| found.id), Some(second));
}

pub fn a_room_belongs_to_one_conversation(store: &Arc<dyn Store>) {
    let second = work(store, |t| {
        let first = conversation(t, 1)?;
        t.conversation_set_room(first, Some(&RoomId::new("!room")))?;
        conversation(t, 2)
    });
    let stolen = attempt(store, move |t| {
        t.conversation_set_room(second, Some(&RoomId::new("!room")))
    });
    assert!(matches!(stolen, Err(StoreError::Failed(_))), "{stolen:?}");
}

pub fn a_renewed_conversation_has_no_room_and_a_new_generation(store: &Arc<dyn Store>) {
    let found = work(store, |t| {
        let id = conversation(t, 1)?;
        t.conversation_set_room(id, Some(&RoomId::new("!room")))?;
        t.conversation_renew(id)?;
        t.conversation(id)
    })
    .unwrap();
    assert_eq!((found.room, found.generation), (None, 1));
}

pub fn a_renamed_line_keeps_its_conversations_and_its_space(store: &Arc<dyn Store>) {
    let (old, new) = (LineId::new("main"), LineId::new("helpdesk"));
    let space = RoomId::new("!space");
    let (id, found, kept, left) = work(store, {
        let (old, new, space) = (old.clone(), new.clone(), space.clone());
        move |t| {
            let contact = t.contact_add(&[9; 32], b"sealed", "nine")?;
            let id = t.conversation_add(&old, contact, after(0))?;
            t.alias_set(&old, &[7; 32], id)?;
            t.room_set_role(&space, &RoomRole::Space(old.clone()))?;
            t.line_rename(&old, &new)?;
            let found = t.conversation_by_alias(&new, &[7; 32])?;
            let kept = t.room_by_role(&RoomRole::Space(new))?;
            Ok((id, found, kept, t.conversation_by_alias(&old, &[7; 32])?))
        }
    });
    assert_eq!(found.map(|found| (found.id, found.line)), Some((id, new)));
    assert_eq!((kept, left), (Some(space), None));
}

pub fn the_latest_conversations_come_first(store: &Arc<dyn Store>) {
    let (one, two, other) = work(store, |t| {
        let one = conversation(t, 1)?;
        let two = conversation(t, 2)?;
        let contact = t.contact_add(&[3; 32], b"sealed", "three")?;
        let other = t.conversation_add(&LineId::new("other"), contact, after(1))?;
        t.conversation_touch(one, after(9))?;
        t.conversation_touch(two, after(5))?;
        // A message that comes late does not make the conversation older.
        t.conversation_touch(one, after(2))?;
        Ok((one, two, other))
    });
    let ids = |line: Option<LineId>, limit| {
        work(store, move |t| t.conversations(line.as_ref(), limit))
            .iter()
            .map(|conversation| conversation.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 9), [one, two, other]);
    assert_eq!(ids(None, 1), [one]);
    assert_eq!(ids(Some(line()), 9), [one, two]);
    assert_eq!(ids(Some(LineId::new("other")), 9), [other]);
}
