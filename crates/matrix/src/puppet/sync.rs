//! How the homeserver is asked for news, how long, and what happens when it does not answer.

use super::{Puppet, RunError, failure, quiet};
use crate::failure::Failure;
use futures_util::FutureExt;
use matrix_sdk::config::{SyncSettings, SyncToken};
use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::store::StateStoreDataKey;
use matrix_sdk::sync::{JoinedRoomUpdate, LeftRoomUpdate, SyncResponse};
use matrix_sdk::{Client, Error};
use ruma::api::client::filter::{Filter as Nothing, FilterDefinition, LazyLoadOptions, RoomEventFilter};
use ruma::api::client::sync::sync_events::{self, v3::Filter};
use ruma::api::error::ErrorKind;
use ruma::presence::PresenceState;
use ruma::serde::Raw;
use ruma::{RoomId as MatrixRoomId, UInt};
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError};

/// How long the homeserver may hold a request that it has no news for.
pub(super) const POLL: Duration = Duration::from_secs(30);
/// The longest pause after something went wrong.
const PAUSE: Duration = Duration::from_secs(60);

impl Puppet {
    /// Asks for what happened since `token`, however often that was asked before.
    pub(super) async fn sync(&self, token: Option<&str>, poll: Duration) -> Result<SyncResponse, Failure> {
        // The first answer is only a place to go on from.
        let mut poll = token.map_or(Duration::ZERO, |_| poll);
        loop {
            let seen = self.seen_by_the_client().await?;
            if seen.is_none() && token.is_some() {
                // A new session, whose store has never heard of the rooms that the place is in.
                sync_keys(&self.client, Duration::ZERO).await?;
                continue;
            }
            let place = token.map_or(SyncToken::NoToken, SyncToken::from);
            let answer = sync_by(&self.client, place, poll, self.filter()).await?;
            let again = seen.as_deref() == Some(&*answer.next_batch) && token != seen.as_deref();
            if !again {
                return Ok(answer);
            }
            // The client has had this answer before, and shows nothing of it a second time: its keys and states are in the stores, and
            // what was said in it may not be committed.
            let raw = self.ask_again(token).await?;
            if raw.next_batch == answer.next_batch {
                return self.opened(raw).await;
            }
            // There is news by now, which the client must have first. Synapse answers the same question from memory for two minutes: another
            // one is asked, or the client would get the old answer until then.
            poll = poll.saturating_sub(Duration::from_millis(1));
        }
    }

    fn filter(&self) -> FilterDefinition {
        let mut filter = FilterDefinition::empty();
        filter.presence = Nothing::ignore_all();
        // Homeservers give ten by themselves, and the rest would have to be asked for.
        filter.room.timeline.limit = Some(UInt::from(self.config.sync_limit));
        filter
    }

    /// Up to where the client's own store has read.
    async fn seen_by_the_client(&self) -> Result<Option<String>, Failure> {
        let read = self
            .client
            .state_store()
            .get_kv_data(StateStoreDataKey::SyncToken);
        let read = read
            .await
            .map_err(|error| Failure::away(format!("the client's store: {error}")))?;
        Ok(read.and_then(|value| value.into_sync_token()))
    }

    async fn ask_again(&self, token: Option<&str>) -> Result<sync_events::v3::Response, Failure> {
        let mut request = sync_events::v3::Request::new();
        request.since = token.map(str::to_owned);
        request.filter = Some(Filter::FilterDefinition(self.filter()));
        request.set_presence = PresenceState::Offline;
        self.client.send(request).await.map_err(failure::http)
    }

    /// An answer as the client would have shown it.
    async fn opened(&self, raw: sync_events::v3::Response) -> Result<SyncResponse, Failure> {
        let mut answer = SyncResponse {
            next_batch: raw.next_batch,
            ..SyncResponse::default()
        };
        for (room, update) in raw.rooms.join {
            let joined = JoinedRoomUpdate {
                timeline: self.open_timeline(&room, update.timeline).await?,
                ephemeral: update.ephemeral.events,
                ..JoinedRoomUpdate::default()
            };
            answer.rooms.joined.insert(room, joined);
        }
        for (room, update) in raw.rooms.leave {
            let left = LeftRoomUpdate {
                timeline: self.open_timeline(&room, update.timeline).await?,
                ..LeftRoomUpdate::default()
            };
            answer.rooms.left.insert(room, left);
        }
        answer.rooms.invited = raw.rooms.invite;
        Ok(answer)
    }

    async fn open_timeline(
        &self,
        room: &MatrixRoomId,
        raw: sync_events::v3::Timeline,
    ) -> Result<matrix_sdk::sync::Timeline, Failure> {
        let mut timeline = matrix_sdk::sync::Timeline {
            limited: raw.limited,
            prev_batch: raw.prev_batch,
            ..matrix_sdk::sync::Timeline::default()
        };
        let handle = self.client.get_room(room);
        for event in raw.events {
            let encrypted =
                matches!(event.get_field::<String>("type"), Ok(Some(kind)) if kind == "m.room.encrypted");
            timeline.events.push(match &handle {
                Some(handle) if encrypted => {
                    let sealed = Raw::from_json(event.into_json());
                    let opened = handle.decrypt_event(&sealed, None).boxed().await;
                    opened.map_err(failure::any)?
                }
                _ => TimelineEvent::from_plaintext(event),
            });
        }
        Ok(timeline)
    }

    /// The owner's second session: its keys must be kept up to date, and what it hears is ours already.
    pub(super) async fn keep_up(&self, client: &Client) -> Result<(), RunError> {
        let mut pause = Pause::default();
        let mut hushed = false;
        loop {
            match sync_keys(client, POLL).await {
                Ok(()) if !hushed => {
                    if let Err(failure) = quiet::hush(client).await {
                        tracing::warn!(%failure, "the owner's clients may ring for pictures of the history");
                    }
                    hushed = true;
                }
                Ok(()) => pause = Pause::default(),
                Err(failure) if failure.is_unknown_token() => {
                    self.double_ended.store(true, Ordering::Relaxed);
                    tracing::error!(
                        "the owner's second session was ended: what they write on the phone is shown as the device's until they log in again"
                    );
                    return std::future::pending().await;
                }
                Err(failure) => pause.after(&failure).await,
            }
        }
    }
}

/// Keeps keys, devices and rooms of a session up to date, whatever anybody says in them. It goes on where its store stopped.
pub(super) async fn sync_keys(client: &Client, poll: Duration) -> Result<(), Failure> {
    let mut filter = FilterDefinition::empty();
    filter.presence = Nothing::ignore_all();
    filter.room.timeline.limit = Some(UInt::from(1u32));
    filter.room.ephemeral = RoomEventFilter::ignore_all();
    filter.room.state.lazy_load_options = LazyLoadOptions::Enabled {
        include_redundant_members: false,
    };
    sync_by(client, SyncToken::ReusePrevious, poll, filter)
        .await
        .map(drop)
}

async fn sync_by(
    client: &Client,
    token: SyncToken,
    poll: Duration,
    filter: FilterDefinition,
) -> Result<SyncResponse, Failure> {
    let settings = SyncSettings::new()
        .token(token)
        .timeout(poll)
        .set_presence(PresenceState::Offline)
        .filter(Filter::FilterDefinition(filter));
    match client.sync_once(settings).boxed().await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(unless_soft(error)),
    }
}

/// A soft logout is told by its own code, since its cure is another one.
fn unless_soft(error: Error) -> Failure {
    let soft = matches!(
        error.client_api_error_kind(),
        Some(ErrorKind::UnknownToken(data)) if data.soft_logout
    );
    match failure::any(error) {
        Failure::Refused { status, code, .. } if soft => Failure::Refused {
            status,
            code,
            detail: SOFT.to_owned(),
        },
        failure => failure,
    }
}

const SOFT: &str = "soft logout";

pub(super) fn logged_out(failure: &Failure) -> RunError {
    RunError::LoggedOut {
        soft: matches!(failure, Failure::Refused { detail, .. } if detail == SOFT),
    }
}

/// Hands in, for as long as it takes. `false`: the program is stopping.
pub(super) async fn deliver(inbox: &dyn Inbox, arrivals: Vec<Arrival>) -> bool {
    if arrivals.is_empty() {
        return true;
    }
    let mut pause = Pause::default();
    loop {
        match inbox.deliver(arrivals.clone()).await {
            Ok(()) => return true,
            Err(InboxError::Closed) => return false,
            Err(InboxError::Unavailable(error)) => pause.after(&Failure::away(error)).await,
        }
    }
}

/// Longer after each failure.
#[derive(Default)]
pub(super) struct Pause(u32);

impl Pause {
    pub async fn after(&mut self, failure: &Failure) {
        let own = Duration::from_millis(500) * 2u32.saturating_pow(self.0.min(7));
        let asked = match failure {
            Failure::Away { delay, .. } => *delay,
            Failure::Refused { .. } => None,
        };
        let pause = asked.unwrap_or(own).min(PAUSE);
        self.0 += 1;
        tracing::warn!(%failure, seconds = pause.as_secs_f32(), "it is tried again");
        tokio::time::sleep(pause).await;
    }
}
