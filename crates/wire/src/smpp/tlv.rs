use super::Octets;

/// Tags of optional parameters (SMPP 5.0 §4.8.1).
pub mod tag {
    #![allow(missing_docs)]
    pub const DEST_ADDR_SUBUNIT: u16 = 0x0005;
    pub const SOURCE_ADDR_SUBUNIT: u16 = 0x000D;
    pub const PAYLOAD_TYPE: u16 = 0x0019;
    pub const ADDITIONAL_STATUS_INFO_TEXT: u16 = 0x001D;
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
    pub const PRIVACY_INDICATOR: u16 = 0x0201;
    pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub const USER_RESPONSE_CODE: u16 = 0x0205;
    pub const SOURCE_PORT: u16 = 0x020A;
    pub const DESTINATION_PORT: u16 = 0x020B;
    pub const SAR_MSG_REF_NUM: u16 = 0x020C;
    pub const LANGUAGE_INDICATOR: u16 = 0x020D;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub const DELIVERY_FAILURE_REASON: u16 = 0x0425;
    pub const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
    pub const MESSAGE_STATE: u16 = 0x0427;
    pub const CONGESTION_STATE: u16 = 0x0428;
    pub const MS_AVAILABILITY_STATUS: u16 = 0x0422;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const DEST_NETWORK_ID: u16 = 0x060E;
}

/// One optional parameter, known or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv {
    /// The tag; see [`tag`].
    pub tag: u16,
    /// The value, as it came.
    pub value: Octets,
}

/// The network's own error code (SMPP 5.0 §4.8.4.42).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NetworkError {
    /// 1 ANSI-136, 2 IS-95, 3 GSM, 8 SMSC and more.
    pub network: u8,
    /// The code in that network's own terms.
    pub code: u16,
}

/// The optional parameters of a PDU in the order in which they came; unknown ones and repetitions are kept.
///
/// Accessors read the first parameter with the tag and are lenient on its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs(pub Vec<Tlv>);

impl Tlvs {
    /// No parameters; no allocation.
    pub const fn new() -> Tlvs {
        Tlvs(Vec::new())
    }

    /// The first value with this tag.
    pub fn get(&self, tag: u16) -> Option<&Octets> {
        self.0.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, tag: u16, value: impl Into<Octets>) {
        self.0.push(Tlv {
            tag,
            value: value.into(),
        });
    }

    /// The same with one more parameter, for building.
    pub fn with(mut self, tag: u16, value: impl Into<Octets>) -> Tlvs {
        self.push(tag, value);
        self
    }

    /// The value as a big-endian integer of one to four octets, whatever width the sender chose.
    pub fn uint(&self, tag: u16) -> Option<u32> {
        let value = self.get(tag)?;
        if value.is_empty() || value.len() > 4 {
            return None;
        }
        Some(value.iter().fold(0, |sum, &octet| sum << 8 | u32::from(octet)))
    }

    fn byte(&self, tag: u16) -> Option<u8> {
        self.uint(tag).and_then(|value| u8::try_from(value).ok())
    }

    fn short(&self, tag: u16) -> Option<u16> {
        self.uint(tag).and_then(|value| u16::try_from(value).ok())
    }

    /// The id that a receipt is about, without its NUL; none when empty.
    pub fn receipted_message_id(&self) -> Option<Octets> {
        self.get(tag::RECEIPTED_MESSAGE_ID)
            .map(Octets::until_nul)
            .filter(|id| !id.is_empty())
    }

    /// The state that a receipt tells; see [`crate::receipts::MessageState::from_code`].
    pub fn message_state(&self) -> Option<u8> {
        self.byte(tag::MESSAGE_STATE)
    }

    /// The body in place of `short_message`.
    pub fn message_payload(&self) -> Option<&Octets> {
        self.get(tag::MESSAGE_PAYLOAD)
    }

    /// The reference number shared by the parts of a long message.
    pub fn sar_msg_ref_num(&self) -> Option<u16> {
        self.short(tag::SAR_MSG_REF_NUM)
    }

    /// How many parts the long message has.
    pub fn sar_total_segments(&self) -> Option<u8> {
        self.byte(tag::SAR_TOTAL_SEGMENTS)
    }

    /// Which part this one is, from 1.
    pub fn sar_segment_seqnum(&self) -> Option<u8> {
        self.byte(tag::SAR_SEGMENT_SEQNUM)
    }

    /// How busy the SMSC is, 0 to 100 (5.0); from 90 it is nearly congested.
    pub fn congestion_state(&self) -> Option<u8> {
        self.byte(tag::CONGESTION_STATE)
    }

    /// The version that the SMSC speaks, in the bind response.
    pub fn sc_interface_version(&self) -> Option<u8> {
        self.byte(tag::SC_INTERFACE_VERSION)
    }

    /// The ESME's own reference.
    pub fn user_message_reference(&self) -> Option<u16> {
        self.short(tag::USER_MESSAGE_REFERENCE)
    }

    /// The network's own error code.
    pub fn network_error_code(&self) -> Option<NetworkError> {
        match self.get(tag::NETWORK_ERROR_CODE)?.as_ref() {
            [network, high, low, ..] => Some(NetworkError {
                network: *network,
                code: u16::from_be_bytes([*high, *low]),
            }),
            _ => None,
        }
    }

    /// Why delivery failed, in data_sm_resp.
    pub fn delivery_failure_reason(&self) -> Option<u8> {
        self.byte(tag::DELIVERY_FAILURE_REASON)
    }

    /// The application port that the message is for.
    pub fn destination_port(&self) -> Option<u16> {
        self.short(tag::DESTINATION_PORT)
    }
}

impl FromIterator<Tlv> for Tlvs {
    fn from_iter<I: IntoIterator<Item = Tlv>>(tlvs: I) -> Tlvs {
        Tlvs(tlvs.into_iter().collect())
    }
}
