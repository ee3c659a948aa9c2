//! SQLite and PostgreSQL behind one contract: [`swingbridge_domain::store`].
//!
//! [`open`] gives a store. Each has one thread and one connection; jobs that are queued while a commit is under way
//! share the next one (group commit). The tables' statements are written once, for both engines ([`database`]), and
//! so are the migrations ([`migrate`]).
//!
//! Architecture Invariant: nothing here decides. What a row means, when it is sent and whether it is shown belongs to
//! the engine. Nothing here can read a body or an address: they are sealed before they come.

mod database;
mod migrate;
mod postgres;
mod sqlite;
mod tables;
mod writer;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use swingbridge_domain::secret::Secret;
use swingbridge_domain::store::{Store, StoreError};

/// How many jobs share a commit at most, when nothing else is said.
pub const BATCH: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");

/// The schema in a PostgreSQL database, when nothing else is said.
pub const SCHEMA: &str = "swingbridge";

/// Which database, and how.
#[derive(Clone, Debug)]
pub enum Config {
    /// A file, made with mode 0600 when it is not there. Next to it stand `-wal` and `-shm` while it is open, and
    /// `.lock`, which keeps a second gateway out.
    Sqlite { path: PathBuf, synchronous: Synchronous },
    /// A PostgreSQL server, version 12 or newer.
    ///
    /// `url` is `postgres://user:password@host:port/database`, with the options of libpq that tokio-postgres knows. TLS
    /// is `sslmode=disable` or `sslmode=verify-full`, where `sslrootcert=FILE` names the certificates to trust in
    /// place of the system's; when nothing is said, only a server on this machine is spoken to without TLS. What was
    /// answered is as durable as the server's `synchronous_commit` says.
    ///
    /// Connect to the server itself: a pooler that gives each transaction another connection takes away the lock that
    /// keeps a second gateway out.
    ///
    /// All tables stand in `schema`, which is made when it is not there; [`SCHEMA`] is the usual name.
    Postgres { url: Secret, schema: String },
}

/// When SQLite waits for the disk. Either way the file stays whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// With each commit: what was answered survives a power loss.
    #[default]
    Full,
    /// With each checkpoint: what was answered survives the program being killed, but the last moments before a
    /// power loss or a crash of the operating system may be lost. For disks that are slow to sync.
    Normal,
}

/// Why a database was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another program has it open. Final as long as that one runs.
    #[error("{0} is in use by another gateway: stop that one first")]
    InUse(String),
    /// It was last written by a newer program; this one would damage it. Nothing was changed.
    #[error(
        "the database is of a newer version (migration {database}) than this program knows (migration {program}): \
         install the newer program, or restore a backup made before the upgrade"
    )]
    Newer { database: i64, program: i64 },
    /// A migration that the database has is not the one of this program. Nothing was changed.
    #[error(
        "migration {migration} of the database is not the one of this program: \
         use a released version of the program, or restore a backup"
    )]
    Altered { migration: String },
    /// It holds something else, or what it holds is broken. A person must act.
    #[error("{0}")]
    Damaged(String),
    /// It is to be read only, and was last written by an older program. Nothing was changed.
    #[error(
        "the database is of an older version (migration {database}) than this program (migration {program}): \
         start the new gateway once, which brings it up to date, or use the older program"
    )]
    Older { database: i64, program: i64 },
    /// It may pass, or the configuration is wrong: a missing folder or right, no connection, a full disk.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(reason) => OpenError::Damaged(reason),
            StoreError::Unavailable(reason) | StoreError::Failed(reason) => OpenError::Unavailable(reason),
            StoreError::Closed => OpenError::Unavailable("the connection is closed".into()),
        }
    }
}

/// Opens a database, checks it and brings it to this program's version. `batch` is how many jobs share a commit at most.
///
/// Blocks while it does; call it before the first task runs or from a blocking thread. When the answer is dropped,
/// the jobs that are queued are still run, and the drop waits for them.
///
/// # Errors
/// [`OpenError`]; only [`OpenError::Unavailable`] and [`OpenError::InUse`] may pass by themselves.
pub fn open(config: &Config, batch: NonZeroUsize) -> Result<Arc<dyn Store>, OpenError> {
    let writer = match config.clone() {
        Config::Sqlite { path, synchronous } => {
            writer::Writer::start(batch, move |_| sqlite::Sqlite::open(&path, synchronous))?
        }
        Config::Postgres { url, schema } => writer::Writer::start(batch, move |closing| {
            postgres::Postgres::open(&url, &schema, Access::Alone, closing)
        })?,
    };
    Ok(Arc::new(writer))
}

/// Opens a database only to be read, also while a gateway works on it. Each job sees it as it is at one moment; what a job
/// writes fails. Keep it short on SQLite: as long as somebody reads, what was erased stays in the write-ahead log.
///
/// # Errors
/// [`OpenError`]; [`OpenError::Older`] when the gateway of this version was never started on it.
pub fn open_to_read(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    let reader = match config.clone() {
        Config::Sqlite { path, .. } => {
            writer::Writer::start(NonZeroUsize::MIN, move |_| sqlite::Sqlite::open_to_read(&path))?
        }
        Config::Postgres { url, schema } => writer::Writer::start(NonZeroUsize::MIN, move |closing| {
            postgres::Postgres::open(&url, &schema, Access::Read, closing)
        })?,
    };
    Ok(Arc::new(reader))
}

/// How an engine is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To write, and nobody else may.
    Alone,
    /// To read, beside whoever writes.
    Read,
}
