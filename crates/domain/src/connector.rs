//! The port of a phone network. One conformance suite runs against every connector.

use crate::address::Address;
use crate::capability::Capabilities;
use crate::clock::Timestamp;
use crate::delivery::Reason;
use crate::id::{ConnectorId, LineId, MessageId, NetworkId};
use crate::inbox::Inbox;
use crate::message::Message;
use crate::path::Leg;
use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Code that speaks to one network service.
#[async_trait]
pub trait Connector: Send + Sync {
    fn id(&self) -> &ConnectorId;

    fn capabilities(&self) -> Capabilities;

    /// Keeps the service connected and hands in what it receives, until `shutdown`. Called once. Reconnects by
    /// itself; returns an error only when a person must act before another try can help. On shutdown it answers what
    /// is committed, waits for the sends in flight a few seconds, unbinds and returns.
    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError>;

    /// Sends one message and waits for the network's answer. May be called concurrently and before the service is
    /// connected (it then answers `RetryAfter`). Must not retry what may have left.
    ///
    /// # Errors
    /// See [`SendError`]; each variant says whether the caller may send again.
    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError>;

    /// Passes on what is worth something only now. Nothing waits for it and nothing of it is kept: a connector whose
    /// [`Capabilities`] have it absent is not called, and one that cannot do it now does nothing.
    async fn signal(&self, _signal: Signal) {}

    /// Takes back a message that the network accepted and that has not reached the phone. Called only where
    /// [`Capabilities::revokes`] says so. May be repeated.
    ///
    /// # Errors
    /// [`SendError`]: what became of the message is not known. [`SendError::RetryAfter`]: ask again.
    async fn revoke(&self, _revocation: Revocation) -> Result<Revoked, SendError> {
        Ok(Revoked::Impossible)
    }

    /// Asks the network which of `addresses` the service reaches now, each in its place. What was asked a short while ago may be
    /// answered from memory.
    async fn reach(&self, _line: &LineId, addresses: &[Address]) -> Vec<Reach> {
        vec![Reach::Unknown; addresses.len()]
    }

    /// How it is, from real traffic where there is any.
    async fn probe(&self) -> Health;
}

/// A message to a phone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outbound {
    pub id: MessageId,
    /// Names this message for good, also after a new database: the same when the same is sent again. 24 letters and digits of base 32.
    #[serde(default)]
    pub key: String,
    pub line: LineId,
    /// The line's own address.
    pub from: Address,
    pub to: Vec<Address>,
    /// Rendered by the engine to what [`Capabilities`] allow.
    pub message: Message,
    /// The phone must not get it after this moment; the connector gives it to the network as validity period.
    pub expires_at: Option<Timestamp>,
}

/// A message to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub line: LineId,
    pub to: Address,
    /// [`Outbound::key`].
    pub key: String,
    /// What the network called it when it accepted it.
    pub network_ids: Vec<NetworkId>,
}

/// What became of a message that was to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// The phone will not have it.
    Withdrawn,
    /// The phone has it already.
    TooLate,
    /// The phone has a part of it already, and will not have the rest.
    InPart,
    /// The network can not do this: the phone may have it, now or later.
    Impossible,
}

/// Whether a service reaches an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Yes,
    No,
    #[default]
    Unknown,
}

/// What is worth something only now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    pub line: LineId,
    /// With whom.
    pub to: Address,
    pub kind: SignalKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// The user has read up to this message of the contact's; `None`: all there is.
    Read { up_to: Option<NetworkId> },
    /// The user is writing, or no longer.
    Typing(bool),
}

/// The network took the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The network's ids, one for each part, in order; normalised by the account's rule. Empty when it gives none.
    pub network_ids: Vec<NetworkId>,
    /// How many parts it cost.
    pub segments: u16,
    /// What it was encoded in (`GSM 03.38`, `UTF-16`).
    pub encoding: String,
    /// The legs from the contact's phone to us, where this message took other ones than [`Capabilities::way`] says.
    #[serde(default)]
    pub way: Vec<Leg>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The network or the connector refused it for good. Sending the same again would fail again.
    #[error("refused: {detail}")]
    Rejected {
        reason: Reason,
        /// In words for the sender; no addresses, no text of the message.
        detail: String,
    },
    /// It certainly did not leave. Safe to send again after `delay`.
    #[error("not now, try again after {delay:?}: {detail}")]
    RetryAfter {
        delay: Duration,
        detail: String,
        /// Whether this counts as a try; throttling and a lost connection do not.
        counts: bool,
    },
    /// It may or may not have left. Never send it again by itself.
    #[error("the network did not answer: {detail}")]
    Unknown { detail: String },
}

/// A connector gave up; a person must act.
#[derive(Debug, thiserror::Error)]
#[error("connector {connector}: {cause}; {cure}")]
pub struct ConnectorError {
    pub connector: ConnectorId,
    pub cause: String,
    /// What the operator can do.
    pub cure: String,
}

/// How a connector is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub state: Link,
    /// In words: what is wrong and what it waits for. No addresses.
    pub detail: String,
    /// When the service last carried a message or receipt, not a ping.
    pub last_traffic: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    Connected,
    /// Some of the binds are down, or the network slows us.
    Degraded,
    Disconnected,
    /// The network refuses the account.
    Refused,
}

/// Tells a long-running task that the program is stopping.
#[derive(Clone)]
pub struct Shutdown(Shared<BoxFuture<'static, ()>>);

impl Shutdown {
    /// Requested once `signal` completes.
    pub fn when(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(signal.boxed().shared())
    }

    /// Never requested.
    pub fn never() -> Self {
        Self::when(std::future::pending())
    }

    /// Completes when the program is stopping; at once when it already is.
    pub async fn requested(&self) {
        self.0.clone().await;
    }

    pub fn is_requested(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }
}
