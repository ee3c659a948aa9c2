//! `migrate`: lets all conversations of a line go by another.

use crate::cli::Migrate;
use crate::config::{self, Sources};
use crate::exit::{Ends, Exit, Failure};
use crate::wiring;
use swingbridge_domain::audit::{About, Kind, NewEntry, Who};
use swingbridge_domain::connector::Reach;
use swingbridge_domain::id::LineId;
use swingbridge_domain::store::{self, StoreError};
use swingbridge_engine::{Engine, Migration, Ports};

pub fn run(sources: &Sources, options: &Migrate) -> Result<(), Failure> {
    let config = config::load(sources).map_err(Failure::load)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(migrate(&config, options))
}

async fn migrate(config: &config::Config, options: &Migrate) -> Result<(), Failure> {
    let keys = wiring::keys(config);
    let store = tokio::task::block_in_place(|| wiring::store(config)).ends(Exit::Database)?;
    let wiring::Networks { connectors, .. } = wiring::networks(config, &keys)?;
    let ports = Ports {
        store: store.clone(),
        homeserver: wiring::matrix(config, keys.clone())?,
        connectors,
        links: None,
        clock: wiring::clock(),
        keys: keys.clone(),
    };
    let engine = Engine::open(wiring::site(config), ports)
        .await
        .ends(Exit::Database)?;
    let (from, to) = (LineId::new(&options.from), LineId::new(&options.to));
    let moved = engine.migrate(&from, &to, options.dry_run).await;
    let migration = moved.map_err(|error| match error {
        StoreError::Failed(cause) => Failure::msg(Exit::Config, cause),
        other => Failure::msg(Exit::Database, other.to_string()),
    })?;
    if !options.dry_run && !migration.moved.is_empty() {
        let moved = NewEntry {
            who: Who::Operator,
            ..NewEntry::new(Kind::ConversationMoved)
        };
        let entry = moved
            .about(About::Line(to.clone()))
            .detail(format!("{} conversations of line {from}", migration.moved.len()));
        let now = wiring::clock().now();
        store::run(store.as_ref(), move |tables| {
            swingbridge_domain::audit::append(tables, &keys, now, &entry).map(drop)
        })
        .await
        .ends(Exit::Database)?;
    }
    let reached = match options.dry_run {
        true => engine.reached(&migration.moved, &to).await.ends(Exit::Database)?,
        false => Vec::new(),
    };
    drop(engine);
    tokio::task::block_in_place(|| store.close());
    println!("{}", report(&migration, &from, &to, options.dry_run));
    if let Some(reached) = who_is_reached(&reached, &to) {
        println!("{reached}");
    }
    Ok(())
}

fn report(migration: &Migration, from: &LineId, to: &LineId, dry_run: bool) -> String {
    let (moved, kept) = (migration.moved.len(), migration.kept.len());
    let mut text = match dry_run {
        true => format!("{moved} conversations of line {from} would go by {to}. Nothing was changed."),
        false => format!(
            "{moved} conversations of line {from} go by {to} now. Their rooms say so when the gateway runs."
        ),
    };
    if kept > 0 {
        let ids: Vec<String> = migration.kept.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "\n{kept} stay: their contacts have a conversation on {to} already, or they are groups of another network: {}",
            ids.join(", ")
        ));
    }
    text
}

/// How many of those who would be moved the line's network reaches; nothing, where networks of its kind do not tell.
fn who_is_reached(reached: &[Reach], to: &LineId) -> Option<String> {
    let count = |answer: Reach| reached.iter().filter(|one| **one == answer).count();
    let (yes, no, unknown) = (count(Reach::Yes), count(Reach::No), count(Reach::Unknown));
    if yes + no == 0 {
        return None;
    }
    let rest = match unknown {
        0 => String::new(),
        unknown => format!(" Of {unknown} it does not say."),
    };
    Some(format!(
        "Asked just now, the network of {to} reaches {yes} of their contacts, and does not reach {no}.{rest}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_whom_the_new_line_reaches_where_its_network_tells() {
        let to = LineId::new("agent");
        assert_eq!(who_is_reached(&[], &to), None);
        assert_eq!(who_is_reached(&[Reach::Unknown; 3], &to), None);
        let some = [Reach::Yes, Reach::No, Reach::Yes, Reach::Unknown];
        assert_eq!(
            who_is_reached(&some, &to).as_deref(),
            Some(
                "Asked just now, the network of agent reaches 2 of their contacts, and does not reach 1. Of 1 it does not say."
            )
        );
    }
}
