//! The port of the store: what must not be lost, and no more.
//!
//! Work on the store is a *job*: a function that reads and writes [`Tables`]. A store runs many jobs in one
//! transaction (group commit) on a thread of its own, each in a savepoint; a job is answered after the commit.
//! Nothing here holds a body or an address in the clear: those are bytes sealed with [`crate::secret::Keys`].

mod rows;
mod tables;

pub use rows::*;
pub use tables::Tables;

use futures_channel::oneshot;
use std::fmt;

/// A durable store. One contract suite runs against every one of them.
pub trait Store: Send + Sync {
    /// Queues `job`. Jobs run in the order in which they were queued, on the store's thread. The queue has no bound:
    /// callers bound what they submit. A store that is dropped still runs what is queued.
    fn submit(&self, job: Box<dyn Job>);

    /// Takes no more jobs, runs those that are queued, and lets go of the database; returns when that is done. Called once
    /// at the end: whoever still holds the store then holds a closed one. Blocks.
    fn close(&self);
}

/// Work to do in a transaction.
pub trait Job: Send {
    /// Does the work; its writes are undone when it fails or panics, and other jobs go on. Must not wait for anything.
    ///
    /// # Errors
    /// Its own, or that of a function of `tables`. A job is undone after such an error even when it answers `Ok`:
    /// engines differ in what they would keep.
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError>;
    /// Called once, after the commit, or with the error for which there was none. On the store's thread: must not wait
    /// for anything.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Why a job was not committed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It may pass: a full disk, a lost connection, a lock. Nothing of the job was kept.
    #[error("the database cannot take it now: {0}")]
    Unavailable(String),
    /// The database's contents make no sense, or a key is the wrong one. A person must act.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The job itself failed.
    #[error("{0}")]
    Failed(String),
    #[error("the store is closed")]
    Closed,
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Runs `work` as a job and waits for its commit.
///
/// # Errors
/// As [`StoreError`] says; nothing was kept.
pub async fn run<T, F>(store: &dyn Store, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Tables) -> Result<T, StoreError> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    store.submit(Box::new(Closure {
        work: Some(work),
        value: None,
        sender,
    }));
    receiver.await.unwrap_or(Err(StoreError::Closed))
}

struct Closure<T, F> {
    work: Option<F>,
    value: Option<T>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Closure<T, F>
where
    T: Send,
    F: FnOnce(&mut dyn Tables) -> Result<T, StoreError> + Send,
{
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError> {
        let work = self
            .work
            .take()
            .ok_or_else(|| StoreError::Failed("a job ran twice".into()))?;
        self.value = Some(work(tables)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Closure { value, sender, .. } = *self;
        let result = committed.and_then(|()| value.ok_or(StoreError::Closed));
        // Nobody waits any more: the work is committed all the same.
        let _ = sender.send(result);
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The contexts under which bytes are sealed, so that one kind can not be put in place of another.
pub mod seal {
    pub const ADDRESS: &str = "address";
    pub const CARD: &str = "card";
    pub const INBOX: &str = "inbox";
    pub const OUTBOX: &str = "outbox";
    pub const PART: &str = "part";
}
