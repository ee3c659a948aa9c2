//! Why a value was not understood, in words that never hold the value.

use crate::config::problem::{Problem, nearest};
use crate::config::tree::{Kind, Node};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// Why a value was not understood.
#[derive(Debug)]
pub(super) struct Fault {
    pub path: Option<Vec<String>>,
    pub cause: String,
    pub cure: Option<String>,
}

impl Fault {
    pub fn into_problem(self, node: &Node, base: &[String]) -> Problem {
        let path = self.path.unwrap_or_else(|| base.to_vec());
        let mut found = node;
        for part in path.get(base.len()..).unwrap_or_default() {
            let inner = match &found.kind {
                Kind::List(list) => part.parse::<usize>().ok().and_then(|index| list.get(index)),
                _ => found.get(part),
            };
            match inner {
                Some(inner) => found = inner,
                None => break,
            }
        }
        Problem {
            path: path.join("."),
            origin: Some(found.origin.clone()),
            cause: self.cause,
            cure: self.cure,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault {
            path: None,
            cause: message.to_string(),
            cure: None,
        }
    }

    // The values themselves are left out of what follows: a mistyped secret must not be printed.

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let mut fault = Fault::custom(format!(
            "must be {}, not {}",
            in_words(&expected),
            kind_of(&found)
        ));
        if matches!(
            found,
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_)
        ) && in_words(&expected) == "a text"
        {
            fault.cure = Some("put it in quotes".into());
        }
        fault
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::custom(format!("must be {}", in_words(&expected.to_string())))
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::custom(format!("`{field}` is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let known: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
        let mut fault = Fault::custom(format!("must be one of {}", known.join(", ")));
        fault.cure = nearest(variant, expected.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        fault
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "a string" | "a borrowed string" | "string" => "a text",
        "a boolean" => "true or false",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a section",
        other if other.starts_with("struct ") => "a section",
        other if other.starts_with("enum ") || other.starts_with("variant ") => "one of the known words",
        other => other,
    }
}

fn kind_of(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a section",
        _ => "that",
    }
}
