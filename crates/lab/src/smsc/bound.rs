//! The table of bound sessions: what the rest of the carrier sees of a connection.

use bytes::Bytes;
use serde::Serialize;
use swingbridge_wire::smpp::MAX_SEQUENCE;
use tokio::sync::mpsc::UnboundedSender;

/// How an account has bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Transmitter,
    Receiver,
    Transceiver,
}

impl Kind {
    /// Whether deliveries may be sent to it.
    #[must_use]
    pub fn receives(self) -> bool {
        self != Kind::Transmitter
    }

    pub(super) fn submits(self) -> bool {
        self != Kind::Receiver
    }
}

/// A bound session.
pub(super) struct Bound {
    pub system_id: String,
    pub kind: Kind,
    /// How many `deliver_sm` it has not answered.
    pub unanswered: usize,
    pub sequence: u32,
    pub out: UnboundedSender<Outgoing>,
}

impl Bound {
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence == MAX_SEQUENCE {
            1
        } else {
            self.sequence + 1
        };
        self.sequence
    }

    /// Hands something to the writer. Where the connection has just ended, the session's end sees to the rest.
    pub fn out(&self, outgoing: Outgoing) {
        let _ = self.out.send(outgoing);
    }
}

/// What the writer is to do.
pub(super) enum Outgoing {
    Bytes(Bytes),
    Close,
}
