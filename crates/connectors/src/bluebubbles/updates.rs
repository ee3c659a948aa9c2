//! What changes about a message after it was handed in: edits, unsends, receipts, failures. The server tells of none reliably, so
//! messages are compared with what they were.

use super::journal::Look;
use super::shapes::Message;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Receipt, What};

/// What a message looks like now.
pub(super) fn look(message: &Message) -> Look {
    let past = |date: Option<i64>| date.is_some_and(|date| date > 0);
    let outcome = match message.is_own() {
        false => None,
        true if message.error.unwrap_or(0) != 0 => Some(Outcome::Rejected),
        true if past(message.date_read) => Some(Outcome::Read),
        true if past(message.date_delivered) => Some(Outcome::Delivered),
        true => None,
    };
    Look {
        edited: message.date_edited.unwrap_or(0),
        unsent: message.is_unsent(),
        outcome,
    }
}

/// The receipt that a change of looks amounts to. A message that was delivered does not fail any more.
pub(super) fn receipt(
    connector: &ConnectorId,
    message: &Message,
    before: Look,
    now: Look,
) -> Option<Arrival> {
    let outcome = now.outcome?;
    if before.outcome == Some(outcome) || before.outcome == Some(Outcome::Read) {
        return None;
    }
    let at = match outcome {
        Outcome::Read => message.date_read,
        Outcome::Delivered => message.date_delivered,
        _ => None,
    };
    let receipt = Receipt {
        connector: connector.clone(),
        network_ids: vec![NetworkId::new(&message.guid)],
        outcome,
        error: (outcome == Outcome::Rejected).then(|| error_words(message.error.unwrap_or(0))),
        at: at.filter(|at| *at > 0).map(Timestamp),
        way: Vec::new(),
    };
    Some(Arrival {
        dedupe: Dedupe::Harmless,
        what: What::Network(Inbound::Receipt(receipt)),
    })
}

/// Messages' codes are documented nowhere; the meaning of 22 is what people report.
pub(super) fn error_words(code: i64) -> String {
    let meaning = match code {
        22 => "Messages could not send it; mostly the address cannot be reached by iMessage",
        _ => "Messages could not send it",
    };
    format!("{meaning} (error {code})")
}
