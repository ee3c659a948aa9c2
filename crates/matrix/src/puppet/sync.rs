//! How the homeserver is asked for news, how long, and what happens when it does not answer.

use super::{Puppet, RunError, failure};
use crate::failure::Failure;
use matrix_sdk::config::{SyncSettings, SyncToken};
use matrix_sdk::sync::SyncResponse;
use matrix_sdk::{Client, Error};
use ruma::UInt;
use ruma::api::client::filter::{Filter as Nothing, FilterDefinition, LazyLoadOptions, RoomEventFilter};
use ruma::api::client::sync::sync_events::v3::Filter;
use ruma::api::error::ErrorKind;
use ruma::presence::PresenceState;
use std::time::Duration;
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError};

/// How long the homeserver may hold a request that it has no news for.
pub(super) const POLL: Duration = Duration::from_secs(30);
/// The longest pause after something went wrong.
const PAUSE: Duration = Duration::from_secs(60);

impl Puppet {
    /// Asks for what happened since `token`.
    pub(super) async fn sync(&self, token: Option<&str>, poll: Duration) -> Result<SyncResponse, Failure> {
        // The first answer is only a place to go on from.
        let (token, poll) = match token {
            Some(token) => (SyncToken::from(token), poll),
            None => (SyncToken::NoToken, Duration::ZERO),
        };
        let mut filter = FilterDefinition::empty();
        filter.presence = Nothing::ignore_all();
        // Homeservers give ten by themselves, and the rest would have to be asked for.
        filter.room.timeline.limit = Some(UInt::from(self.config.sync_limit));
        sync_by(&self.client, token, poll, filter).await
    }

    /// The owner's second session: its keys must be kept up to date, and what it hears is ours already.
    pub(super) async fn keep_up(&self, client: &Client) -> Result<(), RunError> {
        let mut pause = Pause::default();
        loop {
            match sync_keys(client, POLL).await {
                Ok(()) => pause = Pause::default(),
                Err(failure) if failure.is_unknown_token() => {
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
    match client.sync_once(settings).await {
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
