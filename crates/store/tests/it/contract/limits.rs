use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::id::ContactId;
use swingbridge_domain::store::{Store, SuppressedBy, Suppression};

fn contact(store: &Arc<dyn Store>, number: u8) -> ContactId {
    work(store, move |t| {
        t.contact_add(&[number; 32], &[number], &format!("ghost{number}"))
    })
}

fn wish(own: u8, contact: ContactId, seconds: u64) -> Suppression {
    Suppression {
        own: [own; 32],
        contact,
        by: SuppressedBy::Contact,
        at: after(seconds),
    }
}

pub fn a_wish_for_no_texts_is_kept_until_it_is_lifted(store: &Arc<dyn Store>) {
    let contact = contact(store, 1);
    let first = wish(7, contact, 1);
    let again = Suppression {
        by: SuppressedBy::Network,
        ..wish(7, contact, 9)
    };
    let set = first.clone();
    work(store, move |t| {
        t.suppression_set(&set)?;
        t.suppression_set(&again)
    });
    let of = |own: u8| work(store, move |t| t.suppression(&[own; 32], contact));
    assert_eq!(of(7), Some(first));
    // Another number of ours is another thing.
    assert_eq!(of(8), None);
    assert!(!work(store, move |t| t.suppression_lift(&[8; 32], contact)));
    assert!(work(store, move |t| t.suppression_lift(&[7; 32], contact)));
    assert!(!work(store, move |t| t.suppression_lift(&[7; 32], contact)));
    assert_eq!(of(7), None);
}

pub fn the_latest_wishes_come_first(store: &Arc<dyn Store>) {
    let (one, two) = (contact(store, 1), contact(store, 2));
    let all = [wish(7, one, 3), wish(8, one, 2), wish(7, two, 1)];
    let set = all.clone();
    work(store, move |t| {
        set.iter().rev().try_for_each(|wish| t.suppression_set(wish))
    });
    assert_eq!(work(store, |t| t.suppressions(9)), all);
    assert_eq!(work(store, |t| t.suppressions(1)), all[..1]);
}

pub fn what_is_counted_adds_up_and_is_found_by_its_time(store: &Arc<dyn Store>) {
    work(store, |t| {
        t.tally_add(&[1; 16], after(0), 2)?;
        t.tally_add(&[1; 16], after(60), 1)?;
        t.tally_add(&[1; 16], after(0), 3)?;
        t.tally_add(&[2; 16], after(0), 9)
    });
    let of = |key: u8, from, to| work(store, move |t| t.tallies(&[key; 16], after(from), after(to)));
    assert_eq!(of(1, 0, 61), [(after(0), 5), (after(60), 1)]);
    assert_eq!(of(1, 0, 60), [(after(0), 5)]);
    assert_eq!(of(1, 1, 61), [(after(60), 1)]);
    assert_eq!(of(2, 0, 61), [(after(0), 9)]);
    assert_eq!(of(3, 0, 61), []);
}

pub fn old_counts_are_forgotten(store: &Arc<dyn Store>) {
    let left = work(store, |t| {
        t.tally_add(&[1; 16], after(0), 2)?;
        t.tally_add(&[1; 16], after(60), 1)?;
        t.tally_add(&[2; 16], after(1), 1)?;
        assert_eq!(t.prune_tallies(after(60))?, 2);
        assert_eq!(t.prune_tallies(after(60))?, 0);
        t.tallies(&[1; 16], after(0), after(99))
    });
    assert_eq!(left, [(after(60), 1)]);
}
