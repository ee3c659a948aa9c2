use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::store::Store;

pub fn a_key_is_new_once(store: &Arc<dyn Store>) {
    assert!(work(store, |t| t.remember(b"$one", NOW)));
    assert!(!work(store, |t| t.remember(b"$one", after(9))));
    assert!(work(store, |t| t.remember(b"$two", NOW)));
}

pub fn an_event_is_new_once(store: &Arc<dyn Store>) {
    assert!(work(store, |t| t.remember_event(NOW, b"$one", NOW)));
    assert!(!work(store, |t| t.remember_event(NOW, b"$one", after(9))));
    assert!(work(store, |t| t.remember_event(NOW, b"$two", NOW)));
    assert!(work(store, |t| t.remember_event(after(1), b"$one", NOW)));
    // Its clock was too far ahead when it came first.
    assert!(work(store, |t| t.remember(b"$three", NOW)));
    assert!(!work(store, |t| t.remember_event(
        after(86_401),
        b"$three",
        after(9)
    )));
}

pub fn rows_come_back_oldest_first(store: &Arc<dyn Store>) {
    for n in 0..5u8 {
        work(store, move |t| t.inbox_push(vec![n; 3], after(u64::from(n))));
    }
    let rows = work(store, |t| t.inbox_oldest(3));
    assert_eq!(
        rows.iter().map(|row| row.sealed[0]).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(rows[2].sealed, [2; 3]);
    assert_eq!(rows[2].received_at, after(2));

    let second = rows[1].id;
    work(store, move |t| t.inbox_remove(second));
    let left = work(store, |t| t.inbox_oldest(9));
    assert_eq!(
        left.iter().map(|row| row.sealed[0]).collect::<Vec<_>>(),
        [0, 2, 3, 4]
    );
}

pub fn an_id_is_never_given_twice(store: &Arc<dyn Store>) {
    let push_and_remove = || {
        work(store, |t| {
            let inbox = t.inbox_push(vec![1], NOW)?;
            t.inbox_remove(inbox)?;
            let conversation = match t.conversation_by_alias(&line(), &[1; 32])? {
                Some(conversation) => conversation.id,
                None => {
                    let id = conversation(t, 1)?;
                    t.alias_set(&line(), &[1; 32], id)?;
                    id
                }
            };
            let outbox = t.outbox_push(&parcel(conversation, None))?;
            t.outbox_remove(outbox)?;
            let assembly = t.assembly_add(conversation, "key", 2, NOW)?;
            t.assembly_remove(assembly)?;
            Ok((inbox, outbox, assembly))
        })
    };
    let first = push_and_remove();
    let second = push_and_remove();
    assert!(second.0 > first.0 && second.1 > first.1 && second.2 > first.2);
}

pub fn a_buried_row_leaves_the_inbox_and_returns_at_its_end(store: &Arc<dyn Store>) {
    let first = work(store, |t| {
        let first = t.inbox_push(b"bad".to_vec(), NOW)?;
        t.inbox_push(b"good".to_vec(), after(1))?;
        t.inbox_bury(first, "no such line")?;
        Ok(first)
    });
    assert_eq!(work(store, |t| t.inbox_oldest(9)).len(), 1);
    let buried = work(store, |t| t.inbox_buried(9));
    assert_eq!(buried.len(), 1);
    assert_eq!((buried[0].row.id, &*buried[0].error), (first, "no such line"));
    assert_eq!(buried[0].row.sealed, b"bad");

    assert_eq!(work(store, |t| t.inbox_exhume()), 1);
    let rows = work(store, |t| t.inbox_oldest(9));
    assert_eq!(rows[1].sealed, b"bad");
    assert_eq!(rows[1].received_at, NOW);
    assert_eq!(work(store, |t| t.inbox_buried(9)), []);
    assert_eq!(work(store, |t| t.inbox_exhume()), 0);
}
