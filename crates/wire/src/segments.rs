//! A text as the parts of a short message, and parts as a text again: TS 23.040 §9.2.3.24.1.

use std::fmt;

use unicode_segmentation::UnicodeSegmentation;

use crate::gsm::{self, Shifts};
use crate::text::{self, Alphabet};
use crate::udh::{Concatenation, Header, Width};

/// Octets of user data in one short message, TS 23.040 §9.2.3.24: 160 septets, or 70 UTF-16 units.
const USER_DATA: usize = 140;

/// The parts that a reference can number.
const MOST_PARTS: usize = 255;

/// How a text too long for one message is carried; a setting of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// A user data header with a reference of 8 bits: what everybody understands.
    #[default]
    Udh8,
    /// A user data header with a reference of 16 bits.
    Udh16,
    /// The `sar_*` TLVs: the SMSC writes the header.
    Sar,
    /// The whole text in one `message_payload` TLV: the SMSC cuts it.
    Payload,
}

/// What an account allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What `data_coding` 0 means to the SMSC.
    pub default: Alphabet,
    /// Whether `data_coding` 3 (Latin-1) may be used where the default alphabet does not hold the text.
    pub latin1: bool,
    /// National tables to try where the default ones do not hold the text. Phones outside of the country
    /// often lack them, so this is the default pair unless configured. Header methods only.
    pub national: Shifts,
    pub method: Method,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            default: Alphabet::Gsm,
            latin1: false,
            national: Shifts::default(),
            method: Method::default(),
        }
    }
}

/// The text needs more parts than a reference can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text needs {parts} parts, and a message has at most {MOST_PARTS}")]
pub struct TooLong {
    pub parts: usize,
}

/// A text in parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Segmented {
    pub alphabet: Alphabet,
    /// For the `data_coding` field of every part.
    pub data_coding: u8,
    /// The tables of [`Alphabet::Gsm`].
    pub shifts: Shifts,
    pub method: Method,
    /// The octets of each part without its header, never empty; GSM unpacked.
    pub bodies: Vec<Vec<u8>>,
    /// How many messages travel, and are paid, in the end: the parts, but for a payload that the SMSC cuts.
    pub segments: usize,
}

/// One part, ready for a `submit_sm`.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// For `short_message`, or for `message_payload` where `payload` says so.
    pub octets: Vec<u8>,
    /// Whether the octets begin with a header: the UDHI bit (0x40) of the esm_class.
    pub has_header: bool,
    /// For the `sar_*` TLVs.
    pub sar: Option<Concatenation>,
    pub payload: bool,
}

/// A part's octets behind its header, and how to read them.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    pub alphabet: Alphabet,
    pub shifts: Shifts,
    pub octets: Vec<u8>,
}

/// Cuts a text into parts, in the first alphabet that holds it: the account's default, national tables if
/// allowed, Latin-1 if allowed, UTF-16.
///
/// An escape pair or a surrogate pair is never cut, nor a grapheme (an emoji with its joiners, say) that fits
/// into a part.
///
/// # Errors
/// [`TooLong`] above 255 parts.
pub fn segment(text: &str, options: &Options) -> Result<Segmented, TooLong> {
    let (alphabet, data_coding, shifts) = choose(text, options);
    let mut segmented = Segmented {
        alphabet,
        data_coding,
        shifts,
        method: options.method,
        bodies: Vec::new(),
        segments: 0,
    };

    let whole = encode(text, alphabet, shifts);
    if whole.len() <= capacity(alphabet, Header::new(None, shifts)) {
        segmented.bodies = vec![whole];
        segmented.segments = 1;
        return Ok(segmented);
    }
    let cut = cut(
        text,
        alphabet,
        shifts,
        capacity(alphabet, sample_header(options.method, shifts)),
    );
    segmented.segments = cut.len();
    segmented.bodies = if options.method == Method::Payload {
        vec![whole]
    } else {
        cut
    };
    if segmented.segments > MOST_PARTS {
        return Err(TooLong {
            parts: segmented.segments,
        });
    }
    Ok(segmented)
}

/// Cuts octets that are no text (`data_coding` 4) into parts.
///
/// # Errors
/// [`TooLong`] above 255 parts.
pub fn segment_octets(octets: &[u8], method: Method) -> Result<Segmented, TooLong> {
    let (alphabet, shifts) = (Alphabet::Binary, Shifts::default());
    let single = octets.len() <= USER_DATA;
    let size = if single {
        USER_DATA
    } else {
        capacity(alphabet, sample_header(method, shifts))
    };
    let segments = octets.len().div_ceil(size).max(1);
    if segments > MOST_PARTS {
        return Err(TooLong { parts: segments });
    }
    let bodies = if single || method == Method::Payload {
        vec![octets.to_vec()]
    } else {
        octets.chunks(size).map(<[u8]>::to_vec).collect()
    };
    Ok(Segmented {
        alphabet,
        data_coding: 4,
        shifts,
        method,
        bodies,
        segments,
    })
}

impl Segmented {
    /// The parts in order, under a reference that the caller allots for each pair of addresses; the lower
    /// eight bits count where the method carries no more.
    pub fn parts(&self, reference: u16) -> impl Iterator<Item = Part> + '_ {
        let total = self.bodies.len();
        self.bodies.iter().enumerate().map(move |(position, body)| {
            // `segment` makes at most 255 parts, so both numbers fit.
            let numbered = |width| Concatenation {
                reference: if width == Width::Eight {
                    reference & 0xFF
                } else {
                    reference
                },
                width,
                total: total as u8,
                index: (position + 1) as u8,
            };
            let concatenation = (total > 1).then(|| numbered(self.method.width()));
            let header = Header::new(concatenation, self.shifts).encode();
            Part {
                has_header: !header.is_empty(),
                sar: concatenation.filter(|_| self.method == Method::Sar),
                payload: self.segments > total,
                octets: with_header(header, body, self.alphabet),
            }
        })
    }
}

impl fmt::Debug for Segmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segmented {
            alphabet,
            method,
            segments,
            ..
        } = self;
        write!(f, "Segmented({alphabet:?}, {method:?}, {segments} segments)")
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Part({} octets, sar {:?}, payload {})",
            self.octets.len(),
            self.sar,
            self.payload
        )
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({:?}, {} octets)", self.alphabet, self.octets.len())
    }
}

impl Method {
    fn width(self) -> Width {
        match self {
            Method::Udh8 | Method::Payload => Width::Eight,
            Method::Udh16 => Width::Sixteen,
            Method::Sar => Width::Sar,
        }
    }
}

/// Takes a part apart: its header, empty if there is none or it is broken, and its body.
///
/// `has_header` is the UDHI bit of the esm_class.
pub fn read(user_data: &[u8], has_header: bool, alphabet: Alphabet) -> (Header, Body) {
    let (header, octets) = has_header
        .then(|| Header::split(user_data))
        .flatten()
        .unwrap_or((Header::default(), user_data));
    let shifts = header.shifts();
    let body = match alphabet {
        // Unpacked here, where it is known how many bits the header left over.
        Alphabet::GsmPacked => Body {
            alphabet: Alphabet::Gsm,
            shifts,
            octets: gsm::unpack_text(octets, fill_bits(user_data.len() - octets.len())),
        },
        _ => Body {
            alphabet,
            shifts,
            octets: octets.to_vec(),
        },
    };
    (header, body)
}

/// The text of the parts of one message, in order; `None` if any is no text.
///
/// Neighbours in the same alphabet are decoded together: some senders cut through a surrogate pair.
pub fn join<'a>(bodies: impl IntoIterator<Item = &'a Body>) -> Option<String> {
    let mut text = String::new();
    let mut run: Option<Body> = None;
    for body in bodies {
        match &mut run {
            Some(run) if (run.alphabet, run.shifts) == (body.alphabet, body.shifts) => {
                run.octets.extend_from_slice(&body.octets);
            }
            _ => {
                if let Some(run) = run.replace(body.clone()) {
                    text.push_str(&text::decode(&run.octets, run.alphabet, run.shifts)?);
                }
            }
        }
    }
    if let Some(run) = run {
        text.push_str(&text::decode(&run.octets, run.alphabet, run.shifts)?);
    }
    Some(text)
}

fn choose(text: &str, options: &Options) -> (Alphabet, u8, Shifts) {
    let none = Shifts::default();
    let holds = |alphabet| text::encode(text, alphabet).is_some();
    let gsm_by_default = matches!(options.default, Alphabet::Gsm | Alphabet::GsmPacked);
    let headed = matches!(options.method, Method::Udh8 | Method::Udh16);
    if options.default != Alphabet::Utf16 && holds(options.default) {
        (options.default, 0, none)
    } else if gsm_by_default && headed && gsm::encode(text, options.national).is_ok() {
        (options.default, 0, options.national)
    } else if options.latin1 && holds(Alphabet::Latin1) {
        (Alphabet::Latin1, 3, none)
    } else {
        (Alphabet::Utf16, 8, none)
    }
}

/// A text that `choose` found to fit, as octets, GSM unpacked.
fn encode(text: &str, alphabet: Alphabet, shifts: Shifts) -> Vec<u8> {
    match alphabet {
        Alphabet::Gsm | Alphabet::GsmPacked => gsm::encode(text, shifts).unwrap_or_default(),
        _ => text::encode(text, alphabet).unwrap_or_default(),
    }
}

fn cut(text: &str, alphabet: Alphabet, shifts: Shifts, size: usize) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut add = |octets: Vec<u8>| {
        if part.len() + octets.len() > size {
            parts.push(std::mem::take(&mut part));
        }
        part.extend(octets);
    };
    for grapheme in text.graphemes(true) {
        let octets = encode(grapheme, alphabet, shifts);
        if octets.len() <= size {
            add(octets);
        } else {
            let mut buffer = [0; 4];
            grapheme
                .chars()
                .for_each(|c| add(encode(c.encode_utf8(&mut buffer), alphabet, shifts)));
        }
    }
    parts.push(part);
    parts
}

/// How many octets of body (septets, for GSM) go behind a header.
fn capacity(alphabet: Alphabet, header: Header) -> usize {
    let left = USER_DATA - header.encode().len();
    match alphabet {
        Alphabet::Gsm | Alphabet::GsmPacked => left * 8 / 7,
        Alphabet::Utf16 => left / 2 * 2,
        _ => left,
    }
}

/// A header as long as the one that every part will get: with the methods that leave it to the SMSC, the one
/// that the SMSC will write.
fn sample_header(method: Method, shifts: Shifts) -> Header {
    let width = if method == Method::Udh16 {
        Width::Sixteen
    } else {
        Width::Eight
    };
    Header::new(Concatenation::new(0, width, 1, 1), shifts)
}

fn with_header(mut header: Vec<u8>, body: &[u8], alphabet: Alphabet) -> Vec<u8> {
    if alphabet == Alphabet::GsmPacked {
        let fill = fill_bits(header.len());
        header.extend(gsm::pack_text(body, fill));
    } else {
        header.extend_from_slice(body);
    }
    header
}

/// The bits between a header and the next septet boundary.
fn fill_bits(header_octets: usize) -> u8 {
    ((7 - header_octets * 8 % 7) % 7) as u8
}

#[cfg(test)]
mod tests;
