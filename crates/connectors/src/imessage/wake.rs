//! Events of the file system, by which a look comes before the next poll. They only hasten it: what they miss, the poll finds.
//!
//! Of all files only the database's journal (`-wal`) is watched. A commit is written there and nowhere else; macOS opens what it
//! watches, and a program that closes a file gives up the locks that SQLite has on it, of which the journal has none.

use super::chatdb::{Identity, identity};
use futures_util::FutureExt;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// One message is several writes, and their commit shows a little later.
const TOGETHER: Duration = Duration::from_millis(50);
/// A slow disk shows it later still: after what was heard comes another look, at the latest now.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) struct Wake {
    journal: PathBuf,
    /// `None` when the system gives no events.
    watcher: Option<RecommendedWatcher>,
    /// The file that is watched now.
    watched: Option<Identity>,
    heard: Arc<Notify>,
    again: bool,
}

impl Wake {
    pub fn new(database: &Path) -> Wake {
        let mut journal = database.as_os_str().to_owned();
        journal.push("-wal");
        let heard = Arc::new(Notify::new());
        let told = heard.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&event.kind)) {
                told.notify_one();
            }
        });
        Wake {
            journal: journal.into(),
            watcher: watcher
                .inspect_err(|error| tracing::debug!(%error, "there are no events of files: the poll alone finds what is new"))
                .ok(),
            watched: None,
            heard,
            again: false,
        }
    }

    /// Watches the file that stands under the journal's name now. Called before each look: what is written after it is heard.
    pub fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let now = identity(&self.journal).ok();
        if now == self.watched {
            return;
        }
        // Of a file that is gone the system has let go by itself.
        let _ = watcher.unwatch(&self.journal);
        if now.is_some()
            && let Err(error) = watcher.watch(&self.journal, RecursiveMode::NonRecursive)
        {
            tracing::debug!(%error, "the database's journal cannot be watched: the poll alone finds what is new");
        }
        self.watched = now;
    }

    /// How long to wait for the next look where nothing is heard.
    pub fn wait(&mut self, poll: Duration) -> Duration {
        match std::mem::take(&mut self.again) {
            true => poll.min(AGAIN),
            false => poll,
        }
    }

    /// Ends when the journal was written to. Safe to be dropped when a look comes anyway.
    pub async fn heard(&mut self) {
        self.heard.notified().await;
        sleep(TOGETHER).await;
        // What came meanwhile is seen by the same look.
        let _ = self.heard.notified().now_or_never();
        self.again = true;
    }
}

/// Not that somebody reads: we do.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}
