//! To the homeserver.

use super::resolve::{Prepares, Resolved, resolve};
use super::{drain, queue_seconds};
use crate::event::Event;
use crate::kernel::Kernel;
use crate::lanes::{Change, Head, Kept};
use crate::payload::Payload;
use crate::process::{Fault, Work};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{Action, Homeserver, PerformError, Performed, SendStatus};
use swingbridge_domain::id::OutboxId;
use swingbridge_domain::store::{Lane, OutboxRow, OutboxState, RoomRole, Target};
use tokio::sync::Semaphore;

/// Performs rows for the homeserver until `shutdown`, `at_once` lanes at a time.
pub(crate) async fn to_homeserver(
    kernel: Arc<Kernel>,
    homeserver: Arc<dyn Homeserver>,
    at_once: usize,
    shutdown: Shutdown,
) {
    let slots = Arc::new(Semaphore::new(at_once));
    let target = Target::Homeserver;
    while let Some(heads) = kernel.next(&target, &slots, at_once, &shutdown).await {
        for Head { lane, id, payload } in heads {
            let (kernel, homeserver) = (kernel.clone(), homeserver.clone());
            let permit = slots.clone().acquire_owned().await;
            tokio::spawn(async move {
                perform_row(&kernel, homeserver.as_ref(), &lane, id, payload).await;
                drop(permit);
                kernel.release(&Target::Homeserver, &lane);
            });
        }
    }
    drain(&slots, at_once).await;
}

async fn perform_row(
    kernel: &Arc<Kernel>,
    homeserver: &dyn Homeserver,
    lane: &Lane,
    id: OutboxId,
    mut payload: Kept,
) {
    loop {
        let mut kept = payload.take();
        let claimed = kernel.together(move |work| claim(work, id, kept.take())).await;
        let (row, payload, resolved) = match claimed {
            Ok(Some(claimed)) => claimed,
            Ok(None) => return,
            Err(error) => return put_back(kernel, lane, id, &format!("{error}")),
        };
        let (action, prepares) = match resolved {
            Resolved::Gone => return,
            Resolved::First(action, prepares) => (action, Some(prepares)),
            Resolved::Do(action) => (action, None),
        };
        let transaction = match &prepares {
            None => format!("{}-{}", kernel.installation, row.id),
            Some(_) => format!("{}-{}-first", kernel.installation, row.id),
        };
        let started = kernel.clock.now();
        let outcome = perform(homeserver, &action, &transaction).await;
        metrics::histogram!("swingbridge_homeserver_seconds")
            .record(kernel.clock.now().since(started).as_secs_f64());
        let event = match outcome {
            Ok(performed) => match prepares {
                Some(prepares) => {
                    if let Err(error) = prepared(kernel, prepares, performed).await {
                        return put_back(kernel, lane, id, &error);
                    }
                    continue;
                }
                None => Event::Performed {
                    row: row.clone(),
                    payload,
                    performed,
                },
            },
            Err(PerformError::Later { delay, detail }) => {
                return put_back_after(kernel, lane, id, delay, &detail);
            }
            Err(PerformError::Refused { code, detail }) => {
                tracing::error!(code, detail, row = %row.id, "the homeserver refused what a row asked for");
                metrics::counter!("swingbridge_homeserver_refused_total", "code" => code.clone())
                    .increment(1);
                Event::NotPerformed {
                    row: row.clone(),
                    payload,
                    cause: format!("{code}: {detail}"),
                    room_gone: false,
                }
            }
            Err(PerformError::RoomGone { detail }) => {
                tracing::warn!(detail, row = %row.id, "a room is gone");
                Event::NotPerformed {
                    row: row.clone(),
                    payload,
                    cause: detail,
                    room_gone: true,
                }
            }
        };
        // Performed twice is performed once: when this cannot be committed, the whole row is done again.
        let kind = queue_seconds(&row);
        let entered = matches!(action, Action::Join { .. }) && matches!(event, Event::Performed { .. });
        if let Err(error) = kernel.happen(event).await {
            return put_back(kernel, lane, id, &format!("{error}"));
        }
        kernel.passed(&Target::Homeserver, lane);
        // What was said in the room before the bot came was not pushed.
        if entered {
            kernel.order.ask();
        }
        metrics::histogram!("swingbridge_queue_seconds", "direction" => kind)
            .record(kernel.clock.now().since(row.created_at).as_secs_f64());
        return;
    }
}

/// A text that its network took is marked as read together with the status that says so: a row of its own for the mark would cost as much
/// as the status does.
async fn perform(
    homeserver: &dyn Homeserver,
    action: &Action,
    transaction: &str,
) -> Result<Performed, PerformError> {
    let performed = homeserver.perform(action, transaction).await;
    let mark = match action {
        Action::Status(SendStatus {
            room,
            event,
            state: State::Accepted,
            ..
        }) => Action::MarkRead {
            room: room.clone(),
            event: event.clone(),
        },
        _ => return performed,
    };
    if let Err(PerformError::Later { .. }) = performed {
        return performed;
    }
    homeserver.perform(&mark, transaction).await?;
    performed
}

/// Puts a row of the homeserver's back at the head of its lane. The store need not know: the row is queued there all the time.
fn put_back(kernel: &Kernel, lane: &Lane, id: OutboxId, detail: &str) {
    put_back_after(kernel, lane, id, None, detail);
}

fn put_back_after(kernel: &Kernel, lane: &Lane, id: OutboxId, delay: Option<Duration>, detail: &str) {
    let times = kernel.returned(&Target::Homeserver, lane);
    let delay = delay.unwrap_or_else(|| Duration::from_millis(250) * 2u32.pow(times.min(6)));
    tracing::warn!(row = %id, detail, delay = ?delay, "the homeserver could not do it; trying again");
    metrics::counter!("swingbridge_homeserver_retries_total").increment(1);
    let not_before = kernel.clock.now() + delay;
    kernel.absorb(vec![Change::Returned {
        target: Target::Homeserver,
        lane: lane.clone(),
        id,
        not_before,
    }]);
}

async fn prepared(kernel: &Arc<Kernel>, prepares: Prepares, performed: Performed) -> Result<(), String> {
    let Some(room) = performed.room else {
        return Err("the homeserver named no room".to_owned());
    };
    let made = match prepares {
        Prepares::Conversation(conversation) => {
            let protection = performed.protection;
            kernel
                .happen(Event::RoomMade {
                    conversation,
                    room,
                    protection,
                })
                .await
        }
        Prepares::Space(line) => kernel.remember_room(room, RoomRole::Space(line)).await,
        Prepares::Management(user) => kernel.remember_room(room, RoomRole::Management(user)).await,
    };
    kernel.room_made.notify_waiters();
    made.map_err(|error| error.to_string())
}

type Claimed = Option<(OutboxRow, Payload, Resolved)>;

fn claim(work: &mut Work<'_>, id: OutboxId, kept: Kept) -> Result<Claimed, Fault> {
    let Some(row) = work.tables.outbox(id)? else {
        return Ok(None);
    };
    // Held since it was lined up: it comes back when it is released.
    if row.state == OutboxState::Held {
        return Ok(None);
    }
    let payload = work.payload(&row, kept)?;
    let resolved = resolve(work, &row, &payload)?;
    if matches!(resolved, Resolved::Gone) {
        work.tables.outbox_remove(id)?;
    }
    Ok(Some((row, payload, resolved)))
}
