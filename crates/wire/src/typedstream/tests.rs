use super::*;
use proptest::prelude::*;

/// The bytes of a "Hello" as they are seen in the wild. `lab` has two foreign decoders read the same file.
fn hello() -> Vec<u8> {
    include_bytes!("hello.typedstream").to_vec()
}

#[test]
fn a_plain_text_is_read_with_its_part() {
    let read = Attributed::decode(&hello()).unwrap();
    assert_eq!(read.text, "Hello");
    assert_eq!(read.runs.len(), 1);
    assert_eq!(read.runs[0].range, 0..5);
    assert_eq!(read.runs[0].get(MESSAGE_PART), Some(&Value::Integer(0)));
}

/// The header and the classes of a string that is the first object.
fn string(order: &[u8], rest: &[u8]) -> Vec<u8> {
    let thousand: &[u8] = if order == b"streamtyped" {
        b"\x81\xe8\x03"
    } else {
        b"\x81\x03\xe8"
    };
    let classes: &[u8] = b"\x84\x01@\x84\x84\x84\x0fNSMutableString\x01\x84\x84\x08NSString\x01\x84\x84\x08NSObject\x00\x85\x84\x01+";
    [b"\x04\x0b", order, thousand, classes, rest].concat()
}

#[test]
fn long_texts_are_read_in_either_order() {
    let text = "x".repeat(300);
    for (order, length) in [
        (b"streamtyped", b"\x81\x2c\x01"),
        (b"typedstream", b"\x81\x01\x2c"),
    ] {
        let bytes = string(order, &[length.as_slice(), text.as_bytes(), b"\x86"].concat());
        assert_eq!(Attributed::decode(&bytes).unwrap().text, text);
    }
    let long = string(
        b"streamtyped",
        &[b"\x82\x2c\x01\0\0".as_slice(), text.as_bytes(), b"\x86"].concat(),
    );
    assert_eq!(Attributed::decode(&long).unwrap().text, text);
}

#[test]
fn what_is_cut_short_is_refused_at_every_octet() {
    let bytes = hello();
    for end in 0..bytes.len() {
        assert!(Attributed::decode(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn other_things_are_refused_in_words() {
    for (bytes, problem) in [
        (b"bplist00\0\0".as_slice(), "it is no typedstream of version 4"),
        (b"\x04\x0bstreamtypes\x81\xe8\x03", "it is no typedstream"),
        (
            b"\x04\x0bstreamtyped\x81\xe8\x03",
            "the first object is no string",
        ),
        (
            b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x93",
            "a reference leads to no object",
        ),
        (
            b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01?\x93",
            "a type is not known",
        ),
        (
            b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x02[9\x93",
            "a description of types does not end",
        ),
    ] {
        assert_eq!(
            Attributed::decode(bytes).map_err(|error| error.problem),
            Err(problem)
        );
    }
}

#[test]
fn nothing_grows_without_end() {
    let header = b"\x04\x0bstreamtyped\x81\xe8\x03".as_slice();
    // A million structures of nothing.
    let empty = [header, b"\x84\x0d[1000000{x=}]"].concat();
    assert!(Attributed::decode(&empty).is_err());
    let nested = [header, b"\x84\x81\x2c\x01".as_slice(), &[b'['; 300]].concat();
    assert!(Attributed::decode(&nested).is_err());
    // Each object holds the next.
    let deep = [
        header,
        b"\x84\x01@",
        b"\x84\x84\x84\x01A\x00\x85\x92",
        &b"\x84\x93\x92".repeat(5000),
    ]
    .concat();
    assert_eq!(
        Attributed::decode(&deep).map_err(|error| error.problem),
        Err("it nests too deep")
    );
}

#[test]
fn a_class_that_inherits_from_itself_ends() {
    // The second class names the first as its parent, the first the second.
    let bytes = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x01A\x00\x93\x86";
    let _ = Attributed::decode(bytes);
}

#[test]
fn a_run_through_a_character_is_moved_to_its_edge() {
    let mut bytes = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x08NSString\x01\x94\x84\x01+\x05".to_vec();
    bytes.extend("😀!".as_bytes());
    bytes.extend(b"\x86\x84\x02iI\x01\x01\x97\x01\x02\x86");
    let read = Attributed::decode(&bytes).unwrap();
    assert_eq!(read.text, "😀!");
    // The first run ends within the face.
    let stretches: Vec<_> = read
        .runs
        .iter()
        .map(|run| &read.text[run.range.clone()])
        .collect();
    assert_eq!(stretches, ["😀!"]);
}

#[test]
fn debug_shows_no_body() {
    let read = Attributed::decode(&hello()).unwrap();
    assert!(!format!("{read:?} {:?}", read.runs).contains("Hello"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..200, octet: u8) {
        let _ = Attributed::decode(&bytes);
        let _ = Attributed::decode(&[b"\x04\x0bstreamtyped\x81\xe8\x03", bytes.as_slice()].concat());
        let mut altered = hello();
        let length = altered.len();
        altered[at % length] = octet;
        if let Ok(read) = Attributed::decode(&altered) {
            for run in read.runs {
                let _ = &read.text[run.range];
            }
        }
    }
}
