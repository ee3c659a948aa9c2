use super::*;
use crate::smpp::config::LongMessages;
use swingbridge_domain::id::{LineId, MessageId};
use swingbridge_domain::message::Message;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn outbound(text: &str) -> Outbound {
    Outbound {
        id: MessageId(1),
        key: String::new(),
        line: LineId::new("main"),
        from: Address::Number("+447700900001".into()),
        to: vec![Address::Number("+447700900123".into())],
        message: Message::text(text),
        expires_at: None,
    }
}

fn encode(outbound: &Outbound, config: &Config) -> Result<Submission, SendError> {
    submission(outbound, config, &References::new(), NOW)
}

fn reason(outbound: &Outbound) -> Reason {
    match encode(outbound, &Config::default()) {
        Err(SendError::Rejected { reason, .. }) => reason,
        other => panic!("{:?}", other.map(|submission| submission.parts)),
    }
}

#[test]
fn a_short_text_is_one_pdu_with_the_accounts_rules() {
    let mut config = Config {
        service_type: "CMT".into(),
        ..Config::default()
    };
    let sent = encode(&outbound("Grüße @ 5 €"), &config).unwrap();
    let [sm] = sent.parts.as_slice() else {
        panic!("{} parts", sent.parts.len())
    };
    assert_eq!(sm.source, WireAddress::new(1, 1, "447700900001"));
    assert_eq!(sm.destination, WireAddress::new(1, 1, "447700900123"));
    assert_eq!((sm.data_coding, sm.esm_class, sm.registered_delivery), (0, 0, 1));
    assert_eq!(&*sm.short_message, b"Gr\x7E\x1Ee \x00 5 \x1B\x65");
    assert_eq!(sm.service_type.text(), "CMT");
    assert!(sm.validity_period.is_empty() && sm.tlvs.0.is_empty());
    assert_eq!((sent.segments, sent.encoding), (1, "GSM 03.38"));

    config.addresses.destination.plus = true;
    config.receipts = false;
    let sent = encode(&outbound("😀"), &config).unwrap();
    assert_eq!(sent.parts[0].destination.addr.text(), "+447700900123");
    assert_eq!(
        (sent.parts[0].registered_delivery, sent.parts[0].data_coding),
        (0, 8)
    );
    assert_eq!(&*sent.parts[0].short_message, b"\xD8\x3D\xDE\x00");
    assert_eq!(sent.encoding, "UTF-16");
}

#[test]
fn kinds_of_address_have_their_own_types_of_number() {
    let mut message = outbound("hi");
    message.from = Address::Name("ACME Bank".into());
    message.to = vec![Address::Short("80888".into())];
    let sent = encode(&message, &Config::default()).unwrap();
    assert_eq!(sent.parts[0].source, WireAddress::new(5, 0, "ACME Bank"));
    assert_eq!(sent.parts[0].destination, WireAddress::new(3, 0, "80888"));
}

#[test]
fn long_texts_travel_as_configured() {
    let text = "x".repeat(161);
    let with = |long_messages| {
        let mut config = Config::default();
        config.text.long_messages = long_messages;
        encode(&outbound(&text), &config).unwrap()
    };
    let sent = with(LongMessages::Udh8);
    assert_eq!(sent.segments, 2);
    for (at, sm) in sent.parts.iter().enumerate() {
        assert_eq!(sm.esm_class, esm_class::UDHI);
        assert_eq!(sm.short_message[..3], [5, 0, 3]);
        assert_eq!(sm.short_message[4..6], [2, at as u8 + 1]);
        assert_eq!(sm.short_message[3], sent.parts[0].short_message[3]);
    }
    assert_eq!(with(LongMessages::Udh16).parts[0].short_message[..3], [6, 8, 4]);
    let sent = with(LongMessages::Sar);
    for (at, sm) in sent.parts.iter().enumerate() {
        assert_eq!((sm.esm_class, sm.tlvs.sar_total_segments()), (0, Some(2)));
        assert_eq!(sm.tlvs.sar_segment_seqnum(), Some(at as u8 + 1));
        assert_eq!(sm.tlvs.sar_msg_ref_num(), sent.parts[0].tlvs.sar_msg_ref_num());
    }
    let sent = with(LongMessages::Payload);
    assert_eq!((sent.parts.len(), sent.segments), (1, 2));
    assert!(sent.parts[0].short_message.is_empty());
    assert_eq!(
        sent.parts[0].tlvs.message_payload().map(|payload| payload.len()),
        Some(161)
    );
}

#[test]
fn each_pair_of_addresses_counts_its_own_references() {
    let references = References::new();
    let config = Config::default();
    let mut text = outbound(&"x".repeat(200));
    let reference = |message: &Outbound| {
        submission(message, &config, &references, NOW).unwrap().parts[0].short_message[3]
    };
    let first = reference(&text);
    // A burst to others, and short messages, use up none of this pair's numbers.
    for number in 0..3 {
        text.to = vec![Address::Number(format!("+44770090{number:04}"))];
        assert!(encode(&text, &config).is_ok());
    }
    text.to = outbound("").to;
    assert_eq!(reference(&text), first.wrapping_add(1));
}

#[test]
fn the_expiry_becomes_a_relative_validity() {
    let mut message = outbound("hi");
    for (seconds, expected) in [
        (90, "000000000130000R"),
        (3_600, "000000010000000R"),
        (86_400 + 2 * 3_600 + 3 * 60 + 4, "000001020304000R"),
        (90 * 86_400, "000030000000000R"),
    ] {
        message.expires_at = Some(NOW + Duration::from_secs(seconds));
        let sent = encode(&message, &Config::default()).unwrap();
        assert_eq!(sent.parts[0].validity_period.text(), expected);
    }
    message.expires_at = Some(NOW);
    assert_eq!(reason(&message), Reason::Expired);
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let to = |to: Vec<Address>| Outbound { to, ..outbound("hi") };
    for number in ["112", "911", "999"] {
        assert_eq!(
            reason(&to(vec![Address::Short(number.into())])),
            Reason::Emergency
        );
    }
    assert_eq!(
        reason(&to(vec![Address::Name("ACME".into())])),
        Reason::BadAddress
    );
    assert_eq!(reason(&to(vec![Address::Number("+".into())])), Reason::BadAddress);
    assert_eq!(reason(&to(vec![])), Reason::BadContent);
    assert_eq!(
        reason(&Outbound {
            message: Message::default(),
            ..outbound("")
        }),
        Reason::BadContent
    );
    assert_eq!(reason(&outbound(&"x".repeat(153 * 255 + 1))), Reason::BadContent);
}
