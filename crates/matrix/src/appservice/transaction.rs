//! Transactions: what happened in rooms.
//!
//! A transaction is answered once its events are committed. What can not be understood is passed over, so that a
//! transaction is never refused for its content: homeservers send nothing else until they are rid of it, and Synapse alters
//! what it sends again. The transaction id means nothing here: Synapse on SQLite begins anew at 1 after each restart.

use super::AppService;
use crate::event;
use crate::routes::error;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Everything but `events` (ephemeral, to-device, key counts) is of no use to us yet.
#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

pub(super) async fn take(State(parts): State<AppService>, body: Bytes) -> Response {
    let Ok(transaction) = serde_json::from_slice::<Transaction<'_>>(&body) else {
        tracing::warn!(
            octets = body.len(),
            "a transaction is not JSON or its events are no list"
        );
        return error(StatusCode::BAD_REQUEST, "M_NOT_JSON", "this is not a transaction");
    };
    let names = parts.matrix.names();
    let count = transaction.events.len();
    let mut odd = 0;
    let mut arrivals = Vec::with_capacity(count);
    for event in transaction.events {
        match event::read(event, None, names) {
            Ok(arrival) => arrivals.extend(arrival),
            Err(event::Odd) => odd += 1,
        }
    }
    metrics::counter!("swingbridge_homeserver_transactions_total").increment(1);
    metrics::counter!("swingbridge_homeserver_events_total").increment(count as u64);
    if odd > 0 {
        metrics::counter!("swingbridge_homeserver_events_odd_total").increment(odd);
        tracing::warn!(
            odd,
            count,
            "a transaction holds what is not an event; it is passed over"
        );
    }
    if !arrivals.is_empty()
        && let Err(failure) = parts.inbox.deliver(arrivals).await
    {
        // Nothing was committed. The homeserver comes again, and what it alters by then are not the events.
        tracing::warn!(%failure, count, "a transaction cannot be committed now");
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "M_UNKNOWN",
            "not now; send it again",
        );
    }
    ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}
