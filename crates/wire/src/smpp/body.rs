use super::{Octets, Tlvs};
use std::fmt;

/// Command ids (SMPP 5.0 §4.7.5). A response is its request with the highest bit set.
pub mod command {
    #![allow(missing_docs)]
    /// The bit that marks a response.
    pub const RESPONSE: u32 = 0x8000_0000;
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    pub const BIND_RECEIVER: u32 = 0x01;
    pub const BIND_TRANSMITTER: u32 = 0x02;
    pub const QUERY_SM: u32 = 0x03;
    pub const SUBMIT_SM: u32 = 0x04;
    pub const DELIVER_SM: u32 = 0x05;
    pub const UNBIND: u32 = 0x06;
    pub const REPLACE_SM: u32 = 0x07;
    pub const CANCEL_SM: u32 = 0x08;
    pub const BIND_TRANSCEIVER: u32 = 0x09;
    pub const OUTBIND: u32 = 0x0B;
    pub const ENQUIRE_LINK: u32 = 0x15;
    pub const SUBMIT_MULTI: u32 = 0x21;
    pub const ALERT_NOTIFICATION: u32 = 0x102;
    pub const DATA_SM: u32 = 0x103;
    pub const BROADCAST_SM: u32 = 0x111;
    pub const QUERY_BROADCAST_SM: u32 = 0x112;
    pub const CANCEL_BROADCAST_SM: u32 = 0x113;

    /// The specification's name of a command, for logs and metrics; `unknown` for any other.
    pub const fn name(id: u32) -> &'static str {
        match id {
            GENERIC_NACK => "generic_nack",
            BIND_RECEIVER => "bind_receiver",
            0x8000_0001 => "bind_receiver_resp",
            BIND_TRANSMITTER => "bind_transmitter",
            0x8000_0002 => "bind_transmitter_resp",
            QUERY_SM => "query_sm",
            0x8000_0003 => "query_sm_resp",
            SUBMIT_SM => "submit_sm",
            0x8000_0004 => "submit_sm_resp",
            DELIVER_SM => "deliver_sm",
            0x8000_0005 => "deliver_sm_resp",
            UNBIND => "unbind",
            0x8000_0006 => "unbind_resp",
            REPLACE_SM => "replace_sm",
            0x8000_0007 => "replace_sm_resp",
            CANCEL_SM => "cancel_sm",
            0x8000_0008 => "cancel_sm_resp",
            BIND_TRANSCEIVER => "bind_transceiver",
            0x8000_0009 => "bind_transceiver_resp",
            OUTBIND => "outbind",
            ENQUIRE_LINK => "enquire_link",
            0x8000_0015 => "enquire_link_resp",
            SUBMIT_MULTI => "submit_multi",
            0x8000_0021 => "submit_multi_resp",
            ALERT_NOTIFICATION => "alert_notification",
            DATA_SM => "data_sm",
            0x8000_0103 => "data_sm_resp",
            BROADCAST_SM => "broadcast_sm",
            0x8000_0111 => "broadcast_sm_resp",
            QUERY_BROADCAST_SM => "query_broadcast_sm",
            0x8000_0112 => "query_broadcast_sm_resp",
            CANCEL_BROADCAST_SM => "cancel_broadcast_sm",
            0x8000_0113 => "cancel_broadcast_sm_resp",
            _ => "unknown",
        }
    }
}

/// Bits of `esm_class` (SMPP 5.0 §4.7.12).
pub mod esm_class {
    /// The bits that hold the message type.
    pub const TYPE: u8 = 0x3C;
    /// Type: delivery receipt.
    pub const RECEIPT: u8 = 0x04;
    /// Type: intermediate notification.
    pub const INTERMEDIATE: u8 = 0x20;
    /// The body begins with a user data header.
    pub const UDHI: u8 = 0x40;
    /// Mode: store and forward.
    pub const STORE_AND_FORWARD: u8 = 0x03;
}

/// Types of number (SMPP 5.0 §4.7.1).
pub mod ton {
    #![allow(missing_docs)]
    pub const UNKNOWN: u8 = 0;
    pub const INTERNATIONAL: u8 = 1;
    pub const NATIONAL: u8 = 2;
    pub const NETWORK_SPECIFIC: u8 = 3;
    pub const SUBSCRIBER: u8 = 4;
    pub const ALPHANUMERIC: u8 = 5;
    pub const ABBREVIATED: u8 = 6;
}

/// Numbering plans (SMPP 5.0 §4.7.2).
pub mod npi {
    #![allow(missing_docs)]
    pub const UNKNOWN: u8 = 0;
    pub const ISDN: u8 = 1;
    pub const NATIONAL: u8 = 8;
    pub const PRIVATE: u8 = 9;
}

/// An address on the wire. `Debug` hides the digits.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Type of number; see [`ton`].
    pub ton: u8,
    /// Numbering plan; see [`npi`].
    pub npi: u8,
    /// Digits or letters, as they came.
    pub addr: Octets,
}

impl Address {
    /// An address from its three fields.
    pub fn new(ton: u8, npi: u8, addr: impl Into<Octets>) -> Address {
        Address {
            ton,
            npi,
            addr: addr.into(),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {:?}", self.ton, self.npi, self.addr)
    }
}

/// bind_transmitter, bind_receiver and bind_transceiver (SMPP 5.0 §4.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bind {
    /// The account.
    pub system_id: Octets,
    /// Its password.
    pub password: Octets,
    /// A category that some SMSCs ask for.
    pub system_type: Octets,
    /// The version that the ESME speaks.
    pub interface_version: u8,
    /// The addresses that the ESME serves; `addr` is the pattern.
    pub address_range: Address,
}

/// The response to any bind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindResp {
    /// The SMSC's own name; may be empty.
    pub system_id: Octets,
    /// `sc_interface_version` may be absent.
    pub tlvs: Tlvs,
}

/// outbind: the SMSC asks an ESME to bind as receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbind {
    /// The SMSC's name.
    pub system_id: Octets,
    /// Its password.
    pub password: Octets,
}

/// A short message: submit_sm and deliver_sm have the same fields (SMPP 5.0 §4.2.1, §4.3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Sm {
    pub service_type: Octets,
    pub source: Address,
    pub destination: Address,
    /// See [`esm_class`].
    pub esm_class: u8,
    pub protocol_id: u8,
    pub priority_flag: u8,
    /// SMPP time format, or empty.
    pub schedule_delivery_time: Octets,
    /// SMPP time format, or empty for the SMSC's default.
    pub validity_period: Octets,
    pub registered_delivery: u8,
    pub replace_if_present: u8,
    pub data_coding: u8,
    pub sm_default_msg_id: u8,
    /// The body with its user data header, up to 255 octets; empty when `message_payload` is used.
    pub short_message: Octets,
    pub tlvs: Tlvs,
}

impl Sm {
    /// The body, from `short_message` or, when that is empty, from `message_payload`.
    pub fn payload(&self) -> &Octets {
        if self.short_message.is_empty() {
            self.tlvs.message_payload().unwrap_or(&self.short_message)
        } else {
            &self.short_message
        }
    }
}

/// The response to submit_sm, deliver_sm and data_sm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageResp {
    /// The SMSC's id of the message; empty in deliver_sm_resp and often in errors.
    pub message_id: Octets,
    /// Such as `congestion_state` and `delivery_failure_reason`.
    pub tlvs: Tlvs,
}

/// data_sm (SMPP 5.0 §4.2.2); the body is in `message_payload`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DataSm {
    pub service_type: Octets,
    pub source: Address,
    pub destination: Address,
    /// See [`esm_class`].
    pub esm_class: u8,
    pub registered_delivery: u8,
    pub data_coding: u8,
    pub tlvs: Tlvs,
}

/// query_sm: asks for a message's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QuerySm {
    pub message_id: Octets,
    pub source: Address,
}

/// query_sm_resp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QuerySmResp {
    pub message_id: Octets,
    /// SMPP time format, or empty while there is none.
    pub final_date: Octets,
    /// See [`crate::receipts::MessageState`].
    pub message_state: u8,
    pub error_code: u8,
    pub tlvs: Tlvs,
}

/// cancel_sm: takes back a message that was not delivered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CancelSm {
    pub service_type: Octets,
    pub message_id: Octets,
    pub source: Address,
    pub destination: Address,
}

/// replace_sm: replaces the body of a message that was not delivered yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ReplaceSm {
    pub message_id: Octets,
    pub source: Address,
    pub schedule_delivery_time: Octets,
    pub validity_period: Octets,
    pub registered_delivery: u8,
    pub sm_default_msg_id: u8,
    pub short_message: Octets,
    pub tlvs: Tlvs,
}

/// alert_notification: a subscriber has become reachable. It has no response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AlertNotification {
    pub source: Address,
    pub esme: Address,
    pub tlvs: Tlvs,
}

/// The operation of a PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Body {
    BindTransmitter(Bind),
    BindTransmitterResp(BindResp),
    BindReceiver(Bind),
    BindReceiverResp(BindResp),
    BindTransceiver(Bind),
    BindTransceiverResp(BindResp),
    Outbind(Outbind),
    Unbind,
    UnbindResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm(Sm),
    SubmitSmResp(MessageResp),
    DeliverSm(Sm),
    DeliverSmResp(MessageResp),
    DataSm(DataSm),
    DataSmResp(MessageResp),
    QuerySm(QuerySm),
    QuerySmResp(QuerySmResp),
    CancelSm(CancelSm),
    CancelSmResp,
    ReplaceSm(ReplaceSm),
    ReplaceSmResp,
    AlertNotification(AlertNotification),
    /// Any other command (submit_multi, the broadcast ones, vendors' own) with the octets after its header.
    Unknown {
        command_id: u32,
        bytes: Octets,
    },
}

impl Body {
    /// The command id of the header; see [`command`].
    pub fn command_id(&self) -> u32 {
        use command::*;
        match self {
            Body::BindTransmitter(_) => BIND_TRANSMITTER,
            Body::BindTransmitterResp(_) => BIND_TRANSMITTER | RESPONSE,
            Body::BindReceiver(_) => BIND_RECEIVER,
            Body::BindReceiverResp(_) => BIND_RECEIVER | RESPONSE,
            Body::BindTransceiver(_) => BIND_TRANSCEIVER,
            Body::BindTransceiverResp(_) => BIND_TRANSCEIVER | RESPONSE,
            Body::Outbind(_) => OUTBIND,
            Body::Unbind => UNBIND,
            Body::UnbindResp => UNBIND | RESPONSE,
            Body::EnquireLink => ENQUIRE_LINK,
            Body::EnquireLinkResp => ENQUIRE_LINK | RESPONSE,
            Body::GenericNack => GENERIC_NACK,
            Body::SubmitSm(_) => SUBMIT_SM,
            Body::SubmitSmResp(_) => SUBMIT_SM | RESPONSE,
            Body::DeliverSm(_) => DELIVER_SM,
            Body::DeliverSmResp(_) => DELIVER_SM | RESPONSE,
            Body::DataSm(_) => DATA_SM,
            Body::DataSmResp(_) => DATA_SM | RESPONSE,
            Body::QuerySm(_) => QUERY_SM,
            Body::QuerySmResp(_) => QUERY_SM | RESPONSE,
            Body::CancelSm(_) => CANCEL_SM,
            Body::CancelSmResp => CANCEL_SM | RESPONSE,
            Body::ReplaceSm(_) => REPLACE_SM,
            Body::ReplaceSmResp => REPLACE_SM | RESPONSE,
            Body::AlertNotification(_) => ALERT_NOTIFICATION,
            Body::Unknown { command_id, .. } => *command_id,
        }
    }

    /// The command's name in the specification.
    pub fn name(&self) -> &'static str {
        command::name(self.command_id())
    }

    /// Whether it answers a request of the other side; generic_nack does.
    pub fn is_response(&self) -> bool {
        self.command_id() & command::RESPONSE != 0
    }

    /// The response to a command, its fields empty; none for commands that have no response here.
    pub fn empty_response(command_id: u32) -> Option<Body> {
        Some(match command_id {
            command::BIND_TRANSMITTER => Body::BindTransmitterResp(BindResp::default()),
            command::BIND_RECEIVER => Body::BindReceiverResp(BindResp::default()),
            command::BIND_TRANSCEIVER => Body::BindTransceiverResp(BindResp::default()),
            command::UNBIND => Body::UnbindResp,
            command::ENQUIRE_LINK => Body::EnquireLinkResp,
            command::SUBMIT_SM => Body::SubmitSmResp(MessageResp::default()),
            command::DELIVER_SM => Body::DeliverSmResp(MessageResp::default()),
            command::DATA_SM => Body::DataSmResp(MessageResp::default()),
            command::QUERY_SM => Body::QuerySmResp(QuerySmResp::default()),
            command::CANCEL_SM => Body::CancelSmResp,
            command::REPLACE_SM => Body::ReplaceSmResp,
            _ => return None,
        })
    }

    /// The optional parameters, for the commands that have them.
    pub fn tlvs(&self) -> Option<&Tlvs> {
        match self {
            Body::BindTransmitterResp(resp)
            | Body::BindReceiverResp(resp)
            | Body::BindTransceiverResp(resp) => Some(&resp.tlvs),
            Body::SubmitSm(sm) | Body::DeliverSm(sm) => Some(&sm.tlvs),
            Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => Some(&resp.tlvs),
            Body::DataSm(data) => Some(&data.tlvs),
            Body::QuerySmResp(resp) => Some(&resp.tlvs),
            Body::ReplaceSm(replace) => Some(&replace.tlvs),
            Body::AlertNotification(alert) => Some(&alert.tlvs),
            _ => None,
        }
    }

    /// How busy the SMSC says it is, on any response of SMPP 5.0.
    pub fn congestion_state(&self) -> Option<u8> {
        self.tlvs()?.congestion_state()
    }
}
