//! A disk that is full: here the number of pages is, which SQLite answers in the same way.

use super::*;
use crate::BATCH;
use crate::writer::Writer;
use std::sync::Arc;
use std::sync::mpsc::channel;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::store::{Job, Store, Tables};

type Work = Box<dyn FnMut(&mut dyn Tables) -> Result<()> + Send>;

struct Told(Work, std::sync::mpsc::Sender<Result<()>>);

impl Job for Told {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<()> {
        (self.0)(tables)
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let _ = self.1.send(committed);
    }
}

fn told(
    store: &Arc<dyn Store>,
    work: impl FnMut(&mut dyn Tables) -> Result<()> + Send + 'static,
) -> std::sync::mpsc::Receiver<Result<()>> {
    let (sender, receiver) = channel();
    store.submit(Box::new(Told(Box::new(work), sender)));
    receiver
}

#[test]
fn a_full_disk_makes_jobs_unavailable_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swingbridge.db");
    let writer = Writer::start(BATCH, move |_| {
        let mut db = Sqlite::open(&path, Synchronous::Normal)?;
        db.script("PRAGMA max_page_count = 200")?;
        Ok(db)
    });
    let store: Arc<dyn Store> = Arc::new(writer.unwrap());
    let push = |t: &mut dyn Tables| t.inbox_push(vec![7; 40_000], Timestamp(0)).map(drop);
    let mut kept = 0;
    let refusal = loop {
        match told(&store, push).recv().unwrap() {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(kept > 3, "{kept}");
    assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal:?}");
    // SQLite ends the whole transaction, so jobs that would have fitted are refused with the one that does not.
    let answers = [told(&store, |_| Ok(())), told(&store, push), told(&store, push)];
    for answer in answers {
        let answer = answer.recv().unwrap();
        assert!(
            matches!(answer, Ok(()) | Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    // What was answered is there, nothing else is; and what goes makes room.
    let emptied = told(&store, move |t| {
        let rows = t.inbox_oldest(99)?;
        assert_eq!(rows.len(), kept);
        rows.iter().try_for_each(|row| t.inbox_remove(row.id))
    });
    assert_eq!(emptied.recv().unwrap(), Ok(()));
    assert_eq!(told(&store, push).recv().unwrap(), Ok(()));
}
