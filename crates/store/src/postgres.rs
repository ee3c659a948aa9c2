//! PostgreSQL: one connection, kept by the thread that writes.
//!
//! Statements wait for the server, so a batch costs round trips rather than processor time. Savepoints travel with the
//! statement that follows them and cost none.

mod session;
mod settings;
mod tls;

use crate::database::{Database, Row, Statements, Value};
use crate::migrate::{Dialect, SERIES, is_migrated, migrate};
use crate::writer::Closing;
use crate::{Access, OpenError};
use session::{Lost, Session};
use settings::Settings;
use std::time::{Duration, Instant};
use swingbridge_domain::secret::Secret;
use swingbridge_domain::store::{Result, StoreError};
use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// Between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Postgres {
    runtime: Runtime,
    settings: Settings,
    session: Option<Session>,
    /// The server process of the session before: it may hold our lock for a while after the connection was lost.
    former: Option<i32>,
    pause: Duration,
    not_before: Option<Instant>,
    closing: Closing,
}

impl Postgres {
    pub fn open(url: &Secret, schema: &str, access: Access, closing: Closing) -> Result<Self, OpenError> {
        let settings = Settings::parse(url.expose(), schema, access).map_err(OpenError::Unavailable)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let mut db = Self {
            runtime,
            settings,
            session: None,
            former: None,
            pause: FIRST_PAUSE,
            not_before: None,
            closing,
        };
        db.connect().map_err(|lost| match lost {
            Lost::Locked(name) => OpenError::InUse(name),
            Lost::Error(error) => error.into(),
        })?;
        match access {
            Access::Alone => migrate(&mut db, Dialect::Postgres, SERIES)?,
            Access::Read => is_migrated(&mut db, SERIES)?,
        }
        Ok(db)
    }

    /// Connects now. What a failed attempt costs is remembered: the next one waits.
    fn connect(&mut self) -> Result<(), Lost> {
        self.hang_up();
        match self
            .runtime
            .block_on(Session::connect(&self.settings, self.former))
        {
            Ok(session) => {
                self.session = Some(session);
                self.pause = FIRST_PAUSE;
                self.not_before = None;
                Ok(())
            }
            Err(lost) => {
                self.not_before = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Err(lost)
            }
        }
    }

    fn hang_up(&mut self) {
        if let Some(session) = self.session.take() {
            self.former = Some(session.process);
            session.abandon();
        }
    }

    fn session(&mut self) -> Result<(&Runtime, &mut Session)> {
        match &mut self.session {
            Some(session) => Ok((&self.runtime, session)),
            None => Err(StoreError::Unavailable("not connected to PostgreSQL".into())),
        }
    }

    /// A session that does not answer is worth nothing.
    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if self.session.as_ref().is_some_and(Session::is_lost) {
            self.hang_up();
        }
        result
    }

    /// Whether a transaction whose commit got no answer was committed: asks again until the server says so.
    fn fate(&mut self, transaction: i64) -> Result<()> {
        loop {
            if self.session.is_none() {
                if let Some(at) = self.not_before {
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                }
                if let Err(lost) = self.connect() {
                    if self.closing.is_closing() {
                        return Err(StoreError::Unavailable(format!(
                            "it is not known whether the last jobs were kept: {lost}"
                        )));
                    }
                    tracing::warn!(%lost, "waiting for PostgreSQL to say whether a commit was kept");
                    continue;
                }
            }
            let mut status = None;
            let asked = self.query("SELECT txid_status(?1)", &[transaction.into()], &mut |row| {
                status = row.maybe_text(0)?.map(str::to_owned);
                Ok(())
            });
            match asked {
                Ok(()) if status.as_deref() == Some("committed") => return Ok(()),
                Ok(()) => return Err(StoreError::Unavailable("the commit was not kept".into())),
                Err(_) if self.session.is_none() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Statements for Postgres {
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.execute(sql, values));
        self.note(result)
    }

    fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.insert(sql, values));
        self.note(result)
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.query(sql, values, each));
        self.note(result)
    }
}

impl Database for Postgres {
    fn script(&mut self, sql: &str) -> Result<()> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.script(sql));
        self.note(result)
    }

    fn begin(&mut self) -> Result<()> {
        if self.session.is_some() {
            let begun = self.script("BEGIN");
            // The server may have gone away since the last batch; nothing of this one was said yet.
            if begun.is_ok() || self.session.is_some() {
                return begun;
            }
        } else if self.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(StoreError::Unavailable("PostgreSQL does not answer".into()));
        }
        self.connect()
            .map_err(|lost| StoreError::Unavailable(lost.to_string()))?;
        tracing::info!("connected to PostgreSQL again");
        self.script("BEGIN")
    }

    fn savepoint(&mut self) -> Result<()> {
        self.session()?.1.savepoint();
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.session()?.1.release();
        Ok(())
    }

    fn undo(&mut self) -> Result<()> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.undo());
        self.note(result)
    }

    fn commit(&mut self) -> Result<()> {
        let (runtime, session) = self.session()?;
        let result = runtime.block_on(session.transaction());
        let transaction = self.note(result)?;
        let committed = self.script("COMMIT");
        match (committed, transaction) {
            (Err(_), Some(transaction)) if self.session.is_none() => self.fate(transaction),
            (committed, _) => committed,
        }
    }

    fn rollback(&mut self) {
        if self.session.is_none() {
            return;
        }
        if let Err(error) = self.script("ROLLBACK") {
            tracing::warn!(%error, "a transaction cannot be rolled back; connecting anew");
            self.hang_up();
        }
    }

    fn in_transaction(&self) -> bool {
        self.session.is_some()
    }

    /// The server tidies up by itself (autovacuum).
    fn tidy(&mut self) {}
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) => value.to_sql(ty, out),
            // PostgreSQL's texts cannot hold a NUL; a network's word might.
            Value::Text(value) if value.contains('\0') => value.replace('\0', "\u{fffd}").to_sql(ty, out),
            Value::Text(value) => value.to_sql(ty, out),
            Value::Bytes(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Value::Int),
            Type::TEXT => <&str>::from_sql(ty, raw).map(Value::Text),
            _ => Ok(Value::Bytes(raw)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(ty: &Type) -> bool {
        <Self as ToSql>::accepts(ty)
    }
}

impl Row for tokio_postgres::Row {
    fn value(&self, column: usize) -> Result<Value<'_>> {
        self.try_get(column)
            .map_err(|error| StoreError::Damaged(error.to_string()))
    }
}
