//! One connection to the server, with its lock and its prepared statements.

use super::settings::Settings;
use crate::Access;
use crate::database::{Row, Value};
use futures_util::{TryStreamExt, future};
use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::pin::pin;
use std::time::Duration;
use swingbridge_domain::store::{Result, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Statement};

/// After this long without an answer the connection is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a lock may be held by someone else before it counts as theirs: the server needs a moment to notice that
/// our own former session is gone.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Why there is no session.
pub(super) enum Lost {
    /// Another gateway works on this database.
    Locked(String),
    Error(StoreError),
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Lost::Error(error)
    }
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Lost::Error(fault(&error))
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Locked(name) => write!(f, "{name} is in use by another gateway"),
            Lost::Error(error) => error.fmt(f),
        }
    }
}

pub(super) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    statements: HashMap<&'static str, Statement>,
    /// The server's process for this session.
    pub process: i32,
    /// Said together with the next statement: that of the job before is released, that of this one begins.
    to_release: bool,
    to_save: bool,
    gave_up: bool,
}

impl Session {
    pub async fn connect(settings: &Settings, former: Option<i32>) -> Result<Self, Lost> {
        let (client, connection) = timeout(PATIENCE, settings.config.connect(settings.tls.clone()))
            .await
            .map_err(|_| Lost::Error(silent()))??;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %fault(&error), "the connection to PostgreSQL ended");
            }
        });
        let session = Self {
            client,
            connection,
            statements: HashMap::new(),
            process: 0,
            to_release: false,
            to_save: false,
            gave_up: false,
        };
        match timeout(PATIENCE, session.prepare_session(settings, former)).await {
            Ok(prepared) => prepared,
            Err(_) => Err(Lost::Error(silent())),
        }
    }

    async fn prepare_session(mut self, settings: &Settings, former: Option<i32>) -> Result<Self, Lost> {
        self.process = self
            .client
            .query_one("SELECT pg_backend_pid()", &[])
            .await?
            .try_get(0)?;
        let schema = &settings.schema;
        if settings.access == Access::Read {
            // What a job reads is of one moment, as on SQLite.
            self.client
                .batch_execute(&format!(
                    "SET search_path TO \"{schema}\"; SET client_min_messages TO warning;
                     SET default_transaction_read_only TO on;
                     SET default_transaction_isolation TO 'repeatable read'"
                ))
                .await?;
            return Ok(self);
        }
        self.lock(settings, former).await?;
        let there: bool = self
            .client
            .query_one(
                "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)",
                &[schema],
            )
            .await?
            .try_get(0)?;
        // The right to make a schema is asked for only when one is made.
        if !there {
            self.client
                .batch_execute(&format!("CREATE SCHEMA \"{schema}\""))
                .await?;
        }
        self.client
            .batch_execute(&format!(
                "SET search_path TO \"{schema}\"; SET client_min_messages TO warning"
            ))
            .await?;
        for setting in ["fsync", "synchronous_commit"] {
            let value: String = self
                .client
                .query_one("SELECT current_setting($1)", &[&setting])
                .await?
                .try_get(0)?;
            if value == "off" {
                tracing::warn!(
                    setting,
                    "is off in PostgreSQL: when its machine fails, messages that were acknowledged may be lost"
                );
            }
        }
        Ok(self)
    }

    /// Takes the advisory lock that keeps a second gateway out. It ends with the session.
    async fn lock(&self, settings: &Settings, former: Option<i32>) -> Result<(), Lost> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let taken: bool = self
                .client
                .query_one("SELECT pg_try_advisory_lock($1)", &[&settings.lock])
                .await?
                .try_get(0)?;
            if taken {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Lost::Locked(format!(
                    "schema {} of the PostgreSQL database",
                    settings.schema
                )));
            }
            if let Some(former) = former {
                // A session of ours whose connection was lost, and which the server has not missed yet.
                self.client
                    .execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_locks
                         WHERE locktype = 'advisory' AND granted AND pid = $1 AND objsubid = 1
                           AND ((classid::bigint << 32) | objid::bigint) = $2",
                        &[&former, &settings.lock],
                    )
                    .await?;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn is_lost(&self) -> bool {
        self.gave_up || self.client.is_closed()
    }

    /// Ends it without a word: it is lost, or in a state that is not known.
    pub fn abandon(self) {
        self.connection.abort();
    }

    pub fn savepoint(&mut self) {
        self.to_save = true;
    }

    pub fn release(&mut self) {
        if self.to_save {
            self.to_save = false;
        } else {
            self.to_release = true;
        }
    }

    pub async fn undo(&mut self) -> Result<()> {
        if self.to_save {
            // The job said nothing to the server.
            self.to_save = false;
            return Ok(());
        }
        self.script("ROLLBACK TO job; RELEASE job").await
    }

    /// What is said before the next statement, in the same breath.
    fn preface(&mut self) -> &'static str {
        let preface = match (self.to_release, self.to_save) {
            (false, false) => "",
            (true, false) => "RELEASE job",
            (false, true) => "SAVEPOINT job",
            (true, true) => "RELEASE job; SAVEPOINT job",
        };
        (self.to_release, self.to_save) = (false, false);
        preface
    }

    pub async fn script(&mut self, sql: &str) -> Result<()> {
        (self.to_release, self.to_save) = (false, false);
        let answer = timeout(PATIENCE, self.client.batch_execute(sql)).await;
        self.judge(answer)
    }

    /// The number of the transaction under way, once it has written something.
    pub async fn transaction(&mut self) -> Result<Option<i64>> {
        let mut number = None;
        self.query("SELECT txid_current_if_assigned()", &[], &mut |row| {
            number = row.maybe_int(0)?;
            Ok(())
        })
        .await?;
        Ok(number)
    }

    pub async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64> {
        let preface = self.preface();
        let work = async {
            let statement = prepared(&self.client, &mut self.statements, sql, "").await?;
            self.client.execute_raw(&statement, values.iter().copied()).await
        };
        let answer = together(&self.client, preface, work).await;
        self.judge(answer)
    }

    pub async fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64> {
        let preface = self.preface();
        let work = async {
            let statement = prepared(&self.client, &mut self.statements, sql, " RETURNING id").await?;
            let rows = self.client.query_raw(&statement, values.iter().copied()).await?;
            pin!(rows).try_next().await
        };
        let answer = together(&self.client, preface, work).await;
        let row = self
            .judge(answer)?
            .ok_or_else(|| StoreError::Failed("an insertion gave no id".into()))?;
        row.try_get(0).map_err(|error| fault(&error))
    }

    pub async fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()> {
        let preface = self.preface();
        let work = async {
            let statement = prepared(&self.client, &mut self.statements, sql, "").await?;
            let rows = self.client.query_raw(&statement, values.iter().copied()).await?;
            let mut rows = pin!(rows);
            while let Some(row) = rows.try_next().await? {
                if let Err(error) = each(&row) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        let answer = together(&self.client, preface, work).await;
        self.judge(answer)?
    }

    fn judge<T>(&mut self, answer: Result<Result<T, Error>, tokio::time::error::Elapsed>) -> Result<T> {
        match answer {
            Ok(answer) => answer.map_err(|error| fault(&error)),
            Err(_) => {
                self.gave_up = true;
                Err(silent())
            }
        }
    }
}

/// Sends `preface` just before `work`, without waiting for its answer first. When it fails, so does the work: the server
/// refuses all of a transaction after the first fault.
async fn together<T>(
    client: &Client,
    preface: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, tokio::time::error::Elapsed> {
    let preface = async {
        match preface {
            "" => Ok(()),
            preface => client.batch_execute(preface).await,
        }
    };
    let (said, done) = timeout(PATIENCE, future::join(preface, work)).await?;
    Ok(said.and(done))
}

async fn prepared(
    client: &Client,
    statements: &mut HashMap<&'static str, Statement>,
    sql: &'static str,
    suffix: &str,
) -> Result<Statement, Error> {
    if let Some(statement) = statements.get(sql) {
        return Ok(statement.clone());
    }
    let text = sql.replace('?', "$") + suffix;
    let statement = client.prepare(&text).await?;
    statements.insert(sql, statement.clone());
    Ok(statement)
}

fn silent() -> StoreError {
    StoreError::Unavailable("PostgreSQL does not answer".into())
}

/// PostgreSQL's messages name tables and constraints; its details, which hold values, are left out.
pub(super) fn fault(error: &Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        return StoreError::Unavailable(text);
    };
    let text = format!("{} ({})", db.message(), db.code().code());
    let code = db.code();
    if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        return StoreError::Damaged(text);
    }
    // Connection, rollback by the server, resources, an operator's doing, the system; a server that became a replica; a lock.
    let passing = ["08", "40", "53", "57", "58", "25006", "55P03"];
    if passing.iter().any(|class| code.code().starts_with(class)) {
        return StoreError::Unavailable(text);
    }
    StoreError::Failed(text)
}
