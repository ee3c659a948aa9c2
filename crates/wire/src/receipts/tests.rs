use proptest::prelude::*;

use super::*;
use crate::text::encode_utf16;

fn read(text: &str) -> Receipt {
    parse(Tlvs::default(), text.as_bytes())
}

fn time(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> LocalTime {
    LocalTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
    }
}

fn standard() -> Receipt {
    Receipt {
        id: Some("0123456789".into()),
        state: Some(MessageState::Delivered),
        error: Some("000".into()),
        submitted: Some(1),
        delivered: Some(1),
        submit_date: Some(time(2026, 11, 23, 14, 5, 0)),
        done_date: Some(time(2026, 11, 23, 14, 6, 0)),
        text: Some("Hello there".into()),
    }
}

const STANDARD: &str = "id:0123456789 sub:001 dlvrd:001 submit date:2611231405 done date:2611231406 \
                        stat:DELIVRD err:000 text:Hello there";

#[test]
fn the_form_of_the_specification_is_read_and_written() {
    assert_eq!(read(STANDARD), standard());
    assert_eq!(standard().to_text(), STANDARD);
}

#[test]
fn seconds_and_long_years_are_read() {
    assert_eq!(
        read("done date:261123140607").done_date,
        Some(time(2026, 11, 23, 14, 6, 7))
    );
    assert_eq!(
        read("done date:20261123140607").done_date,
        Some(time(2026, 11, 23, 14, 6, 7))
    );
    assert_eq!(
        read("done date:202611231406").done_date,
        Some(time(2026, 11, 23, 14, 6, 0))
    );
    assert_eq!(read("done date:2613231406 stat:DELIVRD").done_date, None);
    assert_eq!(
        read("done date:soon stat:DELIVRD").state,
        Some(MessageState::Delivered)
    );
}

#[test]
fn sloppy_forms_are_read() {
    // Jasmin leaves out sub, dlvrd and text.
    let jasmin = read("id:7d5c-44 submit date:2611231405 done date:2611231405 stat:UNDELIV err:012");
    assert_eq!(jasmin.id.as_deref(), Some("7d5c-44"));
    assert_eq!(
        (jasmin.state, jasmin.submitted),
        (Some(MessageState::Undeliverable), None)
    );
    let shouting = read(
        "ID:abc SUB:1 DLVRD:0 SUBMIT_DATE:2611231405 DONE DATE :2611231405 STAT:delivrd ERR:0x1F TEXT:Hi",
    );
    assert_eq!(shouting.id.as_deref(), Some("abc"));
    assert_eq!(shouting.state, Some(MessageState::Delivered));
    assert_eq!(shouting.error.as_deref(), Some("0x1F"));
    assert_eq!(shouting.submit_date, Some(time(2026, 11, 23, 14, 5, 0)));
    assert_eq!(shouting.text.as_deref(), Some("Hi"));
    let spaced = read("id: 42  stat: EXPIRED , err: E123;");
    assert_eq!(
        (spaced.id.as_deref(), spaced.state),
        (Some("42"), Some(MessageState::Expired))
    );
    assert_eq!(spaced.error.as_deref(), Some("E123"));
    assert_eq!(read("\u{feff}id:9 stat:REJECTD").id.as_deref(), Some("9"));
}

#[test]
fn the_text_of_the_message_changes_nothing() {
    let receipt = read("id:1 stat:DELIVRD err:000 text:id:2 stat:UNDELIV text:x");
    assert_eq!(receipt.id.as_deref(), Some("1"));
    assert_eq!(receipt.state, Some(MessageState::Delivered));
    assert_eq!(receipt.text.as_deref(), Some("id:2 stat:UNDELIV text:x"));
    // A label inside of a word is none.
    assert_eq!(read("valid:5 id:6").id.as_deref(), Some("6"));
}

#[test]
fn receipts_in_the_wrong_encoding_are_read() {
    assert_eq!(parse(Tlvs::default(), &encode_utf16(STANDARD)), standard());
    let little: Vec<u8> = encode_utf16(STANDARD)
        .chunks(2)
        .flat_map(|u| [u[1], u[0]])
        .collect();
    assert_eq!(parse(Tlvs::default(), &little), standard());
    // "id:a_b", the underscore as GSM has it.
    assert_eq!(
        parse(Tlvs::default(), b"id:a\x11b stat:DELIVRD").id.as_deref(),
        Some("a_b")
    );
}

#[test]
fn tlvs_count_before_the_text() {
    let tlvs = Tlvs {
        receipted_message_id: Some(b"ABC\0"),
        message_state: Some(5),
        network_error_code: Some(&[3, 0x01, 0x02]),
    };
    let receipt = parse(tlvs, b"id:1 stat:DELIVRD");
    assert_eq!(receipt.id.as_deref(), Some("ABC"));
    assert_eq!(receipt.state, Some(MessageState::Undeliverable));
    assert_eq!(receipt.error.as_deref(), Some("258"));
    assert_eq!(parse(tlvs, b"err:7").error.as_deref(), Some("7"));
    let empty = Tlvs {
        receipted_message_id: Some(b"\0"),
        message_state: Some(77),
        ..Tlvs::default()
    };
    assert_eq!(parse(empty, b"id:1 stat:DELIVRD").id.as_deref(), Some("1"));
    assert_eq!(
        parse(empty, b"id:1 stat:DELIVRD").state,
        Some(MessageState::Delivered)
    );
}

#[test]
fn every_state_is_read_back_from_its_word_and_code() {
    for state in MessageState::ALL {
        assert_eq!(MessageState::from_word(state.word()), Some(state));
        assert_eq!(MessageState::from_code(state.code()), Some(state));
    }
    assert_eq!(MessageState::from_code(10), None);
    assert_eq!(
        MessageState::from_word("delivered"),
        Some(MessageState::Delivered)
    );
    assert_eq!(MessageState::from_word("2"), Some(MessageState::Delivered));
    assert_eq!(MessageState::from_word(""), None);
    assert!(MessageState::Delivered.is_final() && !MessageState::Enroute.is_final());
}

#[test]
fn debug_shows_no_text_of_the_message() {
    assert!(!format!("{:?}", standard()).contains("Hello"));
}

proptest! {
    #[test]
    fn foreign_octets_never_panic(body: Vec<u8>, id: Option<Vec<u8>>, state: Option<u8>, code: Option<Vec<u8>>) {
        let _ = parse(
            Tlvs { receipted_message_id: id.as_deref(), message_state: state, network_error_code: code.as_deref() },
            &body,
        );
    }

    #[test]
    fn foreign_text_never_panics(text in "(id|sub|dlvrd|submit date|done date|stat|err|text|[:é ]|[0-9]{0,15}){0,30}") {
        let _ = read(&text);
    }

    #[test]
    fn what_is_written_is_read(
        id in "[A-Za-z0-9-]{1,40}",
        state in prop::sample::select(&MessageState::ALL[..]),
        error in "[A-Z0-9]{1,4}",
        counts: (u16, u16),
    ) {
        let receipt = Receipt {
            id: Some(id),
            state: Some(state),
            error: Some(error),
            submitted: Some(counts.0.into()),
            delivered: Some(counts.1.into()),
            ..standard()
        };
        prop_assert_eq!(read(&receipt.to_text()), receipt);
    }
}
