//! The GSM 7 bit alphabets of 3GPP TS 23.038: the default one, its extension table and the national
//! language shift tables, one septet to an octet ([`encode`], [`decode`]) or packed ([`pack`], [`unpack`]).
//!
//! SMPP carries GSM text unpacked, so that is the form the rest of the program uses. All national tables
//! are decoded; they are used for encoding only where the caller names them.

mod locking;
mod packed;
mod single;

pub use packed::{pack, pack_text, unpack, unpack_text};

/// The escape to the single shift table, TS 23.038 §6.2.1.
pub const ESCAPE: u8 = 0x1B;

/// What an octet shows that stands for no character.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// The table entry of a position that the specification leaves empty.
const EMPTY: char = '\0';

/// A national language identifier, TS 23.038 §6.2.1.2.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Language {
    /// No national table: the default alphabet and its extension table.
    #[default]
    Default = 0,
    Turkish = 1,
    /// Has a single shift table only.
    Spanish = 2,
    Portuguese = 3,
    /// Bengali and Assamese.
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

impl Language {
    /// Every language that the specification has a table for, the default included, by identifier.
    pub const ALL: [Language; 14] = [
        Language::Default,
        Language::Turkish,
        Language::Spanish,
        Language::Portuguese,
        Language::Bengali,
        Language::Gujarati,
        Language::Hindi,
        Language::Kannada,
        Language::Malayalam,
        Language::Oriya,
        Language::Punjabi,
        Language::Tamil,
        Language::Telugu,
        Language::Urdu,
    ];

    /// The language with this identifier; `None` for a reserved one, whose header the specification
    /// wants ignored.
    pub fn from_identifier(identifier: u8) -> Option<Language> {
        Language::ALL.get(usize::from(identifier)).copied()
    }

    /// The identifier, as a user data header carries it.
    pub fn identifier(self) -> u8 {
        self as u8
    }

    /// The character of each septet. Spanish has no table of its own and gives the default alphabet.
    fn locking(self) -> &'static [char; 128] {
        match self {
            Language::Default | Language::Spanish => &locking::DEFAULT,
            Language::Turkish => &locking::TURKISH,
            Language::Portuguese => &locking::PORTUGUESE,
            Language::Bengali => &locking::BENGALI,
            Language::Gujarati => &locking::GUJARATI,
            Language::Hindi => &locking::HINDI,
            Language::Kannada => &locking::KANNADA,
            Language::Malayalam => &locking::MALAYALAM,
            Language::Oriya => &locking::ORIYA,
            Language::Punjabi => &locking::PUNJABI,
            Language::Tamil => &locking::TAMIL,
            Language::Telugu => &locking::TELUGU,
            Language::Urdu => &locking::URDU,
        }
    }

    /// The character of each septet that follows an escape.
    fn single(self) -> &'static [char; 128] {
        match self {
            Language::Default => &single::DEFAULT,
            Language::Turkish => &single::TURKISH,
            Language::Spanish => &single::SPANISH,
            Language::Portuguese => &single::PORTUGUESE,
            Language::Bengali => &single::BENGALI,
            Language::Gujarati => &single::GUJARATI,
            Language::Hindi => &single::HINDI,
            Language::Kannada => &single::KANNADA,
            Language::Malayalam => &single::MALAYALAM,
            Language::Oriya => &single::ORIYA,
            Language::Punjabi => &single::PUNJABI,
            Language::Tamil => &single::TAMIL,
            Language::Telugu => &single::TELUGU,
            Language::Urdu => &single::URDU,
        }
    }
}

/// The pair of tables that a message is written in. The default pair is the one that needs no header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shifts {
    /// Replaces the default alphabet for the whole message.
    pub locking: Language,
    /// Replaces the extension table for the whole message.
    pub single: Language,
}

/// A character that the tables do not hold. Says where, not what: the text is somebody's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the character at byte {position} is in none of the tables")]
pub struct Unencodable {
    /// Byte position in the text.
    pub position: usize,
}

/// One character as septets: alone, or behind an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Septets {
    Base(u8),
    Escaped(u8),
}

impl Septets {
    /// How many septets: one or two.
    #[allow(clippy::len_without_is_empty, reason = "a character is never empty")]
    pub fn len(self) -> usize {
        match self {
            Septets::Base(_) => 1,
            Septets::Escaped(_) => 2,
        }
    }

    /// Appends the septets, one to an octet.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Septets::Base(septet) => out.push(septet),
            Septets::Escaped(septet) => out.extend([ESCAPE, septet]),
        }
    }
}

/// The septets of one character, or `None` if the tables do not hold it.
pub fn septets(character: char, shifts: Shifts) -> Option<Septets> {
    if shifts == Shifts::default() && character.is_ascii() {
        return ASCII[character as usize];
    }
    if character == EMPTY {
        return None;
    }
    let find = |table: &[char; 128]| table.iter().position(|&c| c == character).map(|at| at as u8);
    find(shifts.locking.locking())
        .map(Septets::Base)
        .or_else(|| find(shifts.single.single()).map(Septets::Escaped))
}

/// Nearly all text is ASCII, so those characters skip the search.
static ASCII: [Option<Septets>; 128] = {
    let mut table = [None; 128];
    let mut septet = 0;
    while septet < 128u8 {
        let escaped = single::DEFAULT[septet as usize];
        if escaped.is_ascii() && escaped != EMPTY {
            table[escaped as usize] = Some(Septets::Escaped(septet));
        }
        septet += 1;
    }
    // Afterwards, so that the single septet wins over an escaped pair for the same character.
    let mut septet = 0;
    while septet < 128u8 {
        let base = locking::DEFAULT[septet as usize];
        if base.is_ascii() && base != EMPTY {
            table[base as usize] = Some(Septets::Base(septet));
        }
        septet += 1;
    }
    table
};

/// Text as septets, one to an octet.
///
/// # Errors
/// [`Unencodable`] names the first character that the tables do not hold; nothing is replaced in silence.
pub fn encode(text: &str, shifts: Shifts) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::with_capacity(text.len());
    for (position, character) in text.char_indices() {
        septets(character, shifts)
            .ok_or(Unencodable { position })?
            .write(&mut out);
    }
    Ok(out)
}

/// Text from septets, one to an octet. Never fails: an octet that stands for nothing shows U+FFFD.
///
/// By TS 23.038 §6.2.1.1 an escape before a septet that the single shift table does not hold shows that
/// septet's character in the base table, and an escape before an escape shows a space, as does one at the end.
pub fn decode(septets: &[u8], shifts: Shifts) -> String {
    let base = shifts.locking.locking();
    let shifted = shifts.single.single();
    let show = |table: &[char; 128], septet: u8| {
        table
            .get(usize::from(septet))
            .copied()
            .filter(|&character| character != EMPTY)
    };
    let mut text = String::with_capacity(septets.len());
    let mut octets = septets.iter().copied();
    while let Some(octet) = octets.next() {
        if octet != ESCAPE {
            text.push(show(base, octet).unwrap_or(UNKNOWN));
            continue;
        }
        match octets.next() {
            None | Some(ESCAPE) => text.push(' '),
            Some(next) => text.push(
                show(shifted, next)
                    .or_else(|| show(base, next))
                    .unwrap_or(UNKNOWN),
            ),
        }
    }
    text
}

#[cfg(test)]
mod tests;
