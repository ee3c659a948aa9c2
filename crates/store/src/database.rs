//! What the tables need of an engine: statements with a few kinds of values, and transactions.
//!
//! A statement's text exists once, with `?1` for its first parameter; PostgreSQL's `$1` is made of it when it is
//! prepared.

use swingbridge_domain::store::{Result, StoreError};

/// A value on its way in or out. Both engines hold whole numbers, texts and bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer. Columns count from zero.
pub(crate) trait Row {
    fn value(&self, column: usize) -> Result<Value<'_>>;
}

impl dyn Row + '_ {
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(value)),
            _ => Err(unexpected(column, "a whole number")),
        }
    }

    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            _ => Err(unexpected(column, "a text")),
        }
    }

    pub fn int(&self, column: usize) -> Result<i64> {
        self.maybe_int(column)?
            .ok_or_else(|| unexpected(column, "a whole number"))
    }

    /// A whole number that fits into a narrower type.
    pub fn narrow<T: TryFrom<i64>>(&self, column: usize) -> Result<T> {
        T::try_from(self.int(column)?).map_err(|_| unexpected(column, "a small number"))
    }

    pub fn text(&self, column: usize) -> Result<&str> {
        self.maybe_text(column)?
            .ok_or_else(|| unexpected(column, "a text"))
    }

    pub fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(value) => Ok(Some(value)),
            _ => Err(unexpected(column, "bytes")),
        }
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8]> {
        self.maybe_bytes(column)?
            .ok_or_else(|| unexpected(column, "bytes"))
    }

    /// A word that stands for one of the values of an enum.
    pub fn word<T>(&self, column: usize, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        read(self.text(column)?).ok_or_else(|| unexpected(column, "a known word"))
    }
}

fn unexpected(column: usize, what: &str) -> StoreError {
    StoreError::Damaged(format!("column {column} of an answer does not hold {what}"))
}

/// Statements inside of a transaction.
pub(crate) trait Statements {
    /// Answers how many rows were written.
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64>;
    /// Inserts one row into a table whose key the engine gives (`@id` in the migrations); answers that key.
    fn insert(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<i64>;
    /// Calls `each` for every row; an error of it ends the query.
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<()>;
}

/// An engine with its one connection, as the writer thread drives it.
pub(crate) trait Database: Statements {
    /// Runs several statements without parameters.
    fn script(&mut self, sql: &str) -> Result<()>;
    /// Begins a transaction, after reconnecting when that is needed.
    fn begin(&mut self) -> Result<()>;
    fn savepoint(&mut self) -> Result<()>;
    /// Keeps what was done since [`Database::savepoint`].
    fn release(&mut self) -> Result<()>;
    /// Undoes what was done since [`Database::savepoint`].
    fn undo(&mut self) -> Result<()>;
    /// An error says that nothing of the transaction was kept.
    fn commit(&mut self) -> Result<()>;
    /// Ends what is left of a transaction.
    fn rollback(&mut self);
    /// Whether the transaction that was begun is still there: some faults end it on the engine's side.
    fn in_transaction(&self) -> bool;
    /// Called when there is nothing to do.
    fn tidy(&mut self);
}

/// The first row of an answer.
pub(crate) fn first<T>(
    db: &mut dyn Statements,
    sql: &'static str,
    values: &[Value<'_>],
    read: impl Fn(&dyn Row) -> Result<T>,
) -> Result<Option<T>> {
    let mut found = None;
    db.query(sql, values, &mut |row| {
        if found.is_none() {
            found = Some(read(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// All rows of an answer.
pub(crate) fn all<T>(
    db: &mut dyn Statements,
    sql: &'static str,
    values: &[Value<'_>],
    read: impl Fn(&dyn Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    db.query(sql, values, &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}
