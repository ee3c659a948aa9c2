//! deliver_sm and data_sm as what arrived: a message, a part of one, or a receipt.

use super::config::Config;
use super::ids;
use super::session::Delivery;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use swingbridge_domain::address::Hint;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, NetworkId, SessionId};
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, PartOf, Receipt, Utf16, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part};
use swingbridge_wire::receipts::{self, MessageState};
use swingbridge_wire::segments;
use swingbridge_wire::smpp::{Address, Body as PduBody, Octets, Tlvs, esm_class, tag, ton};
use swingbridge_wire::text;
use swingbridge_wire::udh::{Concatenation, Width};

/// What a delivery is read by.
pub struct Reader<'a> {
    /// The account.
    pub connector: &'a ConnectorId,
    /// The session that brought it.
    pub session: SessionId,
    /// The account's rules.
    pub config: &'a Config,
}

/// What deliver_sm and data_sm have in common.
struct Fields<'a> {
    source: &'a Address,
    destination: &'a Address,
    esm_class: u8,
    data_coding: u8,
    body: &'a [u8],
    tlvs: &'a Tlvs,
}

impl Reader<'_> {
    /// Reads one delivery; none when it is neither deliver_sm nor data_sm.
    pub fn arrival(&self, delivery: &Delivery) -> Option<Arrival> {
        let fields = match &delivery.body {
            PduBody::DeliverSm(sm) => Fields {
                source: &sm.source,
                destination: &sm.destination,
                esm_class: sm.esm_class,
                data_coding: sm.data_coding,
                body: sm.payload(),
                tlvs: &sm.tlvs,
            },
            PduBody::DataSm(data) => Fields {
                source: &data.source,
                destination: &data.destination,
                esm_class: data.esm_class,
                data_coding: data.data_coding,
                body: data.tlvs.message_payload().map_or(&[], |payload| payload),
                tlvs: &data.tlvs,
            },
            _ => return None,
        };
        // Never told by the text: a person may write "id:1 stat:DELIVRD" too.
        Some(match fields.esm_class & esm_class::TYPE {
            esm_class::RECEIPT => self.receipt(&fields, false),
            esm_class::INTERMEDIATE => self.receipt(&fields, true),
            0 if is_receipt(fields.tlvs) => self.receipt(&fields, false),
            _ => self.message(&fields, delivery.sequence),
        })
    }

    fn receipt(&self, fields: &Fields<'_>, intermediate: bool) -> Arrival {
        let (_, body) = segments::read(
            fields.body,
            fields.esm_class & esm_class::UDHI != 0,
            text::classify(fields.data_coding, self.config.coding_rules()).alphabet,
        );
        let tlvs = receipts::Tlvs {
            receipted_message_id: fields.tlvs.get(tag::RECEIPTED_MESSAGE_ID).map(|id| &id[..]),
            message_state: fields.tlvs.message_state(),
            network_error_code: fields.tlvs.get(tag::NETWORK_ERROR_CODE).map(|code| &code[..]),
        };
        let read = receipts::parse(tlvs, &body.octets);
        let outcome = match read.state {
            _ if intermediate => Outcome::Sent,
            Some(MessageState::Scheduled | MessageState::Enroute | MessageState::Accepted) => Outcome::Sent,
            Some(MessageState::Delivered) => Outcome::Delivered,
            Some(MessageState::Expired) => Outcome::Expired,
            Some(
                MessageState::Undeliverable
                | MessageState::Rejected
                | MessageState::Deleted
                | MessageState::Skipped,
            ) => Outcome::Rejected,
            Some(MessageState::Unknown) | None => Outcome::Unknown,
        };
        let id = read
            .id
            .as_deref()
            .and_then(|id| ids::normal(id, self.config.message_ids.receipted));
        let receipt = Receipt {
            connector: self.connector.clone(),
            network_ids: id.into_iter().collect(),
            outcome,
            error: read
                .error
                .filter(|error| error.bytes().any(|octet| octet != b'0')),
            // The SMSC's local time, whose offset it does not say.
            at: None,
            way: Vec::new(),
        };
        Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(receipt)),
        }
    }

    fn message(&self, fields: &Fields<'_>, sequence: u32) -> Arrival {
        let coding = text::classify(fields.data_coding, self.config.coding_rules());
        let (header, body) = segments::read(
            fields.body,
            fields.esm_class & esm_class::UDHI != 0,
            coding.alphabet,
        );
        let shown = match (header.ports(), coding.compressed) {
            (None, false) => text::decode(&body.octets, body.alphabet, body.shifts),
            _ => None,
        };
        let message = match (shown, header.ports()) {
            (Some(text), _) => Message::text(text),
            (None, Some(ports)) => other(format!("sms/port-{}", ports.destination)),
            (None, None) => other("application/octet-stream".to_owned()),
        };
        let part = header
            .concatenation()
            .or_else(|| sar(fields.tlvs))
            .filter(|part| part.total > 1)
            .map(part_of);
        let utf16 =
            (part.is_some() && body.alphabet == text::Alphabet::Utf16).then(|| Utf16(body.octets.to_vec()));
        // Some SMSCs name all that they deliver, so that a repetition can be told for certain.
        let id = fields.tlvs.receipted_message_id();
        let (from, to) = (
            network_address(fields.source),
            network_address(fields.destination),
        );
        let inbound = InboundMessage {
            network_id: id.as_ref().map(|id| NetworkId::new(id.text())),
            part,
            utf16,
            ..InboundMessage::new(self.connector.clone(), from, to, message)
        };
        let digest = digest(fields);
        let connector = self.connector.clone();
        let dedupe = match &id {
            // With all that was said, since the parts of a long message may share one id.
            Some(id) => Dedupe::Id {
                scope: connector.0,
                id: format!("{}/{}", id.text(), HEXLOWER.encode(&digest)),
            },
            None => Dedupe::Digest {
                connector,
                session: self.session,
                sequence,
                digest,
            },
        };
        Arrival {
            dedupe,
            what: What::Network(Inbound::Message(inbound)),
        }
    }
}

/// Some SMSCs leave the class at 0. No phone sets both of these, and an SMSC that names what it delivers sets only the id.
fn is_receipt(tlvs: &Tlvs) -> bool {
    tlvs.get(tag::RECEIPTED_MESSAGE_ID).is_some() && tlvs.message_state().is_some()
}

fn other(kind: String) -> Message {
    let body = Body::Other { kind, fallback: None };
    Message {
        parts: vec![Part {
            disposition: Disposition::Attachment,
            body,
        }],
        ..Message::default()
    }
}

fn network_address(address: &Address) -> NetworkAddress {
    let hint = match address.ton {
        ton::INTERNATIONAL => Hint::International,
        ton::NATIONAL => Hint::National,
        ton::ALPHANUMERIC => Hint::Alphanumeric,
        _ => Hint::Unknown,
    };
    NetworkAddress {
        text: address.addr.text().into_owned(),
        hint,
    }
}

fn sar(tlvs: &Tlvs) -> Option<Concatenation> {
    let (reference, total) = (tlvs.sar_msg_ref_num()?, tlvs.sar_total_segments()?);
    Concatenation::new(reference, Width::Sar, total, tlvs.sar_segment_seqnum()?)
}

fn part_of(part: Concatenation) -> PartOf {
    PartOf {
        reference: part.reference.into(),
        width: if part.width == Width::Eight { 1 } else { 2 },
        total: part.total,
        index: part.index,
    }
}

/// A digest of all that was said, by which a redelivery is recognised.
fn digest(fields: &Fields<'_>) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut add = |octets: &[u8]| {
        hash.update((octets.len() as u64).to_be_bytes());
        hash.update(octets);
    };
    add(&fields.source.addr);
    add(&fields.destination.addr);
    add(&[fields.esm_class, fields.data_coding]);
    add(fields.body);
    for part in [
        tag::SAR_MSG_REF_NUM,
        tag::SAR_TOTAL_SEGMENTS,
        tag::SAR_SEGMENT_SEQNUM,
    ] {
        add(fields.tlvs.get(part).unwrap_or(&Octets::default()));
    }
    let digest = hash.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

#[cfg(test)]
mod tests;
