//! What real SMSCs send: each case decodes as its sender meant it, or is refused alone.

use super::*;

const SUBMIT_SM_RESP: u32 = command::SUBMIT_SM | command::RESPONSE;

/// deliver_sm with these addresses, text and octets after the text.
fn deliver(source: &[u8], text: &[u8], after: &[u8]) -> Bytes {
    let mut body = vec![0, 1, 1];
    body.extend_from_slice(source);
    body.extend_from_slice(&[0, 1, 1]);
    body.extend_from_slice(b"12345\0");
    body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, text.len() as u8]);
    body.extend_from_slice(text);
    body.extend_from_slice(after);
    frame(command::DELIVER_SM, 0, 7, &body)
}

fn delivered(frame: &Bytes) -> Sm {
    match decode(frame).unwrap().body {
        Body::DeliverSm(sm) => sm,
        other => panic!("{}", other.name()),
    }
}

fn message_id(frame: &Bytes) -> Octets {
    match decode(frame).unwrap().body {
        Body::SubmitSmResp(resp) => resp.message_id,
        other => panic!("{}", other.name()),
    }
}

#[test]
fn responses_without_a_body_or_a_nul_decode() {
    let long = "7".repeat(70);
    let cases: &[(u32, &[u8], &[u8])] = &[
        (0x58, b"", b""),
        (0x58, b"\0", b""),
        (0, b"", b""),
        (0, b"abc-1", b"abc-1"),
        (0, b"abc-1\0", b"abc-1"),
        (0, long.as_bytes(), long.as_bytes()),
        (0, b"\xE9\xFF\0", b"\xE9\xFF"),
        (0, b"abc\0\0\0\0", b"abc"),
        (0, b"abc\0junk", b"abc"),
    ];
    for (status, body, expected) in cases {
        assert_eq!(
            &*message_id(&frame(SUBMIT_SM_RESP, *status, 1, body)),
            *expected,
            "{body:?}"
        );
    }
    for id in [
        0x8000_0001u32,
        0x8000_0002,
        0x8000_0009,
        0x8000_0003,
        0x8000_0103,
        0x8000_0005,
    ] {
        assert_eq!(
            decode(&frame(id, 0x0E, 3, b"")).unwrap().status,
            CommandStatus::RINVPASWD
        );
    }
}

#[test]
fn a_bind_response_may_lack_its_nul_and_its_version() {
    for body in [
        &b"SMSC\0"[..],
        b"SMSC",
        b"SMSC\0\x02\x10\x00\x01\x34",
        b"SMSC\0\x02\x10\x00\x01",
    ] {
        let Body::BindTransceiverResp(resp) = decode(&frame(0x8000_0009, 0, 1, body)).unwrap().body else {
            panic!("another command")
        };
        assert_eq!(resp.system_id.text(), "SMSC");
        assert_eq!(
            resp.tlvs.sc_interface_version(),
            (body.len() == 10).then_some(VERSION_3_4)
        );
    }
}

#[test]
fn addresses_keep_any_octets_of_any_length() {
    let sm = delivered(&deliver(b"Caf\xE9\0", b"hi", b""));
    assert_eq!(&*sm.source.addr, b"Caf\xE9");
    assert_eq!(sm.source.addr.text(), "Café");
    let sm = delivered(&deliver(b"123456789012345678901234567890\0", b"hi", b""));
    assert_eq!(sm.source.addr.len(), 30);
    assert_eq!(&*sm.short_message, b"hi");
}

#[test]
fn a_short_message_may_have_255_octets() {
    assert_eq!(
        delivered(&deliver(b"1\0", &[b'x'; 255], b"")).short_message.len(),
        255
    );
}

#[test]
fn optional_parameters_survive_unknown_and_cut_short() {
    let id = b"\x00\x1E\x00\x05ab12\0";
    let state = b"\x04\x27\x00\x01\x02";
    let vendor = b"\x15\x00\x00\x03xyz";
    let all = [&vendor[..], id, vendor, state].concat();
    let sm = delivered(&deliver(b"1\0", b"", &all));
    assert_eq!(
        sm.tlvs.0.iter().map(|tlv| tlv.tag).collect::<Vec<_>>(),
        [0x1500, 0x1E, 0x1500, 0x427]
    );
    assert_eq!(sm.tlvs.receipted_message_id().unwrap().text(), "ab12");
    assert_eq!(sm.tlvs.message_state(), Some(2));

    // The length counts a NUL that was not sent.
    let sm = delivered(&deliver(b"1\0", b"hi", b"\x00\x1E\x00\x05ab12"));
    assert_eq!(sm.tlvs.receipted_message_id().unwrap().text(), "ab12");
    // Widths that are not the specification's.
    let sm = delivered(&deliver(
        b"1\0",
        b"hi",
        b"\x04\x27\x00\x04\0\0\0\x05\x02\x0C\x00\x01\x09",
    ));
    assert_eq!(sm.tlvs.message_state(), Some(5));
    assert_eq!(sm.tlvs.sar_msg_ref_num(), Some(9));
    // Empty and absurd values are none.
    let sm = delivered(&deliver(
        b"1\0",
        b"hi",
        b"\x04\x27\x00\x00\x02\x0E\x00\x05\x01\x01\x01\x01\x01",
    ));
    assert_eq!(
        (sm.tlvs.message_state(), sm.tlvs.sar_total_segments()),
        (None, None)
    );
    // Less than a parameter's head is junk.
    for junk in [&b"\0"[..], b"\0\0", b"\x04\x27\x00"] {
        assert!(delivered(&deliver(b"1\0", b"hi", junk)).tlvs.0.is_empty());
    }
}

#[test]
fn network_errors_are_read() {
    let sm = delivered(&deliver(b"1\0", b"", b"\x04\x23\x00\x03\x03\x00\x22"));
    assert_eq!(
        sm.tlvs.network_error_code(),
        Some(NetworkError {
            network: 3,
            code: 0x22
        })
    );
}

#[test]
fn the_body_may_come_as_message_payload() {
    let sm = delivered(&deliver(b"1\0", b"", b"\x04\x24\x00\x05hello"));
    assert_eq!(&**sm.payload(), b"hello");
    // Some send an empty payload beside the text.
    let sm = delivered(&deliver(b"1\0", b"text", b"\x04\x24\x00\x00"));
    assert_eq!(&**sm.payload(), b"text");
}

#[test]
fn one_bad_pdu_never_costs_the_next() {
    let mut cut = BytesMut::from(&deliver(b"1\0", b"hello", b"")[..]);
    cut.truncate(cut.len() - 2);
    let length = cut.len() as u32;
    cut[..4].copy_from_slice(&length.to_be_bytes());
    let bad = [
        (cut.freeze(), Some(CommandStatus::RINVMSGLEN)),
        (
            frame(command::DELIVER_SM, 0, 7, b""),
            Some(CommandStatus::RINVCMDLEN),
        ),
        (
            frame(command::DELIVER_SM, 0, 7, b"no NUL anywhere"),
            Some(CommandStatus::RINVCMDLEN),
        ),
        (frame(command::ENQUIRE_LINK, 0, 7, b"junk"), None),
        (
            frame(command::SUBMIT_SM, 0, 7, &[0; 9]),
            Some(CommandStatus::RINVCMDLEN),
        ),
        (frame(command::SUBMIT_MULTI, 0, 7, &[0xFF; 30]), None),
        (frame(0x0001_0203, 0x417, 7, b"vendor"), None),
    ];
    for (bytes, refused) in bad {
        let mut stream = BytesMut::from(&bytes[..]);
        stream.extend_from_slice(&deliver(b"1\0", b"next", b""));
        let first = Framer::default().next_frame(&mut stream).unwrap().unwrap();
        match (decode(&first), refused) {
            (Ok(pdu), None) => assert_eq!(pdu.sequence, 7),
            (Err(error), Some(status)) => assert_eq!((error.status, error.sequence), (status, 7)),
            (got, _) => panic!("{got:?}"),
        }
        let second = Framer::default().next_frame(&mut stream).unwrap().unwrap();
        assert_eq!(&*delivered(&second).short_message, b"next");
        assert!(stream.is_empty());
    }
}

#[test]
fn a_bind_may_end_after_its_version() {
    let Body::BindReceiver(bind) = decode(&frame(1, 0, 1, b"me\0pw\0\0\x34")).unwrap().body else {
        panic!("another command")
    };
    assert_eq!(
        (bind.system_id.text().as_ref(), bind.interface_version),
        ("me", VERSION_3_4)
    );
    assert_eq!(bind.address_range, Address::default());
}
