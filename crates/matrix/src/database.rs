//! A small SQLite database of ours, beside the stores of the Matrix client: what must outlive a restart besides.

use crate::failure::Failure;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    /// What it is called in errors.
    name: &'static str,
}

impl Database {
    /// Opens the database at `path`, or makes it, with all that `schema` says. Blocks.
    ///
    /// # Errors
    /// As SQLite says; nothing is lost by another try.
    pub fn open(path: &Path, name: &'static str, schema: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What is written here is the reason not to ask the homeserver again, or to say 200 to it.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(schema)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            name,
        })
    }

    /// Does `work` where it may block, one after the other.
    ///
    /// # Errors
    /// [`Failure::Away`]; safe to repeat where `work` is one transaction.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let connection = self.connection.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failure::away(format!("{}: {error}", self.name))),
            Err(_) => Err(Failure::away(format!("{}: it broke off", self.name))),
        }
    }
}
