use super::{Address, Bind, BindResp, Body, MAX_SEQUENCE, MessageResp, Octets, Pdu, Sm, Tlvs, tag};
use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// A PDU that the specification does not allow; nothing was written. A fault of the caller, so sending it
/// again unchanged is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {problem}")]
pub struct EncodeError {
    /// The field, by its name in the specification.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

// Limits in octets without the NUL.
const MESSAGE_ID: usize = 64;
const ADDRESS: usize = 20;
const LONG_ADDRESS: usize = 64;
const TIME: usize = 16;
const SERVICE_TYPE: usize = 5;
const SYSTEM_TYPE: usize = 12;
const ADDRESS_RANGE: usize = 40;
/// The specification says 15 for a system id and 8 for a password; providers hand out longer ones.
const CREDENTIAL: usize = 64;

impl Pdu {
    /// Appends the PDU to `out`. An error response whose fields are all empty is written without a body
    /// (SMPP 3.4 §4.1.2, §4.4.2).
    ///
    /// # Errors
    /// A field is over its limit or holds what it cannot; `out` is as before.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        let body = &self.body;
        if !body.is_response() && !(1..=MAX_SEQUENCE).contains(&self.sequence) {
            return Err(EncodeError {
                field: "sequence_number",
                problem: "is not between 1 and 0x7FFFFFFF",
            });
        }
        out.put_u32(0);
        out.put_u32(body.command_id());
        out.put_u32(self.status.0);
        out.put_u32(self.sequence);
        if let Err(error) = (Fields { out }).body(body, !self.status.is_ok()) {
            out.truncate(start);
            return Err(error);
        }
        // Fields are limited and optional parameters are 64 KiB each, so only absurdly many could overflow.
        let Ok(length) = u32::try_from(out.len() - start) else {
            out.truncate(start);
            return Err(EncodeError {
                field: "command_length",
                problem: "is over 32 bits",
            });
        };
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// The PDU as a frame of its own.
    ///
    /// # Errors
    /// As [`Pdu::encode`].
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::with_capacity(64);
        self.encode(&mut out)?;
        Ok(out.freeze())
    }
}

struct Fields<'a> {
    out: &'a mut BytesMut,
}

impl Fields<'_> {
    fn body(&mut self, body: &Body, error: bool) -> Result<(), EncodeError> {
        match body {
            Body::BindTransmitter(bind) | Body::BindReceiver(bind) | Body::BindTransceiver(bind) => {
                self.bind(bind)
            }
            Body::BindTransmitterResp(resp)
            | Body::BindReceiverResp(resp)
            | Body::BindTransceiverResp(resp) => self.bind_resp(resp, error),
            Body::Outbind(outbind) => {
                self.cstring("system_id", &outbind.system_id, CREDENTIAL)?;
                self.cstring("password", &outbind.password, CREDENTIAL)
            }
            Body::SubmitSm(sm) | Body::DeliverSm(sm) => self.sm(sm),
            Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => {
                self.message_resp(resp, error)
            }
            Body::DataSm(data) => {
                self.cstring("service_type", &data.service_type, SERVICE_TYPE)?;
                self.address("source_addr", &data.source, LONG_ADDRESS)?;
                self.address("destination_addr", &data.destination, LONG_ADDRESS)?;
                self.out
                    .put_slice(&[data.esm_class, data.registered_delivery, data.data_coding]);
                self.tlvs(&data.tlvs)
            }
            Body::QuerySm(query) => {
                self.cstring("message_id", &query.message_id, MESSAGE_ID)?;
                self.address("source_addr", &query.source, ADDRESS)
            }
            Body::QuerySmResp(resp) => {
                if error && *resp == super::QuerySmResp::default() {
                    return Ok(());
                }
                self.cstring("message_id", &resp.message_id, MESSAGE_ID)?;
                self.cstring("final_date", &resp.final_date, TIME)?;
                self.out.put_slice(&[resp.message_state, resp.error_code]);
                self.tlvs(&resp.tlvs)
            }
            Body::CancelSm(cancel) => {
                self.cstring("service_type", &cancel.service_type, SERVICE_TYPE)?;
                self.cstring("message_id", &cancel.message_id, MESSAGE_ID)?;
                self.address("source_addr", &cancel.source, ADDRESS)?;
                self.address("destination_addr", &cancel.destination, ADDRESS)
            }
            Body::ReplaceSm(replace) => {
                self.cstring("message_id", &replace.message_id, MESSAGE_ID)?;
                self.address("source_addr", &replace.source, ADDRESS)?;
                self.cstring("schedule_delivery_time", &replace.schedule_delivery_time, TIME)?;
                self.cstring("validity_period", &replace.validity_period, TIME)?;
                self.out
                    .put_slice(&[replace.registered_delivery, replace.sm_default_msg_id]);
                self.short_message(&replace.short_message, &replace.tlvs)
            }
            Body::AlertNotification(alert) => {
                self.address("source_addr", &alert.source, LONG_ADDRESS)?;
                self.address("esme_addr", &alert.esme, LONG_ADDRESS)?;
                self.tlvs(&alert.tlvs)
            }
            Body::Unknown { bytes, .. } => {
                self.out.put_slice(bytes);
                Ok(())
            }
            Body::Unbind
            | Body::UnbindResp
            | Body::EnquireLink
            | Body::EnquireLinkResp
            | Body::GenericNack
            | Body::CancelSmResp
            | Body::ReplaceSmResp => Ok(()),
        }
    }

    fn bind(&mut self, bind: &Bind) -> Result<(), EncodeError> {
        self.cstring("system_id", &bind.system_id, CREDENTIAL)?;
        self.cstring("password", &bind.password, CREDENTIAL)?;
        self.cstring("system_type", &bind.system_type, SYSTEM_TYPE)?;
        self.out.put_u8(bind.interface_version);
        self.address("address_range", &bind.address_range, ADDRESS_RANGE)
    }

    fn bind_resp(&mut self, resp: &BindResp, error: bool) -> Result<(), EncodeError> {
        if error && resp.system_id.is_empty() && resp.tlvs.0.is_empty() {
            return Ok(());
        }
        self.cstring("system_id", &resp.system_id, CREDENTIAL)?;
        self.tlvs(&resp.tlvs)
    }

    fn message_resp(&mut self, resp: &MessageResp, error: bool) -> Result<(), EncodeError> {
        if error && resp.message_id.is_empty() && resp.tlvs.0.is_empty() {
            return Ok(());
        }
        self.cstring("message_id", &resp.message_id, MESSAGE_ID)?;
        self.tlvs(&resp.tlvs)
    }

    fn sm(&mut self, sm: &Sm) -> Result<(), EncodeError> {
        self.cstring("service_type", &sm.service_type, SERVICE_TYPE)?;
        self.address("source_addr", &sm.source, ADDRESS)?;
        self.address("destination_addr", &sm.destination, ADDRESS)?;
        self.out
            .put_slice(&[sm.esm_class, sm.protocol_id, sm.priority_flag]);
        self.cstring("schedule_delivery_time", &sm.schedule_delivery_time, TIME)?;
        self.cstring("validity_period", &sm.validity_period, TIME)?;
        self.out.put_slice(&[
            sm.registered_delivery,
            sm.replace_if_present,
            sm.data_coding,
            sm.sm_default_msg_id,
        ]);
        self.short_message(&sm.short_message, &sm.tlvs)
    }

    fn short_message(&mut self, text: &Octets, tlvs: &Tlvs) -> Result<(), EncodeError> {
        let Ok(length) = u8::try_from(text.len()) else {
            return Err(EncodeError {
                field: "short_message",
                problem: "is over 255 octets",
            });
        };
        if length > 0 && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
            return Err(EncodeError {
                field: "short_message",
                problem: "is given beside message_payload",
            });
        }
        self.out.put_u8(length);
        self.out.put_slice(text);
        self.tlvs(tlvs)
    }

    fn address(&mut self, field: &'static str, address: &Address, limit: usize) -> Result<(), EncodeError> {
        self.out.put_slice(&[address.ton, address.npi]);
        self.cstring(field, &address.addr, limit)
    }

    fn cstring(&mut self, field: &'static str, value: &Octets, limit: usize) -> Result<(), EncodeError> {
        if value.len() > limit {
            return Err(EncodeError {
                field,
                problem: "is over its limit",
            });
        }
        if value.contains(&0) {
            return Err(EncodeError {
                field,
                problem: "holds a NUL",
            });
        }
        self.out.put_slice(value);
        self.out.put_u8(0);
        Ok(())
    }

    fn tlvs(&mut self, tlvs: &Tlvs) -> Result<(), EncodeError> {
        for tlv in &tlvs.0 {
            let Ok(length) = u16::try_from(tlv.value.len()) else {
                return Err(EncodeError {
                    field: "optional parameter",
                    problem: "is over 65535 octets",
                });
            };
            self.out.put_u16(tlv.tag);
            self.out.put_u16(length);
            self.out.put_slice(&tlv.value);
        }
        Ok(())
    }
}
