//! To the networks.

use super::{drain, queue_seconds};
use crate::event::Event;
use crate::kernel::{Kernel, NoLink};
use crate::lanes::Change;
use crate::payload::{Payload, Send};
use crate::policy;
use crate::process::{Fault, Work};
use crate::render;
use crate::step::matrix::writer;
use crate::words;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::connector::{Accepted, Connector, Outbound, Revocation, SendError, Shutdown};
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::homeserver::PerformError;
use swingbridge_domain::id::{EventId, LineId, MessageId, OutboxId, RoomId};
use swingbridge_domain::message::{Body, Media, Message};
use swingbridge_domain::store::{Lane, OutboxRow, OutboxState, StoreError, Target, seal};
use tokio::sync::Semaphore;

/// Heads claimed in one transaction.
const CLAIM: usize = 256;

/// What is to be sent, once its row is marked as being sent.
enum Departure {
    Ready {
        row: OutboxRow,
        event: EventId,
        outbound: Box<Outbound>,
    },
    /// The network is asked to take a message back.
    Revoke {
        row: OutboxRow,
        message: MessageId,
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
struct Brought {
    /// The text to be quoted; empty when there is none to be had.
    quote: String,
    media: Option<Media>,
}

/// Sends rows by a connector until `shutdown`, `at_once` messages at a time or as many as the connector works on.
pub(crate) async fn to_network(
    kernel: Arc<Kernel>,
    connector: Arc<dyn Connector>,
    at_once: usize,
    shutdown: Shutdown,
) {
    let target = Target::Connector(connector.id().clone());
    let limit = connector
        .capabilities()
        .at_once
        .map(|limit| limit.max(1) as usize);
    let at_once = limit.map_or(at_once, |limit| limit.min(at_once));
    let slots = Arc::new(Semaphore::new(at_once));
    while let Some(taken) = kernel.next(&target, &slots, CLAIM, &shutdown).await {
        let ids: Vec<OutboxId> = taken.iter().map(|(_, id)| *id).collect();
        let departures = match kernel.transact(move |work| depart(work, &ids)).await {
            Ok(departures) => departures,
            Err(error) => {
                tracing::error!(%error, "texts cannot be taken from the queue; trying again");
                let not_before = kernel.clock.now() + Duration::from_secs(1);
                for (lane, id) in taken {
                    kernel.absorb(vec![Change::Returned {
                        target: target.clone(),
                        lane: lane.clone(),
                        id,
                        not_before,
                    }]);
                    kernel.release(&target, &lane);
                }
                continue;
            }
        };
        for ((lane, _), departure) in taken.into_iter().zip(departures) {
            let Some(departure) = departure else {
                kernel.release(&target, &lane);
                continue;
            };
            let (kernel, connector, target) = (kernel.clone(), connector.clone(), target.clone());
            let permit = slots.clone().acquire_owned().await;
            tokio::spawn(async move {
                send(&kernel, connector.as_ref(), departure).await;
                drop(permit);
                kernel.release(&target, &lane);
            });
        }
    }
    drain(&slots, at_once).await;
}

/// Marks rows as being sent: after this commit a crash makes them uncertain.
fn depart(work: &mut Work<'_>, ids: &[OutboxId]) -> Result<Vec<Option<Departure>>, Fault> {
    ids.iter().map(|id| depart_one(work, *id, None)).collect()
}

fn depart_one(
    work: &mut Work<'_>,
    id: OutboxId,
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
    let send = match work.open(seal::OUTBOX, &row.sealed)? {
        Payload::Send(send) => send,
        Payload::Revoke(message) => return revocation(work, row, message),
        Payload::Reach { line, event } => return question(work, row, line, event),
        _ => return Ok(None),
    };
    if !policy::limits::departing(work, &row, &send)? {
        return Ok(None);
    }
    let Send {
        mut outbound,
        event,
        quote: quoted,
        writer: by,
        ..
    } = send;
    let media = to_be_fetched(work, &outbound);
    if brought.is_none() && (quoted.is_some() || media.is_some()) {
        let room = match &row.lane {
            Lane::Conversation(id) => work
                .tables
                .conversation(*id)?
                .and_then(|conversation| conversation.room),
            _ => None,
        };
        return Ok(Some(Departure::Bring {
            row,
            event,
            line: outbound.line,
            room,
            quoted,
            media,
        }));
    }
    let Brought { quote, media } = brought.unwrap_or_default();
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
    work.tables.outbox_set_state(id, OutboxState::Sending)?;
    Ok(Some(Departure::Ready {
        row,
        event,
        outbound: Box::new(outbound),
    }))
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
    // Parts that will not arrive need no taking back, and their network would not know them any more.
    let mut network_ids = work.tables.parts_of(message)?;
    network_ids.retain(|part| !matches!(part.state, Delivery::Rejected | Delivery::Expired));
    let revocation = Revocation {
        line: outbound.line,
        to,
        key: outbound.key,
        network_ids: network_ids.into_iter().map(|part| part.network_id).collect(),
    };
    Ok(Some(Departure::Revoke {
        row,
        message,
        revocation,
    }))
}

fn question(
    work: &mut Work<'_>,
    row: OutboxRow,
    line: LineId,
    event: EventId,
) -> Result<Option<Departure>, Fault> {
    let talk = match &row.lane {
        Lane::Conversation(id) => match work.tables.conversation(*id)? {
            Some(found) => work.talk(found)?,
            None => None,
        },
        _ => None,
    };
    let Some(talk) = talk else {
        work.tables.outbox_remove(row.id)?;
        return Ok(None);
    };
    Ok(Some(Departure::Reach {
        row,
        line,
        event,
        address: talk.address,
    }))
}

async fn send(kernel: &Arc<Kernel>, connector: &dyn Connector, departure: Departure) {
    let departure = match departure {
        // Neither is marked as being sent: to ask twice does no harm.
        Departure::Revoke {
            row,
            message,
            revocation,
        } => {
            let answer = connector.revoke(revocation).await;
            return keep(kernel, Event::Revoked { row, message, answer }).await;
        }
        Departure::Reach {
            row,
            line,
            event,
            address,
        } => {
            let reach = connector.reach(&line, &[address]).await;
            let reach = reach.first().copied().unwrap_or_default();
            let event = Event::Reached {
                row,
                line,
                event,
                reach,
            };
            return keep(kernel, event).await;
        }
        Departure::Bring {
            row,
            event,
            line,
            room,
            quoted,
            media,
        } => {
            let quote = match (room, quoted) {
                (Some(room), Some(quoted)) => kernel.text_of(&room, &quoted).await.unwrap_or_default(),
                _ => String::new(),
            };
            let media = match media {
                Some(media) => match kernel.homeserver.fetch(&media).await {
                    Ok(media) => Some(media),
                    // It is still queued: nothing of it has left.
                    Err(error) => {
                        let answer = Err(not_brought(&error));
                        return settle(kernel, row, event, line, answer).await;
                    }
                },
                None => None,
            };
            let file = media.clone();
            let (id, brought) = (row.id, Brought { quote, media });
            let departs = kernel
                .transact(move |work| depart_one(work, id, Some(brought)))
                .await;
            match departs {
                Ok(Some(departure)) => departure,
                stays => {
                    if let Some(file) = file {
                        kernel.homeserver.release(&file).await;
                    }
                    if let Err(error) = stays {
                        tracing::error!(%error, "a text cannot be taken from the queue; it waits for the next start");
                    }
                    return;
                }
            }
        }
        ready => ready,
    };
    let Departure::Ready {
        row,
        event,
        mut outbound,
    } = departure
    else {
        return;
    };
    let line = outbound.line.clone();
    let brought = brought(&outbound.message);
    let answer = match by_link(kernel, &connector.capabilities(), &mut outbound.message) {
        Ok(()) => connector.send(*outbound).await,
        Err(error) => Err(error),
    };
    if let Some(file) = brought {
        kernel.homeserver.release(&file).await;
    }
    if answer.is_ok() {
        metrics::histogram!("swingbridge_queue_seconds", "direction" => queue_seconds(&row))
            .record(kernel.clock.now().since(row.created_at).as_secs_f64());
    }
    settle(kernel, row, event, line, answer).await;
}

async fn settle(
    kernel: &Arc<Kernel>,
    row: OutboxRow,
    event: EventId,
    line: LineId,
    answer: Result<Accepted, SendError>,
) {
    let answered = Event::Answered {
        row,
        event,
        line,
        answer,
    };
    keep(kernel, answered).await;
}

/// What the network said must be kept, however long the store takes: without it the text would be in doubt.
async fn keep(kernel: &Arc<Kernel>, said: Event) {
    let mut wait = Duration::from_millis(100);
    loop {
        match kernel.happen(said.clone()).await {
            Ok(()) | Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "the network's answer cannot be kept; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
        }
    }
}

/// The file of a message that its network carries itself, as it lies at the homeserver.
fn to_be_fetched(work: &Work<'_>, outbound: &Outbound) -> Option<Media> {
    let line = work.site.line(&outbound.line)?;
    let able = work.site.capabilities_of(line);
    if able.media == Support::Absent || able.media_links {
        return None;
    }
    match &outbound.message.parts.first()?.body {
        Body::Media(media) => Some(media.clone()),
        Body::RichCard(card) => card.media.clone(),
        _ => None,
    }
}

fn not_brought(error: &PerformError) -> SendError {
    match error {
        PerformError::Later { delay, detail } => SendError::RetryAfter {
            delay: delay.unwrap_or(Duration::from_secs(10)),
            detail: format!("the file cannot be had from the homeserver now: {detail}"),
            counts: true,
        },
        PerformError::Refused { detail, .. } | PerformError::RoomGone { detail } => SendError::Rejected {
            reason: Reason::BadContent,
            detail: format!("the file cannot be had from the homeserver: {detail}"),
        },
    }
}

/// A file that was brought to this machine for this send.
fn brought(message: &Message) -> Option<Media> {
    match &message.parts.first()?.body {
        Body::Media(media) if media.uri.starts_with("file:") => Some(media.clone()),
        _ => None,
    }
}

/// Makes the link of a message's file, where the network takes it as a link, or takes text alone. It is made now: in the queue it would
/// expire.
fn by_link(kernel: &Kernel, able: &Capabilities, message: &mut Message) -> Result<(), SendError> {
    let in_text = able.media == Support::Absent;
    let Some(Body::Media(media)) = message.parts.first_mut().map(|part| &mut part.body) else {
        return Ok(());
    };
    if !in_text && !able.media_links {
        return Ok(());
    }
    let link = kernel.link(media).map_err(|no| SendError::Rejected {
        reason: Reason::BadContent,
        detail: match no {
            NoLink::TurnedOff => words::LINKS_ARE_OFF.to_owned(),
            NoLink::UnknownKey => words::UNKNOWN_KEY.to_owned(),
        },
    })?;
    match in_text {
        true => *message = render::linked(media, &link),
        false => {
            media.uri = link;
            media.key = None;
        }
    }
    Ok(())
}
