//! The one thread that writes: it takes what is queued, runs it in one transaction and answers after the commit.
//!
//! Jobs run in the order in which they were queued, so a long job delays those behind it. That is the price of the
//! one order, of a commit that many jobs share, and of engines that never meet a conflict.

#[cfg(test)]
mod tests;

use crate::OpenError;
use crate::database::{Database, Row, Statements, Value};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use swingbridge_domain::store::{Job, Result, Store, StoreError};

/// After this long without a job the engine tidies up.
const IDLE: Duration = Duration::from_millis(250);

/// Set when the store is being dropped, so that an engine does not wait for a server that is away.
#[derive(Clone, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub fn is_closing(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A store: the queue of the writer thread. Dropping it takes no more jobs, runs those that are queued, and waits for the
/// thread to end.
pub(crate) struct Writer {
    jobs: Mutex<Option<Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    closing: Closing,
}

impl Writer {
    /// Opens the engine on a new thread, and answers when it is open.
    pub fn start<D: Database + 'static>(
        batch: NonZeroUsize,
        open: impl FnOnce(Closing) -> Result<D, OpenError> + Send + 'static,
    ) -> Result<Self, OpenError> {
        let (jobs, queue) = channel();
        let (opened, answer) = channel();
        let closing = Closing::default();
        let told = closing.clone();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || match open(told) {
                Ok(mut db) => {
                    let _ = opened.send(Ok(()));
                    write(&mut db, &queue, batch.get());
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        match answer.recv() {
            Ok(Ok(())) => Ok(Self {
                jobs: Mutex::new(Some(jobs)),
                thread: Mutex::new(Some(thread)),
                closing,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OpenError::Unavailable(
                "the thread of the store ended while it opened the database".into(),
            )),
        }
    }
}

impl Store for Writer {
    fn submit(&self, job: Box<dyn Job>) {
        let refused = match &*lock(&self.jobs) {
            Some(jobs) => jobs.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.finish(Err(StoreError::Closed));
        }
    }

    fn close(&self) {
        *lock(&self.jobs) = None;
        self.closing.0.store(true, Ordering::Release);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            // The last owner may be a job's `finish`, on that very thread.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(db: &mut dyn Database, queue: &Receiver<Box<dyn Job>>, limit: usize) {
    // After a batch was lost, as many jobs get a commit each: one that asks for more than the disk has then no longer
    // stands in the way of those that would make room.
    let mut alone = 0;
    loop {
        let first = match queue.recv_timeout(IDLE) {
            Ok(job) => job,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                db.tidy();
                match queue.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            }
        };
        let mut batch = vec![first];
        if alone == 0 {
            batch.extend(queue.try_iter().take(limit - 1));
        }
        let jobs = batch.len();
        alone = match run(db, batch) {
            Kept::Lost if jobs > 1 => jobs,
            _ => alone.saturating_sub(1),
        };
    }
}

enum Kept {
    /// What the jobs that did not fail by themselves wrote.
    Committed,
    Lost,
}

/// Runs `batch` in one transaction and answers every job.
fn run(db: &mut dyn Database, mut batch: Vec<Box<dyn Job>>) -> Kept {
    let started = Instant::now();
    metrics::histogram!("swingbridge_store_batch_jobs").record(batch.len() as f64);
    let mut results = Vec::with_capacity(batch.len());
    let kept = match transact(db, &mut batch, &mut results) {
        Ok(()) => Kept::Committed,
        Err(error) => {
            db.rollback();
            lose(&mut results, batch.len(), error);
            Kept::Lost
        }
    };
    metrics::histogram!("swingbridge_store_commit_seconds").record(started.elapsed().as_secs_f64());
    for (job, result) in batch.into_iter().zip(results) {
        if catch_unwind(AssertUnwindSafe(|| job.finish(result))).is_err() {
            tracing::error!("a job panicked when it was told its result");
        }
    }
    kept
}

/// Runs the jobs and commits; adds to `results` what the jobs say. An error says why nothing of the batch was kept.
fn transact(db: &mut dyn Database, batch: &mut [Box<dyn Job>], results: &mut Vec<Result<()>>) -> Result<()> {
    db.begin()?;
    let alone = batch.len() == 1;
    for job in batch.iter_mut() {
        match attempt(db, job.as_mut(), alone) {
            Attempt::Done => results.push(Ok(())),
            Attempt::Failed(error) => results.push(Err(error)),
            Attempt::Lost(error) => return Err(error),
        }
    }
    if results.iter().all(Result::is_err) {
        db.rollback();
        return Ok(());
    }
    db.commit()
}

/// Nothing of the batch was kept. Jobs that failed by themselves keep their own error.
fn lose(results: &mut Vec<Result<()>>, jobs: usize, error: StoreError) {
    let error = match error {
        StoreError::Damaged(_) | StoreError::Unavailable(_) => error,
        StoreError::Failed(reason) => StoreError::Unavailable(reason),
        StoreError::Closed => StoreError::Unavailable("the transaction is gone".into()),
    };
    metrics::counter!("swingbridge_store_failed_batches_total").increment(1);
    tracing::warn!(%error, jobs, "a batch was not committed");
    results.resize(jobs, Ok(()));
    for result in results {
        if result.is_ok() {
            *result = Err(error.clone());
        }
    }
}

enum Attempt {
    Done,
    /// The job's writes were undone.
    Failed(StoreError),
    /// The transaction is gone, and with it what other jobs wrote.
    Lost(StoreError),
}

/// Runs one job. When it is alone in its transaction no savepoint is needed: the whole is rolled back.
fn attempt(db: &mut dyn Database, job: &mut dyn Job, alone: bool) -> Attempt {
    if !alone && let Err(error) = db.savepoint() {
        return Attempt::Lost(error);
    }
    let mut session = Session {
        db: &mut *db,
        failed: None,
    };
    let worked = catch_unwind(AssertUnwindSafe(|| job.work(&mut session)));
    let failed = session.failed;
    let result = match worked {
        // A job that goes on after a statement failed would be kept by one engine and not by the other.
        Ok(Ok(())) => failed.map_or(Ok(()), Err),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StoreError::Failed("a job panicked".into())),
    };
    if !db.in_transaction() {
        let reason = result.err().unwrap_or(StoreError::Closed);
        return Attempt::Lost(reason);
    }
    match result {
        Ok(()) if alone => Attempt::Done,
        Ok(()) => match db.release() {
            Ok(()) => Attempt::Done,
            Err(error) => Attempt::Lost(error),
        },
        Err(error) if alone => Attempt::Failed(error),
        Err(error) => match db.undo() {
            Ok(()) => Attempt::Failed(error),
            Err(lost) => Attempt::Lost(lost),
        },
    }
}

/// The tables as one job sees them; remembers whether a statement failed.
pub(crate) struct Session<'a> {
    db: &'a mut dyn Database,
    failed: Option<StoreError>,
}

impl Session<'_> {
    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl Statements for Session<'_> {
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        let result = self.db.execute(sql, values);
        self.note(result)
    }

    fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64> {
        let result = self.db.insert(sql, values);
        self.note(result)
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        let result = self.db.query(sql, values, each);
        self.note(result)
    }
}
