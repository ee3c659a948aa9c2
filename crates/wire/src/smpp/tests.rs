mod codec;
mod oracle;
mod sloppy;

use super::*;
use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};

/// A frame from a header and the octets after it.
fn frame(command_id: u32, status: u32, sequence: u32, body: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for field in [(HEADER_LEN + body.len()) as u32, command_id, status, sequence] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(body);
    out.into()
}

fn text(limit: usize) -> impl Strategy<Value = Octets> {
    vec(0x20u8..0x7F, 0..=limit).prop_map(Octets::from)
}

fn time() -> impl Strategy<Value = Octets> {
    prop_oneof![Just(Octets::default()), Just(Octets::from("000002000000000R"))]
}

fn address(limit: usize) -> impl Strategy<Value = Address> {
    (0u8..=6, prop_oneof![Just(0u8), Just(1), Just(8)], text(limit)).prop_map(|(ton, npi, addr)| Address {
        ton,
        npi,
        addr,
    })
}

/// Optional parameters that every implementation understands alike.
fn tlvs() -> impl Strategy<Value = Tlvs> {
    let one = prop_oneof![
        any::<u16>().prop_map(|value| (tag::USER_MESSAGE_REFERENCE, value.to_be_bytes().to_vec())),
        any::<u16>().prop_map(|value| (tag::SAR_MSG_REF_NUM, value.to_be_bytes().to_vec())),
        any::<u8>().prop_map(|value| (tag::SAR_TOTAL_SEGMENTS, vec![value])),
        any::<u8>().prop_map(|value| (tag::SAR_SEGMENT_SEQNUM, vec![value])),
        (1u8..9).prop_map(|value| (tag::MESSAGE_STATE, vec![value])),
        vec(any::<u8>(), 0..40).prop_map(|value| (0x1500, value)),
    ];
    vec(one, 0..4).prop_map(|list| {
        list.into_iter()
            .map(|(tag, value)| Tlv {
                tag,
                value: value.into(),
            })
            .collect()
    })
}

fn sm() -> impl Strategy<Value = Sm> {
    (
        (text(5), address(20), address(20), time(), time()),
        (
            any::<[bool; 3]>(),
            any::<u8>(),
            0u8..4,
            0u8..2,
            prop_oneof![Just(0u8), Just(3), Just(4), Just(8)],
        ),
        (any::<u8>(), vec(any::<u8>(), 0..=254), tlvs()),
    )
        .prop_map(
            |(
                (service_type, source, destination, schedule_delivery_time, validity_period),
                ([udhi, receipt, stored], protocol_id, priority_flag, replace_if_present, data_coding),
                (sm_default_msg_id, short_message, tlvs),
            )| Sm {
                service_type,
                source,
                destination,
                esm_class: (u8::from(udhi) * esm_class::UDHI)
                    | (u8::from(receipt) * esm_class::RECEIPT)
                    | (u8::from(stored) * esm_class::STORE_AND_FORWARD),
                protocol_id,
                priority_flag,
                schedule_delivery_time,
                validity_period,
                registered_delivery: u8::from(receipt),
                replace_if_present,
                data_coding,
                sm_default_msg_id,
                short_message: short_message.into(),
                tlvs,
            },
        )
}

fn bind() -> impl Strategy<Value = Bind> {
    (
        text(15),
        text(8),
        text(12),
        prop_oneof![Just(VERSION_3_4), Just(VERSION_5_0)],
        address(40),
    )
        .prop_map(
            |(system_id, password, system_type, interface_version, address_range)| Bind {
                system_id,
                password,
                system_type,
                interface_version,
                address_range,
            },
        )
}

fn bind_resp() -> impl Strategy<Value = BindResp> {
    (text(15), any::<bool>()).prop_map(|(system_id, told)| BindResp {
        system_id,
        tlvs: if told {
            Tlvs::new().with(tag::SC_INTERFACE_VERSION, [VERSION_3_4])
        } else {
            Tlvs::new()
        },
    })
}

fn message_resp() -> impl Strategy<Value = MessageResp> {
    (text(64), tlvs()).prop_map(|(message_id, tlvs)| MessageResp { message_id, tlvs })
}

/// Requests and good responses within the limits of SMPP 3.4.
fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        bind().prop_map(Body::BindTransmitter),
        bind().prop_map(Body::BindReceiver),
        bind().prop_map(Body::BindTransceiver),
        bind_resp().prop_map(Body::BindTransmitterResp),
        bind_resp().prop_map(Body::BindReceiverResp),
        bind_resp().prop_map(Body::BindTransceiverResp),
        (text(15), text(8)).prop_map(|(system_id, password)| Body::Outbind(Outbind { system_id, password })),
        Just(Body::Unbind),
        Just(Body::UnbindResp),
        Just(Body::EnquireLink),
        Just(Body::EnquireLinkResp),
        Just(Body::GenericNack),
        sm().prop_map(Body::SubmitSm),
        sm().prop_map(Body::DeliverSm),
        message_resp().prop_map(Body::SubmitSmResp),
        Just(Body::DeliverSmResp(MessageResp::default())),
        (text(5), address(20), address(20), tlvs()).prop_map(|(service_type, source, destination, tlvs)| {
            Body::DataSm(DataSm {
                service_type,
                source,
                destination,
                esm_class: 0,
                registered_delivery: 1,
                data_coding: 8,
                tlvs,
            })
        }),
        message_resp().prop_map(Body::DataSmResp),
        (text(64), address(20))
            .prop_map(|(message_id, source)| Body::QuerySm(QuerySm { message_id, source })),
        (text(64), time(), 1u8..9, any::<u8>()).prop_map(
            |(message_id, final_date, message_state, error_code)| {
                Body::QuerySmResp(QuerySmResp {
                    message_id,
                    final_date,
                    message_state,
                    error_code,
                    tlvs: Tlvs::new(),
                })
            }
        ),
        (text(5), text(64), address(20), address(20)).prop_map(
            |(service_type, message_id, source, destination)| Body::CancelSm(CancelSm {
                service_type,
                message_id,
                source,
                destination
            })
        ),
        Just(Body::CancelSmResp),
        (text(64), address(20), time(), time(), vec(any::<u8>(), 0..=254)).prop_map(
            |(message_id, source, schedule_delivery_time, validity_period, short_message)| {
                Body::ReplaceSm(ReplaceSm {
                    message_id,
                    source,
                    schedule_delivery_time,
                    validity_period,
                    registered_delivery: 1,
                    sm_default_msg_id: 0,
                    short_message: short_message.into(),
                    tlvs: Tlvs::new(),
                })
            }
        ),
        Just(Body::ReplaceSmResp),
        (address(64), address(64)).prop_map(|(source, esme)| {
            Body::AlertNotification(AlertNotification {
                source,
                esme,
                tlvs: Tlvs::new(),
            })
        }),
    ]
}

fn encoded(pdu: &Pdu) -> BytesMut {
    let mut out = BytesMut::new();
    pdu.encode(&mut out).expect("within the limits");
    out
}
