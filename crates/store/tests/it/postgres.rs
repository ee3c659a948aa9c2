//! The contract on a real PostgreSQL server, and what only a server can do to a store.
