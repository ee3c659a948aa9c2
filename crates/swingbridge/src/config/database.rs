use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use swingbridge_domain::secret::Secret;

/// Where the gateway keeps what must not be lost.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Database {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// SQLite: the database file. It is made when it is not there.
    pub path: PathBuf,
    /// PostgreSQL: `postgres://USER:PASSWORD@HOST/NAME`. A server on another machine is spoken to by TLS:
    /// `?sslmode=verify-full&sslrootcert=FILE`, or `?sslmode=disable` where the way there is safe.
    #[schemars(with = "Option<String>")]
    pub uri: Secret,
    /// PostgreSQL: the schema in which all tables stand; it is made when it is not there.
    pub schema: String,
    /// SQLite: `full` keeps every acknowledged message through a power cut; `normal` is faster and may lose the last
    /// ones then (never in a crash of the gateway alone).
    pub synchronous: Synchronous,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Sqlite,
    Postgres,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    #[default]
    Full,
    Normal,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            kind: Kind::Sqlite,
            path: "swingbridge.db".into(),
            uri: Secret::default(),
            schema: swingbridge_store::SCHEMA.into(),
            synchronous: Synchronous::Full,
        }
    }
}

impl Database {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        let uri = self.uri.expose();
        match self.kind {
            Kind::Sqlite if !uri.is_empty() => problems.push(
                Problem::new("database.uri", "is set, and the type is sqlite")
                    .cure("set `type: postgres`, or take the uri out and give `path`"),
            ),
            Kind::Sqlite if self.path.as_os_str().is_empty() => problems
                .push(Problem::new("database.path", "is empty").cure("give the path of the database file")),
            Kind::Postgres if uri.is_empty() => problems.push(
                Problem::new("database.uri", "is not set")
                    .cure("give postgres://USER:PASSWORD@HOST/NAME, or set `type: sqlite`"),
            ),
            Kind::Postgres if !uri.starts_with("postgres://") && !uri.starts_with("postgresql://") => {
                problems.push(
                    Problem::new("database.uri", "is no PostgreSQL address")
                        .cure("it has the form postgres://USER:PASSWORD@HOST/NAME"),
                )
            }
            Kind::Sqlite | Kind::Postgres => {}
        }
    }
}
