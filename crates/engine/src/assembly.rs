//! Inbound messages that come in parts, put together.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use swingbridge_domain::id::LineId;
use swingbridge_domain::inbox::Utf16;
use swingbridge_domain::path::Leg;

/// One part, as it is kept until the others are there. `Debug` is redacted.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// What it says alone.
    pub text: String,
    /// Its octets, when it came in UTF-16: the cut may go through a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utf16: Option<Utf16>,
    /// The legs that its connector told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
    /// The line that it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} octets)", self.text.len())
    }
}

/// A part as it lies in the store.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    /// The message was shown whole: a keyed digest of the piece, to know it by when it comes once more.
    Digest {
        digest: String,
    },
    Piece(Piece),
}

/// The pieces of a message in order, with each gap marked. Neighbours in UTF-16 are read together.
pub(crate) fn assembled(total: u8, pieces: &BTreeMap<u8, Piece>) -> String {
    let mut text = String::new();
    let mut run: Vec<u8> = Vec::new();
    for index in 1..=total {
        match pieces.get(&index) {
            Some(Piece {
                utf16: Some(octets), ..
            }) => run.extend_from_slice(&octets.0),
            Some(piece) => {
                flush(&mut run, &mut text);
                text.push_str(&piece.text);
            }
            None => {
                flush(&mut run, &mut text);
                text.push_str(&format!(" [part {index} of {total} missing] "));
            }
        }
    }
    flush(&mut run, &mut text);
    text
}

fn flush(run: &mut Vec<u8>, text: &mut String) {
    let units = run
        .chunks(2)
        .map(|unit| u16::from_be_bytes([unit[0], unit.get(1).copied().unwrap_or_default()]));
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Piece {
        Piece {
            text: text.into(),
            utf16: None,
            way: Vec::new(),
            line: None,
        }
    }

    fn utf16(octets: &[u8]) -> Piece {
        Piece {
            text: "?".into(),
            utf16: Some(Utf16(octets.to_vec())),
            way: Vec::new(),
            line: None,
        }
    }

    #[test]
    fn gaps_are_marked() {
        let pieces = BTreeMap::from([(1, plain("one")), (3, plain("three"))]);
        assert_eq!(assembled(3, &pieces), "one [part 2 of 3 missing] three");
    }

    #[test]
    fn characters_that_a_sender_cut_through_are_mended() {
        let octets: Vec<u8> = "a😀é".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for cut in 1..octets.len() {
            let pieces = BTreeMap::from([(1, utf16(&octets[..cut])), (2, utf16(&octets[cut..]))]);
            assert_eq!(assembled(2, &pieces), "a😀é", "cut after {cut} octets");
        }
    }

    #[test]
    fn a_half_without_its_other_half_is_shown_as_such() {
        let pieces = BTreeMap::from([(1, utf16(&[0, b'a', 0xd8, 0x3d]))]);
        assert_eq!(assembled(2, &pieces), "a\u{fffd} [part 2 of 2 missing] ");
    }
}
