use proptest::prelude::*;

use super::*;

fn alphabet_of(data_coding: u8) -> Alphabet {
    classify(data_coding, CodingRules::default()).alphabet
}

#[test]
fn data_codings_name_their_alphabets() {
    let cases = [
        (0x00, Alphabet::Gsm),
        (0x01, Alphabet::Ascii),
        (0x02, Alphabet::Binary),
        (0x03, Alphabet::Latin1),
        (0x04, Alphabet::Binary),
        (0x05, Alphabet::Other),
        (0x06, Alphabet::Cyrillic),
        (0x07, Alphabet::Hebrew),
        (0x08, Alphabet::Utf16),
        (0x10, Alphabet::Gsm),
        (0x15, Alphabet::Binary),
        (0x18, Alphabet::Utf16),
        (0x1C, Alphabet::Other),
        (0x20, Alphabet::Binary),
        (0x48, Alphabet::Utf16),
        (0x80, Alphabet::Other),
        (0xC8, Alphabet::Gsm),
        (0xE0, Alphabet::Utf16),
        (0xF0, Alphabet::Gsm),
        (0xF4, Alphabet::Binary),
    ];
    for (data_coding, alphabet) in cases {
        assert_eq!(alphabet_of(data_coding), alphabet, "{data_coding:#04x}");
    }
}

#[test]
fn message_classes_are_read_in_both_groups() {
    let class = |data_coding| classify(data_coding, CodingRules::default()).class;
    assert_eq!(class(0x00), None);
    assert_eq!(class(0x08), None);
    assert_eq!(class(0x10), Some(MessageClass::Flash));
    assert_eq!(class(0x18), Some(MessageClass::Flash));
    assert_eq!(class(0xF0), Some(MessageClass::Flash));
    assert_eq!(class(0xF1), Some(MessageClass::Phone));
    assert_eq!(class(0x12), Some(MessageClass::Sim));
    assert_eq!(class(0xF7), Some(MessageClass::Equipment));
}

#[test]
fn the_account_says_what_zero_and_one_mean() {
    let rules = CodingRules {
        default: Alphabet::Latin1,
        ia5: Alphabet::Gsm,
    };
    assert_eq!(classify(0, rules).alphabet, Alphabet::Latin1);
    assert_eq!(classify(1, rules).alphabet, Alphabet::Gsm);
}

#[test]
fn who_packs_the_default_alphabet_packs_it_in_each_coding_group() {
    let rules = CodingRules {
        default: Alphabet::GsmPacked,
        ..CodingRules::default()
    };
    for data_coding in [0x00, 0x10, 0x50, 0xC0, 0xD8, 0xF0] {
        let alphabet = classify(data_coding, rules).alphabet;
        assert_eq!(alphabet, Alphabet::GsmPacked, "{data_coding:#04x}");
    }
    for (data_coding, alphabet) in [
        (0x14, Alphabet::Binary),
        (0x18, Alphabet::Utf16),
        (0xE0, Alphabet::Utf16),
        (0xF4, Alphabet::Binary),
    ] {
        assert_eq!(classify(data_coding, rules).alphabet, alphabet);
    }
    // What code 0 means otherwise says nothing of the codes of GSM.
    let latin = CodingRules {
        default: Alphabet::Latin1,
        ..CodingRules::default()
    };
    assert_eq!(classify(0xF0, latin).alphabet, Alphabet::Gsm);
}

#[test]
fn compressed_text_is_not_shown_as_text() {
    let coding = classify(0x20, CodingRules::default());
    assert!(coding.compressed);
    assert_eq!(decode(b"abc", coding.alphabet, Shifts::default()), None);
}

#[test]
fn emoji_and_lone_surrogates() {
    assert_eq!(encode_utf16("😀"), [0xD8, 0x3D, 0xDE, 0x00]);
    assert_eq!(decode_utf16(&[0xD8, 0x3D, 0xDE, 0x00]), "😀");
    assert_eq!(decode_utf16(&[0xD8, 0x3D, 0x00, 0x41]), "\u{FFFD}A");
    assert_eq!(decode_utf16(&[0xDE, 0x00]), "\u{FFFD}");
    assert_eq!(decode_utf16(&[0x00, 0x41, 0x00]), "A\u{FFFD}");
}

#[test]
fn eight_bit_alphabets() {
    let show = |octets: &[u8], alphabet| decode(octets, alphabet, Shifts::default()).unwrap();
    assert_eq!(show(&[0x63, 0x61, 0x66, 0xE9], Alphabet::Latin1), "café");
    assert_eq!(show(&[0x61, 0xE9], Alphabet::Ascii), "a\u{FFFD}");
    // "Привет" and "שלום" in ISO-8859-5 and -8, as iconv writes them.
    assert_eq!(
        show(&[0xBF, 0xE0, 0xD8, 0xD2, 0xD5, 0xE2], Alphabet::Cyrillic),
        "Привет"
    );
    assert_eq!(show(&[0xF9, 0xEC, 0xE5, 0xED], Alphabet::Hebrew), "שלום");
    assert_eq!(
        encode("café", Alphabet::Latin1).unwrap(),
        [0x63, 0x61, 0x66, 0xE9]
    );
    assert_eq!(encode("€", Alphabet::Latin1), None);
    assert_eq!(encode("é", Alphabet::Ascii), None);
}

#[test]
fn packed_gsm_is_text_too() {
    let packed = encode("hellohello", Alphabet::GsmPacked).unwrap();
    assert_eq!(packed.len(), 9);
    assert_eq!(
        decode(&packed, Alphabet::GsmPacked, Shifts::default()).unwrap(),
        "hellohello"
    );
}

proptest! {
    #[test]
    fn foreign_octets_never_panic(octets: Vec<u8>, data_coding: u8) {
        let _ = decode(&octets, alphabet_of(data_coding), Shifts::default());
    }

    #[test]
    fn utf16_holds_every_text(text: String) {
        prop_assert_eq!(decode_utf16(&encode_utf16(&text)), text);
    }
}
