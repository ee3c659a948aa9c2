//! Small pieces of work that share a job.
//!
//! Each job of the store has its price: a savepoint, and a copy of each page that it touches. So what is asked for while a commit
//! is under way is gathered, and done in one job after it. Should a piece fail, nothing of its job is kept, and each piece gets
//! a job of its own: one cannot harm another.

use crate::kernel::{After, Kernel, lock};
use crate::process::{Fault, Work};
use std::sync::{Arc, Mutex};
use swingbridge_domain::store::{Job, StoreError, Tables};

/// What waits for the next job.
#[derive(Default)]
pub(crate) struct Together(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    pieces: Vec<Box<dyn Piece>>,
    /// A job that will fetch them is on its way.
    called: bool,
}

/// A piece of work. It may run twice; what it did the first time was undone.
trait Piece: Send {
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), Fault>;
    fn done(self: Box<Self>, committed: Result<(), StoreError>);
}

impl Kernel {
    /// Runs `work` in a transaction that it shares with others. It may run twice, and must not touch anything but what it is given.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it was kept.
    pub async fn together<T, F>(self: &Arc<Self>, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let piece = Box::new(Asked {
            work,
            value: None,
            sender,
        });
        let call = {
            let mut waiting = lock(&self.together.0);
            waiting.pieces.push(piece);
            !std::mem::replace(&mut waiting.called, true)
        };
        if call {
            self.store.submit(Box::new(Gathered {
                kernel: self.clone(),
                pieces: None,
                after: After::default(),
            }));
        }
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    fn fetch(&self) -> Vec<Box<dyn Piece>> {
        let mut waiting = lock(&self.together.0);
        waiting.called = false;
        std::mem::take(&mut waiting.pieces)
    }
}

struct Asked<T, F> {
    work: F,
    value: Option<T>,
    sender: futures_channel::oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Piece for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), Fault> {
        self.value = Some((self.work)(work)?);
        Ok(())
    }

    fn done(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, sender, .. } = *self;
        // Nobody waits any more: the work is committed all the same.
        let _ = sender.send(committed.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

/// A job of all that waits when its turn comes.
struct Gathered {
    kernel: Arc<Kernel>,
    /// `None` until its turn comes.
    pieces: Option<Vec<Box<dyn Piece>>>,
    after: After,
}

impl Job for Gathered {
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError> {
        let kernel = &self.kernel;
        let pieces = self.pieces.get_or_insert_with(|| kernel.fetch());
        let ((), after) = kernel.work(tables, |work| {
            pieces.iter_mut().try_for_each(|piece| piece.run(work))
        })?;
        self.after = after;
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self {
            kernel,
            pieces,
            after,
        } = *self;
        // No transaction could begin: those who wait are told so.
        let pieces = pieces.unwrap_or_else(|| kernel.fetch());
        if committed.is_ok() {
            kernel.committed(after);
        } else {
            kernel.backlog.perhaps();
        }
        if committed.is_err() && pieces.len() > 1 {
            for piece in pieces {
                kernel.store.submit(Box::new(Self {
                    kernel: kernel.clone(),
                    pieces: Some(vec![piece]),
                    after: After::default(),
                }));
            }
            return;
        }
        if pieces.len() == 1 {
            pieces.into_iter().for_each(|piece| piece.done(committed.clone()));
            return;
        }
        // Waking so many from here would cost the store's thread more than the commit did.
        kernel.runtime.spawn(async move {
            for piece in pieces {
                piece.done(committed.clone());
            }
        });
    }
}
