//! The tables were checked, entry by entry, against two implementations that share no code with ours or with
//! each other: PyPI `gsmcodecs` 1.0.0 (made from TS 23.038 release 18) and the tables of ofono 1.31. The
//! Indic tables of the first have `'` for `,` at 0x2C; the second has `]` for `[` at 0x3C of the Kannada
//! single shift table and `,` for `.` at 0x2E of the Malayalam locking shift table. In each case the other
//! one, and the tables of Android, agree with ours. The default pair is also checked against Perl's Encode,
//! in the integration tests.

use proptest::prelude::*;

use super::*;

const PLAIN: Shifts = Shifts {
    locking: Language::Default,
    single: Language::Default,
};

fn shifts(locking: Language, single: Language) -> Shifts {
    Shifts { locking, single }
}

/// FNV-1a over the code points, little-endian, computed from the tables that were compared.
fn checksum<'a>(tables: impl Iterator<Item = &'a [char; 128]>) -> u64 {
    tables
        .flatten()
        .flat_map(|&c| u32::from(c).to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
        })
}

#[test]
fn tables_are_the_ones_that_were_checked() {
    let locking = Language::ALL
        .into_iter()
        .filter(|&language| language != Language::Spanish);
    assert_eq!(checksum(locking.map(Language::locking)), 0xc219_5029_293f_e376);
    assert_eq!(
        checksum(Language::ALL.into_iter().map(Language::single)),
        0xa865_889b_2f6e_1765
    );
}

#[test]
fn known_texts_have_their_known_septets() {
    let cases: [(&str, &[u8]); 6] = [
        ("hello", b"hello"),
        ("@£$¥", &[0, 1, 2, 3]),
        ("€", &[0x1B, 0x65]),
        ("[~]", &[0x1B, 0x3C, 0x1B, 0x3D, 0x1B, 0x3E]),
        ("§_ΔÇ", &[0x5F, 0x11, 0x10, 0x09]),
        ("\u{c}", &[0x1B, 0x0A]),
    ];
    for (text, octets) in cases {
        assert_eq!(encode(text, PLAIN).unwrap(), octets, "{text}");
        assert_eq!(decode(octets, PLAIN), text);
    }
}

#[test]
fn national_tables_show_their_letters() {
    let turkish = shifts(Language::Turkish, Language::Turkish);
    assert_eq!(
        decode(&[0x0B, 0x0C, 0x1C, 0x1D, 0x07, 0x40, 0x04, 0x60], turkish),
        "ĞğŞşıİ€ç"
    );
    assert_eq!(
        decode(
            &[0x1B, 0x47, 0x1B, 0x73],
            shifts(Language::Default, Language::Turkish)
        ),
        "Ğş"
    );
    assert_eq!(
        decode(
            &[0x1B, 0x41, 0x1B, 0x69, 0x1B, 0x09],
            shifts(Language::Default, Language::Spanish)
        ),
        "Áíç"
    );
    assert_eq!(
        decode(
            &[0x7B, 0x7C, 0x0C],
            shifts(Language::Portuguese, Language::Default)
        ),
        "ãõô"
    );
    // "namaste" in Hindi, from the locking table.
    let hindi = shifts(Language::Hindi, Language::Hindi);
    let text = "नमस्ते";
    assert_eq!(decode(&encode(text, hindi).unwrap(), hindi), text);
    assert!(encode(text, hindi).unwrap().len() <= 6, "one septet to a letter");
}

#[test]
fn every_table_round_trips_its_own_characters() {
    for language in Language::ALL {
        let tables = shifts(language, language);
        let held = language
            .locking()
            .iter()
            .chain(language.single())
            .filter(|&&c| c != EMPTY);
        for &character in held {
            let octets = encode(&character.to_string(), tables).unwrap();
            assert_eq!(decode(&octets, tables), character.to_string(), "{language:?}");
        }
    }
}

#[test]
fn the_quick_way_for_ascii_agrees_with_the_tables() {
    for character in (0..128u8).map(char::from).filter(|&c| c != EMPTY) {
        let find = |table: &[char; 128]| table.iter().position(|&c| c == character).map(|at| at as u8);
        let slow = find(&locking::DEFAULT)
            .map(Septets::Base)
            .or_else(|| find(&single::DEFAULT).map(Septets::Escaped));
        assert_eq!(septets(character, PLAIN), slow, "{character:?}");
    }
}

#[test]
fn an_escape_to_nothing_shows_the_base_character() {
    assert_eq!(decode(&[0x1B, b'a'], PLAIN), "a");
    assert_eq!(decode(&[0x1B, 0x1B], PLAIN), " ");
    assert_eq!(decode(&[b'x', 0x1B], PLAIN), "x ");
    assert_eq!(decode(&[0x80, 0xFF], PLAIN), "\u{FFFD}\u{FFFD}");
}

#[test]
fn what_does_not_fit_is_said_by_position_only() {
    let error = encode("ab😀", PLAIN).unwrap_err();
    assert_eq!(error, Unencodable { position: 2 });
    assert_eq!(encode("a\0", PLAIN), Err(Unencodable { position: 1 }));
    // A cedilla is not its capital.
    assert!(encode("ç", PLAIN).is_err());
}

#[test]
fn packing_matches_the_well_known_vectors() {
    // "hellohello", the vector that every SMS tutorial shows.
    assert_eq!(
        pack(b"hellohello", 0),
        [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]
    );
    assert_eq!(
        unpack(&[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37], 10, 0),
        b"hellohello"
    );
    // Behind a header of six octets one bit is filled: 'a' (0x61) moves up by one.
    assert_eq!(pack(b"a", 1), [0xC2]);
}

#[test]
fn seven_spare_bits_are_no_at_sign() {
    let packed = pack_text(b"1234567", 0);
    assert_eq!(packed.len(), 7);
    assert_eq!(unpack(&packed, 8, 0)[7], 0x0D);
    assert_eq!(unpack_text(&packed, 0), b"1234567");
}

proptest! {
    #[test]
    fn decoding_foreign_octets_never_panics(octets: Vec<u8>, locking in 0u8..=20, single in 0u8..=20) {
        let language = |n| Language::from_identifier(n).unwrap_or_default();
        let text = decode(&octets, shifts(language(locking), language(single)));
        prop_assert!(text.chars().count() <= octets.len());
        prop_assert!(!text.contains(EMPTY));
    }

    #[test]
    fn what_encodes_decodes_to_itself(text: String, language in 0u8..14) {
        let language = Language::from_identifier(language).unwrap();
        let tables = shifts(language, language);
        if let Ok(octets) = encode(&text, tables) {
            prop_assert_eq!(decode(&octets, tables), text);
        }
    }

    #[test]
    fn gsm_text_round_trips(text in "[ -~£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà€\n]*") {
        // All of these but the back-tick are GSM characters.
        let text = text.replace('`', "'");
        prop_assert_eq!(decode(&encode(&text, PLAIN).unwrap(), PLAIN), text);
    }

    #[test]
    fn packing_round_trips(septets in prop::collection::vec(0u8..128, 0..200), fill in 0u8..7) {
        let packed = pack(&septets, fill);
        prop_assert_eq!(unpack(&packed, septets.len(), fill), septets);
    }

    #[test]
    fn packed_text_round_trips(septets in prop::collection::vec(14u8..128, 0..200), fill in 0u8..7) {
        prop_assert_eq!(unpack_text(&pack_text(&septets, fill), fill), septets);
    }

    #[test]
    fn unpacking_foreign_octets_never_panics(octets: Vec<u8>, count: usize, fill: u8) {
        prop_assert!(unpack(&octets, count, fill).len() <= octets.len() * 8 / 7);
    }
}
