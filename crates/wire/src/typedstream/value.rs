//! Objects of the classes that attributes are made of, as plain values.

use super::reader::{Graph, Item};
use std::fmt;

/// The value of an attribute. `Debug` shows its kind only.
#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Integer(i64),
    Real(f64),
    Data(Vec<u8>),
    List(Vec<Value>),
    Dictionary(Vec<(Value, Value)>),
    /// An object of another class, by its name.
    Other(String),
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(integer) => Some(*integer),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Text(_) => "Text",
            Value::Integer(_) => "Integer",
            Value::Real(_) => "Real",
            Value::Data(_) => "Data",
            Value::List(_) => "List",
            Value::Dictionary(_) => "Dictionary",
            Value::Other(_) => "Other",
        })
    }
}

/// How much is made of one stream. Objects may be referred to again and again, so a short stream can say endlessly much.
pub(super) struct Budget {
    values: u32,
    octets: usize,
}

const DEPTH: u32 = 16;

impl Default for Budget {
    fn default() -> Self {
        Self {
            values: 50_000,
            octets: 4 << 20,
        }
    }
}

impl Budget {
    fn take(&mut self, octets: usize) -> bool {
        match (self.values.checked_sub(1), self.octets.checked_sub(octets)) {
            (Some(values), Some(octets)) => {
                (self.values, self.octets) = (values, octets);
                true
            }
            _ => false,
        }
    }

    /// The attributes of another run that has the same ones.
    pub fn copy(&mut self, attributes: Option<&Vec<(String, Value)>>) -> Vec<(String, Value)> {
        let Some(attributes) = attributes else {
            return Vec::new();
        };
        let fits = attributes.iter().all(|(name, value)| {
            let octets = match value {
                Value::Text(text) | Value::Other(text) => text.len(),
                Value::Data(data) => data.len(),
                // Each of them was counted when it was made.
                Value::List(_) | Value::Dictionary(_) => 64 << 10,
                _ => 0,
            };
            self.take(octets.saturating_add(name.len()))
        });
        match fits {
            true => attributes.clone(),
            false => Vec::new(),
        }
    }
}

/// The text of a string object.
pub(super) fn text(graph: &Graph<'_>, object: usize) -> Option<String> {
    if !graph.is(object, "NSString") {
        return None;
    }
    match graph.objects.get(object)?.groups.first()?.first()? {
        Item::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Item::Null => Some(String::new()),
        _ => None,
    }
}

/// A dictionary whose keys are names.
pub(super) fn attributes(graph: &Graph<'_>, object: usize, budget: &mut Budget) -> Vec<(String, Value)> {
    match of_object(graph, object, DEPTH, budget) {
        Value::Dictionary(pairs) => pairs
            .into_iter()
            .filter_map(|(key, value)| match key {
                Value::Text(name) => Some((name, value)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn of_item(graph: &Graph<'_>, item: &Item<'_>, depth: u32, budget: &mut Budget) -> Value {
    match item {
        Item::Null | Item::Class => Value::Null,
        Item::Integer(integer) => Value::Integer(*integer),
        Item::Real(real) => Value::Real(*real),
        Item::Bytes(bytes) if budget.take(bytes.len()) => Value::Data(bytes.to_vec()),
        Item::Bytes(_) => Value::Null,
        Item::Object(object) => of_object(graph, *object, depth, budget),
        Item::List(items) => Value::List(list(graph, items.iter(), depth, budget)),
    }
}

fn list<'a, 'b: 'a>(
    graph: &Graph<'b>,
    items: impl Iterator<Item = &'a Item<'b>>,
    depth: u32,
    budget: &mut Budget,
) -> Vec<Value> {
    let mut values = Vec::new();
    for item in items {
        if depth == 0 || !budget.take(0) {
            break;
        }
        values.push(of_item(graph, item, depth - 1, budget));
    }
    values
}

fn of_object(graph: &Graph<'_>, object: usize, depth: u32, budget: &mut Budget) -> Value {
    let Some(found) = graph.objects.get(object) else {
        return Value::Null;
    };
    if let Some(text) = text(graph, object) {
        return match budget.take(text.len()) {
            true => Value::Text(text),
            false => Value::Null,
        };
    }
    let groups = &found.groups;
    let singles = || groups.iter().skip(1).filter_map(|group| group.first());
    if graph.is(object, "NSDictionary") {
        let mut values = list(graph, singles(), depth, budget).into_iter();
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            pairs.push((key, value));
        }
        return Value::Dictionary(pairs);
    }
    if graph.is(object, "NSArray") || graph.is(object, "NSSet") {
        return Value::List(list(graph, singles(), depth, budget));
    }
    // A number is the name of its type, then itself; data is its length, then itself.
    if graph.is(object, "NSValue") || graph.is(object, "NSData") {
        return singles()
            .next()
            .map_or(Value::Null, |item| of_item(graph, item, depth, budget));
    }
    if graph.is(object, "NSDate") {
        return groups
            .first()
            .and_then(|group| group.first())
            .map_or(Value::Null, |item| of_item(graph, item, depth, budget));
    }
    if graph.is(object, "NSURL") {
        let string = groups.iter().flatten().rev().find_map(|item| match item {
            Item::Object(object) => text(graph, *object),
            _ => None,
        });
        return match string {
            Some(text) if budget.take(text.len()) => Value::Text(text),
            _ => Value::Null,
        };
    }
    Value::Other(graph.class_name(object))
}
