//! Keeps one bind up: connects, carries the session, waits, and connects again, until the program stops.

use super::account::{Account, Bind};
use super::connect::{AttemptError, attempt};
use super::inbound;
use super::session::{End, Opened};
use super::throttle::Backoff;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::Link;
use swingbridge_domain::id::SessionId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_wire::smpp::CommandStatus;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Deliveries that may wait for the inbox on one bind; beyond it the SMSC is told to come again later.
const DELIVERIES: usize = 1024;
/// How long deliveries, and submits still in flight, are waited for when the program stops.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the inbox may take for the last deliveries when the program stops.
const LAST: Duration = Duration::from_secs(2);

/// Keeps the bind at `at` up until `stop`.
pub async fn keep(account: Arc<Account>, at: usize, inbox: Arc<dyn Inbox>, stop: CancellationToken) {
    let bind = &account.binds[at];
    let timing = account.config.timing;
    let gauge = account.meters.bind_up(bind.number);
    gauge.set(0.0);
    let mut waits = Waits {
        lost: Backoff::new(timing.first_wait, timing.longest_wait),
        refused: Backoff::new(timing.refused_wait, timing.refused_wait * 10),
        bound: timing.longest_wait / 4,
    };
    while !stop.is_cancelled() {
        let attempted = tokio::select! {
            attempted = attempt(&account, bind.role) => attempted,
            () = stop.cancelled() => break,
        };
        let wait = match attempted {
            Ok(opened) => {
                gauge.set(1.0);
                let (began, session) = (Instant::now(), opened.session.clone());
                let end = carry(&account, bind, opened, &inbox, &stop).await;
                gauge.set(0.0);
                waits.refused.reset();
                // One that ends at once, and was of no use, counts as a failed attempt.
                if session.was_of_use() || began.elapsed() >= timing.longest_wait {
                    waits.lost.reset();
                }
                let wait = waits.lost.next(account.jitter());
                bind.down(Link::Disconnected, end.to_string(), wait);
                tracing::info!(connector = %account.id, bind = bind.number, cause = %end, ?wait, "the bind is down");
                wait
            }
            Err(error) => {
                let link = if error.lasts() {
                    Link::Refused
                } else {
                    Link::Disconnected
                };
                let wait = waits.after(&error, account.jitter());
                let cure = error.cure();
                bind.down(link, format!("{error}; {cure}"), wait);
                tracing::warn!(connector = %account.id, bind = bind.number, %error, cure, ?wait, "no bind");
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

struct Waits {
    lost: Backoff,
    refused: Backoff,
    /// For the SMSC to notice that an earlier connection is gone.
    bound: Duration,
}

impl Waits {
    fn after(&mut self, error: &AttemptError, jitter: f64) -> Duration {
        match error.refusal() {
            Some(CommandStatus::RALYBND) => self.bound.mul_f64(0.75 + jitter / 2.0),
            _ if error.lasts() => self.refused.next(jitter),
            _ => self.lost.next(jitter),
        }
    }
}

async fn carry(
    account: &Arc<Account>,
    bind: &Bind,
    opened: Opened,
    inbox: &Arc<dyn Inbox>,
    stop: &CancellationToken,
) -> End {
    let Opened {
        session, io, version, ..
    } = opened;
    let version = version.map_or("version not told".to_owned(), |v| {
        format!("version {}.{}", v >> 4, v & 15)
    });
    tracing::info!(connector = %account.id, bind = bind.number, %version, "bound");
    bind.up(session.clone(), format!("bound, {version}"));

    let (sender, deliveries) = mpsc::channel(DELIVERIES);
    let id = session_id(account);
    let carrying = inbound::carry(account.clone(), session.clone(), id, deliveries, inbox.clone());
    // The last commits may outlive the session, but not the program's patience.
    let carrying = async {
        tokio::pin!(carrying);
        tokio::select! {
            () = &mut carrying => return,
            () = async { stop.cancelled().await; session.ended().await } => {}
        }
        let _ = timeout(LAST, carrying).await;
    };
    let stopping = async {
        tokio::select! {
            () = stop.cancelled() => session.unbind(DRAIN).await,
            () = session.ended() => {}
        }
    };
    tokio::join!(session.run(io, sender), carrying, stopping).0
}

fn session_id(account: &Account) -> SessionId {
    let mut octets = [0; 8];
    account.entropy.fill(&mut octets);
    SessionId(i64::from_be_bytes(octets) & i64::MAX)
}
