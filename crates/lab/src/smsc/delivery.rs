//! What goes to the accounts: receipts and phones' texts, each sent again until the account has answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Receipt,
    Text { message: u64 },
}

/// The deliveries that wait.
#[derive(Default)]
pub(super) struct Outbox {
    /// Not due yet, by when they are.
    later: BTreeMap<(Instant, u64), Delivery>,
    /// Due, by number: they go out in this order.
    ready: BTreeMap<u64, Delivery>,
}

impl Outbox {
    /// Adds a delivery, or takes one back, which keeps its place in the order.
    pub fn push(&mut self, delivery: Delivery) {
        self.later
            .insert((delivery.not_before, delivery.number), delivery);
    }

    pub fn len(&self) -> usize {
        self.later.len() + self.ready.len()
    }

    fn ripen(&mut self, now: Instant) {
        while let Some(first) = self.later.first_entry()
            && first.key().0 <= now
        {
            let delivery = first.remove();
            self.ready.insert(delivery.number, delivery);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(due, _)| *due)
    }
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
            next_deadline(state)
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
                    state.outbox.push(delivery);
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
                state.outbox.push(delivery);
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
            state.outbox.push(delivery);
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
            state.outbox.push(delivery);
        }
    }
}

fn send_due(state: &mut State, carrier: &Carrier, now: Instant) {
    let faults = carrier.faults();
    state.outbox.ripen(now);
    // Accounts without a bind that has room.
    let mut full: Vec<String> = Vec::new();
    let mut from = 0;
    while full.len() < carrier.config.accounts.len()
        && let Some((&number, delivery)) = state.outbox.ready.range(from..).next()
    {
        from = number + 1;
        if full.contains(&delivery.system_id) {
            continue;
        }
        let chosen = choose(state, delivery, carrier.config.window);
        let Some(mut delivery) = state.outbox.ready.remove(&number) else {
            continue;
        };
        if !delivery.held && faults.strikes(Fault::HoldDelivery) {
            delivery.held = true;
            delivery.not_before = now + faults.delay(Fault::HoldDelivery);
            state.outbox.push(delivery);
            continue;
        }
        delivery.held = true;
        match chosen {
            Some(session) => send(state, carrier, &faults, session, delivery, now),
            None => {
                full.push(delivery.system_id.clone());
                state.outbox.ready.insert(number, delivery);
            }
        }
    }
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
        let bytes = if faults.strikes(Fault::Sloppy) {
            with_stump(&bytes)
        } else {
            bytes
        };
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
fn next_deadline(state: &State) -> Option<Instant> {
    let deadlines = state.in_flight.values().map(|waiting| waiting.deadline);
    deadlines.chain(state.outbox.next_due()).min()
}

/// A PDU with a vendor's parameter at its end that is shorter than it says.
fn with_stump(pdu: &[u8]) -> Bytes {
    const STUMP: [u8; 6] = [0x14, 0x05, 0, 9, 0xBA, 0xD0];
    let length = (pdu.len() + STUMP.len()) as u32;
    [&length.to_be_bytes(), pdu.get(4..).unwrap_or_default(), &STUMP]
        .concat()
        .into()
}
