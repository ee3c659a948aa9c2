//! The rule of `Dedupe::Digest`.

use crate::support::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::SessionId;
use swingbridge_domain::inbox::{REDELIVERY_WINDOW, UNSURE_BEFORE_END};
use swingbridge_domain::store::Store;

const ONE: SessionId = SessionId(1);
const TWO: SessionId = SessionId(2);
const THREE: SessionId = SessionId(3);
const TICK: Duration = Duration::from_millis(1);

fn started(store: &Arc<dyn Store>, session: SessionId, at: Timestamp) {
    work(store, move |t| t.session_started(&connector(), session, at));
}

fn ended(store: &Arc<dyn Store>, session: SessionId, at: Timestamp) {
    work(store, move |t| t.session_ended(&connector(), session, at));
}

/// Whether the delivery of the usual text is new.
fn delivered(store: &Arc<dyn Store>, session: SessionId, sequence: u32, at: Timestamp) -> bool {
    work(store, move |t| {
        t.remember_delivery(&connector(), session, sequence, &[7; 16], at)
    })
}

pub fn the_same_session_and_sequence_is_a_repetition(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    assert!(!delivered(store, ONE, 5, after(3600)));
}

pub fn two_equal_texts_in_one_session_both_arrive(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    assert!(delivered(store, ONE, 6, NOW));
}

pub fn what_an_ended_session_may_not_have_answered_is_a_repetition(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, after(100)));
    ended(store, ONE, after(100) + UNSURE_BEFORE_END - TICK);
    started(store, TWO, after(5000));
    assert!(!delivered(store, TWO, 1, after(5000)));
}

pub fn what_an_ended_session_surely_answered_is_not(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, after(100)));
    ended(store, ONE, after(100) + UNSURE_BEFORE_END);
    started(store, TWO, after(200));
    assert!(delivered(store, TWO, 1, after(200)));
}

pub fn a_session_that_goes_on_repeats_nothing(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    started(store, TWO, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    assert!(delivered(store, TWO, 5, NOW));
}

pub fn a_lost_session_ends_at_its_last_delivery(store: &Arc<dyn Store>) {
    let digest = |n: u8| [n; 16];
    started(store, ONE, NOW);
    for (n, at) in [(1, after(0)), (2, after(15)), (3, after(20))] {
        work(store, move |t| {
            t.remember_delivery(&connector(), ONE, u32::from(n), &digest(n), at)
        });
    }
    work(store, |t| t.sessions_lost());
    started(store, TWO, after(9000));
    let new = |n: u8| {
        work(store, move |t| {
            t.remember_delivery(&connector(), TWO, u32::from(n), &digest(n), after(9000))
        })
    };
    assert!(new(1), "it was answered 20 seconds before the last one");
    assert!(!new(2));
    assert!(!new(3));
}

pub fn a_lost_session_without_deliveries_ends_all_the_same(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    work(store, |t| t.sessions_lost());
    // It ended at its beginning: what is said of it later came too late to be answered, and to be sure.
    assert!(delivered(store, ONE, 1, after(1)));
    started(store, TWO, after(2));
    assert!(!delivered(store, TWO, 1, after(2)));
}

pub fn an_unsure_delivery_is_matched_once(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    assert!(delivered(store, ONE, 6, NOW));
    ended(store, ONE, after(1));
    started(store, TWO, after(2));
    assert!(!delivered(store, TWO, 1, after(3)));
    assert!(!delivered(store, TWO, 2, after(3)));
    assert!(
        delivered(store, TWO, 3, after(3)),
        "a third equal text is a new one"
    );
}

pub fn a_repetition_can_be_repeated_in_turn(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    ended(store, ONE, after(1));
    started(store, TWO, after(2));
    assert!(!delivered(store, TWO, 1, after(3)));
    ended(store, TWO, after(4));
    started(store, THREE, after(5));
    assert!(!delivered(store, THREE, 1, after(6)));
    assert!(delivered(store, THREE, 2, after(6)));
}

pub fn after_the_window_nothing_is_a_repetition(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    assert!(delivered(store, ONE, 6, NOW));
    ended(store, ONE, after(1));
    started(store, TWO, after(2));
    assert!(!delivered(store, TWO, 1, after(2) + REDELIVERY_WINDOW));
    assert!(delivered(store, TWO, 2, after(2) + REDELIVERY_WINDOW + TICK));
}

pub fn the_end_of_a_session_is_told_once(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    ended(store, ONE, after(1));
    ended(store, ONE, after(3600));
    work(store, |t| t.sessions_lost());
    started(store, TWO, after(3601));
    assert!(!delivered(store, TWO, 1, after(3601)));
}

pub fn a_session_that_was_not_announced_counts(store: &Arc<dyn Store>) {
    assert!(delivered(store, ONE, 5, NOW));
    work(store, |t| t.sessions_lost());
    assert!(!delivered(store, TWO, 1, after(60)));
}

pub fn connectors_and_digests_are_kept_apart(store: &Arc<dyn Store>) {
    started(store, ONE, NOW);
    assert!(delivered(store, ONE, 5, NOW));
    ended(store, ONE, after(1));
    let other = swingbridge_domain::id::ConnectorId::new("other");
    assert!(work(store, move |t| {
        t.session_started(&other, TWO, after(2))?;
        t.remember_delivery(&other, TWO, 1, &[7; 16], after(2))
    }));
    started(store, TWO, after(2));
    assert!(work(store, |t| {
        t.remember_delivery(&connector(), TWO, 1, &[8; 16], after(2))
    }));
}
