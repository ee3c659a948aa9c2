use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::{ConnectorId, EventId, MessageId, NetworkId};
use swingbridge_domain::store::{Direction, EarlyReceipt, MessageRecord, PartRecord, Store};

pub fn a_message_comes_back_as_it_was_added(store: &Arc<dyn Store>) {
    let (full, bare) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let full = MessageRecord {
            detail: Some("of no use".into()),
            ..outgoing(conversation)
        };
        let bare = MessageRecord {
            direction: Direction::In,
            event: None,
            sender: None,
            encoding: None,
            state: State::Uncertain,
            ..outgoing(conversation)
        };
        let full_id = t.message_add(&full)?;
        let bare_id = t.message_add(&bare)?;
        let full = MessageRecord { id: full_id, ..full };
        let bare = MessageRecord { id: bare_id, ..bare };
        Ok((full, bare))
    });
    assert_ne!(full.id, bare.id);
    for record in [full.clone(), bare] {
        assert_eq!(work(store, move |t| t.message(record.id)), Some(record));
    }
    let by_event = work(store, |t| t.message_by_event(&EventId::new("$event")));
    assert_eq!(by_event, Some(full));
    assert_eq!(work(store, |t| t.message_by_event(&EventId::new("$other"))), None);
}

pub fn an_update_writes_what_may_change(store: &Arc<dyn Store>) {
    let (before, read) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let before = outgoing(conversation);
        let id = t.message_add(&before)?;
        t.message_update(&MessageRecord {
            id,
            event: Some(EventId::new("$later")),
            state: State::Rejected,
            detail: Some("no such number".into()),
            segments: 3,
            encoding: Some("ucs2".into()),
            updated_at: after(7),
            // What does not change:
            direction: Direction::In,
            sender: None,
            created_at: after(9),
            ..before.clone()
        })?;
        Ok((before, t.message(id)?.unwrap()))
    });
    assert_eq!(
        read,
        MessageRecord {
            id: read.id,
            event: Some(EventId::new("$later")),
            state: State::Rejected,
            detail: Some("no such number".into()),
            segments: 3,
            encoding: Some("ucs2".into()),
            updated_at: after(7),
            ..before
        }
    );
}

pub fn the_latest_outbound_messages_come_first(store: &Arc<dyn Store>) {
    let (read, sent) = work(store, |t| {
        let (one, two) = (conversation(t, 1)?, conversation(t, 2)?);
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(t.message_add(&outgoing(one))?);
            t.message_add(&outgoing(two))?;
            t.message_add(&MessageRecord {
                direction: Direction::In,
                ..outgoing(one)
            })?;
        }
        Ok((t.messages_of(one, 2)?, sent))
    });
    assert_eq!(
        read.iter().map(|record| record.id).collect::<Vec<_>>(),
        [sent[2], sent[1]]
    );
}

fn part(message: MessageId, index: u16, network_id: &str) -> PartRecord {
    PartRecord {
        connector: connector(),
        network_id: NetworkId::new(network_id),
        message,
        index,
        state: State::Accepted,
    }
}

pub fn the_newest_part_with_an_id_is_found(store: &Arc<dyn Store>) {
    let second = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let first = t.message_add(&outgoing(conversation))?;
        let second = t.message_add(&outgoing(conversation))?;
        t.part_add(&part(first, 0, "id-7"))?;
        t.part_add(&part(second, 1, "id-7"))?;
        t.part_add(&PartRecord {
            connector: ConnectorId::new("other"),
            ..part(first, 0, "id-7")
        })?;
        Ok(second)
    });
    let find = |id: &'static str| {
        work(store, move |t| {
            t.part_by_network_id(&connector(), &NetworkId::new(id))
        })
    };
    assert_eq!(find("id-7"), Some(part(second, 1, "id-7")));
    assert_eq!(find("ID-7"), None);
}

pub fn a_part_changes_alone(store: &Arc<dyn Store>) {
    let parts = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let message = t.message_add(&outgoing(conversation))?;
        t.part_add(&part(message, 1, "same"))?;
        t.part_add(&part(message, 0, "same"))?;
        t.part_set_state(&part(message, 1, "same"), State::Delivered)?;
        t.parts_of(message)
    });
    let states: Vec<_> = parts.iter().map(|part| (part.index, part.state)).collect();
    assert_eq!(states, [(0, State::Accepted), (1, State::Delivered)]);
}

pub fn early_receipts_are_taken_once(store: &Arc<dyn Store>) {
    let receipt = |id: &str, n: u8| EarlyReceipt {
        connector: connector(),
        network_id: NetworkId::new(id),
        sealed: vec![n],
        received_at: NOW,
    };
    let (one, two, other) = (receipt("a", 1), receipt("a", 2), receipt("b", 3));
    let kept = [one.clone(), two.clone(), other.clone()];
    work(store, move |t| {
        kept.iter().try_for_each(|receipt| t.early_receipt_add(receipt))
    });
    let take = |id: &'static str| {
        work(store, move |t| {
            t.early_receipts_take(&connector(), &NetworkId::new(id))
        })
    };
    assert_eq!(take("a"), [one, two]);
    assert_eq!(take("a"), []);
    assert_eq!(take("b"), [other]);
}
