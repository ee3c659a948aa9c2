//! What the tests share: databases to run on, and jobs that block until they are committed.

use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::store::{Result, Store, Tables, run};
use swingbridge_store::{Config, Synchronous};

/// A moment, and the ones after it.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A file that the operating system need not sync: tests that care say so.
pub fn sqlite(folder: &Path) -> Config {
    Config::Sqlite {
        path: folder.join("swingbridge.db"),
        synchronous: Synchronous::Normal,
    }
}

/// Runs a job and waits for its commit.
pub fn work<T: Send + 'static>(
    store: &Arc<dyn Store>,
    job: impl FnOnce(&mut dyn Tables) -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(run(store.as_ref(), job))
}
