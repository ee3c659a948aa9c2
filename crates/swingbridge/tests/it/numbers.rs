//! Finding phone numbers in whatever a program left behind, however they are written.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, HEXLOWER, HEXUPPER};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// How many of a number's last digits are looked for: those that every way of writing it has, with a country code, a trunk
/// zero or neither.
const TAIL: usize = 9;
/// So many separators may stand between two digits.
const SEPARATORS: usize = 3;

/// What of `numbers` (as `+447700900456`) stands in `bytes`, and how.
pub fn found(bytes: &[u8], numbers: &[&str]) -> Vec<String> {
    let written = digits(bytes);
    let mut found = Vec::new();
    for number in numbers {
        let tail = &number[number.len() - TAIL..];
        if written.iter().any(|run| run.contains(tail)) {
            found.push(format!("{number} in digits"));
        }
        for (how, needle) in disguises(number) {
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(format!("{number} {how}"));
            }
        }
    }
    found
}

/// The same of every file below `folder` whose name `of` takes.
pub fn found_in_files(folder: &Path, numbers: &[&str], of: impl Fn(&str) -> bool) -> (Vec<String>, usize) {
    let (mut places, mut looked_at) = (Vec::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() && of(&name) {
                looked_at += 1;
                let traces = found(&fs::read(&path).unwrap(), numbers);
                places.extend(traces.into_iter().map(|trace| format!("{name}: {trace}")));
            }
        }
    }
    (places, looked_at)
}

/// The runs of digits in `bytes`, without what people and programs put between them.
fn digits(bytes: &[u8]) -> Vec<String> {
    let (mut runs, mut run, mut apart) = (Vec::new(), String::new(), 0);
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if first.is_ascii_digit() {
            run.push(char::from(*first));
            apart = 0;
            continue;
        }
        let separates = match first {
            // NUL stands between the digits of UTF-16.
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' | b'_' | b',' | b'\t' | 0 => true,
            // A space that does not break, and dashes of all lengths.
            0xc2 if after.first() == Some(&0xa0) => {
                rest = &after[1..];
                true
            }
            0xe2 if after.len() > 1 && after[0] == 0x80 => {
                rest = &after[2..];
                true
            }
            // As in addresses of the web: %20, %2D, %28.
            b'%' if after.len() > 1 && after[..2].iter().all(u8::is_ascii_hexdigit) => {
                rest = &after[2..];
                true
            }
            _ => false,
        };
        apart += 1;
        if !separates || apart > SEPARATORS {
            if run.len() >= TAIL {
                runs.push(std::mem::take(&mut run));
            }
            run.clear();
        }
    }
    if run.len() >= TAIL {
        runs.push(run);
    }
    runs
}

/// Ways in which programs keep numbers so that they do not look like them, and anybody can still work them out.
fn disguises(number: &str) -> Vec<(&'static str, Vec<u8>)> {
    let international = number.trim_start_matches('+');
    let tail = &international[international.len() - TAIL..];
    let integer: u64 = international.parse().unwrap();
    let big = integer.to_be_bytes();
    let mut little = integer.to_le_bytes()[..5].to_vec();
    let mut padded = international.to_owned();
    if padded.len() % 2 == 1 {
        padded.push('F');
    }
    let packed = HEXUPPER.decode(padded.as_bytes()).unwrap();
    let swapped = packed.iter().map(|byte| byte.rotate_left(4)).collect();
    let mut all = vec![
        ("as an integer", big[3..].to_vec()),
        ("as an integer, the least first", std::mem::take(&mut little)),
        ("as packed digits", packed),
        ("as semi-octets", swapped),
        ("in hexadecimal", HEXLOWER.encode(tail.as_bytes()).into_bytes()),
    ];
    for text in [
        number.to_owned(),
        international.to_owned(),
        format!("tel:{number}"),
    ] {
        let digest = Sha256::digest(&text);
        all.push(("as a plain digest", digest.to_vec()));
        all.push((
            "as a plain digest in hexadecimal",
            HEXLOWER.encode(&digest).into_bytes(),
        ));
        all.push((
            "as a plain digest in base64",
            BASE64_NOPAD.encode(&digest).into_bytes(),
        ));
    }
    // Base64 depends on where the digits begin in their group of three.
    for before in 0..3 {
        let mut text = vec![b'+'; before];
        text.extend_from_slice(tail.as_bytes());
        let whole = text.len() / 3 * 3;
        for encoded in [BASE64.encode(&text[..whole]), BASE64URL.encode(&text[..whole])] {
            // The first group holds what stood before.
            let begin = if before == 0 { 0 } else { 4 };
            all.push(("in base64", encoded.as_bytes()[begin..].to_vec()));
        }
    }
    all
}

#[test]
fn numbers_are_found_however_they_are_written() {
    const NUMBER: &str = "+447700900456";
    for text in [
        "447700900456",
        "+447700900456",
        "00447700900456",
        "07700900456",
        "7700900456",
        "call +44 7700 900456 now",
        "0044 7700 900 456",
        "07700-900-456",
        "07700.900.456",
        "(07700) 900456",
        "+44 (0)7700 900 456",
        "+44-7700-900-456",
        "07700/900456",
        "07700\u{a0}900\u{a0}456",
        "07700–900–456",
        "tel:+44-7700-900456",
        "phone=%2B44%207700%20900456",
        "{\"to\":447700900456}",
        "0 7 7 0 0 9 0 0 4 5 6",
    ] {
        assert!(!found(text.as_bytes(), &[NUMBER]).is_empty(), "{text}");
    }
    let wide: Vec<u8> = NUMBER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(!found(&wide, &[NUMBER]).is_empty());
    for bytes in [
        447_700_900_456u64.to_be_bytes().to_vec(),
        447_700_900_456u64.to_le_bytes().to_vec(),
        vec![0x44, 0x77, 0x00, 0x90, 0x04, 0x56],
        vec![0x44, 0x77, 0x00, 0x09, 0x40, 0x65],
        HEXLOWER.encode(NUMBER.as_bytes()).into_bytes(),
        Sha256::digest(NUMBER).to_vec(),
    ] {
        assert!(!found(&bytes, &[NUMBER]).is_empty(), "{bytes:?}");
    }
    for before in ["", "a", "ab"] {
        let text = BASE64.encode(format!("{before}{NUMBER} and more").as_bytes());
        assert!(!found(text.as_bytes(), &[NUMBER]).is_empty(), "{text}");
    }
    // What the bridge shows of a number, and digits of something else.
    for text in ["+44 ••• 56", "1795700456123", "44770 x 0900456", "447700900457"] {
        assert_eq!(found(text.as_bytes(), &[NUMBER]), Vec::<String>::new(), "{text}");
    }
}
