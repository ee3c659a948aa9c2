//! The text form of a receipt: `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`.

use super::{LocalTime, MessageState, Receipt};
use crate::gsm::{self, Shifts};
use crate::text::decode_utf16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Id,
    Submitted,
    Delivered,
    SubmitDate,
    DoneDate,
    State,
    Error,
    Text,
}

/// The words of each label; between them SMSCs write a space, an underscore, or nothing.
const LABELS: [(&[&str], Label); 9] = [
    (&["id"], Label::Id),
    (&["sub"], Label::Submitted),
    (&["dlvrd"], Label::Delivered),
    (&["submit", "date"], Label::SubmitDate),
    (&["done", "date"], Label::DoneDate),
    (&["stat"], Label::State),
    (&["status"], Label::State),
    (&["err"], Label::Error),
    (&["text"], Label::Text),
];

/// The characters of a receipt's body, told by their look rather than by a `data_coding` that may be wrong.
pub(super) fn decode(body: &[u8]) -> String {
    match body {
        [0, second, ..] if *second != 0 => decode_utf16(body),
        [first, 0, ..] if *first != 0 => decode_utf16(
            &body
                .chunks(2)
                .flat_map(|unit| unit.iter().rev())
                .copied()
                .collect::<Vec<_>>(),
        ),
        // GSM keeps ASCII's letters and digits but moves a few signs below the space: `_` is 0x11.
        _ if body
            .iter()
            .any(|&octet| octet < b' ' && !b"\n\r\t".contains(&octet)) =>
        {
            gsm::decode(body, Shifts::default())
        }
        _ => body.iter().map(|&octet| char::from(octet)).collect(),
    }
}

pub(super) fn parse(text: &str) -> Receipt {
    let mut receipt = Receipt::default();
    let mut rest = text;
    let mut previous = None;
    // Walks from label to label; what lies between belongs to the one before.
    loop {
        let next = if previous == Some(Label::Text) {
            None
        } else {
            next_label(rest)
        };
        let (value, after) = match next {
            Some((start, end, _)) => (&rest[..start], &rest[end..]),
            None => (rest, ""),
        };
        if let Some(label) = previous {
            store(
                &mut receipt,
                label,
                value.trim_matches([' ', '\t', '\r', '\n', ',', ';', '\0']),
            );
        }
        let Some((_, _, label)) = next else { return receipt };
        previous = Some(label);
        rest = after;
    }
}

/// The next label with its colon: where it starts, where its value starts, and which one.
fn next_label(text: &str) -> Option<(usize, usize, Label)> {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|&at| at == 0 || !bytes[at - 1].is_ascii_alphanumeric())
        .find_map(|at| {
            LABELS
                .iter()
                .find_map(|(words, label)| Some((at, match_label(bytes, at, words)?, *label)))
        })
}

/// Where the value starts if these words and a colon stand here. It lies on a character boundary, as all that
/// is matched is ASCII.
fn match_label(bytes: &[u8], mut at: usize, words: &[&str]) -> Option<usize> {
    let spaces = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|&&b| b == b' ' || b == b'_')
            .count()
    };
    for word in words {
        let end = at + word.len();
        if !bytes.get(at..end)?.eq_ignore_ascii_case(word.as_bytes()) {
            return None;
        }
        at = end + spaces(end);
    }
    matches!(bytes.get(at)?, b':' | b'=').then_some(at + 1)
}

fn store(receipt: &mut Receipt, label: Label, value: &str) {
    if value.is_empty() {
        return;
    }
    // A receipt that names a thing twice means the first: what follows comes from the message's own text.
    let word = || value.split_whitespace().next().map(str::to_owned);
    match label {
        Label::Id => receipt.id = receipt.id.take().or_else(word),
        Label::Submitted => receipt.submitted = receipt.submitted.or(value.parse().ok()),
        Label::Delivered => receipt.delivered = receipt.delivered.or(value.parse().ok()),
        Label::SubmitDate => receipt.submit_date = receipt.submit_date.or_else(|| parse_date(value)),
        Label::DoneDate => receipt.done_date = receipt.done_date.or_else(|| parse_date(value)),
        Label::State => receipt.state = receipt.state.or_else(|| MessageState::from_word(value)),
        Label::Error => receipt.error = receipt.error.take().or_else(word),
        Label::Text => receipt.text = Some(value.to_owned()),
    }
}

/// `YYMMDDhhmm`, the same with seconds, or with a year of four digits.
fn parse_date(value: &str) -> Option<LocalTime> {
    let digits: Vec<u8> = value.bytes().map(|b| b.wrapping_sub(b'0')).collect();
    if digits.iter().any(|&digit| digit > 9) {
        return None;
    }
    let two = |at: usize| Some(digits.get(at)? * 10 + digits.get(at + 1)?);
    let read = |year: u16, at: usize, seconds: bool| {
        let time = LocalTime {
            year,
            month: two(at)?,
            day: two(at + 2)?,
            hour: two(at + 4)?,
            minute: two(at + 6)?,
            second: if seconds { two(at + 8)? } else { 0 },
        };
        let possible = (1..=12).contains(&time.month)
            && (1..=31).contains(&time.day)
            && time.hour < 24
            && time.minute < 60
            && time.second <= 60;
        possible.then_some(time)
    };
    let short = |seconds| read(2000 + u16::from(two(0)?), 2, seconds);
    let long = |seconds| read(u16::from(two(0)?) * 100 + u16::from(two(2)?), 4, seconds);
    match digits.len() {
        10 => short(false),
        12 => short(true).or_else(|| long(false)),
        14 => long(true),
        _ => None,
    }
}

pub(super) fn write(receipt: &Receipt) -> String {
    let date = |time: &LocalTime| {
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            ..
        } = time;
        format!("{:02}{month:02}{day:02}{hour:02}{minute:02}", year % 100)
    };
    let number = |count: &u32| format!("{count:03}");
    let fields = [
        ("id", receipt.id.clone()),
        ("sub", receipt.submitted.as_ref().map(number)),
        ("dlvrd", receipt.delivered.as_ref().map(number)),
        ("submit date", receipt.submit_date.as_ref().map(date)),
        ("done date", receipt.done_date.as_ref().map(date)),
        ("stat", receipt.state.map(|state| state.word().to_owned())),
        ("err", receipt.error.clone()),
        ("text", receipt.text.clone()),
    ];
    let written: Vec<String> = fields
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}:{}", value?)))
        .collect();
    written.join(" ")
}
