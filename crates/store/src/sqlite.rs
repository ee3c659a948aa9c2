//! SQLite: one file, one connection, a write-ahead log.

mod lock;
mod prepared;
#[cfg(test)]
mod tests;

use crate::database::{Database, Row, Statements, Value};
use crate::migrate::{Dialect, SERIES, is_migrated, migrate};
use crate::{OpenError, Synchronous};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use std::path::Path;
use std::time::{Duration, Instant};
use swingbridge_domain::store::{Result, StoreError};

/// Marks the file as ours ("SwBr"), so that another program's database is not written to by mistake.
const APPLICATION_ID: i64 = 0x5377_4272;

/// A log that was never empty for this long is emptied even when there is no pause: it may hold erased bodies.
const CHECKPOINT: Duration = Duration::from_secs(30);

/// Pages that are kept in memory. The system keeps the file's pages as well, so what is not here costs a copy and no wait.
const CACHE_KIB: i64 = 2048;

/// Free pages that are kept for reuse when the file is made smaller.
const SPARE_PAGES: i64 = 2048;

pub(crate) struct Sqlite {
    prepares: prepared::Prepares,
    /// The transaction was ended by SQLite itself after a fault; statements of its jobs must not run outside of it.
    lost: bool,
    /// How many rows had ever been changed when the log was emptied.
    changes: u64,
    emptied: Instant,
    // Dropped last: the file is ours until it is closed. Who only reads has none.
    lock: Option<lock::Lock>,
}

impl Sqlite {
    pub fn open(path: &Path, synchronous: Synchronous) -> Result<Self, OpenError> {
        let path = lock::resolve(path)?;
        let lock = lock::Lock::take(&path)?;
        lock::make_private(&path)?;
        Self::prepare(&path, synchronous, lock).map_err(|error| Self::place(error, &path))
    }

    /// Opens the file beside a gateway that may be at work on it.
    pub fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let path = lock::resolve(path)?;
        let opened = || -> Result<Self, OpenError> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags).map_err(fault)?;
            connection.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
            let id: i64 = connection
                .query_row("PRAGMA application_id", [], |row| row.get(0))
                .map_err(fault)?;
            if id != APPLICATION_ID {
                return Err(OpenError::Unavailable(
                    "it is not a database of this program".into(),
                ));
            }
            let mut db = Self::with(connection, None);
            is_migrated(&mut db, SERIES)?;
            Ok(db)
        };
        opened().map_err(|error| Self::place(error, &path))
    }

    fn with(connection: Connection, lock: Option<lock::Lock>) -> Self {
        Self {
            prepares: prepared::Prepares::new(connection),
            lost: false,
            changes: u64::MAX,
            emptied: Instant::now(),
            lock,
        }
    }

    fn connection(&self) -> &Connection {
        self.prepares.connection()
    }

    fn writes(&self) -> bool {
        self.lock.is_some()
    }

    /// Says of which file an error is.
    fn place(error: OpenError, path: &Path) -> OpenError {
        match error {
            OpenError::Damaged(reason) => OpenError::Damaged(format!(
                "{} is damaged ({reason}): keep a copy of it and of its -wal file, then restore the latest backup; \
                 `sqlite3 FILE .recover` may save what is newer",
                path.display()
            )),
            OpenError::Unavailable(reason) => OpenError::Unavailable(format!("{}: {reason}", path.display())),
            other => other,
        }
    }

    fn prepare(path: &Path, synchronous: Synchronous, lock: lock::Lock) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(fault)?;
        Self::claim(&connection, path)?;
        let journal: String = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(fault)?;
        if journal != "wal" {
            return Err(OpenError::Unavailable(
                "this file system cannot hold a write-ahead log: use a local disk".into(),
            ));
        }
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 PRAGMA secure_delete = ON;
                 PRAGMA temp_store = MEMORY;
                 PRAGMA wal_autocheckpoint = 4000;",
            )
            .map_err(fault)?;
        connection
            .pragma_update(None, "cache_size", -CACHE_KIB)
            .map_err(fault)?;
        let word = match synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        connection
            .pragma_update(None, "synchronous", word)
            .map_err(fault)?;
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(fault)?;
        if verdict != "ok" {
            return Err(OpenError::Damaged(verdict.replace('\n', " ")));
        }
        let mut db = Self::with(connection, Some(lock));
        migrate(&mut db, Dialect::Sqlite, SERIES)?;
        Ok(db)
    }

    /// Refuses a file that is another program's, and marks a new one. Only a file without a single page takes
    /// `auto_vacuum`, so that comes before the mark.
    fn claim(connection: &Connection, path: &Path) -> Result<(), OpenError> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        match number("PRAGMA application_id").map_err(fault)? {
            APPLICATION_ID => Ok(()),
            0 if number("SELECT count(*) FROM sqlite_schema").map_err(fault)? == 0 => connection
                .execute_batch(&format!(
                    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID}"
                ))
                .map_err(|error| fault(error).into()),
            _ => Err(OpenError::Unavailable(format!(
                "{} is the database of another program",
                path.display()
            ))),
        }
    }

    /// Runs `function` on a statement with its values.
    fn run<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        function: impl FnOnce(&mut Statement<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.lost {
            return Err(StoreError::Unavailable("the transaction is gone".into()));
        }
        let result = self.prepares.with(sql, |statement| {
            for (index, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, *value).map_err(fault)?;
            }
            function(statement)
        });
        if result.is_err() && self.connection().is_autocommit() {
            self.lost = true;
        }
        result
    }

    fn simple(&mut self, sql: &'static str) -> Result<()> {
        self.execute(sql, &[]).map(drop)
    }

    /// Copies the log into the file and cuts it to nothing.
    fn empty_log(&mut self) {
        self.emptied = Instant::now();
        let busy = self
            .connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        match busy {
            Ok(0) => self.changes = self.connection().total_changes(),
            Ok(_) => tracing::debug!("the database's log cannot be emptied while another program reads it"),
            Err(error) => tracing::warn!(%error, "the database's log cannot be emptied now"),
        }
    }

    /// Gives free pages back to the file system, a bounded number at a time.
    fn shrink(&mut self) -> rusqlite::Result<()> {
        let free: i64 = self
            .connection()
            .query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        if free > SPARE_PAGES {
            let pages = (free - SPARE_PAGES).min(SPARE_PAGES);
            // Each step frees one page.
            let mut vacuum = self
                .connection()
                .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut steps = vacuum.query([])?;
            while steps.next()?.is_some() {}
        }
        Ok(())
    }
}

impl Statements for Sqlite {
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        self.run(sql, values, |statement| statement.raw_execute().map_err(fault))
            .map(|rows| rows as u64)
    }

    fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64> {
        self.execute(sql, values)?;
        Ok(self.connection().last_insert_rowid())
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        self.run(sql, values, |statement| {
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().map_err(fault)? {
                each(row)?;
            }
            Ok(())
        })
    }
}

impl Database for Sqlite {
    fn script(&mut self, sql: &str) -> Result<()> {
        self.connection().execute_batch(sql).map_err(fault)
    }

    fn begin(&mut self) -> Result<()> {
        self.lost = false;
        let begun = self.simple(match self.writes() {
            true => "BEGIN IMMEDIATE",
            false => "BEGIN",
        });
        self.lost = false;
        begun
    }

    fn savepoint(&mut self) -> Result<()> {
        self.simple("SAVEPOINT job")
    }

    fn release(&mut self) -> Result<()> {
        self.simple("RELEASE job")
    }

    fn undo(&mut self) -> Result<()> {
        self.simple("ROLLBACK TO job")?;
        self.simple("RELEASE job")
    }

    fn commit(&mut self) -> Result<()> {
        self.simple("COMMIT")?;
        if self.writes() && self.emptied.elapsed() > CHECKPOINT {
            self.empty_log();
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.lost = false;
        if !self.connection().is_autocommit()
            && let Err(error) = self.simple("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction cannot be rolled back");
        }
    }

    fn in_transaction(&self) -> bool {
        !self.lost && !self.connection().is_autocommit()
    }

    fn tidy(&mut self) {
        if !self.writes() || self.changes == self.connection().total_changes() {
            return;
        }
        if let Err(error) = self.shrink() {
            tracing::warn!(%error, "the database's free pages cannot be given back now");
        }
        self.empty_log();
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if self.writes() {
            self.empty_log();
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn value(&self, column: usize) -> Result<Value<'_>> {
        match self.get_ref(column).map_err(fault)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(value) => Ok(Value::Int(value)),
            ValueRef::Text(value) => std::str::from_utf8(value)
                .map(Value::Text)
                .map_err(|_| StoreError::Damaged(format!("column {column} of an answer is not UTF-8"))),
            ValueRef::Blob(value) => Ok(Value::Bytes(value)),
            ValueRef::Real(_) => Err(StoreError::Damaged(format!(
                "column {column} of an answer is a fraction"
            ))),
        }
    }
}

/// SQLite's texts name tables and columns, never values.
fn fault(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) => StoreError::Unavailable(text),
        _ => StoreError::Failed(text),
    }
}
