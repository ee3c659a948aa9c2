//! The connector: one account as the rest of the program sees it.

use super::account::{Account, Chosen, Role};
use super::bind;
use super::config::Config;
use super::connect::attempt;
use super::encode::{Submission, submission};
use super::ids;
use super::session::SubmitError;
use super::verdict::{Verdict, verdict};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::Inbox;
use swingbridge_wire::smpp::{CommandStatus, Sm};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a first part waits here for its turn; then the engine is told to come again, so that what has not
/// left stays in the durable queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the later parts of a message are tried whose first part is with the SMSC already.
const PERSISTENCE: Duration = Duration::from_secs(120);
/// `congestion_state` from which we slow down before we are refused.
const CONGESTED: u8 = 90;
/// The wait before another try after an error that may pass.
const TRANSIENT_WAIT: Duration = Duration::from_secs(5);

/// A connector for one SMPP account.
pub struct SmppConnector {
    account: Arc<Account>,
    stopped: CancellationToken,
}

/// What [`SmppConnector::check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the SMSC calls itself; may be empty.
    pub system_id: String,
    /// The version that it says it speaks, such as `0x34`.
    pub version: Option<u8>,
    /// Whether the connection was encrypted.
    pub tls: bool,
}

/// What became of one part.
enum Fate {
    Accepted(Option<NetworkId>),
    NotSent {
        delay: Duration,
        detail: String,
        counts: bool,
    },
    Refused {
        reason: Reason,
        detail: String,
    },
    Unknown {
        detail: String,
    },
}

impl SmppConnector {
    /// A connector that is not connected yet.
    ///
    /// # Errors
    /// The settings cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<SmppConnector, ConnectorError> {
        let failed = |cause: String| ConnectorError {
            connector: id.clone(),
            cause,
            cure: "change the account's settings".to_owned(),
        };
        config.validate().map_err(|error| failed(error.to_string()))?;
        let account =
            Account::new(id.clone(), config, clock, entropy).map_err(|error| failed(error.to_string()))?;
        Ok(SmppConnector {
            account: Arc::new(account),
            stopped: CancellationToken::new(),
        })
    }

    /// Connects, binds and unbinds once, beside the binds that [`Connector::run`] holds: an SMSC that allows no
    /// further bind refuses it.
    ///
    /// # Errors
    /// With the cause, and the cure.
    pub async fn check(&self) -> Result<Checked, ConnectorError> {
        let account = &self.account;
        let role = account.binds.first().map_or(Role::Transceiver, |bind| bind.role);
        let opened = attempt(account, role).await.map_err(|error| ConnectorError {
            connector: account.id.clone(),
            cause: error.to_string(),
            cure: error.cure().to_owned(),
        })?;
        let (sender, _deliveries) = tokio::sync::mpsc::channel(1);
        let session = opened.session.clone();
        tokio::join!(
            session.run(opened.io, sender),
            opened.session.unbind(Duration::ZERO)
        );
        let tls = account.tls.is_some();
        Ok(Checked {
            system_id: opened.system_id,
            version: opened.version,
            tls,
        })
    }

    async fn first(&self, sm: Sm) -> Fate {
        let until = Instant::now() + PATIENCE;
        loop {
            let chosen = match self.account.choose() {
                Ok(chosen) => chosen,
                Err((delay, detail)) => {
                    return Fate::NotSent {
                        delay,
                        detail: detail.to_owned(),
                        counts: false,
                    };
                }
            };
            match self.submit(&chosen, sm.clone(), until).await {
                // The bind went away while this waited for its turn; another may be up.
                Fate::NotSent {
                    delay: Duration::ZERO,
                    ..
                } => {}
                sent => return sent,
            }
        }
    }

    /// Tries until `until`, since an earlier part is with the SMSC already: the message cannot be begun again.
    async fn later(&self, sm: Sm, until: Instant) -> Fate {
        loop {
            let sent = self.first(sm.clone()).await;
            let Fate::NotSent { delay, detail, .. } = sent else {
                return sent;
            };
            let next = Instant::now() + delay;
            if next >= until || self.stopped.is_cancelled() {
                return Fate::Unknown {
                    detail: format!("a part could not be sent: {detail}"),
                };
            }
            tokio::select! {
                () = sleep(delay) => {}
                () = self.stopped.cancelled() => {}
            }
        }
    }

    async fn submit(&self, chosen: &Chosen<'_>, sm: Sm, until: Instant) -> Fate {
        let account = &self.account;
        let not_sent = |delay, detail: &str| Fate::NotSent {
            delay,
            detail: detail.to_owned(),
            counts: false,
        };
        let Ok(slot) = timeout_at(until, chosen.session.slot()).await else {
            return not_sent(account.config.timing.first_wait, "the SMSC answers slowly");
        };
        let Ok(slot) = slot else {
            return not_sent(Duration::ZERO, "the bind ended");
        };
        match account.reserve(until.saturating_duration_since(Instant::now())) {
            Ok(Duration::ZERO) => {}
            Ok(wait) => sleep(wait).await,
            Err(wait) => return not_sent(wait, "the account's rate is used up"),
        }
        if let Some(left) = chosen.bind.paused() {
            return not_sent(left, "the SMSC asks for fewer messages");
        }
        let answer = match slot.submit(sm) {
            Ok(ticket) => ticket.answer().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let congested = answer.congestion.is_some_and(|state| state >= CONGESTED);
                self.judge(chosen, answer.status, &answer.message_id.text(), congested)
            }
            Err(SubmitError::NotSent(end)) => {
                account.meters.submitted("not_sent");
                not_sent(account.config.timing.first_wait, &end.to_string())
            }
            Err(SubmitError::Invalid(error)) => {
                account.meters.submitted("refused");
                Fate::Refused {
                    reason: Reason::BadContent,
                    detail: error.to_string(),
                }
            }
            Err(error @ (SubmitError::Lost(_) | SubmitError::TimedOut)) => {
                account.meters.submitted("unknown");
                Fate::Unknown {
                    detail: error.to_string(),
                }
            }
        }
    }

    fn judge(&self, chosen: &Chosen<'_>, status: CommandStatus, id: &str, congested: bool) -> Fate {
        let account = &self.account;
        if congested {
            account.throttled(chosen.bind);
        }
        let detail = || format!("{} {status}", status.sentence());
        match verdict(status, &account.config.transient_codes) {
            Verdict::Accepted => {
                account.meters.submitted("accepted");
                account.traffic();
                chosen.bind.took();
                Fate::Accepted(ids::normal(id, account.config.message_ids.submitted))
            }
            Verdict::Throttled => {
                account.meters.submitted("throttled");
                account.throttled(chosen.bind);
                let delay = chosen.bind.paused().unwrap_or(account.config.timing.first_wait);
                Fate::NotSent {
                    delay,
                    detail: detail(),
                    counts: false,
                }
            }
            Verdict::NotBound => {
                account.meters.submitted("not_bound");
                Fate::NotSent {
                    delay: TRANSIENT_WAIT,
                    detail: detail(),
                    counts: true,
                }
            }
            Verdict::Transient => {
                account.meters.submitted("transient");
                Fate::NotSent {
                    delay: TRANSIENT_WAIT,
                    detail: detail(),
                    counts: true,
                }
            }
            Verdict::Refused(reason) => {
                account.meters.submitted("refused");
                Fate::Refused {
                    reason,
                    detail: detail(),
                }
            }
        }
    }
}

#[async_trait]
impl Connector for SmppConnector {
    fn id(&self) -> &ConnectorId {
        &self.account.id
    }

    fn capabilities(&self) -> Capabilities {
        let receipts = if self.account.config.receipts {
            Support::Full
        } else {
            Support::Absent
        };
        Capabilities {
            networks: vec!["sms".to_owned()],
            delivery_receipts: receipts,
            at_once: Some(self.account.at_once()),
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let config = &self.account.config;
        if config.tls.is_none() && !is_local(&config.host) {
            tracing::warn!(connector = %self.account.id, "no TLS: the password and all texts travel in clear");
        }
        let mut binds = JoinSet::new();
        for at in 0..self.account.binds.len() {
            binds.spawn(bind::keep(
                self.account.clone(),
                at,
                inbox.clone(),
                self.stopped.clone(),
            ));
        }
        shutdown.requested().await;
        self.stopped.cancel();
        while let Some(ended) = binds.join_next().await {
            if let Err(error) = ended {
                tracing::error!(connector = %self.account.id, %error, "a bind's task failed");
            }
        }
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let account = &self.account;
        let now = account.clock.now();
        let Submission {
            parts,
            segments,
            encoding,
        } = submission(&outbound, &account.config, &account.references, now)?;
        let total = parts.len();
        let mut parts = parts.into_iter();
        let mut network_ids = Vec::with_capacity(total);

        // The first part goes alone: when it is refused or throttled, nothing of the message is out yet.
        let Some(first) = parts.next() else {
            return Ok(Accepted::default());
        };
        match self.first(first).await {
            Fate::Accepted(id) => network_ids.extend(id),
            Fate::NotSent {
                delay,
                detail,
                counts,
            } => {
                return Err(SendError::RetryAfter {
                    delay,
                    detail,
                    counts,
                });
            }
            Fate::Refused { reason, detail } => return Err(SendError::Rejected { reason, detail }),
            Fate::Unknown { detail } => return Err(SendError::Unknown { detail }),
        }
        let until = Instant::now() + persistence(outbound.expires_at, now);
        let mut failed = None;
        for (at, sent) in join_all(parts.map(|part| self.later(part, until)))
            .await
            .into_iter()
            .enumerate()
        {
            let words = |detail: String| format!("part {} of {total}: {detail}", at + 2);
            match sent {
                Fate::Accepted(id) => network_ids.extend(id),
                Fate::Refused { reason, detail } => {
                    failed.get_or_insert(SendError::Rejected {
                        reason,
                        detail: words(detail),
                    });
                }
                Fate::NotSent { detail, .. } | Fate::Unknown { detail } => {
                    // Not knowing outweighs a refusal: it forbids sending again.
                    failed = Some(SendError::Unknown {
                        detail: words(detail),
                    });
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Accepted {
                network_ids,
                segments,
                encoding: encoding.to_owned(),
            }),
        }
    }

    async fn probe(&self) -> Health {
        let binds = &self.account.binds;
        let all: Vec<_> = binds.iter().map(|bind| bind.health()).collect();
        let worst = all.iter().find(|(link, _)| *link != Link::Connected);
        let up = |role: Role| {
            binds.iter().zip(&all).any(|(bind, (link, _))| {
                (bind.role == role || bind.role == Role::Transceiver)
                    && matches!(link, Link::Connected | Link::Degraded)
            })
        };
        let state = match worst {
            None => Link::Connected,
            Some(_) if up(Role::Transmitter) && up(Role::Receiver) => Link::Degraded,
            Some(_) if all.iter().any(|(link, _)| *link == Link::Refused) => Link::Refused,
            Some(_) => Link::Disconnected,
        };
        let detail = worst
            .or(all.first())
            .map(|(_, detail)| detail.clone())
            .unwrap_or_default();
        Health {
            state,
            detail,
            last_traffic: self.account.last_traffic(),
        }
    }
}

fn persistence(expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    expires_at.map_or(PERSISTENCE, |at| at.since(now).min(PERSISTENCE))
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
