//! To the networks.

use super::departure::{Brought, Departure, depart, depart_one, to_group};
use super::{drain, queue_seconds};
use crate::event::Event;
use crate::kernel::{Kernel, NoLink, lock};
use crate::lanes::{Change, Exit, Head, Seat};
use crate::render;
use crate::words;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::connector::{Accepted, Connector, SendError, Shutdown};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::homeserver::PerformError;
use swingbridge_domain::id::{EventId, LineId};
use swingbridge_domain::message::{Body, Media, Message};
use swingbridge_domain::store::{OutboxRow, StoreError, Target};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Heads claimed in one transaction.
const CLAIM: usize = 256;

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
    let (leaving, left) = mpsc::unbounded_channel();
    let exit = Exit {
        slots: slots.clone(),
        leaving: leaving.clone(),
    };
    lock(&kernel.lanes).open_exit(&target, Some(exit));
    // It ends with this.
    let mut seated = JoinSet::new();
    seated.spawn(leave(kernel.clone(), connector.clone(), target.clone(), left));
    'rows: while let Some(heads) = kernel.next(&target, &slots, CLAIM, &shutdown).await {
        let (mut taken, mut rows) = (Vec::new(), Vec::new());
        for Head { lane, id, payload } in heads {
            // Before it is marked as being sent: somebody may have taken a seat meanwhile.
            let slot = tokio::select! {
                Ok(slot) = slots.clone().acquire_owned() => slot,
                // They are queued, and wait for the next start.
                () = shutdown.requested() => break 'rows,
            };
            let seat = Seat::of(&kernel.lanes, &target, &lane, &leaving, slot);
            taken.push((seat, lane, id));
            rows.push((id, payload));
        }
        let departures = match kernel.transact(move |work| depart(work, rows)).await {
            Ok(departures) => departures,
            Err(error) => {
                tracing::error!(%error, "texts cannot be taken from the queue; trying again");
                let not_before = kernel.clock.now() + Duration::from_secs(1);
                for (_seat, lane, id) in taken {
                    kernel.absorb(vec![Change::Returned {
                        target: target.clone(),
                        lane,
                        id,
                        not_before,
                    }]);
                }
                kernel.vacated(&target);
                continue;
            }
        };
        for ((seat, ..), departure) in taken.into_iter().zip(departures) {
            if let Some(departure) = departure {
                seat.leave(departure);
            }
        }
        kernel.vacated(&target);
    }
    lock(&kernel.lanes).open_exit(&target, None);
    drain(&slots, at_once).await;
}

/// Sends what is marked as being sent.
async fn leave(
    kernel: Arc<Kernel>,
    connector: Arc<dyn Connector>,
    target: Target,
    mut left: mpsc::UnboundedReceiver<(Seat, Departure)>,
) {
    while let Some((seat, departure)) = left.recv().await {
        let (kernel, connector, target) = (kernel.clone(), connector.clone(), target.clone());
        tokio::spawn(async move {
            send(&kernel, connector.as_ref(), departure).await;
            drop(seat);
            kernel.vacated(&target);
        });
    }
}

async fn send(kernel: &Arc<Kernel>, connector: &dyn Connector, departure: Departure) {
    let departure = match departure {
        // Neither is marked as being sent: to ask twice does no harm.
        Departure::Revoke {
            row,
            message,
            redaction,
            revocation,
        } => {
            let answer = connector.revoke(revocation).await;
            let event = Event::Revoked {
                row,
                message,
                redaction,
                answer,
            };
            return keep(kernel, event).await;
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
                .transact(move |work| depart_one(work, id, None, Some(brought)))
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
    let able = connector.capabilities().towards(to_group(&outbound));
    let answer = match by_link(kernel, &able, &mut outbound.message) {
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
    if !in_text && !able.media_links {
        return Ok(());
    }
    let media = match message.parts.first_mut().map(|part| &mut part.body) {
        Some(Body::Media(media)) => media,
        // Whoever has cards has files.
        Some(Body::RichCard(card)) if !in_text => match &mut card.media {
            Some(media) => media,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
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
