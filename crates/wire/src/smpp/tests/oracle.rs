//! Beside codecs that others wrote: what we encode they decode to the same fields, and what they encode we
//! decode. Both oracles are strict, so the PDUs stay within SMPP 3.4.

use super::*;
use rusmpp::{
    Command,
    decode::DecodeWithLength,
    encode::{Encode, Length},
};
use smpp34::{CommandHeader, Tlv as OtherTlv};

/// Through rusmpp and back to octets; its frames have no length field.
fn through_rusmpp(bytes: &[u8]) -> Vec<u8> {
    let mut rest = BytesMut::from(&bytes[4..]);
    let length = rest.len();
    let (command, read) = Command::decode(&mut rest, length).expect("rusmpp decodes it");
    assert_eq!(read, length);
    let mut out = vec![0; command.length()];
    command.encode(&mut out);
    [&(out.len() as u32 + 4).to_be_bytes()[..], &out].concat()
}

/// Through smpp34 and back to octets, for the commands whose decoders it exports.
fn through_smpp34(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = CommandHeader::decode(bytes).expect("smpp34 decodes the header");
    macro_rules! through {
        ($kind:ident) => {
            smpp34::$kind::decode(header, bytes)
                .expect("smpp34 decodes it")
                .encode()
        };
    }
    Some(match header.command_id {
        command::BIND_TRANSMITTER => through!(bind_transmitter),
        command::BIND_RECEIVER => through!(bind_receiver),
        command::BIND_TRANSCEIVER => through!(bind_transceiver),
        command::SUBMIT_SM => through!(submit_sm),
        command::DELIVER_SM => through!(deliver_sm),
        command::DATA_SM => through!(data_sm),
        command::QUERY_SM => through!(query_sm),
        // Alone among them, this one wants the body without its header.
        command::CANCEL_SM => smpp34::cancel_sm::decode(header, &bytes[HEADER_LEN..])
            .expect("smpp34 decodes it")
            .encode(),
        command::REPLACE_SM => through!(replace_sm),
        command::ENQUIRE_LINK => through!(enquire_link),
        command::OUTBIND => through!(outbind),
        0x8000_0004 => through!(submit_sm_resp),
        0x8000_0003 => through!(query_sm_resp),
        _ => return None,
    })
}

/// smpp34's submit_sm_resp has no optional parameters.
fn without_resp_tlvs(body: Body) -> Body {
    match body {
        Body::SubmitSmResp(resp) => Body::SubmitSmResp(MessageResp {
            tlvs: Tlvs::new(),
            ..resp
        }),
        other => other,
    }
}

proptest! {
    #[test]
    fn rusmpp_reads_what_we_write_and_writes_it_back(body in body(), sequence in 1..=MAX_SEQUENCE) {
        let pdu = Pdu::new(sequence, body);
        let bytes = encoded(&pdu);
        let back = through_rusmpp(&bytes);
        prop_assert_eq!(&back[..], &bytes[..]);
        prop_assert_eq!(decode(&Bytes::from(back)).unwrap(), pdu);
    }

    #[test]
    fn smpp34_reads_what_we_write_and_writes_it_back(body in body(), sequence in 1..=MAX_SEQUENCE) {
        let pdu = Pdu::new(sequence, without_resp_tlvs(body));
        let bytes = encoded(&pdu);
        if let Some(back) = through_smpp34(&bytes) {
            prop_assert_eq!(&back[..], &bytes[..]);
            prop_assert_eq!(decode(&Bytes::from(back)).unwrap(), pdu);
        }
    }

    #[test]
    fn smpp34_reads_the_same_fields(sm in sm(), sequence in 1..=MAX_SEQUENCE) {
        let bytes = encoded(&Pdu::new(sequence, Body::SubmitSm(sm.clone())));
        let header = CommandHeader::decode(&bytes).unwrap();
        prop_assert_eq!(header.sequence_number, sequence);
        let other = smpp34::submit_sm::decode(header, &bytes).unwrap();
        prop_assert_eq!(other.service_type, sm.service_type.text());
        prop_assert_eq!((other.source_addr_ton, other.source_addr_npi), (sm.source.ton, sm.source.npi));
        prop_assert_eq!(other.source_addr, sm.source.addr.text());
        prop_assert_eq!((other.dest_addr_ton, other.dest_addr_npi), (sm.destination.ton, sm.destination.npi));
        prop_assert_eq!(other.destination_addr, sm.destination.addr.text());
        prop_assert_eq!(
            (other.esm_class, other.protocol_id, other.priority_flag, other.registered_delivery),
            (sm.esm_class, sm.protocol_id, sm.priority_flag, sm.registered_delivery)
        );
        prop_assert_eq!(other.schedule_delivery_time, sm.schedule_delivery_time.text());
        prop_assert_eq!(other.validity_period, sm.validity_period.text());
        prop_assert_eq!(
            (other.replace_if_present_flag, other.data_coding, other.sm_default_msg_id),
            (sm.replace_if_present, sm.data_coding, sm.sm_default_msg_id)
        );
        prop_assert_eq!(&other.short_message[..], &sm.short_message[..]);
        let tlvs: Vec<OtherTlv> =
            sm.tlvs.0.iter().map(|tlv| OtherTlv::new(tlv.tag, tlv.value.to_vec())).collect();
        prop_assert_eq!(smpp34::encode_tlvs(&other.tlvs), smpp34::encode_tlvs(&tlvs));
    }

    #[test]
    fn rusmpp_reads_the_same_fields(sm in sm(), sequence in 1..=MAX_SEQUENCE) {
        let bytes = encoded(&Pdu::new(sequence, Body::DeliverSm(sm.clone())));
        let mut rest = BytesMut::from(&bytes[4..]);
        let length = rest.len();
        let (command, _) = Command::decode(&mut rest, length).unwrap();
        prop_assert_eq!(command.sequence_number(), sequence);
        let Some(rusmpp::Pdu::DeliverSm(other)) = command.pdu() else { panic!("another command") };
        prop_assert_eq!(other.source_addr.as_ref().strip_suffix(b"\0"), Some(&sm.source.addr[..]));
        prop_assert_eq!(other.destination_addr.as_ref().strip_suffix(b"\0"), Some(&sm.destination.addr[..]));
        prop_assert_eq!(u8::from(other.source_addr_ton), sm.source.ton);
        prop_assert_eq!(u8::from(other.dest_addr_npi), sm.destination.npi);
        prop_assert_eq!(u8::from(other.esm_class), sm.esm_class);
        prop_assert_eq!(u8::from(other.data_coding), sm.data_coding);
        prop_assert_eq!(other.short_message().as_ref() as &[u8], &sm.short_message[..]);
        prop_assert_eq!(other.tlvs().len(), sm.tlvs.0.len());
    }
}

#[test]
fn every_status_that_rusmpp_names_is_known() {
    for code in 0..0x200u32 {
        let known = !matches!(rusmpp::CommandStatus::from(code), rusmpp::CommandStatus::Other(_));
        assert_eq!(CommandStatus(code).name().is_some(), known, "{code:#x}");
    }
}
