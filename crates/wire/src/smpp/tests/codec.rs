use super::*;

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        9 => body(),
        1 => (0x1000_0000u32..0x2000_0000, vec(any::<u8>(), 0..60))
            .prop_map(|(command_id, bytes)| Body::Unknown { command_id, bytes: bytes.into() }),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(
        body in any_body(), sequence in 1..=MAX_SEQUENCE, status in prop_oneof![Just(0u32), any::<u32>()],
    ) {
        let pdu = Pdu::with_status(sequence, CommandStatus(status), body);
        let bytes = encoded(&pdu).freeze();
        prop_assert_eq!(bytes.len() as u32, u32::from_be_bytes(bytes[..4].try_into().unwrap()));
        prop_assert_eq!(decode(&bytes).unwrap(), pdu);
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames(
        bodies in vec(any_body(), 1..6), cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut stream = BytesMut::new();
        for (at, body) in bodies.iter().enumerate() {
            Pdu::new(at as u32 + 1, body.clone()).encode(&mut stream).unwrap();
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let (mut buffer, mut fed, mut got) = (BytesMut::new(), 0, Vec::new());
        for cut in cuts {
            buffer.extend_from_slice(&stream[fed..cut]);
            fed = cut;
            while let Some(frame) = Framer::default().next_frame(&mut buffer).unwrap() {
                got.push(decode(&frame).unwrap().body);
            }
        }
        prop_assert_eq!(got, bodies);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_octets_decode_or_are_refused_with_their_sequence(
        command_id in prop_oneof![0u32..0x16, 0x8000_0000u32..0x8000_0016, Just(0x103), Just(0x102)],
        sequence: u32, junk in vec(any::<u8>(), 0..120),
    ) {
        match decode(&frame(command_id, 0, sequence, &junk)) {
            Ok(pdu) => prop_assert_eq!((pdu.sequence, pdu.body.command_id()), (sequence, command_id)),
            Err(error) => prop_assert_eq!((error.sequence, error.command_id), (sequence, command_id)),
        }
    }
}

#[test]
fn encoding_refuses_what_the_specification_does_not_allow() {
    let long = |length: usize| Octets::from("9".repeat(length));
    let mut both = Tlvs::new();
    both.push(tag::MESSAGE_PAYLOAD, "more");
    let cases: Vec<(Body, &str)> = vec![
        (
            Body::SubmitSm(Sm {
                destination: Address::new(1, 1, long(21)),
                ..Sm::default()
            }),
            "destination_addr is over its limit",
        ),
        (
            Body::SubmitSm(Sm {
                source: Address::new(5, 0, "a\0b"),
                ..Sm::default()
            }),
            "source_addr holds a NUL",
        ),
        (
            Body::SubmitSm(Sm {
                short_message: long(256),
                ..Sm::default()
            }),
            "short_message is over 255 octets",
        ),
        (
            Body::SubmitSm(Sm {
                short_message: "one".into(),
                tlvs: both,
                ..Sm::default()
            }),
            "short_message is given beside message_payload",
        ),
        (
            Body::SubmitSmResp(MessageResp {
                message_id: long(65),
                ..MessageResp::default()
            }),
            "message_id is over its limit",
        ),
        (
            Body::DataSm(DataSm {
                tlvs: Tlvs::new().with(tag::MESSAGE_PAYLOAD, long(65_536)),
                ..DataSm::default()
            }),
            "optional parameter is over 65535 octets",
        ),
    ];
    for (body, problem) in cases {
        let mut out = BytesMut::from(&b"before"[..]);
        assert_eq!(
            Pdu::new(1, body).encode(&mut out).unwrap_err().to_string(),
            problem
        );
        assert_eq!(&out[..], b"before", "{problem}");
    }
    for sequence in [0, MAX_SEQUENCE + 1] {
        assert!(Pdu::new(sequence, Body::EnquireLink).to_bytes().is_err());
        assert!(
            Pdu::generic_nack(sequence, CommandStatus::RINVCMDID)
                .to_bytes()
                .is_ok()
        );
    }
}

#[test]
fn the_specifications_own_bind_decodes() {
    // SMPP 3.4 §3.2.1, the example of a bind_transmitter.
    let bytes = Bytes::from_static(&[
        0x00, 0x00, 0x00, 0x2F, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x53,
        0x4D, 0x50, 0x50, 0x33, 0x54, 0x45, 0x53, 0x54, 0x00, 0x73, 0x65, 0x63, 0x72, 0x65, 0x74, 0x30, 0x38,
        0x00, 0x53, 0x55, 0x42, 0x4D, 0x49, 0x54, 0x31, 0x00, 0x00, 0x01, 0x01, 0x00,
    ]);
    let expected = Bind {
        system_id: "SMPP3TEST".into(),
        password: "secret08".into(),
        system_type: "SUBMIT1".into(),
        interface_version: 0,
        address_range: Address::new(ton::INTERNATIONAL, npi::ISDN, ""),
    };
    let pdu = decode(&bytes).unwrap();
    assert_eq!(pdu, Pdu::new(1, Body::BindTransmitter(expected)));
    assert_eq!(pdu.to_bytes().unwrap(), bytes);
}

#[test]
fn an_error_response_has_no_body_unless_it_says_something() {
    let throttled = |resp| Pdu::with_status(9, CommandStatus::RTHROTTLED, Body::SubmitSmResp(resp));
    assert_eq!(
        throttled(MessageResp::default()).to_bytes().unwrap().len(),
        HEADER_LEN
    );
    let tlvs = Tlvs::new().with(tag::CONGESTION_STATE, [95]);
    let told = throttled(MessageResp {
        tlvs,
        ..MessageResp::default()
    });
    assert_eq!(
        decode(&told.to_bytes().unwrap()).unwrap().body.congestion_state(),
        Some(95)
    );
}

#[test]
fn a_refusal_is_the_commands_own_response() {
    let refusal = |id| Pdu::refusal(id, 5, CommandStatus::RINVCMDLEN).map(|pdu| pdu.body.name());
    assert_eq!(refusal(command::DELIVER_SM), Some("deliver_sm_resp"));
    assert_eq!(refusal(command::BROADCAST_SM), Some("generic_nack"));
    assert_eq!(refusal(0x0001_0203), Some("generic_nack"));
    assert_eq!(refusal(command::ALERT_NOTIFICATION), None);
    assert_eq!(refusal(command::SUBMIT_SM | command::RESPONSE), None);
    assert_eq!(refusal(command::GENERIC_NACK), None);
}

#[test]
fn only_an_impossible_length_is_fatal() {
    for length in [0u32, 15, DEFAULT_MAX_FRAME as u32 + 1, u32::MAX] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        let error = Framer::default().next_frame(&mut buffer).unwrap_err();
        assert_eq!((error.length, error.sequence), (length as usize, 0));
        buffer.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 77]);
        assert_eq!(
            Framer::default().next_frame(&mut buffer).unwrap_err().sequence,
            77
        );
    }
    let mut buffer = BytesMut::from(&16u32.to_be_bytes()[..]);
    assert_eq!(Framer::new(16).next_frame(&mut buffer), Ok(None));
}

#[test]
fn statuses_are_named_once_and_debug_shows_no_content() {
    let mut names: Vec<_> = CommandStatus::KNOWN
        .iter()
        .map(|status| status.name().unwrap())
        .collect();
    assert!(CommandStatus::KNOWN.is_sorted());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CommandStatus::KNOWN.len());
    assert_eq!(CommandStatus::RTHROTTLED.to_string(), "RTHROTTLED (0x58)");
    assert_eq!(CommandStatus(0x417).to_string(), "0x417");
    assert_eq!(
        CommandStatus(0x417).sentence(),
        "The SMSC gave an error code of its vendor."
    );

    let sm = Sm {
        destination: Address::new(1, 1, "447700900123"),
        short_message: "secret".into(),
        ..Sm::default()
    };
    let shown = format!("{:?}", Pdu::new(1, Body::SubmitSm(sm)));
    assert!(!shown.contains("4477") && !shown.contains("secret"), "{shown}");
}
