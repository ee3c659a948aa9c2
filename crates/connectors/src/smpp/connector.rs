//! The connector: one account as the rest of the program sees it.

use super::account::{Account, Role};
use super::bind;
use super::config::Config;
use super::connect::attempt;
use super::encode::{Submission, submission};
use super::submit::Fate;
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
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the later parts of a message are tried whose first part is with the SMSC already.
const PERSISTENCE: Duration = Duration::from_secs(120);
/// How long sends that have begun are waited for when the program stops, before the binds are ended.
const LAST_SENDS: Duration = Duration::from_secs(4);

/// A connector for one SMPP account.
pub struct SmppConnector {
    account: Arc<Account>,
    /// No message is begun any more.
    stopping: CancellationToken,
    /// The binds end.
    stopped: CancellationToken,
    sends: TaskTracker,
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
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            sends: TaskTracker::new(),
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
}

#[async_trait]
impl crate::check::Check for SmppConnector {
    async fn check(&self) -> Result<String, ConnectorError> {
        let checked = SmppConnector::check(self).await?;
        let version = match checked.version {
            Some(version) => format!("{}.{}", version >> 4, version & 15),
            None => "3.4 or older".to_owned(),
        };
        let tls = if checked.tls { "with TLS" } else { "in clear" };
        Ok(match checked.system_id.is_empty() {
            true => format!("SMPP {version}, {tls}"),
            false => format!(
                "SMPP {version}, {tls}, the SMSC calls itself {:?}",
                checked.system_id
            ),
        })
    }
}

/// SMS has no encryption between phones and carriers that hides a text from them; to our carrier there may be TLS, of which we
/// hold one end.
fn way(tls: bool) -> Vec<Leg> {
    let session = if tls {
        Protection::Transport
    } else {
        Protection::None
    };
    vec![
        Leg::new(
            Place::Phone,
            Place::Carrier,
            Protection::None,
            Evidence::NetworkCannot,
        ),
        Leg::new(Place::Carrier, Place::Gateway, session, Evidence::OurOwnEnd),
    ]
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
            way: way(self.account.tls.is_some()),
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
        self.stopping.cancel();
        self.sends.close();
        // The rest of a message whose first part is out would be lost with its bind.
        let _ = timeout(LAST_SENDS, self.sends.wait()).await;
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
        let _sending = self.sends.token();
        if self.stopping.is_cancelled() {
            return Err(SendError::RetryAfter {
                delay: account.config.timing.first_wait,
                detail: "the program is stopping".to_owned(),
                counts: false,
            });
        }
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
        match account.first(first).await {
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
        for (at, sent) in join_all(parts.map(|part| account.later(part, until, &self.stopped)))
            .await
            .into_iter()
            .enumerate()
        {
            let words = |detail: String| format!("part {} of {total}: {detail}", at + 2);
            match sent {
                Fate::Accepted(id) => network_ids.extend(id),
                Fate::Refused { detail, .. } => {
                    // The first part is with the SMSC: by another way the phone would get that twice.
                    failed.get_or_insert(SendError::Rejected {
                        reason: Reason::InPart,
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
                way: Vec::new(),
            }),
        }
    }

    async fn probe(&self) -> Health {
        let all: Vec<_> = self.account.binds.iter().map(|bind| bind.health()).collect();
        let any = |wanted: Link| all.iter().any(|(link, _)| *link == wanted);
        let worst = all.iter().find(|(link, _)| *link != Link::Connected);
        let state = match worst {
            None => Link::Connected,
            Some(_) if any(Link::Connected) || any(Link::Degraded) => Link::Degraded,
            Some(_) if any(Link::Refused) => Link::Refused,
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
