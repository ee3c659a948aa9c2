//! A configuration before it is understood: values with the place where each was set.

use super::problem::{Origin, Problem};
use serde_yaml_ng::Value;

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub origin: Origin,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// A text in the file.
    Text(String),
    /// A value from the environment or a secret file: whatever the setting asks for.
    Loose(String),
    List(Vec<Node>),
    Map(Map),
}

/// Settings in the order in which they were written.
pub type Map = Vec<(String, Node)>;

impl Node {
    /// Reads YAML text. An empty text is an empty map.
    ///
    /// # Errors
    /// When the text is no YAML, or its top level is no map.
    pub fn parse(text: &str) -> Result<Node, Problem> {
        let syntax = |cause: String, line: Option<usize>| {
            let problem = Problem::new("the file", cause);
            match line {
                Some(_) => problem.origin(&Origin::File { line }),
                None => problem,
            }
        };
        let value: Value = serde_yaml_ng::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            syntax(
                format!("is not valid YAML: {}", without_place(&error.to_string())),
                line,
            )
        })?;
        let lines = Lines::of(text);
        let node = from_value(value, &mut Vec::new(), &lines)
            .map_err(|path| syntax(format!("{path} uses a YAML tag, which has no meaning here"), None))?;
        match node.kind {
            Kind::Map(_) => Ok(node),
            Kind::Null => Ok(Node {
                kind: Kind::Map(Vec::new()),
                ..node
            }),
            _ => Err(syntax("must consist of sections".into(), None)
                .cure("see the example: `swingbridge docs example`")),
        }
    }

    pub fn loose(value: impl Into<String>, origin: Origin) -> Node {
        Node {
            kind: Kind::Loose(value.into()),
            origin,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(map) => map.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Map(map) => map.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// What stands at `path`, written with dots.
    pub fn find(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, part| node.get(part))
    }

    /// The map inside; what is no map becomes an empty one.
    pub fn map_mut(&mut self) -> &mut Map {
        if !matches!(self.kind, Kind::Map(_)) {
            self.kind = Kind::Map(Vec::new());
        }
        match &mut self.kind {
            Kind::Map(map) => map,
            _ => unreachable!("it was made a map above"),
        }
    }

    pub fn set(&mut self, key: &str, node: Node) {
        let map = self.map_mut();
        match map.iter_mut().find(|(name, _)| name == key) {
            Some((_, present)) => *present = node,
            None => map.push((key.to_owned(), node)),
        }
    }

    pub fn take(&mut self, key: &str) -> Option<Node> {
        match &mut self.kind {
            Kind::Map(map) => {
                let place = map.iter().position(|(name, _)| name == key)?;
                Some(map.remove(place).1)
            }
            _ => None,
        }
    }

    /// Takes out what stands at `path`, so that its default holds. Answers whether something stood there.
    pub fn remove(&mut self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        if rest.is_empty() {
            return match &mut self.kind {
                Kind::List(list) => {
                    let place = first.parse().ok().filter(|index| *index < list.len());
                    place.map(|index: usize| list.remove(index)).is_some()
                }
                _ => self.take(first).is_some(),
            };
        }
        let inner = match &mut self.kind {
            Kind::Map(_) => self.get_mut(first),
            Kind::List(list) => first.parse::<usize>().ok().and_then(|index| list.get_mut(index)),
            _ => None,
        };
        inner.is_some_and(|node| node.remove(rest))
    }

    /// What it is, in words and without its value.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Unsigned(_) | Kind::Signed(_) | Kind::Float(_) => "a number",
            Kind::Text(_) | Kind::Loose(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a section",
        }
    }
}

/// The error's text without the "at line … column …" that is said elsewhere.
fn without_place(text: &str) -> &str {
    text.split(" at line ").next().unwrap_or(text)
}

fn from_value(value: Value, path: &mut Vec<String>, lines: &Lines) -> Result<Node, String> {
    let origin = Origin::File {
        line: lines.of_path(path),
    };
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), _, _) => Kind::Unsigned(value),
            (None, Some(value), _) => Kind::Signed(value),
            (None, None, value) => Kind::Float(value.unwrap_or(f64::NAN)),
        },
        Value::String(text) => Kind::Text(text),
        Value::Sequence(values) => {
            let mut list = Vec::with_capacity(values.len());
            for (index, value) in values.into_iter().enumerate() {
                path.push(index.to_string());
                list.push(from_value(value, path, lines)?);
                path.pop();
            }
            Kind::List(list)
        }
        Value::Mapping(mapping) => {
            let mut map = Vec::with_capacity(mapping.len());
            for (key, value) in mapping {
                let key = match key {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    Value::Bool(value) => value.to_string(),
                    _ => return Err(path.join(".")),
                };
                path.push(key.clone());
                map.push((key, from_value(value, path, lines)?));
                path.pop();
            }
            Kind::Map(map)
        }
        Value::Tagged(_) => return Err(path.join(".")),
    };
    Ok(Node { kind, origin })
}

/// The lines on which the keys of block style YAML stand. The parser gives no places of values, so they are found by
/// indentation; what is written in flow style has the line of what holds it.
struct Lines(Vec<(Vec<String>, usize)>);

impl Lines {
    fn of(text: &str) -> Self {
        let mut found = Vec::new();
        let mut open: Vec<(usize, String)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') || content.starts_with('-') {
                continue;
            }
            let indent = line.len() - content.len();
            let Some((key, rest)) = content.split_once(':') else {
                continue;
            };
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                // A colon inside a key, such as a quoted user id.
                let Some((key, _)) = quoted_key(content) else {
                    continue;
                };
                note(&mut found, &mut open, indent, key, number + 1);
                continue;
            }
            note(
                &mut found,
                &mut open,
                indent,
                key.trim_matches(['"', '\'']),
                number + 1,
            );
        }
        Self(found)
    }

    /// The line of this path, or of the nearest thing around it.
    fn of_path(&self, path: &[String]) -> Option<usize> {
        (1..=path.len()).rev().find_map(|length| {
            self.0
                .iter()
                .find(|(known, _)| known.as_slice() == &path[..length])
                .map(|(_, line)| *line)
        })
    }
}

fn note(
    found: &mut Vec<(Vec<String>, usize)>,
    open: &mut Vec<(usize, String)>,
    indent: usize,
    key: &str,
    line: usize,
) {
    open.retain(|(outer, _)| *outer < indent);
    open.push((indent, key.to_owned()));
    found.push((open.iter().map(|(_, key)| key.clone()).collect(), line));
}

fn quoted_key(content: &str) -> Option<(&str, &str)> {
    let quote = content.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (key, rest) = content[1..].split_once(quote)?;
    rest.trim_start().strip_prefix(':').map(|rest| (key, rest))
}
