//! What leaves for a network: its row is marked first.

use crate::event::Event;
use crate::lanes::{Kept, Seat};
use crate::payload::{Payload, Send};
use crate::policy;
use crate::process::refer::OURS;
use crate::process::{Fault, Work};
use crate::render;
use crate::state::Talk;
use crate::step::matrix::writer;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Outbound, Revocation, Revoked};
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{EventId, LineId, MessageId, OutboxId, RoomId};
use swingbridge_domain::message::{Body, Media};
use swingbridge_domain::store::{Lane, OutboxRow, OutboxState, PartRecord, Target, seal};

/// What is to be sent, once its row is marked as being sent.
pub(crate) enum Departure {
    Ready {
        row: OutboxRow,
        event: EventId,
        outbound: Box<Outbound>,
    },
    /// The network is asked to take a message back.
    Revoke {
        row: OutboxRow,
        message: MessageId,
        /// The event by which its writer takes it back.
        redaction: Option<EventId>,
        revocation: Revocation,
    },
    /// The network is asked whether it reaches the contact.
    Reach {
        row: OutboxRow,
        line: LineId,
        event: EventId,
        address: Address,
    },
    /// Something must be brought from the homeserver first.
    Bring {
        row: OutboxRow,
        event: EventId,
        line: LineId,
        room: Option<RoomId>,
        quoted: Option<EventId>,
        media: Option<Media>,
    },
}

/// What was brought from the homeserver before a text leaves.
#[derive(Default)]
pub(crate) struct Brought {
    /// The text to be quoted; empty when there is none to be had.
    pub quote: String,
    pub media: Option<Media>,
}

/// Marks rows as being sent: after this commit a crash makes them uncertain.
pub(super) fn depart(
    work: &mut Work<'_>,
    heads: Vec<(OutboxId, Kept)>,
) -> Result<Vec<Option<Departure>>, Fault> {
    heads
        .into_iter()
        .map(|(id, payload)| depart_one(work, id, payload, None))
        .collect()
}

pub(super) fn depart_one(
    work: &mut Work<'_>,
    id: OutboxId,
    payload: Kept,
    brought: Option<Brought>,
) -> Result<Option<Departure>, Fault> {
    let Some(row) = work.tables.outbox(id)? else {
        return Ok(None);
    };
    // Held since it was lined up: it comes back when it is released.
    if row.state == OutboxState::Held {
        return Ok(None);
    }
    if row.expires_at.is_some_and(|end| end <= work.now) {
        work.happen(Event::Expired { row })?;
        return Ok(None);
    }
    let send = match work.payload(&row, payload)? {
        Payload::Send(send) => send,
        Payload::Revoke(message) => return revocation(work, row, message),
        Payload::Recall {
            message,
            line,
            redaction,
        } => return recall(work, row, message, &line, redaction),
        Payload::Reach { line, event } => return question(work, row, line, event),
        _ => return Ok(None),
    };
    if !policy::limits::departing(work, &row, &send)? {
        return Ok(None);
    }
    let media = to_be_fetched(work, &send.outbound);
    if brought.is_none() && (send.quote.is_some() || media.is_some()) {
        let room = match &row.lane {
            Lane::Conversation(id) => work
                .tables
                .conversation(*id)?
                .and_then(|conversation| conversation.room),
            _ => None,
        };
        return Ok(Some(Departure::Bring {
            row,
            event: send.event,
            line: send.outbound.line,
            room,
            quoted: send.quote,
            media,
        }));
    }
    work.tables.outbox_set_state(id, OutboxState::Sending)?;
    Ok(Some(ready(work, row, send, brought.unwrap_or_default())))
}

/// A seat for a message that is about to be queued, where it can leave with the very commit that keeps it: it was judged just now and found
/// free to go, nothing waits before it, and nothing must be brought for it.
pub(crate) fn at_once(
    work: &Work<'_>,
    target: &Target,
    lane: &Lane,
    send: &Send,
    expires_at: Option<Timestamp>,
) -> Option<Seat> {
    // The gateway's own answers are judged when their turn comes.
    let leaves = !send.automatic
        && send.not_before <= work.now
        && send.quote.is_none()
        && expires_at.is_none_or(|end| end > work.now)
        && to_be_fetched(work, &send.outbound).is_none();
    leaves.then(|| Seat::take(work.lanes, target, lane)).flatten()
}

/// The departure of a row that is marked as being sent.
pub(crate) fn ready(work: &Work<'_>, row: OutboxRow, send: Send, brought: Brought) -> Departure {
    let Send {
        mut outbound,
        event,
        writer: by,
        ..
    } = send;
    let Brought { quote, media } = brought;
    if let (Some(media), Some(part)) = (media, outbound.message.parts.first_mut()) {
        match &mut part.body {
            Body::RichCard(card) => card.media = Some(media),
            body => *body = Body::Media(media),
        }
    }
    if !quote.is_empty() {
        outbound.message = render::quoted(outbound.message, &quote);
    }
    if let Some(signature) = work
        .site
        .line(&outbound.line)
        .and_then(|line| line.signature.as_deref())
    {
        outbound.message = render::signed(outbound.message, signature, writer(&by));
    }
    Departure::Ready {
        row,
        event,
        outbound: Box::new(outbound),
    }
}

/// What names the message that is to be taken back. One of which nothing is known any more is left alone.
fn revocation(work: &mut Work<'_>, row: OutboxRow, message: MessageId) -> Result<Option<Departure>, Fault> {
    let waiting = work.tables.outbox_by_message(message)?;
    let send = match &waiting {
        Some(waiting) => work.open(seal::OUTBOX, &waiting.sealed)?,
        None => Payload::Open,
    };
    let Payload::Send(Send { outbound, .. }) = send else {
        work.tables.outbox_remove(row.id)?;
        return Ok(None);
    };
    let Some(to) = outbound.to.first().cloned() else {
        return Ok(None);
    };
    let revocation = Revocation {
        line: outbound.line,
        to,
        key: outbound.key,
        network_ids: on_their_way(work, message)?
            .into_iter()
            .map(|part| part.network_id)
            .collect(),
    };
    Ok(Some(Departure::Revoke {
        row,
        message,
        redaction: None,
        revocation,
    }))
}

/// The parts of a message but those that will not arrive: they need no taking back, and their network would not know them any more.
fn on_their_way(work: &mut Work<'_>, message: MessageId) -> Result<Vec<PartRecord>, Fault> {
    let mut parts = work.tables.parts_of(message)?;
    parts.retain(|part| !matches!(part.state, Delivery::Rejected | Delivery::Expired));
    Ok(parts)
}

/// What names a message that its writer takes back. Of one that the network did not take, or gave no name to, there is nothing to ask.
fn recall(
    work: &mut Work<'_>,
    row: OutboxRow,
    message: MessageId,
    line: &LineId,
    redaction: EventId,
) -> Result<Option<Departure>, Fault> {
    let (Some(talk), Some(line)) = (talk_of(work, &row)?, work.site.line(line)) else {
        work.tables.outbox_remove(row.id)?;
        return Ok(None);
    };
    let mut parts = on_their_way(work, message)?;
    parts.retain(|part| part.connector == line.connector && !part.network_id.as_str().starts_with(OURS));
    if parts.is_empty() {
        work.happen(Event::Revoked {
            row,
            message,
            redaction: Some(redaction),
            answer: Ok(Revoked::Impossible),
        })?;
        return Ok(None);
    }
    let revocation = Revocation {
        line: line.id.clone(),
        to: talk.who.address.clone(),
        key: String::new(),
        network_ids: parts.into_iter().map(|part| part.network_id).collect(),
    };
    Ok(Some(Departure::Revoke {
        row,
        message,
        redaction: Some(redaction),
        revocation,
    }))
}

/// The conversation that a row belongs to.
fn talk_of(work: &mut Work<'_>, row: &OutboxRow) -> Result<Option<Talk>, Fault> {
    let Lane::Conversation(id) = &row.lane else {
        return Ok(None);
    };
    match work.tables.conversation(*id)? {
        Some(found) => Ok(work.talk(found)?),
        None => Ok(None),
    }
}

fn question(
    work: &mut Work<'_>,
    row: OutboxRow,
    line: LineId,
    event: EventId,
) -> Result<Option<Departure>, Fault> {
    let Some(talk) = talk_of(work, &row)? else {
        work.tables.outbox_remove(row.id)?;
        return Ok(None);
    };
    Ok(Some(Departure::Reach {
        row,
        line,
        event,
        address: talk.who.address.clone(),
    }))
}

pub(super) fn to_group(outbound: &Outbound) -> bool {
    outbound.to.iter().any(|to| matches!(to, Address::Group(_)))
}

/// The file of a message that its network carries itself, as it lies at the homeserver.
fn to_be_fetched(work: &Work<'_>, outbound: &Outbound) -> Option<Media> {
    let line = work.site.line(&outbound.line)?;
    let able = work.site.capabilities_of(line).towards(to_group(outbound));
    if able.media == Support::Absent || able.media_links {
        return None;
    }
    match &outbound.message.parts.first()?.body {
        Body::Media(media) => Some(media.clone()),
        Body::RichCard(card) => card.media.clone(),
        _ => None,
    }
}
