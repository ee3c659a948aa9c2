use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::store::{Assembly, Store};

pub fn an_assembly_is_found_by_its_key(store: &Arc<dyn Store>) {
    let (id, expected) = work(store, |t| {
        let (one, two) = (conversation(t, 1)?, conversation(t, 2)?);
        let id = t.assembly_add(one, "7/1/3", 3, NOW)?;
        t.assembly_add(two, "7/1/3", 3, NOW)?;
        let message = t.message_add(&outgoing(one))?;
        t.assembly_set_message(id, message)?;
        let expected = Assembly {
            id,
            conversation: one,
            key: "7/1/3".into(),
            total: 3,
            message: Some(message),
            started_at: NOW,
        };
        Ok((id, expected))
    });
    assert_eq!(work(store, move |t| t.assembly(id)), Some(expected.clone()));
    let conversation = expected.conversation;
    let found = work(store, move |t| t.assembly_by_key(conversation, "7/1/3"));
    assert_eq!(found, Some(expected));
    let missing = work(store, move |t| t.assembly_by_key(conversation, "8/1/3"));
    assert_eq!(missing, None);
}

pub fn a_part_is_added_once(store: &Arc<dyn Store>) {
    let parts = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let id = t.assembly_add(conversation, "key", 255, NOW)?;
        assert!(t.assembly_part_add(id, 255, b"last")?);
        assert!(t.assembly_part_add(id, 1, b"first")?);
        assert!(!t.assembly_part_add(id, 1, b"again")?);
        t.assembly_parts(id)
    });
    let parts: Vec<_> = parts
        .iter()
        .map(|part| (part.index, part.sealed.as_slice()))
        .collect();
    assert_eq!(parts, [(1, &b"first"[..]), (255, &b"last"[..])]);
}

pub fn an_assembly_takes_its_parts_along(store: &Arc<dyn Store>) {
    let left = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let id = t.assembly_add(conversation, "key", 2, NOW)?;
        t.assembly_part_add(id, 1, b"part")?;
        t.assembly_remove(id)?;
        Ok((t.assembly(id)?, t.assembly_parts(id)?))
    });
    assert_eq!(left, (None, Vec::new()));
}

pub fn what_is_kept_of_a_part_can_be_replaced(store: &Arc<dyn Store>) {
    let parts = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let (id, other) = (
            t.assembly_add(conversation, "key", 2, NOW)?,
            t.assembly_add(conversation, "other", 2, NOW)?,
        );
        for (assembly, index) in [(id, 1), (id, 2), (other, 1)] {
            t.assembly_part_add(assembly, index, b"words")?;
        }
        t.assembly_part_set(id, 1, b"digest")?;
        Ok([t.assembly_parts(id)?, t.assembly_parts(other)?])
    });
    let sealed = parts.map(|parts| {
        let of = |part: swingbridge_domain::store::AssemblyPart| part.sealed;
        parts.into_iter().map(of).collect::<Vec<_>>()
    });
    assert_eq!(
        sealed,
        [
            vec![b"digest".to_vec(), b"words".to_vec()],
            vec![b"words".to_vec()]
        ]
    );
}
