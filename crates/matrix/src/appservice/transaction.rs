//! Transactions: what happened in rooms.
//!
//! A transaction is answered once its events are committed. What can not be understood is passed over, so that a
//! transaction is never refused for its content: homeservers send nothing else until they are rid of it, and Synapse alters
//! what it sends again. The transaction id does not tell a repetition: Synapse on SQLite begins anew at 1 after each restart. Where it is
//! a number, a gap tells that something may have been passed over.

use super::AppService;
use crate::crypto::{Extension, Notice};
use crate::event;
use crate::failure::Failure;
use crate::routes::error;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::{Mutex, PoisonError};
use swingbridge_domain::inbox::Arrival;

/// Everything but this (ephemeral events) is of no use to us yet. What belongs to encryption is read only where there is any.
#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    to_device: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "de.sorunome.msc2409.to_device")]
    msc2409_to_device: Option<&'a RawValue>,
    #[serde(borrow, default)]
    device_lists: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "org.matrix.msc3202.device_lists")]
    msc3202_device_lists: Option<&'a RawValue>,
    #[serde(borrow, default)]
    device_one_time_keys_count: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "org.matrix.msc3202.device_one_time_keys_count")]
    msc3202_device_one_time_keys_count: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "org.matrix.msc3202.device_one_time_key_counts")]
    msc3202_device_one_time_key_counts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    device_unused_fallback_key_types: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        rename = "org.matrix.msc3202.device_unused_fallback_key_types"
    )]
    msc3202_device_unused_fallback_key_types: Option<&'a RawValue>,
}

impl<'a> Transaction<'a> {
    fn extension(&self) -> Extension<'a> {
        Extension {
            to_device: [self.to_device, self.msc2409_to_device],
            device_lists: [self.device_lists, self.msc3202_device_lists],
            key_counts: [
                self.device_one_time_keys_count,
                self.msc3202_device_one_time_keys_count,
                self.msc3202_device_one_time_key_counts,
            ],
            fallback_keys: [
                self.device_unused_fallback_key_types,
                self.msc3202_device_unused_fallback_key_types,
            ],
        }
    }
}

/// The number of the transaction that came last.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<Option<u64>>);

impl Numbers {
    /// Whether a number was left out before `transaction`. Those that are no numbers leave none out.
    fn gap_before(&self, transaction: &str) -> bool {
        let Ok(number) = transaction.parse::<u64>() else {
            return false;
        };
        let last = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(number);
        // Of what came before the first one nothing is known.
        last.is_none_or(|last| number > last.saturating_add(1))
    }
}

pub(super) async fn take(State(parts): State<AppService>, Path(id): Path<String>, body: Bytes) -> Response {
    let Ok(transaction) = serde_json::from_slice::<Transaction<'_>>(&body) else {
        tracing::warn!(
            octets = body.len(),
            "a transaction is not JSON or its events are no list"
        );
        return error(StatusCode::BAD_REQUEST, "M_NOT_JSON", "this is not a transaction");
    };
    let names = parts.matrix.names();
    let count = transaction.events.len();
    let extension = transaction.extension();
    let mut odd = 0;
    let mut read = Vec::with_capacity(count);
    let mut notices = Vec::new();
    for event in transaction.events {
        match event::read_and_notice(event, None, names, |notice| notices.push(notice)) {
            Ok(arrival) => read.extend(arrival.map(|arrival| (arrival, event))),
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
    if parts.matrix.numbers.gap_before(&id) {
        parts.inbox.skipped();
    }
    if let Err(failure) = hand_in(&parts, &extension, notices, read).await {
        // Nothing was committed. The homeserver comes again, and what it alters by then are not the events.
        tracing::warn!(%failure, count, "a transaction cannot be committed now");
        parts.inbox.refused();
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "M_UNKNOWN",
            "not now; send it again",
        );
    }
    ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}

/// Keys first, then what they open, then the events.
async fn hand_in(
    parts: &AppService,
    extension: &Extension<'_>,
    notices: Vec<Notice>,
    read: Vec<(Arrival, &RawValue)>,
) -> Result<(), Failure> {
    let mut arrivals = Vec::new();
    let mut opened = Vec::new();
    let crypto = parts.matrix.crypto()?;
    if let Some(crypto) = crypto {
        for notice in &notices {
            parts.matrix.notice(crypto, notice).await?;
        }
        if !extension.is_empty() {
            let sessions = parts.matrix.take_keys(crypto, extension).await;
            (arrivals, opened) = parts.matrix.reopen(crypto, sessions).await?;
        }
    }
    arrivals.extend(parts.matrix.unseal(read).await?);
    if !arrivals.is_empty() {
        let delivered = parts.inbox.deliver(arrivals).await;
        delivered.map_err(|failure| Failure::away(failure.to_string()))?;
    }
    match crypto {
        Some(crypto) => parts.matrix.opened(crypto, opened).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;

    #[test]
    fn a_number_that_was_left_out_is_a_gap_and_a_repetition_is_none() {
        let numbers = Numbers::default();
        let gaps = ["7", "8", "8", "10", "9", "10", "1", "2", "x", "4"].map(|id| numbers.gap_before(id));
        assert_eq!(
            gaps,
            [true, false, false, true, false, false, false, false, false, true]
        );
    }
}
