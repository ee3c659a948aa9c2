//! How jobs share a transaction.

use crate::support::*;
use std::sync::Arc;
use std::sync::mpsc::channel;
use swingbridge_domain::store::{Store, StoreError};

fn kept(store: &Arc<dyn Store>) -> Vec<u8> {
    work(store, |t| t.inbox_oldest(999))
        .iter()
        .map(|row| row.sealed[0])
        .collect()
}

pub fn a_failing_job_is_undone_alone(store: &Arc<dyn Store>) {
    let go_on = occupy(store);
    let before = submit(store, |t| t.inbox_push(vec![1], NOW).map(drop));
    let failing = submit(store, |t| {
        t.inbox_push(vec![2], NOW)?;
        Err(StoreError::Failed("on purpose".into()))
    });
    let silent = submit(store, |_| {
        Err(StoreError::Failed("before it said anything".into()))
    });
    let colliding = submit(store, |t| {
        t.inbox_push(vec![3], NOW)?;
        t.contact_add(&[1; 32], b"sealed", "ghost")?;
        t.contact_add(&[1; 32], b"sealed", "ghost").map(drop)
    });
    let after = submit(store, |t| t.inbox_push(vec![4], NOW).map(drop));
    go_on.send(()).unwrap();
    assert_eq!(before.recv().unwrap(), Ok(()));
    assert_eq!(
        failing.recv().unwrap(),
        Err(StoreError::Failed("on purpose".into()))
    );
    assert!(silent.recv().unwrap().is_err());
    assert!(matches!(colliding.recv().unwrap(), Err(StoreError::Failed(_))));
    assert_eq!(after.recv().unwrap(), Ok(()));
    assert_eq!(kept(store), [1, 4]);
    assert_eq!(work(store, |t| t.contact_by_ghost("ghost")), None);
}

pub fn a_panicking_job_is_undone_alone(store: &Arc<dyn Store>) {
    let go_on = occupy(store);
    let before = submit(store, |t| t.inbox_push(vec![1], NOW).map(drop));
    let panicking = submit(store, |t| {
        t.inbox_push(vec![2], NOW)?;
        panic!("on purpose: this text in a test's output is no fault");
    });
    let after = submit(store, |t| t.inbox_push(vec![3], NOW).map(drop));
    go_on.send(()).unwrap();
    assert_eq!(before.recv().unwrap(), Ok(()));
    assert!(matches!(panicking.recv().unwrap(), Err(StoreError::Failed(_))));
    assert_eq!(after.recv().unwrap(), Ok(()));
    assert_eq!(kept(store), [1, 3]);
}

pub fn a_job_that_fails_alone_is_undone(store: &Arc<dyn Store>) {
    let failed = attempt(store, |t| {
        t.inbox_push(vec![1], NOW)?;
        Err::<(), _>(StoreError::Failed("on purpose".into()))
    });
    assert!(failed.is_err());
    assert!(kept(store).is_empty());
}

pub fn a_job_that_hides_a_failed_statement_is_undone(store: &Arc<dyn Store>) {
    let hide = |store: &Arc<dyn Store>| {
        submit(store, |t| {
            t.contact_add(&[1; 32], b"sealed", "ghost")?;
            let _ = t.contact_add(&[1; 32], b"sealed", "ghost");
            Ok(())
        })
    };
    assert!(hide(store).recv().unwrap().is_err(), "alone");
    let go_on = occupy(store);
    let hidden = hide(store);
    let other = submit(store, |t| t.inbox_push(vec![1], NOW).map(drop));
    go_on.send(()).unwrap();
    assert!(hidden.recv().unwrap().is_err(), "among others");
    assert_eq!(other.recv().unwrap(), Ok(()));
    assert_eq!(work(store, |t| t.contact_by_ghost("ghost")), None);
}

pub fn jobs_run_in_the_order_in_which_they_were_queued(store: &Arc<dyn Store>) {
    let (seen, order) = channel();
    for n in 0..700u32 {
        let seen = seen.clone();
        let _ = submit(store, move |_| {
            let _ = seen.send(n);
            Ok(())
        });
    }
    drop(seen);
    assert!(order.iter().eq(0..700));
}
