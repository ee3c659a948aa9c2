use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;
use crate::gsm::Language;

const METHODS: [Method; 4] = [Method::Udh8, Method::Udh16, Method::Sar, Method::Payload];

fn with(method: Method) -> Options {
    Options {
        method,
        ..Options::default()
    }
}

fn body_lengths(text: &str, options: &Options) -> Vec<usize> {
    segment(text, options)
        .unwrap()
        .bodies
        .iter()
        .map(Vec::len)
        .collect()
}

/// What a phone shows of the parts.
fn shown(segmented: &Segmented) -> String {
    let bodies: Vec<Body> = segmented
        .parts(7)
        .map(|part| read(&part.octets, part.has_header, segmented.alphabet).1)
        .collect();
    join(&bodies).unwrap()
}

#[test]
fn parts_have_the_sizes_of_the_specification() {
    let gsm = |count: usize| "a".repeat(count);
    let ucs = |count: usize| "я".repeat(count);
    let latin = |count: usize| "û".repeat(count);
    assert_eq!(body_lengths(&gsm(160), &with(Method::Udh8)), [160]);
    assert_eq!(body_lengths(&gsm(161), &with(Method::Udh8)), [153, 8]);
    assert_eq!(body_lengths(&gsm(161), &with(Method::Udh16)), [152, 9]);
    assert_eq!(body_lengths(&gsm(306), &with(Method::Udh8)), [153, 153]);
    assert_eq!(body_lengths(&gsm(307), &with(Method::Sar)), [153, 153, 1]);
    assert_eq!(body_lengths(&ucs(70), &with(Method::Udh8)), [140]);
    assert_eq!(body_lengths(&ucs(71), &with(Method::Udh8)), [134, 8]);
    assert_eq!(body_lengths(&ucs(71), &with(Method::Udh16)), [132, 10]);
    let options = Options {
        latin1: true,
        ..Options::default()
    };
    assert_eq!(body_lengths(&latin(140), &options), [140]);
    assert_eq!(body_lengths(&latin(141), &options), [134, 7]);
    assert_eq!(body_lengths("", &Options::default()), [0]);
}

#[test]
fn the_alphabet_is_the_first_that_holds_the_text() {
    let chosen = |text: &str, options: &Options| {
        let segmented = segment(text, options).unwrap();
        (segmented.alphabet, segmented.data_coding)
    };
    let options = Options {
        latin1: true,
        ..Options::default()
    };
    assert_eq!(chosen("hi €", &options), (Alphabet::Gsm, 0));
    assert_eq!(chosen("û", &options), (Alphabet::Latin1, 3));
    assert_eq!(chosen("û", &Options::default()), (Alphabet::Utf16, 8));
    assert_eq!(chosen("û€", &options), (Alphabet::Utf16, 8));
    let latin = Options {
        default: Alphabet::Latin1,
        ..Options::default()
    };
    assert_eq!(chosen("û", &latin), (Alphabet::Latin1, 0));
    let ascii = Options {
        default: Alphabet::Ascii,
        ..Options::default()
    };
    assert_eq!(chosen("é", &ascii), (Alphabet::Utf16, 8));
}

#[test]
fn national_tables_only_when_allowed() {
    let turkish = Shifts {
        locking: Language::Turkish,
        single: Language::Default,
    };
    let options = Options {
        national: turkish,
        ..Options::default()
    };
    let segmented = segment("ığ", &options).unwrap();
    assert_eq!((segmented.alphabet, segmented.shifts), (Alphabet::Gsm, turkish));
    let part = segmented.parts(1).next().unwrap();
    assert_eq!(part.octets, [3, 0x25, 1, 1, 0x07, 0x0C]);
    assert!(part.has_header);
    assert_eq!(shown(&segmented), "ığ");
    assert_eq!(body_lengths(&"ğ".repeat(155), &options), [155]);
    assert_eq!(body_lengths(&"ğ".repeat(156), &options), [149, 7]);
    assert_eq!(
        segment("abc", &options).unwrap().shifts,
        Shifts::default(),
        "not where it is not needed"
    );
}

#[test]
fn an_escape_pair_stays_whole() {
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(10));
    let segmented = segment(&text, &Options::default()).unwrap();
    assert_eq!(segmented.bodies[0].len(), 152);
    assert_eq!(segmented.bodies[1][..2], [0x1B, 0x65]);
    assert_eq!(shown(&segmented), text);
}

#[test]
fn a_joined_emoji_stays_whole_when_it_fits() {
    let family = "👨‍👩‍👧‍👦";
    let text = format!("{}{family}", "я".repeat(66));
    let segmented = segment(&text, &Options::default()).unwrap();
    assert_eq!(segmented.bodies.len(), 2);
    assert_eq!(text::decode_utf16(&segmented.bodies[1]), family);
}

#[test]
fn a_grapheme_larger_than_a_part_is_cut_between_characters() {
    let text = format!("e{}", "\u{301}".repeat(200));
    let segmented = segment(&text, &Options::default()).unwrap();
    assert!(segmented.bodies.len() > 1);
    assert_eq!(shown(&segmented), text);
}

#[test]
fn each_method_says_its_parts_in_its_own_way() {
    let text = "a".repeat(200);
    let parts = |method| {
        segment(&text, &with(method))
            .unwrap()
            .parts(0x1234)
            .collect::<Vec<_>>()
    };
    let udh8 = parts(Method::Udh8);
    assert_eq!(udh8[1].octets[..6], [5, 0, 3, 0x34, 2, 2]);
    assert!(udh8[1].has_header && udh8[1].sar.is_none());
    assert_eq!(parts(Method::Udh16)[0].octets[..7], [6, 8, 4, 0x12, 0x34, 2, 1]);
    let sar = parts(Method::Sar);
    assert_eq!(sar[1].sar, Concatenation::new(0x1234, Width::Sar, 2, 2));
    assert!(!sar[1].has_header && sar[1].octets.len() == 47);
    let payload = parts(Method::Payload);
    assert!(payload.len() == 1 && payload[0].payload && !payload[0].has_header);
    assert_eq!(payload[0].octets, text.as_bytes());
    assert_eq!(segment(&text, &with(Method::Payload)).unwrap().segments, 2);
    let short = segment("short", &with(Method::Payload)).unwrap();
    assert!(
        !short.parts(0).next().unwrap().payload,
        "what fits needs no payload"
    );
}

#[test]
fn a_text_of_more_parts_than_a_reference_can_number_is_refused() {
    assert_eq!(
        segment(&"a".repeat(153 * 255), &Options::default())
            .unwrap()
            .segments,
        255
    );
    assert_eq!(
        segment(&"a".repeat(153 * 255 + 1), &Options::default()).unwrap_err(),
        TooLong { parts: 256 }
    );
    assert_eq!(
        segment_octets(&vec![0; 134 * 255 + 1], Method::Udh8).unwrap_err(),
        TooLong { parts: 256 }
    );
}

#[test]
fn octets_are_cut_too() {
    let octets: Vec<u8> = (0..=255).collect();
    let segmented = segment_octets(&octets, Method::Udh8).unwrap();
    assert_eq!(
        segmented.bodies.iter().map(Vec::len).collect::<Vec<_>>(),
        [134, 122]
    );
    assert_eq!(segmented.bodies.concat(), octets);
    assert_eq!(
        segment_octets(&octets[..140], Method::Udh8).unwrap().bodies.len(),
        1
    );
}

#[test]
fn a_surrogate_pair_that_the_sender_cut_is_joined() {
    let octets = text::encode_utf16("a😀b");
    let body = |octets: &[u8]| read(octets, false, Alphabet::Utf16).1;
    assert_eq!(join(&[body(&octets[..4]), body(&octets[4..])]).unwrap(), "a😀b");
    // Even through the middle of a unit.
    assert_eq!(join(&[body(&octets[..3]), body(&octets[3..])]).unwrap(), "a😀b");
}

#[test]
fn parts_in_different_alphabets_are_joined() {
    let gsm = read(b"hi ", false, Alphabet::Gsm).1;
    let ucs = read(&text::encode_utf16("😀"), false, Alphabet::Utf16).1;
    assert_eq!(join([&gsm, &ucs, &gsm]).unwrap(), "hi 😀hi ");
    assert_eq!(join([]).unwrap(), "");
    assert_eq!(join([&gsm, &read(&[1], false, Alphabet::Binary).1]), None);
}

#[test]
fn debug_shows_no_text() {
    let segmented = segment("secret words", &Options::default()).unwrap();
    let part = segmented.parts(0).next().unwrap();
    let body = read(&part.octets, false, Alphabet::Gsm).1;
    for shown in [format!("{segmented:?}"), format!("{part:?}"), format!("{body:?}")] {
        assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -_a-~€]{0,500}",
        "[a-zû]{0,500}",
        "[😀👩🏽🎉я ]{0,200}",
        any::<String>(),
        ("[ -_]{100,300}", "(👨‍👩‍👧‍👦|🇫🇷|e\u{301}){0,60}").prop_map(|(a, b)| a + &b),
    ]
}

fn any_options() -> impl Strategy<Value = Options> {
    const ALPHABETS: [Alphabet; 5] = [
        Alphabet::Gsm,
        Alphabet::GsmPacked,
        Alphabet::Latin1,
        Alphabet::Ascii,
        Alphabet::Utf16,
    ];
    (
        prop::sample::select(&ALPHABETS[..]),
        any::<bool>(),
        prop::sample::select(&METHODS[..]),
        0u8..14,
    )
        .prop_map(|(default, latin1, method, language)| {
            let language = Language::from_identifier(language).unwrap();
            let national = Shifts {
                locking: language,
                single: language,
            };
            Options {
                default,
                latin1,
                national,
                method,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parts_fit_and_give_the_text_back(text in any_text(), options in any_options(), reference: u16) {
        // A packed text may lose a carriage return at a part's end, as the specification has it.
        let text = if options.default == Alphabet::GsmPacked { text.replace('\r', "") } else { text };
        let segmented = segment(&text, &options).unwrap();
        let parts: Vec<Part> = segmented.parts(reference).collect();
        prop_assert_eq!(shown(&segmented), text.clone());
        for part in &parts {
            let on_air = match segmented.alphabet {
                Alphabet::Gsm => {
                    let header = if part.has_header { usize::from(part.octets[0]) + 1 } else { 0 };
                    header + ((part.octets.len() - header) * 7).div_ceil(8)
                }
                _ => part.octets.len(),
            };
            prop_assert!(part.payload || on_air <= 140, "{on_air} octets");
        }
        if options.method != Method::Payload {
            prop_assert_eq!(parts.len(), segmented.segments);
        }
    }

    #[test]
    fn no_part_begins_inside_a_grapheme(text in any_text(), method in prop::sample::select(&METHODS[..])) {
        let segmented = segment(&text, &with(method)).unwrap();
        prop_assume!(text.graphemes(true).all(|grapheme| grapheme.len() < 60));
        let mut at = 0;
        for body in &segmented.bodies {
            prop_assert!(at == text.len() || text.grapheme_indices(true).any(|(start, _)| start == at));
            at += text::decode(body, segmented.alphabet, segmented.shifts).unwrap().len();
        }
    }

    #[test]
    fn reading_foreign_octets_never_panics(octets: Vec<u8>, has_header: bool, packed: bool) {
        let alphabet = if packed { Alphabet::GsmPacked } else { Alphabet::Utf16 };
        let (_, body) = read(&octets, has_header, alphabet);
        prop_assert!(join([&body]).is_some());
    }
}
