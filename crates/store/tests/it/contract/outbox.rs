use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::id::{ConversationId, RoomId, UserId};
use swingbridge_domain::store::{Lane, NewOutboxRow, OutboxRow, OutboxState, Store, Target};

pub fn a_row_comes_back_as_it_was_pushed(store: &Arc<dyn Store>) {
    let conversation = work(store, |t| conversation(t, 1));
    let rows = [
        NewOutboxRow {
            expires_at: Some(after(60)),
            ..parcel(conversation, None)
        },
        NewOutboxRow {
            target: Target::Homeserver,
            lane: Lane::Room(RoomId::new("!room")),
            not_before: after(5),
            ..parcel(conversation, None)
        },
        NewOutboxRow {
            target: Target::Homeserver,
            lane: Lane::User(UserId::new("@alice:example.org")),
            created_at: after(1),
            ..parcel(conversation, None)
        },
        NewOutboxRow {
            lane: Lane::Line(line()),
            sealed: vec![0, 255, 0],
            ..parcel(conversation, None)
        },
    ];
    for row in rows {
        let pushed = row.clone();
        let (id, read) = work(store, move |t| {
            let message = t.message_add(&outgoing(conversation))?;
            let id = t.outbox_push(&NewOutboxRow {
                message: Some(message),
                ..pushed
            })?;
            Ok((id, t.outbox(id)?.unwrap()))
        });
        assert!(read.message.is_some());
        assert_eq!(
            read,
            OutboxRow {
                id,
                target: row.target,
                lane: row.lane,
                message: read.message,
                state: row.state,
                attempts: 0,
                not_before: row.not_before,
                created_at: row.created_at,
                expires_at: row.expires_at,
                sealed: row.sealed,
            }
        );
    }
}

pub fn heads_come_oldest_first_in_any_state(store: &Arc<dyn Store>) {
    let (ids, heads) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let mut ids = Vec::new();
        for state in [OutboxState::Parked, OutboxState::Sending, OutboxState::Queued] {
            let id = t.outbox_push(&NewOutboxRow {
                state,
                ..parcel(conversation, None)
            })?;
            ids.push((id, state));
        }
        Ok((ids, t.outbox_heads()?))
    });
    let read: Vec<_> = heads.iter().map(|head| (head.id, head.state)).collect();
    assert_eq!(read, ids);
    assert_eq!(heads[0].target, Target::Connector(connector()));
    assert!(matches!(heads[0].lane, Lane::Conversation(ConversationId(_))));
    assert_eq!(heads[0].not_before, NOW);
}

pub fn a_postponed_row_is_queued_again(store: &Arc<dyn Store>) {
    let (counted, free) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let id = t.outbox_push(&parcel(conversation, None))?;
        t.outbox_set_state(id, OutboxState::Sending)?;
        t.outbox_postpone(id, after(5), true)?;
        let counted = t.outbox(id)?.unwrap();
        t.outbox_set_state(id, OutboxState::Sending)?;
        t.outbox_postpone(id, after(6), false)?;
        Ok((counted, t.outbox(id)?.unwrap()))
    });
    let facts = |row: OutboxRow| (row.state, row.attempts, row.not_before);
    assert_eq!(facts(counted), (OutboxState::Queued, 1, after(5)));
    assert_eq!(facts(free), (OutboxState::Queued, 1, after(6)));
}

pub fn a_message_finds_the_row_that_carries_it(store: &Arc<dyn Store>) {
    let (found, carrier, none) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let message = t.message_add(&outgoing(conversation))?;
        let other = t.message_add(&outgoing(conversation))?;
        // What tells the homeserver about the message does not carry it.
        t.outbox_push(&NewOutboxRow {
            target: Target::Homeserver,
            ..parcel(conversation, Some(message))
        })?;
        let carrier = t.outbox_push(&parcel(conversation, Some(message)))?;
        let found = t.outbox_by_message(message)?.unwrap();
        Ok((found.id, carrier, t.outbox_by_message(other)?))
    });
    assert_eq!((found, none), (carrier, None));
}

pub fn expired_rows_are_found_unless_they_are_being_sent(store: &Arc<dyn Store>) {
    let (ids, expired, limited) = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let mut ids = Vec::new();
        for (expires_at, state) in [
            (Some(after(9)), OutboxState::Parked),
            (Some(after(10)), OutboxState::Queued),
            (Some(after(11)), OutboxState::Queued),
            (Some(after(1)), OutboxState::Sending),
            (None, OutboxState::Queued),
        ] {
            let id = t.outbox_push(&NewOutboxRow {
                expires_at,
                ..parcel(conversation, None)
            })?;
            t.outbox_set_state(id, state)?;
            ids.push(id);
        }
        Ok((
            ids,
            t.outbox_expired(after(10), 9)?,
            t.outbox_expired(after(10), 1)?,
        ))
    });
    assert_eq!(expired.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(expired[0].sealed, b"sealed");
    assert_eq!(limited.len(), 1);
}

pub fn a_removed_row_is_gone(store: &Arc<dyn Store>) {
    let left = work(store, |t| {
        let conversation = conversation(t, 1)?;
        let id = t.outbox_push(&parcel(conversation, None))?;
        t.outbox_remove(id)?;
        // Removing what is gone does no harm: a retried job may.
        t.outbox_remove(id)?;
        Ok((t.outbox(id)?, t.outbox_heads()?))
    });
    assert_eq!(left, (None, Vec::new()));
}
