//! SMPP 3.4 and 5.0 protocol data units: bytes to structs and back, for either side of a session.
//!
//! Three steps, each usable alone: [`Framer`] cuts a byte stream into frames, [`decode`] turns one frame into
//! a [`Pdu`], [`Pdu::encode`] writes one. Since the framer consumes a whole frame whatever is in it, a PDU that
//! cannot be decoded never costs the next.
//!
//! Decoding is lenient where real SMSCs are sloppy: identifiers beyond their limits, any octet in a
//! C-octet string, responses without a body, a missing last NUL, trailing junk, optional parameters cut short,
//! `short_message` up to 255 octets. What is unknown is kept: commands as [`Body::Unknown`], statuses as
//! numbers, optional parameters in their order. Encoding is strict.
//!
//! Specification: SMPP 3.4 issue 1.2, SMPP 5.0.

mod body;
mod decode;
mod encode;
mod frame;
mod octets;
mod status;
mod tlv;

#[cfg(test)]
mod tests;

pub use body::{
    Address, AlertNotification, Bind, BindResp, Body, CancelSm, DataSm, MessageResp, Outbind, QuerySm,
    QuerySmResp, ReplaceSm, Sm, command, esm_class, npi, ton,
};
pub use decode::{DecodeError, decode};
pub use encode::EncodeError;
pub use frame::{DEFAULT_MAX_FRAME, FrameError, Framer, HEADER_LEN};
pub use octets::Octets;
pub use status::CommandStatus;
pub use tlv::{NetworkError, Tlv, Tlvs, tag};

/// `interface_version` of SMPP 3.4.
pub const VERSION_3_4: u8 = 0x34;
/// `interface_version` of SMPP 5.0.
pub const VERSION_5_0: u8 = 0x50;
/// The highest sequence number; after it comes 1 (SMPP 3.4 §3.2).
pub const MAX_SEQUENCE: u32 = 0x7FFF_FFFF;

/// One protocol data unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Zero in requests.
    pub status: CommandStatus,
    /// Ties a response to its request: 1 to [`MAX_SEQUENCE`] in requests.
    pub sequence: u32,
    /// The operation with its fields.
    pub body: Body,
}

impl Pdu {
    /// A request, or a response without an error.
    pub fn new(sequence: u32, body: Body) -> Pdu {
        Pdu {
            status: CommandStatus::ROK,
            sequence,
            body,
        }
    }

    /// A response that tells an error, or `ROK`.
    pub fn with_status(sequence: u32, status: CommandStatus, body: Body) -> Pdu {
        Pdu {
            status,
            sequence,
            body,
        }
    }

    /// A generic_nack; `sequence` is that of the refused PDU, or zero when it is not known.
    pub fn generic_nack(sequence: u32, status: CommandStatus) -> Pdu {
        Pdu {
            status,
            sequence,
            body: Body::GenericNack,
        }
    }

    /// The refusal of a request by its header alone: its own response without fields, or a generic_nack for
    /// a command that has none. None for responses and for `alert_notification` and `outbind`, which are
    /// not answered.
    pub fn refusal(command_id: u32, sequence: u32, status: CommandStatus) -> Option<Pdu> {
        if command_id & command::RESPONSE != 0 {
            return None;
        }
        if matches!(command_id, command::ALERT_NOTIFICATION | command::OUTBIND) {
            return None;
        }
        let body = Body::empty_response(command_id).unwrap_or(Body::GenericNack);
        Some(Pdu {
            status,
            sequence,
            body,
        })
    }
}
