//! `retention report`: what this site keeps, where, how long, why, and how it is protected. The limits come from the
//! configuration, the figures from the database.

mod kinds;

use super::audit_log::read;
use crate::cli::Retention;
use crate::config::database::Kind as Engine;
use crate::config::{self, Config, Sources};
use crate::exit::{Ends, Exit, Failure};
use crate::wiring;
use kinds::{KINDS, Limit};
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::time::Duration;
use swingbridge_domain::audit::{self, Entry, Verdict};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::store::Holding;

/// How much later than its limit something may go: the gateway forgets once an hour.
const GRACE: Duration = Duration::from_secs(2 * 3600);

pub fn run(sources: &Sources, act: Retention) -> Result<(), Failure> {
    let Retention::Report { json } = act;
    let config = config::load(sources).map_err(Failure::load)?;
    let store = wiring::store_to_read(&config).ends(Exit::Database)?;
    let keys = wiring::keys(&config);
    let found = read(&store, move |tables| {
        let mut holdings = tables.holdings()?;
        let oldest = tables.audit_rows(i64::MIN, 1)?;
        for audit in holdings.iter_mut().filter(|holding| holding.table == "audit") {
            audit.oldest = oldest.first().and_then(Entry::parse).map(|entry| entry.at);
        }
        Ok((holdings, audit::verify(tables, &keys, None)?))
    })?;
    let report = Report::of(&config, sources, &found.0, &found.1, wiring::clock().now());
    let mut out = std::io::stdout().lock();
    match json {
        true => {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        }
        false => write!(out, "{report}")?,
    }
    Ok(())
}

/// The report, as `--json` writes it.
#[derive(Serialize)]
struct Report {
    made: String,
    program: String,
    configuration: String,
    database: String,
    site_key: String,
    erasing: &'static str,
    audit_log: &'static str,
    kept: Vec<Kept>,
    elsewhere: Vec<String>,
}

/// One kind of thing that is kept.
#[derive(Serialize)]
struct Kept {
    what: &'static str,
    holds: &'static str,
    r#where: Vec<&'static str>,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    how_long: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_seconds: Option<u64>,
    why: &'static str,
    protected: &'static str,
    /// The oldest is older than the limit allows.
    overdue: bool,
}

impl Report {
    fn of(config: &Config, sources: &Sources, holdings: &[Holding], log: &Verdict, now: Timestamp) -> Self {
        let mut kept: Vec<Kept> = KINDS
            .iter()
            .filter(|kind| {
                holdings
                    .iter()
                    .any(|holding| kind.tables.contains(&holding.table))
            })
            .map(|kind| {
                let of = |holding: &&Holding| kind.tables.contains(&holding.table);
                let here: Vec<&Holding> = holdings.iter().filter(of).collect();
                let limit = (kind.limit)(config);
                let oldest = here.iter().filter_map(|holding| holding.oldest).min();
                let over = |oldest: Timestamp, limit: Duration| now.since(oldest) > limit + GRACE;
                Kept {
                    what: kind.what,
                    holds: kind.holds,
                    r#where: here.iter().map(|holding| holding.table).collect(),
                    rows: here.iter().map(|holding| holding.rows).sum(),
                    oldest: oldest.map(|at| at.to_string()),
                    how_long: limit.words(kind.until),
                    limit_seconds: limit.span().map(|span| span.as_secs()),
                    why: kind.why,
                    protected: kind.protected,
                    overdue: oldest
                        .zip(limit.span())
                        .is_some_and(|(oldest, limit)| over(oldest, limit)),
                }
            })
            .collect();
        // Nothing is passed over in silence.
        for holding in holdings {
            if !KINDS.iter().any(|kind| kind.tables.contains(&holding.table)) {
                kept.push(Kept::undescribed(holding));
            }
        }
        Self {
            made: now.to_string(),
            program: concat!("Swingbridge ", env!("CARGO_PKG_VERSION")).to_owned(),
            configuration: sources.config.display().to_string(),
            database: match config.database.kind {
                Engine::Sqlite => format!("SQLite, {}", config.database.path.display()),
                Engine::Postgres => format!("PostgreSQL, schema {}", config.database.schema),
            },
            site_key: config.site_key_origin.clone(),
            erasing: kinds::erasing(config.database.kind),
            audit_log: match log.is_whole() {
                true => "whole",
                false => "NOT whole: `swingbridge audit-log verify` says why",
            },
            kept,
            elsewhere: kinds::elsewhere(config),
        }
    }
}

impl Kept {
    fn undescribed(holding: &Holding) -> Self {
        Self {
            what: "Something that this report does not describe",
            holds: "see the table",
            r#where: vec![holding.table],
            rows: holding.rows,
            oldest: holding.oldest.map(|at| at.to_string()),
            how_long: Limit::None.words("not described"),
            limit_seconds: None,
            why: "not described",
            protected: "not described",
            overdue: false,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "WHAT THIS GATEWAY KEEPS\n")?;
        writeln!(f, "made at:        {} by {}", self.made, self.program)?;
        writeln!(f, "configuration:  {}", self.configuration)?;
        writeln!(f, "database:       {}", self.database)?;
        writeln!(
            f,
            "site key:       from {}; \"sealed\" below means XChaCha20-Poly1305 under a key that derives from it",
            self.site_key
        )?;
        writeln!(f, "erased:         {}", self.erasing)?;
        writeln!(f, "audit log:      {}", self.audit_log)?;
        for (number, kept) in self.kept.iter().enumerate() {
            let oldest = kept.oldest.as_ref();
            let oldest = oldest
                .map(|at| format!(", the oldest of {at}"))
                .unwrap_or_default();
            writeln!(f, "\n{}. {}", number + 1, kept.what)?;
            writeln!(f, "   holds:      {}", kept.holds)?;
            writeln!(f, "   kept now:   {}{oldest}", kept.rows)?;
            writeln!(f, "   where:      database, {}", kept.r#where.join(", "))?;
            writeln!(f, "   how long:   {}", kept.how_long)?;
            writeln!(f, "   why:        {}", kept.why)?;
            writeln!(f, "   protected:  {}", kept.protected)?;
            if kept.overdue {
                writeln!(
                    f,
                    "   OLDER THAN THE LIMIT: the gateway was not running when it was due, or something still waits for it"
                )?;
            }
        }
        writeln!(f, "\nELSEWHERE\n")?;
        for place in &self.elsewhere {
            writeln!(f, "- {place}")?;
        }
        Ok(())
    }
}
