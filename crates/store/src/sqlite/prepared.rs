//! The connection with the statements that were prepared on it.

use super::fault;
use rusqlite::{Connection, PrepFlags, Statement};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use swingbridge_domain::store::Result;

/// By the place of their texts, which are constants: to compare the texts themselves would cost as much as a small statement does.
type Statements<'a> = FxHashMap<(usize, usize), Statement<'a>>;

self_cell::self_cell!(
    struct Prepared {
        owner: Connection,
        #[not_covariant]
        dependent: Statements,
    }
);

/// A connection that prepares each statement once.
pub(super) struct Prepares(Prepared);

impl Prepares {
    pub fn new(connection: Connection) -> Self {
        Self(Prepared::new(connection, |_| Statements::default()))
    }

    pub fn connection(&self) -> &Connection {
        self.0.borrow_owner()
    }

    /// Runs `function` on a statement; the values that it binds are forgotten afterwards.
    pub fn with<T>(
        &mut self,
        sql: &'static str,
        function: impl FnOnce(&mut Statement<'_>) -> Result<T>,
    ) -> Result<T> {
        self.0.with_dependent_mut(|connection, statements| {
            let statement = match statements.entry((sql.as_ptr() as usize, sql.len())) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let flags = PrepFlags::SQLITE_PREPARE_PERSISTENT;
                    new.insert(connection.prepare_with_flags(sql, flags).map_err(fault)?)
                }
            };
            let result = function(statement);
            statement.clear_bindings();
            result
        })
    }
}
