//! Text with attributes as macOS keeps it in `attributedBody`: an `NSAttributedString` written by `NSArchiver` in the
//! typedstream format (streamer version 4, either byte order). The format has no public specification; what is read here is
//! checked against two foreign decoders.
//!
//! Nothing that a stream says is believed: depth, number of values and references are bounded, and no bytes make it panic.

mod reader;
mod value;

use reader::{Graph, Item};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

pub use value::Value;

/// Which part of a message a run belongs to, from 0.
pub const MESSAGE_PART: &str = "__kIMMessagePartAttributeName";
/// The guid of the attachment that a run's object replacement character (U+FFFC) stands for.
pub const FILE_TRANSFER: &str = "__kIMFileTransferGUIDAttributeName";
/// The address of whom the run mentions.
pub const MENTION: &str = "__kIMMentionConfirmedMention";
/// The URL that the run links to.
pub const LINK: &str = "__kIMLinkAttributeName";
/// The run is bold, italic, underlined or struck through when the value is not 0.
pub const BOLD: &str = "__kIMTextBoldAttributeName";
pub const ITALIC: &str = "__kIMTextItalicAttributeName";
pub const UNDERLINE: &str = "__kIMTextUnderlineAttributeName";
pub const STRIKETHROUGH: &str = "__kIMTextStrikethroughAttributeName";
/// The number of the animation that the run has.
pub const EFFECT: &str = "__kIMTextEffectAttributeName";

/// A text and what is said of its stretches. `Debug` is redacted.
#[derive(Clone, PartialEq)]
pub struct Attributed {
    pub text: String,
    /// In order, without gaps as far as the stream goes.
    pub runs: Vec<Run>,
}

/// A stretch of a text.
#[derive(Clone, PartialEq)]
pub struct Run {
    /// Octets of [`Attributed::text`]; always on boundaries of characters.
    pub range: Range<usize>,
    pub attributes: Vec<(String, Value)>,
}

/// The bytes hold no attributed text that can be read. Not worth a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no attributed text: {problem} at octet {at}")]
pub struct Error {
    pub at: usize,
    pub problem: &'static str,
}

impl Attributed {
    /// Reads a typedstream whose first object is an attributed string, or a plain one.
    ///
    /// # Errors
    /// The bytes are something else, are cut short, or nest or repeat beyond all sense.
    pub fn decode(bytes: &[u8]) -> Result<Attributed, Error> {
        let graph = Graph::read(bytes)?;
        let without_text = Error {
            at: bytes.len(),
            problem: "the first object is no string",
        };
        let Some(Item::Object(root)) = graph.roots.first() else {
            return Err(without_text);
        };
        if let Some(text) = value::text(&graph, *root) {
            return Ok(Attributed {
                text,
                runs: Vec::new(),
            });
        }
        let groups = match graph.objects.get(*root) {
            Some(object) if graph.is(*root, "NSAttributedString") => &object.groups,
            _ => return Err(without_text),
        };
        let Some([Item::Object(string)]) = groups.first().map(Vec::as_slice) else {
            return Err(without_text);
        };
        let text = value::text(&graph, *string).ok_or(without_text)?;
        let runs = runs(&graph, groups.get(1..).unwrap_or_default(), &text);
        Ok(Attributed { text, runs })
    }

    /// The runs that have an attribute, with its value.
    pub fn with<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Run, &'a Value)> {
        self.runs
            .iter()
            .filter_map(move |run| run.get(name).map(|value| (run, value)))
    }
}

impl Run {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.attributes
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)
    }

    /// Whether an attribute is there and not 0.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.integer() != Some(0))
    }
}

impl fmt::Debug for Attributed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Attributed({} octets, {} runs)",
            self.text.len(),
            self.runs.len()
        )
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({:?}, {} attributes)", self.range, self.attributes.len())
    }
}

/// Each run is the number of a set of attributes and a length in UTF-16 units; where a number comes first, its set follows.
fn runs(graph: &Graph<'_>, groups: &[Vec<Item<'_>>], text: &str) -> Vec<Run> {
    let boundaries = Boundaries::of(text);
    let mut known: HashMap<i64, Vec<(String, Value)>> = HashMap::new();
    let mut budget = value::Budget::default();
    let mut runs = Vec::new();
    let (mut at, mut unit) = (0, 0usize);
    while let Some([Item::Integer(number), Item::Integer(length)]) = groups.get(at).map(Vec::as_slice) {
        at += 1;
        if let Some([Item::Object(set)]) = groups.get(at).map(Vec::as_slice) {
            at += 1;
            known.insert(*number, value::attributes(graph, *set, &mut budget));
        }
        let Ok(length) = usize::try_from(*length) else {
            break;
        };
        let end = unit.saturating_add(length);
        let range = boundaries.octet(unit)..boundaries.octet(end);
        unit = end;
        if range.is_empty() {
            continue;
        }
        runs.push(Run {
            range,
            attributes: budget.copy(known.get(number)),
        });
    }
    runs
}

/// Where each UTF-16 unit of a text begins, in octets.
struct Boundaries {
    octets: Vec<usize>,
    end: usize,
}

impl Boundaries {
    fn of(text: &str) -> Self {
        let mut octets = Vec::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            octets.extend(std::iter::repeat_n(at, character.len_utf16()));
        }
        Self {
            octets,
            end: text.len(),
        }
    }

    fn octet(&self, unit: usize) -> usize {
        self.octets.get(unit).copied().unwrap_or(self.end)
    }
}

#[cfg(test)]
mod tests;
