use super::{
    Address, AlertNotification, Bind, BindResp, Body, CancelSm, CommandStatus, DataSm, HEADER_LEN,
    MessageResp, Octets, Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, Sm, Tlv, Tlvs, command,
};
use bytes::{Buf, Bytes};
use thiserror::Error;

/// A frame whose fields cannot be told apart. The frames after it are not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{} cannot be decoded: {what}", command::name(*command_id))]
pub struct DecodeError {
    /// The sequence number to answer with; zero when the frame had no whole header.
    pub sequence: u32,
    /// The command that the header names.
    pub command_id: u32,
    /// The status to answer with; see [`Pdu::refusal`].
    pub status: CommandStatus,
    /// What is wrong, without any of the content.
    pub what: &'static str,
}

/// Decodes one frame (see [`super::Framer`]), leniently. The fields share the frame's memory.
///
/// # Errors
/// Mandatory fields of a request are missing. A response always decodes: fields that it lacks are empty.
pub fn decode(frame: &Bytes) -> Result<Pdu, DecodeError> {
    let mut header: &[u8] = frame.get(..HEADER_LEN).ok_or(DecodeError {
        sequence: 0,
        command_id: 0,
        status: CommandStatus::RINVCMDLEN,
        what: "the header is cut short",
    })?;
    header.advance(4);
    let command_id = header.get_u32();
    let status = CommandStatus(header.get_u32());
    let sequence = header.get_u32();
    let mut fields = Fields {
        frame,
        at: HEADER_LEN,
    };
    match fields.body(command_id) {
        Ok(body) => Ok(Pdu {
            status,
            sequence,
            body,
        }),
        Err(Missing { what, status }) => Err(DecodeError {
            sequence,
            command_id,
            status,
            what,
        }),
    }
}

struct Missing {
    what: &'static str,
    status: CommandStatus,
}

const fn missing(what: &'static str) -> Missing {
    Missing {
        what,
        status: CommandStatus::RINVCMDLEN,
    }
}

/// Reads fields one after the other. Methods that return `Result` are for fields that must be there.
struct Fields<'a> {
    frame: &'a Bytes,
    at: usize,
}

impl Fields<'_> {
    fn body(&mut self, command_id: u32) -> Result<Body, Missing> {
        Ok(match command_id {
            command::BIND_TRANSMITTER => Body::BindTransmitter(self.bind()?),
            command::BIND_RECEIVER => Body::BindReceiver(self.bind()?),
            command::BIND_TRANSCEIVER => Body::BindTransceiver(self.bind()?),
            0x8000_0002 => Body::BindTransmitterResp(self.bind_resp()),
            0x8000_0001 => Body::BindReceiverResp(self.bind_resp()),
            0x8000_0009 => Body::BindTransceiverResp(self.bind_resp()),
            command::OUTBIND => Body::Outbind(Outbind {
                system_id: self.cstring(),
                password: self.cstring(),
            }),
            command::UNBIND => Body::Unbind,
            0x8000_0006 => Body::UnbindResp,
            command::ENQUIRE_LINK => Body::EnquireLink,
            0x8000_0015 => Body::EnquireLinkResp,
            command::GENERIC_NACK => Body::GenericNack,
            command::SUBMIT_SM => Body::SubmitSm(self.sm()?),
            command::DELIVER_SM => Body::DeliverSm(self.sm()?),
            0x8000_0004 => Body::SubmitSmResp(self.message_resp()),
            0x8000_0005 => Body::DeliverSmResp(self.message_resp()),
            command::DATA_SM => Body::DataSm(self.data_sm()?),
            0x8000_0103 => Body::DataSmResp(self.message_resp()),
            command::QUERY_SM => Body::QuerySm(QuerySm {
                message_id: self.cstring(),
                source: self.address("source address")?,
            }),
            0x8000_0003 => Body::QuerySmResp(QuerySmResp {
                message_id: self.cstring(),
                final_date: self.cstring(),
                message_state: self.octet_or_zero(),
                error_code: self.octet_or_zero(),
                tlvs: self.tlvs(),
            }),
            command::CANCEL_SM => Body::CancelSm(CancelSm {
                service_type: self.cstring(),
                message_id: self.cstring(),
                source: self.address("source address")?,
                destination: self.address("destination address")?,
            }),
            0x8000_0008 => Body::CancelSmResp,
            command::REPLACE_SM => Body::ReplaceSm(self.replace_sm()?),
            0x8000_0007 => Body::ReplaceSmResp,
            command::ALERT_NOTIFICATION => Body::AlertNotification(AlertNotification {
                source: self.address("source address")?,
                esme: self.address("ESME address")?,
                tlvs: self.tlvs(),
            }),
            _ => Body::Unknown {
                command_id,
                bytes: self.octets(self.frame.len()),
            },
        })
    }

    fn bind(&mut self) -> Result<Bind, Missing> {
        Ok(Bind {
            system_id: self.cstring(),
            password: self.cstring(),
            system_type: self.cstring(),
            interface_version: self.octet("interface version")?,
            // The ESMEs that forget the address range mean an empty one.
            address_range: Address {
                ton: self.octet_or_zero(),
                npi: self.octet_or_zero(),
                addr: self.cstring(),
            },
        })
    }

    fn bind_resp(&mut self) -> BindResp {
        BindResp {
            system_id: self.cstring(),
            tlvs: self.tlvs(),
        }
    }

    fn message_resp(&mut self) -> MessageResp {
        MessageResp {
            message_id: self.cstring(),
            tlvs: self.tlvs(),
        }
    }

    fn sm(&mut self) -> Result<Sm, Missing> {
        Ok(Sm {
            service_type: self.cstring(),
            source: self.address("source address")?,
            destination: self.address("destination address")?,
            esm_class: self.octet("esm_class")?,
            protocol_id: self.octet("protocol_id")?,
            priority_flag: self.octet("priority_flag")?,
            schedule_delivery_time: self.cstring(),
            validity_period: self.cstring(),
            registered_delivery: self.octet("registered_delivery")?,
            replace_if_present: self.octet("replace_if_present_flag")?,
            data_coding: self.octet("data_coding")?,
            sm_default_msg_id: self.octet("sm_default_msg_id")?,
            short_message: self.short_message()?,
            tlvs: self.tlvs(),
        })
    }

    fn data_sm(&mut self) -> Result<DataSm, Missing> {
        Ok(DataSm {
            service_type: self.cstring(),
            source: self.address("source address")?,
            destination: self.address("destination address")?,
            esm_class: self.octet("esm_class")?,
            registered_delivery: self.octet("registered_delivery")?,
            data_coding: self.octet("data_coding")?,
            tlvs: self.tlvs(),
        })
    }

    fn replace_sm(&mut self) -> Result<ReplaceSm, Missing> {
        Ok(ReplaceSm {
            message_id: self.cstring(),
            source: self.address("source address")?,
            schedule_delivery_time: self.cstring(),
            validity_period: self.cstring(),
            registered_delivery: self.octet("registered_delivery")?,
            sm_default_msg_id: self.octet("sm_default_msg_id")?,
            short_message: self.short_message()?,
            tlvs: self.tlvs(),
        })
    }

    /// `sm_length` and the octets that it counts. Half a text is worse than a refusal that the sender sees.
    fn short_message(&mut self) -> Result<Octets, Missing> {
        let length = usize::from(self.octet("sm_length")?);
        if self.rest().len() < length {
            return Err(Missing {
                what: "short_message is shorter than sm_length",
                status: CommandStatus::RINVMSGLEN,
            });
        }
        Ok(self.octets(length))
    }

    fn address(&mut self, what: &'static str) -> Result<Address, Missing> {
        Ok(Address {
            ton: self.octet(what)?,
            npi: self.octet(what)?,
            addr: self.cstring(),
        })
    }

    fn rest(&self) -> &[u8] {
        &self.frame[self.at..]
    }

    fn octet(&mut self, what: &'static str) -> Result<u8, Missing> {
        let octet = *self.rest().first().ok_or(missing(what))?;
        self.at += 1;
        Ok(octet)
    }

    fn octet_or_zero(&mut self) -> u8 {
        self.octet("").unwrap_or(0)
    }

    /// Up to the NUL, or to the end of the frame when there is none.
    fn cstring(&mut self) -> Octets {
        match self.rest().iter().position(|&octet| octet == 0) {
            Some(length) => {
                let value = self.octets(length);
                self.at += 1;
                value
            }
            None => self.octets(self.frame.len()),
        }
    }

    /// The next `length` octets, or those that are left.
    fn octets(&mut self, length: usize) -> Octets {
        let end = self.at.saturating_add(length).min(self.frame.len());
        let start = std::mem::replace(&mut self.at, end);
        if start == end {
            return Octets::default();
        }
        self.frame.slice(start..end).into()
    }

    /// All that is left. A value cut short by the end of the frame is kept as far as it goes: a receipt's id
    /// whose length counts a NUL that was not sent is still an id. Less than a tag and a length is junk.
    fn tlvs(&mut self) -> Tlvs {
        let mut tlvs = Tlvs::new();
        while let [t0, t1, l0, l1, ..] = *self.rest() {
            self.at += 4;
            let value = self.octets(usize::from(u16::from_be_bytes([l0, l1])));
            tlvs.0.push(Tlv {
                tag: u16::from_be_bytes([t0, t1]),
                value,
            });
        }
        tlvs
    }
}
