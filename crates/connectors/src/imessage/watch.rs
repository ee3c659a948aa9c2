//! Looks at the database again and again, and hands in what is new or changed.

use super::chatdb::{ChatDb, Trouble};
use super::claim::{claim, journal_trouble};
use super::journal::{Cursor, Journal, Mark};
use super::look::Look;
use super::row::apple;
use super::shared::{Inner, Shared};
use super::wake::Wake;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError};
use tokio::time::sleep;

/// How many of the newest rows are compared with how they stood: edits, withdrawals, receipts and errors change old rows.
const WINDOW: i64 = 2000;
/// How many new rows are handed in at once.
const CHUNK: usize = 200;
/// How many rows a sweep compares in one step.
const STRIDE: i64 = 2000;
/// How far back an hourly sweep goes.
const SWEEP_BACK: Duration = Duration::from_secs(7 * 24 * 3600);
/// What the inbox did not take is tried again after this.
const PATIENCE: Duration = Duration::from_secs(1);

/// A walk over rows of passed numbers, in steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Rows from this date on, as Apple writes it.
    pub since: i64,
    /// After this row.
    pub at: i64,
    /// Up to this row.
    pub until: i64,
    /// The whole database is another one, or numbered anew.
    pub rebuilt: bool,
}

impl Sweep {
    /// Begins at the first row that is young enough: not one before it is read.
    fn begun(db: &ChatDb, since: i64, until: i64, rebuilt: bool) -> Result<Sweep, Trouble> {
        let at = db.first_since(since)?.map_or(until, |first| first - 1);
        Ok(Sweep {
            since,
            at,
            until,
            rebuilt,
        })
    }
}

/// What one look found, and what is to be remembered once the inbox has it.
#[derive(Default)]
pub(super) struct Batch {
    pub arrivals: Vec<Arrival>,
    pub marks: Vec<Mark>,
    /// There is more at once.
    pub more: bool,
    version: Option<i64>,
    sweep: Option<Sweep>,
    swept: bool,
}

/// Until `shutdown`.
pub(super) async fn watch(shared: Arc<Shared>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) {
    let mut wake = Wake::new(&shared.config.database);
    loop {
        wake.renew();
        let (wait, listens) = match round(&shared, &inbox).await {
            Ok(true) => (Duration::ZERO, false),
            Ok(false) => (wake.wait(shared.config.timing.poll), true),
            Err(InboxError::Closed) => return,
            Err(InboxError::Unavailable(_)) => (PATIENCE, false),
        };
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            () = sleep(wait) => {}
            () = wake.heard(), if listens => {}
        }
    }
}

/// One look. Gives back whether there is more at once.
async fn round(shared: &Arc<Shared>, inbox: &Arc<dyn Inbox>) -> Result<bool, InboxError> {
    let found = blocking(shared, gather).await;
    let mut batch = match found {
        Ok(batch) => batch,
        Err(trouble) => {
            if shared.reads(Some(&trouble)) {
                tracing::warn!(connector = %shared.id, detail = trouble.detail, "Messages' database cannot be read");
            }
            return Ok(false);
        }
    };
    if shared.reads(None) {
        tracing::info!(connector = %shared.id, "reads Messages' database");
    }
    let arrivals = std::mem::take(&mut batch.arrivals);
    if !arrivals.is_empty() {
        inbox.deliver(arrivals).await?;
        shared.traffic(shared.clock.now());
    }
    let more = batch.more;
    if let Err(trouble) = blocking(shared, move |shared| commit(shared, batch)).await {
        // It is found again, and known by its ids.
        shared.reads(Some(&trouble));
        tracing::error!(connector = %shared.id, detail = trouble.detail, "what was handed in cannot be remembered");
        return Ok(false);
    }
    Ok(more)
}

async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let own = shared.clone();
    match tokio::task::spawn_blocking(move || work(&own)).await {
        Ok(done) => done,
        Err(_) => Err(Trouble {
            state: swingbridge_domain::connector::Link::Disconnected,
            detail: "reading Messages' database failed unexpectedly; it is tried again".to_owned(),
        }),
    }
}

fn commit(shared: &Shared, batch: Batch) -> Result<(), Trouble> {
    let mut inner = shared.inner();
    if !batch.marks.is_empty() {
        inner.journal.commit(&batch.marks).map_err(journal_trouble)?;
    }
    inner.sweep = batch.sweep;
    if batch.swept {
        inner.swept = Some(shared.clock.now());
    }
    if !batch.more && batch.version.is_some() {
        inner.version = batch.version;
    }
    Ok(())
}

fn gather(shared: &Shared) -> Result<Batch, Trouble> {
    let now = shared.clock.now();
    let mut inner = shared.inner();
    let due = inner.open(&shared.config, now)?;
    let Some(db) = inner.db.take() else {
        return Ok(Batch::default());
    };
    let found = look(shared, &mut inner, &db, now, due);
    match &found {
        Ok(_) => inner.db = Some(db),
        // A file that was cut, or replaced in place, is opened anew.
        Err(_) => {
            drop(db);
            inner.close();
        }
    }
    found
}

fn look(
    shared: &Shared,
    inner: &mut Inner,
    db: &ChatDb,
    now: Timestamp,
    due: bool,
) -> Result<Batch, Trouble> {
    let version = db.version()?;
    let changed = inner.version != Some(version);
    let journal = &inner.journal;
    let restless = changed
        || inner.sweep.is_some()
        || inner
            .swept
            .is_none_or(|at| now.since(at) >= shared.config.timing.sweep)
        || due
        || !journal.held().map_err(journal_trouble)?.is_empty()
        || !journal.watched().map_err(journal_trouble)?.is_empty()
        || !journal.pending().map_err(journal_trouble)?.is_empty();
    if !restless {
        return Ok(Batch::default());
    }
    db.at_once(|db| {
        let timing = &shared.config.timing;
        let watch = (timing.watch_text, timing.watch_file);
        let claims = claim(db, &inner.journal, &mut inner.walks, now, watch)?;
        inner.claims.extend(claims);
        let cursor = match inner.journal.cursor().map_err(journal_trouble)? {
            Some(cursor) => cursor,
            None => first(shared, db, now)?,
        };
        let mut sweep = inner.sweep.clone();
        let mut swept = false;
        if sweep.as_ref().is_none_or(|sweep| !sweep.rebuilt) && rebuilt(db, &cursor)? {
            tracing::warn!(connector = %shared.id, "Messages' database is another one or numbered anew: it is compared with what was handed in");
            sweep = Some(Sweep::begun(db, cursor.horizon, db.newest()?, true)?);
        } else if sweep.is_none() && inner.swept.is_none_or(|at| now.since(at) >= timing.sweep) {
            swept = true;
            let since = cursor.horizon.max(apple(now - SWEEP_BACK));
            sweep = Some(Sweep::begun(db, since, cursor.rowid, false)?);
        }
        let mut look = Look::new(shared, db, &inner.journal, &mut inner.claims, now, cursor)?;
        look.held()?;
        let sweep = steps(&mut look, sweep)?;
        if !sweep.as_ref().is_some_and(|sweep| sweep.rebuilt) {
            forward(&mut look)?;
        }
        if changed && !look.batch.more {
            for (_, guid, status) in db.statuses_after(db.newest()?.saturating_sub(WINDOW))? {
                look.compare(&guid, &status)?;
            }
        }
        look.watched()?;
        if changed || due {
            look.awaited()?;
        }
        let mut batch = look.done();
        batch.version = Some(version);
        batch.more |= sweep.is_some();
        batch.sweep = sweep;
        batch.swept = swept;
        Ok(batch)
    })
}

/// Where the first start begins: after all that is there, or at the first row of the days that are wanted.
fn first(shared: &Shared, db: &ChatDb, now: Timestamp) -> Result<Cursor, Trouble> {
    let back = Duration::from_secs(u64::from(shared.config.history_days) * 24 * 3600);
    let horizon = apple(now - back);
    let newest = db.newest()?;
    let before = match shared.config.history_days {
        0 => newest,
        _ => db.first_since(horizon)?.map_or(newest, |first| first - 1),
    };
    Ok(Cursor {
        identity: db.identity,
        rowid: before,
        guid: db.guid(before)?,
        newest: apple(now),
        began: apple(now),
        horizon,
        first_newest: newest,
    })
}

/// Whether the numbers mean other rows than they did.
fn rebuilt(db: &ChatDb, cursor: &Cursor) -> Result<bool, Trouble> {
    if cursor.identity != db.identity {
        return Ok(true);
    }
    let Some(guid) = &cursor.guid else {
        return Ok(db.newest()? < cursor.rowid);
    };
    Ok(match db.guid(cursor.rowid)? {
        Some(found) => found != *guid,
        // The row was deleted, or there are no such numbers any more.
        None => db.newest()? < cursor.rowid,
    })
}

/// One step of a sweep. Gives back what is left of it.
fn steps(look: &mut Look<'_>, sweep: Option<Sweep>) -> Result<Option<Sweep>, Trouble> {
    let Some(mut sweep) = sweep else { return Ok(None) };
    let found = look.db.statuses_since(sweep.since, sweep.at, STRIDE)?;
    let last = i64::try_from(found.len()).unwrap_or(i64::MAX) < STRIDE;
    for (rowid, guid, status) in found {
        if rowid > sweep.until {
            break;
        }
        sweep.at = rowid;
        if !look.compare(&guid, &status)? {
            look.passed(&guid)?;
        }
    }
    if !last && sweep.at < sweep.until {
        return Ok(Some(sweep));
    }
    if sweep.rebuilt {
        look.cursor.identity = look.db.identity;
        look.cursor.rowid = sweep.until;
        look.cursor.guid = look.db.guid(sweep.until)?;
        // The old numbers say nothing any more.
        look.cursor.first_newest = 0;
        look.moved = true;
    }
    Ok(None)
}

fn forward(look: &mut Look<'_>) -> Result<(), Trouble> {
    let rows = look.db.rows_after(look.cursor.rowid, CHUNK)?;
    look.batch.more |= rows.len() == CHUNK;
    for row in rows {
        let (rowid, guid, date) = (row.rowid, row.guid.clone(), row.date);
        look.consider(row, None)?;
        look.cursor.rowid = rowid;
        look.cursor.guid = Some(guid);
        // A clock that runs ahead somewhere must not make history of all that follows.
        look.cursor.newest = look.cursor.newest.max(date.min(apple(look.now)));
        look.moved = true;
    }
    Ok(())
}

pub(super) fn remembered(journal: &Journal) -> Result<bool, Trouble> {
    Ok(journal.cursor().map_err(journal_trouble)?.is_some())
}
