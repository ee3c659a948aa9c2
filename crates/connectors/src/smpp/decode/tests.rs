use super::*;
use crate::smpp::config::{Alphabet, IdForm};
use swingbridge_wire::smpp::{DataSm, Sm};

fn read_with(config: &Config, sequence: u32, body: PduBody) -> Arrival {
    let connector = ConnectorId::new("main");
    let reader = Reader {
        connector: &connector,
        session: SessionId(7),
        config,
    };
    reader.arrival(&Delivery { sequence, body }).unwrap()
}

fn sm(esm_class: u8, data_coding: u8, text: &[u8]) -> Sm {
    Sm {
        source: Address::new(1, 1, "447700900123"),
        destination: Address::new(3, 0, "80888"),
        esm_class,
        data_coding,
        short_message: text.into(),
        ..Sm::default()
    }
}

fn message_with(config: &Config, sm: Sm) -> InboundMessage {
    match read_with(config, 1, PduBody::DeliverSm(sm)).what {
        What::Network(Inbound::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn message(sm: Sm) -> InboundMessage {
    message_with(&Config::default(), sm)
}

fn shown(message: &InboundMessage) -> &str {
    &message.message.first_text().unwrap().plain
}

fn receipt(config: &Config, sm: Sm) -> Receipt {
    match read_with(config, 1, PduBody::DeliverSm(sm)).what {
        What::Network(Inbound::Receipt(receipt)) => receipt,
        other => panic!("{other:?}"),
    }
}

fn ids(receipt: &Receipt) -> Vec<&str> {
    receipt.network_ids.iter().map(|id| id.as_str()).collect()
}

#[test]
fn texts_are_read_by_their_data_coding_and_the_accounts_alphabet() {
    assert_eq!(shown(&message(sm(0, 0, b"5 \x1B\x65 \x00"))), "5 € @");
    assert_eq!(shown(&message(sm(0, 8, b"\xD8\x3D\xDE\x00"))), "😀");
    assert_eq!(shown(&message(sm(0, 3, b"Caf\xE9"))), "Café");
    assert_eq!(shown(&message(sm(0, 0, b""))), "");
    let mut config = Config::default();
    config.text.default_alphabet = Alphabet::Latin1;
    config.text.ia5_alphabet = Alphabet::Gsm;
    assert_eq!(shown(&message_with(&config, sm(0, 0, b"@ Caf\xE9"))), "@ Café");
    assert_eq!(shown(&message_with(&config, sm(0, 1, b"\x1B\x65"))), "€");
}

#[test]
fn addresses_come_with_the_networks_hint() {
    let message = message(sm(0, 0, b"hi"));
    assert_eq!(
        (message.from.text.as_str(), message.from.hint),
        ("447700900123", Hint::International)
    );
    assert_eq!(
        (message.to.text.as_str(), message.to.hint),
        ("80888", Hint::Unknown)
    );
}

#[test]
fn parts_are_told_by_header_or_parameters() {
    let part = |reference, width, total, index| {
        Some(PartOf {
            reference,
            width,
            total,
            index,
        })
    };
    let eight = message(sm(0x40, 0, b"\x05\x00\x03\x2A\x02\x01Hello"));
    assert_eq!((shown(&eight), eight.part), ("Hello", part(42, 1, 2, 1)));
    let sixteen = message(sm(0x40, 8, b"\x06\x08\x04\x01\x00\x03\x02\0H\0i"));
    assert_eq!((shown(&sixteen), sixteen.part), ("Hi", part(256, 2, 3, 2)));
    let mut sar = sm(0, 0, b"Hi");
    sar.tlvs.push(tag::SAR_MSG_REF_NUM, [1, 0]);
    sar.tlvs.push(tag::SAR_TOTAL_SEGMENTS, [2]);
    sar.tlvs.push(tag::SAR_SEGMENT_SEQNUM, [2]);
    assert_eq!(message(sar.clone()).part, part(256, 2, 2, 2));
    // Impossible numbers, and a message of one part, are no parts.
    sar.tlvs.0[2].value = [3].into();
    assert_eq!(message(sar).part, None);
    assert_eq!(message(sm(0x40, 0, b"\x05\x00\x03\x2A\x01\x01Hi")).part, None);
    // The bit without a header: shown whole.
    assert_eq!(shown(&message(sm(0x40, 0, b"Hi"))), "Hi");
}

#[test]
fn what_is_no_text_is_not_dropped() {
    let kind = |sm| match &message(sm).message.parts[0].body {
        Body::Other { kind, fallback: None } => kind.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(sm(0, 4, &[0xFF, 0x00])), "application/octet-stream");
    assert_eq!(
        kind(sm(0x40, 0, b"\x06\x05\x04\x0B\x84\x00\x00push")),
        "sms/port-2948"
    );
}

#[test]
fn data_sm_is_read_like_deliver_sm() {
    let data = DataSm {
        source: Address::new(1, 1, "447700900123"),
        tlvs: Tlvs::new().with(tag::MESSAGE_PAYLOAD, "from data"),
        ..DataSm::default()
    };
    match read_with(&Config::default(), 1, PduBody::DataSm(data)).what {
        What::Network(Inbound::Message(message)) => assert_eq!(shown(&message), "from data"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn receipts_are_told_by_class_and_read_from_parameters_and_text() {
    let text = b"id:0000ABC sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:x";
    let config = Config::default();
    let read = receipt(&config, sm(0x04, 0, text));
    assert_eq!(
        (ids(&read), read.outcome, read.error.as_deref()),
        (vec!["abc"], Outcome::Delivered, None)
    );

    let mut both = sm(0x04, 0, b"id:1 stat:ENROUTE err:034");
    both.tlvs.push(tag::RECEIPTED_MESSAGE_ID, "ID-9\0");
    both.tlvs.push(tag::MESSAGE_STATE, [5]);
    let read = receipt(&config, both);
    assert_eq!((ids(&read), read.outcome), (vec!["ID-9"], Outcome::Rejected));
    assert_eq!(read.error.as_deref(), Some("034"));

    // The same text from a person is a text.
    assert_eq!(
        shown(&message(sm(0, 0, b"id:1 stat:DELIVRD"))),
        "id:1 stat:DELIVRD"
    );
    // An intermediate notification never ends a message.
    assert_eq!(
        receipt(&config, sm(0x20, 0, b"id:1 stat:UNDELIV")).outcome,
        Outcome::Sent
    );
    // Nothing known is said as such.
    let read = receipt(&config, sm(0x04, 0, b""));
    assert_eq!((ids(&read), read.outcome), (vec![], Outcome::Unknown));
}

#[test]
fn a_receipt_whose_class_says_nothing_is_told_by_its_state_and_id_together() {
    let mut told = sm(0, 0, b"id:77 stat:DELIVRD");
    told.tlvs.push(tag::RECEIPTED_MESSAGE_ID, "77\0");
    told.tlvs.push(tag::MESSAGE_STATE, [2]);
    let read = receipt(&Config::default(), told.clone());
    assert_eq!((ids(&read), read.outcome), (vec!["77"], Outcome::Delivered));
    // One of them alone is none, and another class is what it says.
    for at in [0, 1] {
        let mut one = told.clone();
        one.tlvs.0.remove(at);
        assert_eq!(shown(&message(one)), "id:77 stat:DELIVRD");
    }
    told.esm_class = 0x10;
    assert_eq!(shown(&message(told)), "id:77 stat:DELIVRD");
}

#[test]
fn receipts_name_the_message_as_the_account_submitted_it() {
    let mut config = Config::default();
    config.message_ids.receipted = IdForm::Decimal;
    let read = receipt(&config, sm(0x04, 0, b"id:40732 stat:DELIVRD"));
    assert_eq!(
        read.network_ids.first(),
        super::ids::normal("9F1C", IdForm::Hex).as_ref()
    );
}

#[test]
fn digests_tell_what_was_said_and_nothing_else() {
    let digest = |sequence, sm| match read_with(&Config::default(), sequence, PduBody::DeliverSm(sm)).dedupe {
        Dedupe::Digest {
            digest,
            sequence: told,
            session,
            ..
        } => {
            assert_eq!((told, session), (sequence, SessionId(7)));
            digest
        }
        other => panic!("{other:?}"),
    };
    let same = digest(1, sm(0, 0, b"ok"));
    assert_eq!(digest(2, sm(0, 0, b"ok")), same);
    assert_ne!(digest(1, sm(0, 0, b"OK")), same);
    let mut other = sm(0, 0, b"ok");
    other.source = Address::new(1, 1, "447700900124");
    assert_ne!(digest(1, other), same);
    let mut part = sm(0, 0, b"ok");
    part.tlvs.push(tag::SAR_SEGMENT_SEQNUM, [2]);
    assert_ne!(digest(1, part), same);
    assert!(matches!(
        read_with(&Config::default(), 1, PduBody::DeliverSm(sm(4, 0, b"id:1"))).dedupe,
        Dedupe::Harmless
    ));
}

#[test]
fn a_message_that_the_smsc_names_is_told_by_its_name_and_content() {
    let named = |name: &'static str, text: &[u8]| {
        let mut named = sm(0, 0, text);
        named.tlvs.push(tag::RECEIPTED_MESSAGE_ID, name);
        let arrival = read_with(&Config::default(), 1, PduBody::DeliverSm(named));
        let What::Network(Inbound::Message(message)) = arrival.what else {
            panic!("no message")
        };
        assert_eq!(message.network_id.unwrap().as_str(), name.trim_end_matches('\0'));
        match arrival.dedupe {
            Dedupe::Id { scope, id } => {
                assert_eq!(scope, "main");
                id
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named("a1\0", b"ok"), named("a1", b"ok"));
    assert_ne!(named("a1", b"ok"), named("a2", b"ok"));
    assert_ne!(named("a1", b"part one"), named("a1", b"part two"));
}
