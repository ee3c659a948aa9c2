use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::audit::{self, Kind, NewEntry};
use swingbridge_domain::store::{AuditRow, Store, StoreError};

fn row(number: i64) -> AuditRow {
    AuditRow {
        number,
        entry: format!("entry {number} with ünïcode").into_bytes(),
        mac: vec![number as u8; 32],
    }
}

fn pushed(store: &Arc<dyn Store>, numbers: std::ops::RangeInclusive<i64>) {
    work(store, |t| {
        let mut numbers = numbers;
        numbers.try_for_each(|number| t.audit_push(&row(number)))
    });
}

pub fn entries_come_back_in_order(store: &Arc<dyn Store>) {
    assert_eq!(work(store, |t| t.audit_last()), None);
    pushed(store, 1..=12);
    assert_eq!(work(store, |t| t.audit_last()), Some(row(12)));
    assert_eq!(work(store, |t| t.audit_rows(9, 2)), [row(10), row(11)]);
    assert_eq!(work(store, |t| t.audit_rows(12, 9)), []);
}

pub fn a_number_is_not_given_twice(store: &Arc<dyn Store>) {
    pushed(store, 1..=2);
    assert!(attempt(store, |t| t.audit_push(&row(2))).is_err());
    assert_eq!(work(store, |t| t.audit_rows(0, 9)).len(), 2);
}

pub fn entries_are_forgotten_from_the_front(store: &Arc<dyn Store>) {
    pushed(store, 1..=5);
    work(store, |t| t.audit_forget(3));
    assert_eq!(work(store, |t| t.audit_rows(0, 9)), [row(4), row(5)]);
}

pub fn a_chain_verifies_as_it_grows_and_is_forgotten(store: &Arc<dyn Store>) {
    let verify = || work(store, |t| audit::verify(t, &keys(), None));
    assert!(!verify().is_whole(), "there is no log yet");
    audited(store, 10);
    let verdict = verify();
    // The log itself begins with an entry.
    assert_eq!((verdict.is_whole(), verdict.entries), (true, 11), "{verdict:?}");
    let noted = verdict.end;
    assert!(noted.is_some());

    let prune = |seconds, limit| work(store, move |t| audit::prune(t, &keys(), after(seconds), limit));
    // Entries 1 to 5 are of the seconds 0, 0, 1, 2 and 3.
    assert_eq!(prune(4, 3), 3);
    assert_eq!(prune(4, 3), 2);
    assert_eq!(prune(4, 3), 0);
    let verdict = verify();
    assert_eq!(
        (verdict.is_whole(), verdict.entries, verdict.forgotten),
        (true, 6, 5),
        "{verdict:?}"
    );
    assert_eq!(verdict.oldest, Some((6, after(4))));

    // The last one stays, and the log goes on behind it.
    assert_eq!(prune(9999, 99), 5);
    audited(store, 2);
    let verdict = work(store, move |t| audit::verify(t, &keys(), noted));
    assert_eq!(
        (verdict.is_whole(), verdict.entries, verdict.forgotten),
        (true, 3, 10),
        "{verdict:?}"
    );
}

pub fn an_entry_goes_with_the_transaction_that_it_tells(store: &Arc<dyn Store>) {
    audited(store, 1);
    let undone = attempt(store, |t| {
        audit::append(t, &keys(), NOW, &NewEntry::new(Kind::Requeued))?;
        Err::<(), _>(StoreError::Failed("what it tells did not happen".into()))
    });
    assert!(undone.is_err());
    audited(store, 1);
    let verdict = work(store, |t| audit::verify(t, &keys(), None));
    assert_eq!((verdict.is_whole(), verdict.entries), (true, 3), "{verdict:?}");
}
