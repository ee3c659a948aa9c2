//! What goes to the accounts: receipts and phones' texts, each sent again until the account has answered.

use std::sync::Arc;
use std::time::Duration;

use swingbridge_wire::smpp::{Body, CommandStatus, Pdu, Sm};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bound::Outgoing;
use super::phones::Progress;
use super::state::State;
use super::{Carrier, SessionId};
use crate::faults::{Fault, Faults};

/// A `deliver_sm` that waits for its turn.
#[derive(Clone)]
pub(super) struct Delivery {
    /// Counts up in the order in which deliveries came about, which is the order in which they are sent.
    pub number: u64,
    pub system_id: String,
    pub sm: Sm,
    pub about: About,
    pub prefer: Option<SessionId>,
    pub avoid: Option<SessionId>,
    pub not_before: Instant,
    /// Whether the fault of being held back, or of being repeated, was rolled for it: once each.
    pub held: bool,
    pub repeated: bool,
    pub attempts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Receipt,
    Text { message: u64 },
}

/// A `deliver_sm` that waits for its response.
pub(super) struct InFlight {
    pub delivery: Delivery,
    pub deadline: Instant,
}

/// Sends what is due, until told to stop.
pub(super) async fn run(carrier: Arc<Carrier>, stop: CancellationToken) {
    loop {
        // Asked for before looking, so that work that comes in between is not slept through.
        let work = carrier.work.notified();
        let now = Instant::now();
        let next = carrier.with(|state| {
            expire(state, now);
            send_due(state, &carrier, now);
            next_deadline(state, now)
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = work => {}
            () = tokio::time::sleep_until(next.unwrap_or(now + Duration::from_secs(3600))) => {}
        }
    }
}

/// Takes the answer to a delivery; gives whether there was one in flight.
pub(super) fn answered(
    carrier: &Carrier,
    session: SessionId,
    sequence: u32,
    status: CommandStatus,
    now: Instant,
) -> bool {
    let faults = carrier.faults();
    carrier.with(|state| {
        let Some(InFlight { mut delivery, .. }) = state.in_flight.remove(&(session, sequence)) else {
            return false;
        };
        if let Some(bound) = state.bound.get_mut(&session) {
            bound.unanswered -= 1;
        }
        match status {
            CommandStatus::ROK => {
                if !delivery.repeated && faults.strikes(Fault::RepeatDelivery) {
                    delivery.repeated = true;
                    delivery.not_before = now + faults.delay(Fault::RepeatDelivery);
                    requeue(state, delivery);
                } else if let About::Text { message } = delivery.about {
                    part_taken(state, message);
                }
            }
            CommandStatus::RX_P_APPN | CommandStatus::RX_R_APPN => {
                if let About::Text { message } = delivery.about {
                    state.set_progress(message, Progress::Failed);
                }
            }
            _ => {
                delivery.not_before = now + carrier.config.retry;
                requeue(state, delivery);
            }
        }
        true
    })
}

/// Takes back what a closed session has left unanswered.
pub(super) fn session_closed(state: &mut State, session: SessionId) {
    let sequences: Vec<u32> = state
        .in_flight
        .keys()
        .filter(|key| key.0 == session)
        .map(|key| key.1)
        .collect();
    for sequence in sequences {
        if let Some(InFlight { delivery, .. }) = state.in_flight.remove(&(session, sequence)) {
            requeue(state, delivery);
        }
    }
}

fn part_taken(state: &mut State, message: u64) {
    let Some(open) = state.open_parts.get_mut(&message) else {
        return;
    };
    *open -= 1;
    if *open == 0 {
        state.open_parts.remove(&message);
        state.set_progress(message, Progress::Done);
    }
}

/// Back to its old place in the order.
fn requeue(state: &mut State, mut delivery: Delivery) {
    delivery.attempts += 1;
    let at = state
        .outbox
        .partition_point(|other| other.number < delivery.number);
    state.outbox.insert(at, delivery);
}

fn expire(state: &mut State, now: Instant) {
    let expired: Vec<(SessionId, u32)> = state
        .in_flight
        .iter()
        .filter(|(_, waiting)| waiting.deadline <= now)
        .map(|(key, _)| *key)
        .collect();
    for key in expired {
        if let Some(InFlight { delivery, .. }) = state.in_flight.remove(&key) {
            if let Some(bound) = state.bound.get_mut(&key.0) {
                bound.unanswered -= 1;
            }
            requeue(state, delivery);
        }
    }
}

fn send_due(state: &mut State, carrier: &Carrier, now: Instant) {
    let faults = carrier.faults();
    let mut kept = std::collections::VecDeque::with_capacity(state.outbox.len());
    while let Some(mut delivery) = state.outbox.pop_front() {
        if delivery.not_before > now {
            kept.push_back(delivery);
            continue;
        }
        if !delivery.held {
            delivery.held = true;
            if faults.strikes(Fault::HoldDelivery) {
                delivery.not_before = now + faults.delay(Fault::HoldDelivery);
                kept.push_back(delivery);
                continue;
            }
        }
        match choose(state, &delivery, carrier.config.window) {
            Some(session) => send(state, carrier, &faults, session, delivery, now),
            None => kept.push_back(delivery),
        }
    }
    state.outbox = kept;
}

/// A bind of the account that takes deliveries and has room: the preferred one, or the one with most room.
fn choose(state: &State, delivery: &Delivery, window: usize) -> Option<SessionId> {
    let fit = |id: SessionId| {
        state.bound.get(&id).is_some_and(|bound| {
            bound.kind.receives() && bound.system_id == delivery.system_id && bound.unanswered < window
        })
    };
    if let Some(preferred) = delivery.prefer.filter(|&id| fit(id)) {
        return Some(preferred);
    }
    let emptiest = |avoid: Option<SessionId>| {
        let able = state
            .bound
            .iter()
            .filter(|(id, _)| fit(**id) && Some(**id) != avoid);
        able.min_by_key(|(_, bound)| bound.unanswered).map(|(id, _)| *id)
    };
    emptiest(delivery.avoid).or_else(|| emptiest(None))
}

fn send(
    state: &mut State,
    carrier: &Carrier,
    faults: &Faults,
    session: SessionId,
    delivery: Delivery,
    now: Instant,
) {
    let Some(bound) = state.bound.get_mut(&session) else {
        return;
    };
    let sequence = bound.next_sequence();
    // What the carrier itself has made always encodes.
    if let Ok(bytes) = Pdu::new(sequence, Body::DeliverSm(delivery.sm.clone())).to_bytes() {
        bound.out(Outgoing::Bytes(bytes));
    }
    if faults.strikes(Fault::DropAfterDelivery) {
        bound.out(Outgoing::Close);
    }
    bound.unanswered += 1;
    if let About::Text { message } = delivery.about {
        state.set_progress(message, Progress::Underway);
    }
    let deadline = now + carrier.config.response_timeout;
    state
        .in_flight
        .insert((session, sequence), InFlight { delivery, deadline });
}

/// When something comes due. A delivery that is due already waits for a bind, whose coming or answer is work.
fn next_deadline(state: &State, now: Instant) -> Option<Instant> {
    let due = state
        .outbox
        .iter()
        .map(|delivery| delivery.not_before)
        .filter(|&at| at > now);
    let deadlines = state.in_flight.values().map(|waiting| waiting.deadline);
    due.chain(deadlines).min()
}
