//! What leaves: rows are claimed, performed and settled, lane by lane.

mod departure;
mod homeserver;
mod network;
mod resolve;

pub(crate) use departure::{Brought, Departure, at_once, ready};
pub(crate) use homeserver::to_homeserver;
pub(crate) use network::to_network;
pub(crate) use resolve::about_space;

use std::time::Duration;
use swingbridge_domain::store::{OutboxRow, Target};
use tokio::sync::Semaphore;

/// How long a stop waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(7);

/// Waits for what is in flight, for as long as a stop may take.
async fn drain(slots: &Semaphore, at_once: usize) {
    let all = u32::try_from(at_once).unwrap_or(u32::MAX);
    if tokio::time::timeout(DRAIN, slots.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!(
            left = at_once - slots.available_permits(),
            "stopping with some still in flight"
        );
    }
}

fn queue_seconds(row: &OutboxRow) -> &'static str {
    match (&row.target, row.message) {
        (Target::Homeserver, Some(_)) => "in",
        (Target::Homeserver, None) => "aside",
        (Target::Connector(_), _) => "out",
    }
}
