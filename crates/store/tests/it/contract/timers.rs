use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::{AssemblyId, ConnectorId, MessageId, NetworkId, SessionId};
use swingbridge_domain::store::{
    Direction, LineDepth, MessageRecord, NewOutboxRow, OutboxState, PartRecord, QueueDepth, Store, Target,
    Timer,
};

pub fn due_timers_are_taken_once_oldest_first(store: &Arc<dyn Store>) {
    let timers = [
        (Timer::AssemblyGone(AssemblyId(7)), after(4)),
        (Timer::AssemblyDue(AssemblyId(7)), after(3)),
        (Timer::PartsSettle(MessageId(7)), after(1)),
        (
            Timer::EarlyReceiptGone(ConnectorId::new("a"), NetworkId::new("x y")),
            after(2),
        ),
        (
            Timer::EarlyReceiptGone(ConnectorId::new("a x"), NetworkId::new("y")),
            after(5),
        ),
    ];
    let set = timers.clone();
    work(store, move |t| {
        set.iter().try_for_each(|(timer, due)| t.timer_set(timer, *due))
    });
    assert_eq!(work(store, |t| t.timer_next()), Some(after(1)));
    let take = |at, limit| work(store, move |t| t.timers_due(at, limit));
    assert_eq!(take(NOW, 9), []);
    assert_eq!(take(after(4), 1), [timers[2].0.clone()]);
    assert_eq!(
        take(after(4), 9),
        [timers[3].0.clone(), timers[1].0.clone(), timers[0].0.clone()]
    );
    assert_eq!(take(after(4), 9), []);
    assert_eq!(take(after(5), 9), [timers[4].0.clone()]);
    assert_eq!(work(store, |t| t.timer_next()), None);
}

pub fn a_timer_set_again_moves(store: &Arc<dyn Store>) {
    let timer = Timer::AssemblyDue(AssemblyId(1));
    let due = work(store, move |t| {
        t.timer_set(&timer, after(1))?;
        t.timer_set(&timer, after(9))?;
        assert_eq!(t.timers_due(after(8), 9)?, []);
        t.timers_due(after(9), 9)
    });
    assert_eq!(due.len(), 1);
}

pub fn settings_are_kept(store: &Arc<dyn Store>) {
    let read = work(store, |t| {
        assert_eq!(t.setting("name")?, None);
        t.setting_set("name", "one")?;
        t.setting_set("name", "two")?;
        t.setting("name")
    });
    assert_eq!(read.as_deref(), Some("two"));
}

pub fn queue_depths_count_what_waits(store: &Arc<dyn Store>) {
    let depth = |queue: &str, rows, oldest| QueueDepth {
        queue: queue.into(),
        rows,
        oldest,
    };
    assert_eq!(
        work(store, |t| t.queue_depths()),
        [depth("inbox", 0, None), depth("homeserver", 0, None)]
    );
    let depths = work(store, |t| {
        let conversation = conversation(t, 1)?;
        t.inbox_push(vec![1], after(1))?;
        t.inbox_push(vec![1], after(2))?;
        let rows = [
            (Target::Homeserver, after(3), OutboxState::Queued),
            (
                Target::Connector(ConnectorId::new("b")),
                after(5),
                OutboxState::Sending,
            ),
            (
                Target::Connector(ConnectorId::new("a")),
                after(7),
                OutboxState::Queued,
            ),
            (
                Target::Connector(ConnectorId::new("a")),
                after(6),
                OutboxState::Queued,
            ),
            (
                Target::Connector(ConnectorId::new("a")),
                after(4),
                OutboxState::Parked,
            ),
        ];
        for (target, created_at, state) in rows {
            let id = t.outbox_push(&NewOutboxRow {
                target,
                created_at,
                ..parcel(conversation, None)
            })?;
            t.outbox_set_state(id, state)?;
        }
        t.queue_depths()
    });
    assert_eq!(
        depths,
        [
            depth("inbox", 2, Some(after(1))),
            depth("homeserver", 1, Some(after(3))),
            depth("a", 2, Some(after(6))),
            depth("b", 1, Some(after(5))),
        ]
    );
}

pub fn line_depths_count_messages_by_direction(store: &Arc<dyn Store>) {
    assert_eq!(work(store, |t| t.line_depths()), []);
    let depths = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let carrier = || Target::Connector(ConnectorId::new("a"));
        let rows = [
            (carrier(), after(5), OutboxState::Queued),
            (carrier(), after(3), OutboxState::Sending),
            (carrier(), after(1), OutboxState::Parked),
            (Target::Homeserver, after(7), OutboxState::Queued),
        ];
        for (target, created_at, state) in rows {
            let message = t.message_add(&outgoing(conversation))?;
            let id = t.outbox_push(&NewOutboxRow {
                target,
                created_at,
                ..parcel(conversation, Some(message))
            })?;
            t.outbox_set_state(id, state)?;
        }
        // A notice is no message.
        t.outbox_push(&NewOutboxRow {
            target: Target::Homeserver,
            ..parcel(conversation, None)
        })?;
        t.line_depths()
    });
    let depth = |direction, rows, oldest| LineDepth {
        line: line(),
        direction,
        rows,
        oldest: Some(oldest),
    };
    assert_eq!(
        depths,
        [
            depth(Direction::In, 1, after(7)),
            depth(Direction::Out, 2, after(3)),
        ]
    );
}

pub fn what_is_old_is_forgotten(store: &Arc<dyn Store>) {
    let session = SessionId(1);
    let (old, young) = work(store, move |t| {
        t.remember(b"old", NOW)?;
        t.remember(b"young", after(10))?;
        t.remember_event(NOW, b"old event", NOW)?;
        t.remember_event(NOW, b"came late", after(10))?;
        t.remember_event(after(10), b"of a fast clock", NOW)?;
        t.session_started(&connector(), session, NOW)?;
        t.remember_delivery(&connector(), session, 1, &[1; 16], NOW)?;
        t.remember_delivery(&connector(), session, 2, &[2; 16], after(10))?;
        let conversation = conversation(t, 1)?;
        let ended = MessageRecord {
            state: State::Delivered,
            ..outgoing(conversation)
        };
        let old = t.message_add(&ended)?;
        t.part_add(&PartRecord {
            connector: connector(),
            network_id: NetworkId::new("id"),
            message: old,
            index: 0,
            state: State::Delivered,
        })?;
        let young = t.message_add(&MessageRecord {
            updated_at: after(10),
            ..ended
        })?;
        Ok((old, young))
    });
    // A key, an event, a delivery and a message; the part goes with its message.
    assert_eq!(work(store, |t| t.prune(after(10))), 4);
    assert_eq!(work(store, |t| t.prune(after(10))), 0);
    assert_eq!(work(store, move |t| t.message(old)), None);
    assert_eq!(work(store, move |t| t.parts_of(old)), []);
    assert!(work(store, move |t| t.message(young)).is_some());
    assert!(work(store, |t| t.remember(b"old", after(11))));
    assert!(!work(store, |t| t.remember(b"young", after(11))));
    assert!(work(store, |t| t.remember_event(NOW, b"old event", after(11))));
    assert!(!work(store, |t| t.remember_event(NOW, b"came late", after(11))));
    assert!(!work(store, |t| t.remember_event(
        after(10),
        b"of a fast clock",
        after(11)
    )));
    let new = |sequence: u32, digest: [u8; 16]| {
        work(store, move |t| {
            t.remember_delivery(&connector(), session, sequence, &digest, after(11))
        })
    };
    assert!(new(1, [1; 16]));
    assert!(!new(2, [2; 16]));

    // A session goes when it ended before, and its deliveries went.
    work(store, move |t| t.session_ended(&connector(), session, after(12)));
    assert!(work(store, |t| t.prune(after(20))) > 0);
    let again = work(store, |t| {
        t.remember_delivery(&connector(), SessionId(2), 1, &[2; 16], after(21))
    });
    assert!(again);
}

pub fn a_message_that_waits_is_not_forgotten(store: &Arc<dyn Store>) {
    let ids = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let uncertain = MessageRecord {
            state: State::Uncertain,
            ..outgoing(conversation)
        };
        let queued = t.message_add(&outgoing(conversation))?;
        let parked = t.message_add(&uncertain)?;
        t.outbox_push(&parcel(conversation, Some(parked)))?;
        let incomplete = t.message_add(&uncertain)?;
        let assembly = t.assembly_add(conversation, "key", 2, NOW)?;
        t.assembly_set_message(assembly, incomplete)?;
        let forgotten = t.message_add(&uncertain)?;
        Ok([queued, parked, incomplete, forgotten])
    });
    assert_eq!(work(store, |t| t.prune(after(10))), 1);
    let there = ids.map(|id| work(store, move |t| t.message(id)).is_some());
    assert_eq!(there, [true, true, true, false]);
}

pub fn buried_rows_are_erased_when_their_time_is_over(store: &Arc<dyn Store>) {
    work(store, |t| {
        for at in [NOW, after(10)] {
            let id = t.inbox_push(vec![1], at)?;
            t.inbox_bury(id, "why")?;
        }
        Ok(())
    });
    assert_eq!(work(store, |t| t.prune_buried(after(10))), 1);
    assert_eq!(work(store, |t| t.prune_buried(after(10))), 0);
    let left = work(store, |t| t.inbox_buried(9));
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].row.received_at, after(10));
}

pub fn what_is_kept_is_counted(store: &Arc<dyn Store>) {
    let of = |table: &'static str| {
        let holdings = work(store, |t| t.holdings());
        let found = holdings
            .into_iter()
            .find(|holding| holding.table == table)
            .unwrap();
        (found.rows, found.oldest)
    };
    assert_eq!(of("messages"), (0, None));
    work(store, |t| {
        let conversation = conversation(t, 1)?;
        let message = t.message_add(&outgoing(conversation))?;
        t.outbox_push(&parcel(conversation, Some(message)))?;
        let parked = t.outbox_push(&parcel(conversation, None))?;
        t.outbox_set_state(parked, OutboxState::Parked)?;
        t.inbox_push(vec![1], after(2))?;
        t.inbox_push(vec![1], after(1))?;
        Ok(())
    });
    assert_eq!(of("messages"), (1, Some(NOW)));
    assert_eq!(of("outbox (networks)"), (1, Some(NOW)));
    assert_eq!(of("outbox (parked)"), (1, Some(NOW)));
    assert_eq!(of("outbox (homeserver)"), (0, None));
    assert_eq!(of("inbox"), (2, Some(after(1))));
    assert_eq!(of("contacts"), (1, None));
}
