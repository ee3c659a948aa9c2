use proptest::prelude::*;

use super::*;

#[test]
fn both_widths_of_reference_are_read() {
    let (header, body) = Header::split(&[5, 0, 3, 0xCC, 2, 1, b'h', b'i']).unwrap();
    assert_eq!(
        header.concatenation(),
        Concatenation::new(0xCC, Width::Eight, 2, 1)
    );
    assert_eq!(body, b"hi");
    let (header, body) = Header::split(&[6, 8, 4, 0x12, 0x34, 3, 3, b'!']).unwrap();
    assert_eq!(
        header.concatenation(),
        Concatenation::new(0x1234, Width::Sixteen, 3, 3)
    );
    assert_eq!(body, b"!");
}

#[test]
fn impossible_part_numbers_say_nothing() {
    for fields in [[0, 3, 9, 0, 0], [0, 3, 9, 2, 0], [0, 3, 9, 2, 3]] {
        let mut octets = vec![5];
        octets.extend(fields);
        assert_eq!(
            Header::split(&octets).unwrap().0.concatenation(),
            None,
            "{fields:?}"
        );
    }
}

#[test]
fn the_last_of_several_counts() {
    let (header, _) = Header::split(&[10, 0, 3, 1, 2, 1, 0, 3, 9, 5, 4]).unwrap();
    assert_eq!(header.concatenation(), Concatenation::new(9, Width::Eight, 5, 4));
}

#[test]
fn tables_and_ports_are_read() {
    let (header, body) = Header::split(&[12, 0x24, 1, 1, 0x25, 1, 3, 5, 4, 0x0B, 0x84, 0, 1, b'x']).unwrap();
    assert_eq!(
        header.shifts(),
        Shifts {
            locking: Language::Portuguese,
            single: Language::Turkish
        }
    );
    assert_eq!(
        header.ports(),
        Some(Ports {
            destination: 2948,
            source: 1
        })
    );
    assert_eq!(body, b"x");
    let (header, _) = Header::split(&[3, 0x24, 1, 99]).unwrap();
    assert_eq!(
        header.shifts(),
        Shifts::default(),
        "a reserved language is ignored"
    );
}

#[test]
fn broken_headers_lose_as_little_as_they_can() {
    assert_eq!(Header::split(&[]), None);
    assert_eq!(Header::split(&[9, 0, 3]), None, "the length points past the end");
    let (header, body) = Header::split(&[7, 0, 3, 1, 2, 1, 0x24, 9, b'x']).unwrap();
    assert_eq!(
        header.elements.len(),
        1,
        "the element past the header's end is dropped"
    );
    assert_eq!(header.concatenation(), Concatenation::new(1, Width::Eight, 2, 1));
    assert_eq!(body, b"x");
}

#[test]
fn written_headers_have_the_usual_octets() {
    let eight = Concatenation::new(0xAB, Width::Eight, 3, 2);
    assert_eq!(
        Header::new(eight, Shifts::default()).encode(),
        [5, 0, 3, 0xAB, 3, 2]
    );
    let sixteen = Concatenation::new(0xABCD, Width::Sixteen, 3, 2);
    assert_eq!(
        Header::new(sixteen, Shifts::default()).encode(),
        [6, 8, 4, 0xAB, 0xCD, 3, 2]
    );
    assert!(Header::new(None, Shifts::default()).encode().is_empty());
}

proptest! {
    #[test]
    fn foreign_octets_never_panic(octets: Vec<u8>) {
        if let Some((header, body)) = Header::split(&octets) {
            prop_assert!(body.len() < octets.len());
            let _ = (header.concatenation(), header.shifts(), header.ports());
        }
    }

    #[test]
    fn headers_round_trip(elements in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 1..9)) {
        let header = Header {
            elements: elements.into_iter().map(|(identifier, data)| Element { identifier, data }).collect(),
        };
        let mut octets = header.encode();
        octets.extend(b"body");
        let (read, body) = Header::split(&octets).unwrap();
        prop_assert_eq!(read, header);
        prop_assert_eq!(body, b"body");
    }
}
