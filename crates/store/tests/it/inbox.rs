use crate::support::*;
use swingbridge_store::{BATCH, open};

#[test]
fn what_was_pushed_comes_back_in_order_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&sqlite(folder.path()), BATCH).unwrap();
    for n in 0..3u8 {
        work(&store, move |t| t.inbox_push(vec![n], NOW)).unwrap();
    }
    drop(store);
    let store = open(&sqlite(folder.path()), BATCH).unwrap();
    let rows = work(&store, |t| t.inbox_oldest(10)).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.sealed[0]).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}
