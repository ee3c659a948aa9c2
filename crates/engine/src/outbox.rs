//! What leaves: rows are claimed, performed and settled, lane by lane.

use crate::engine::Kernel;
use crate::event::Event;
use crate::lanes::Change;
use crate::payload::{Payload, Say, Send, Speaker};
use crate::process::{Fault, Work};
use crate::render;
use crate::state::Talk;
use crate::step::matrix::writer;
use crate::words;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Connector, Outbound, SendError, Shutdown};
use swingbridge_domain::homeserver::{
    About, Action, BridgeInfo, Homeserver, NewRoom, PerformError, Performed, Post, RoomKind, SendStatus,
    Sender,
};
use swingbridge_domain::id::{ConversationId, EventId, LineId, OutboxId, RoomId, UserId};
use swingbridge_domain::message::Body;
use swingbridge_domain::store::{Lane, OutboxRow, OutboxState, RoomRole, StoreError, Target, seal};
use tokio::sync::Semaphore;

/// Heads claimed in one transaction.
const CLAIM: usize = 256;
/// How long a stop waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(7);

/// What a row comes to when its turn has come.
enum Resolved {
    /// The row is gone: withdrawn, or expired.
    Gone,
    /// Something must be there first.
    First(Action, Prepares),
    Do(Action),
}

#[derive(Clone)]
enum Prepares {
    Conversation(ConversationId),
    Space(LineId),
    Management(UserId),
}

// To the homeserver

/// Performs rows for the homeserver until `shutdown`, `at_once` lanes at a time.
pub(crate) async fn to_homeserver(
    kernel: Arc<Kernel>,
    homeserver: Arc<dyn Homeserver>,
    at_once: usize,
    shutdown: Shutdown,
) {
    let slots = Arc::new(Semaphore::new(at_once));
    let target = Target::Homeserver;
    while let Some(taken) = kernel.next(&target, &slots, at_once, &shutdown).await {
        for (lane, id) in taken {
            let (kernel, homeserver) = (kernel.clone(), homeserver.clone());
            let permit = slots.clone().acquire_owned().await;
            tokio::spawn(async move {
                perform_row(&kernel, homeserver.as_ref(), &lane, id).await;
                drop(permit);
                kernel.release(&Target::Homeserver, &lane);
            });
        }
    }
    drain(&slots, at_once).await;
}

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

async fn perform_row(kernel: &Arc<Kernel>, homeserver: &dyn Homeserver, lane: &Lane, id: OutboxId) {
    loop {
        let claimed = kernel.transact(move |work| claim(work, id)).await;
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
        let outcome = homeserver.perform(&action, &transaction).await;
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
        if let Err(error) = kernel.happen(event).await {
            return put_back(kernel, lane, id, &format!("{error}"));
        }
        kernel.passed(&Target::Homeserver, lane);
        metrics::histogram!("swingbridge_queue_seconds", "direction" => kind)
            .record(kernel.clock.now().since(row.created_at).as_secs_f64());
        return;
    }
}

fn queue_seconds(row: &OutboxRow) -> &'static str {
    match (&row.target, row.message) {
        (Target::Homeserver, Some(_)) => "in",
        (Target::Homeserver, None) => "aside",
        (Target::Connector(_), _) => "out",
    }
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
        Prepares::Conversation(conversation) => kernel.happen(Event::RoomMade { conversation, room }).await,
        Prepares::Space(line) => kernel.remember_room(room, RoomRole::Space(line)).await,
        Prepares::Management(user) => kernel.remember_room(room, RoomRole::Management(user)).await,
    };
    kernel.room_made.notify_waiters();
    made.map_err(|error| error.to_string())
}

type Claimed = Option<(OutboxRow, Payload, Resolved)>;

fn claim(work: &mut Work<'_>, id: OutboxId) -> Result<Claimed, Fault> {
    let Some(row) = work.tables.outbox(id)? else {
        return Ok(None);
    };
    let payload: Payload = work.open(seal::OUTBOX, &row.sealed)?;
    let resolved = resolve(work, &row, &payload)?;
    if matches!(resolved, Resolved::Gone) {
        work.tables.outbox_remove(id)?;
    }
    Ok(Some((row, payload, resolved)))
}

/// Binds a row to the room that is its conversation's now.
fn resolve(work: &mut Work<'_>, row: &OutboxRow, payload: &Payload) -> Result<Resolved, Fault> {
    if let Payload::Direct(action) = payload {
        return Ok(Resolved::Do(action.clone()));
    }
    if let Payload::Tell { user, text } = payload {
        let role = RoomRole::Management(user.clone());
        let Some(room) = work.tables.room_by_role(&role)? else {
            let room = management_room(work, user);
            return Ok(Resolved::First(
                Action::CreateRoom(room),
                Prepares::Management(user.clone()),
            ));
        };
        let text = text.clone();
        let post = Post {
            room,
            sender: Sender::Bot,
            text,
            replaces: None,
            in_reply_to: None,
            sent_at: None,
        };
        return Ok(Resolved::Do(Action::Post(post)));
    }
    let Lane::Conversation(id) = &row.lane else {
        return Ok(Resolved::Gone);
    };
    let Some(conversation) = work.tables.conversation(*id)? else {
        return Ok(Resolved::Gone);
    };
    // A conversation whose line is not configured any more: the row waits in vain, so it goes.
    let Some(talk) = work.talk(conversation)? else {
        return Ok(Resolved::Gone);
    };
    let network = work.site.network_of(&talk.line);
    if let Payload::Leave { room, generation } = payload {
        let mut left = talk.clone();
        left.conversation.generation = *generation;
        let alias = Some(left.alias(work.keys));
        return Ok(Resolved::Do(Action::Leave {
            room: room.clone(),
            ghost: Some(talk.ghost(&network)),
            alias,
        }));
    }
    let Some(room) = talk.conversation.room.clone() else {
        return match payload {
            Payload::Open | Payload::Say(_) => make_room(work, &talk),
            // States and marks belong to events of a room that is gone.
            _ => Ok(Resolved::Gone),
        };
    };
    Ok(match payload {
        Payload::Open
        | Payload::Direct(_)
        | Payload::Tell { .. }
        | Payload::Leave { .. }
        | Payload::Send(_) => Resolved::Gone,
        Payload::Say(say) => Resolved::Do(Action::Post(post(work, &talk, &network, room, say)?)),
        Payload::Status(status) => Resolved::Do(Action::Status(SendStatus {
            room,
            event: status.event.clone(),
            state: status.state,
            message: status.message.clone(),
            reason: status.reason.clone(),
            retriable: status.retriable,
            delivered_to: matches!(
                status.state,
                swingbridge_domain::delivery::State::Delivered | swingbridge_domain::delivery::State::Read
            )
            .then(|| talk.ghost(&network)),
            network,
        })),
        Payload::MarkRead(event) => Resolved::Do(Action::MarkRead {
            room,
            event: event.clone(),
        }),
        Payload::Invite(users) => Resolved::Do(Action::Invite {
            room,
            users: users.clone(),
        }),
        Payload::Describe => Resolved::Do(Action::Describe {
            room,
            about: about(work, &talk, &network),
            ghost: Some(talk.ghost(&network)),
        }),
        Payload::Announce { inbox } => {
            let plain = words::announce(&talk.shown(), &talk.line.name, &room);
            let text = swingbridge_domain::message::Text {
                plain,
                html: None,
                tone: swingbridge_domain::message::Tone::Notice,
            };
            let room = inbox.clone();
            Resolved::Do(Action::Post(Post {
                room,
                sender: Sender::Bot,
                text,
                replaces: None,
                in_reply_to: None,
                sent_at: None,
            }))
        }
    })
}

fn post(
    work: &mut Work<'_>,
    talk: &Talk,
    network: &str,
    room: RoomId,
    say: &Say,
) -> Result<Post, StoreError> {
    let replaces = match say.replaces {
        Some(message) => work.tables.message(message)?.and_then(|record| record.event),
        None => None,
    };
    Ok(Post {
        room,
        sender: match say.by {
            Speaker::Bot => Sender::Bot,
            Speaker::Contact => Sender::Ghost(talk.ghost(network)),
        },
        text: say.text.clone(),
        replaces,
        in_reply_to: say.in_reply_to.clone(),
        sent_at: say.sent_at,
    })
}

fn about(work: &Work<'_>, talk: &Talk, network: &str) -> About {
    let shown = talk.shown();
    About {
        name: shown.clone(),
        topic: Some(format!(
            "{} with {shown} on {}",
            network.to_uppercase(),
            talk.line.name
        )),
        bridge: Some(BridgeInfo {
            protocol: network.to_owned(),
            protocol_name: network.to_uppercase(),
            line: talk.line.id.clone(),
            line_name: talk.line.name.clone(),
            channel: talk.alias(work.keys),
            channel_name: shown,
        }),
        writable: talk.address.can_reply(),
    }
}

fn make_room(work: &mut Work<'_>, talk: &Talk) -> Result<Resolved, Fault> {
    let line = &talk.line;
    let people = people(work, talk)?;
    let Some(space) = work.tables.room_by_role(&RoomRole::Space(line.id.clone()))? else {
        let room = NewRoom {
            alias: work.keys.pseudonym("space", line.id.as_str()),
            kind: RoomKind::Space,
            about: About {
                name: line.name.clone(),
                topic: None,
                bridge: None,
                writable: false,
            },
            ghost: None,
            invite: people,
            space: None,
        };
        return Ok(Resolved::First(
            Action::CreateRoom(room),
            Prepares::Space(line.id.clone()),
        ));
    };
    let network = work.site.network_of(line);
    let private = people.len() <= 1 && line.access.inbox.is_none();
    let room = NewRoom {
        alias: talk.alias(work.keys),
        kind: if private {
            RoomKind::Direct
        } else {
            RoomKind::Group
        },
        about: about(work, talk, &network),
        ghost: Some(talk.ghost(&network)),
        invite: people,
        space: Some(space),
    };
    Ok(Resolved::First(
        Action::CreateRoom(room),
        Prepares::Conversation(talk.conversation.id),
    ))
}

fn people(work: &mut Work<'_>, talk: &Talk) -> Result<Vec<UserId>, StoreError> {
    let mut state = crate::state::State::default();
    if let Some(inbox) = &talk.line.access.inbox {
        state
            .inbox_members
            .insert(inbox.clone(), work.tables.members(inbox)?);
    }
    let scene = crate::step::Scene {
        site: work.site,
        state: &state,
        now: work.now,
    };
    Ok(scene.people(&talk.line))
}

fn management_room(work: &Work<'_>, user: &UserId) -> NewRoom {
    NewRoom {
        alias: work.keys.pseudonym("management", user.as_str()),
        kind: RoomKind::Management,
        about: About {
            name: "Swingbridge".to_owned(),
            topic: None,
            bridge: None,
            writable: true,
        },
        ghost: None,
        invite: vec![user.clone()],
        space: None,
    }
}

// To the networks

/// What is to be sent, once its row is marked as being sent.
enum Departure {
    Ready {
        row: OutboxRow,
        event: EventId,
        outbound: Box<Outbound>,
    },
    /// A quote must be fetched first.
    Quote {
        id: OutboxId,
        room: Option<RoomId>,
        quoted: EventId,
    },
}

/// Sends rows by a connector until `shutdown`, `at_once` messages at a time.
pub(crate) async fn to_network(
    kernel: Arc<Kernel>,
    connector: Arc<dyn Connector>,
    at_once: usize,
    shutdown: Shutdown,
) {
    let target = Target::Connector(connector.id().clone());
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

/// `quote` is the text to be quoted, once it was asked for; empty when there is none to be had.
fn depart_one(work: &mut Work<'_>, id: OutboxId, quote: Option<&str>) -> Result<Option<Departure>, Fault> {
    let Some(row) = work.tables.outbox(id)? else {
        return Ok(None);
    };
    if row.expires_at.is_some_and(|end| end <= work.now) {
        work.happen(Event::Expired { row })?;
        return Ok(None);
    }
    let Payload::Send(send) = work.open(seal::OUTBOX, &row.sealed)? else {
        return Ok(None);
    };
    let Send {
        mut outbound,
        event,
        quote: quoted,
        writer: by,
    } = send;
    if let (Some(quoted), None) = (&quoted, quote) {
        let room = match &row.lane {
            Lane::Conversation(id) => work
                .tables
                .conversation(*id)?
                .and_then(|conversation| conversation.room),
            _ => None,
        };
        return Ok(Some(Departure::Quote {
            id,
            room,
            quoted: quoted.clone(),
        }));
    }
    if let Some(text) = quote.filter(|text| !text.is_empty()) {
        outbound.message = render::quoted(outbound.message, text);
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

async fn send(kernel: &Arc<Kernel>, connector: &dyn Connector, departure: Departure) {
    let departure = match departure {
        Departure::Quote { id, room, quoted } => {
            let text = match room {
                Some(room) => kernel.text_of(&room, &quoted).await.unwrap_or_default(),
                None => String::new(),
            };
            match kernel
                .transact(move |work| depart_one(work, id, Some(&text)))
                .await
            {
                Ok(Some(departure)) => departure,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "a text cannot be taken from the queue; it waits for the next start");
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
    let lacks_media = connector.capabilities().media == Support::Absent;
    let mut answer = None;
    if let (true, Some(Body::Media(media))) =
        (lacks_media, outbound.message.parts.first().map(|part| &part.body))
    {
        match kernel.link(media) {
            Some(link) => outbound.message = render::linked(media, &link),
            None => answer = Some(Err(no_links())),
        }
    }
    let answer = match answer {
        Some(answer) => answer,
        None => connector.send(*outbound).await,
    };
    if answer.is_ok() {
        metrics::histogram!("swingbridge_queue_seconds", "direction" => queue_seconds(&row))
            .record(kernel.clock.now().since(row.created_at).as_secs_f64());
    }
    // What the network said must be kept, however long the store takes: without it the text would be in doubt.
    let mut wait = Duration::from_millis(100);
    loop {
        let event = Event::Answered {
            row: row.clone(),
            event: event.clone(),
            answer: answer.clone(),
        };
        match kernel.happen(event).await {
            Ok(()) => return,
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::error!(%error, row = %row.id, "the network's answer cannot be kept; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
        }
    }
}

fn no_links() -> SendError {
    SendError::Rejected {
        reason: swingbridge_domain::delivery::Reason::BadContent,
        detail: "links to media are turned off".to_owned(),
    }
}
