//! From a tree to typed settings: a `serde` deserializer that reports unknown keys with the nearest known name and
//! goes on after an error, so that all of them are told at once.

mod fault;

use super::problem::{Problem, did_you_mean};
use super::tree::{Kind, Map, Node};
use fault::Fault;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use std::cell::RefCell;

/// Reads `node` as `T`. Every problem goes to `problems`; a value that can not be understood is taken out and read as
/// its default. Answers `None` only when `T` has no default for something that is missing or wrong.
pub fn read<T: de::DeserializeOwned>(path: &[&str], node: &Node, problems: &mut Vec<Problem>) -> Option<T> {
    let mut node = node.clone();
    let base: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
    // Each turn either succeeds or takes out one wrong value.
    loop {
        let unknown = RefCell::new(Vec::new());
        let reader = Reader {
            node: &node,
            path: base.clone(),
            unknown: &unknown,
        };
        match T::deserialize(reader) {
            Ok(value) => {
                problems.extend(unknown.into_inner());
                return Some(value);
            }
            Err(fault) => {
                let place = fault.path.clone().unwrap_or_else(|| base.clone());
                let inner = place.get(base.len()..).unwrap_or_default();
                problems.push(fault.into_problem(&node, &base));
                if !node.remove(inner) {
                    problems.extend(unknown.into_inner());
                    return None;
                }
            }
        }
    }
}

struct Reader<'a> {
    node: &'a Node,
    path: Vec<String>,
    unknown: &'a RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    /// Notes the place of an error that has none yet.
    fn here<T>(path: &[String], result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|mut fault| {
            fault.path.get_or_insert_with(|| path.to_vec());
            fault
        })
    }

    fn inner(&self, part: &str, node: &'a Node) -> Reader<'a> {
        let mut path = self.path.clone();
        path.push(part.to_owned());
        Reader {
            node,
            path,
            unknown: self.unknown,
        }
    }

    fn visit_map<'de, V: Visitor<'de>>(self, map: &'a Map, visitor: V) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        let entries = Entries {
            reader: self,
            rest: map.iter().collect(),
            value: None,
        };
        Self::here(&path, visitor.visit_map(entries))
    }

    fn visit_list<'de, V: Visitor<'de>>(self, list: &'a [Node], visitor: V) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        let items = Items {
            reader: self,
            list,
            next: 0,
        };
        Self::here(&path, visitor.visit_seq(items))
    }

    /// A value from the environment that should be a list or a section is read as YAML.
    fn loose<'de, V: Visitor<'de>>(self, text: &str, visitor: V) -> Result<V::Value, Fault> {
        let wrapped = Node::parse(&format!("value: {text}"));
        let Some(mut node) = wrapped.ok().and_then(|mut node| node.take("value")) else {
            return Self::here(&self.path, Err(de::Error::custom("is not valid YAML")));
        };
        set_origin(&mut node, &self.node.origin);
        let reader = Reader {
            node: &node,
            path: self.path,
            unknown: self.unknown,
        };
        reader.deserialize_any(visitor)
    }
}

fn set_origin(node: &mut Node, origin: &super::problem::Origin) {
    node.origin = origin.clone();
    match &mut node.kind {
        Kind::List(list) => list.iter_mut().for_each(|node| set_origin(node, origin)),
        Kind::Map(map) => map.iter_mut().for_each(|(_, node)| set_origin(node, origin)),
        _ => {}
    }
}

/// Reads a number or truth value, which an environment variable holds as text.
macro_rules! scalar {
    ($($method:ident $visit:ident $type:ty),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match &self.node.kind {
                Kind::Loose(text) => match text.trim().parse::<$type>() {
                    Ok(value) => Self::here(&self.path, visitor.$visit(value)),
                    Err(_) => Self::here(
                        &self.path,
                        Err(de::Error::invalid_type(Unexpected::Str(text), &visitor)),
                    ),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let path = &self.path;
        match &self.node.kind {
            Kind::Null => Self::here(path, visitor.visit_unit()),
            Kind::Bool(value) => Self::here(path, visitor.visit_bool(*value)),
            Kind::Unsigned(value) => Self::here(path, visitor.visit_u64(*value)),
            Kind::Signed(value) => Self::here(path, visitor.visit_i64(*value)),
            Kind::Float(value) => Self::here(path, visitor.visit_f64(*value)),
            Kind::Text(text) | Kind::Loose(text) => Self::here(path, visitor.visit_str(text)),
            Kind::List(list) => self.visit_list(list, visitor),
            Kind::Map(map) => self.visit_map(map, visitor),
        }
    }

    scalar! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i64 i64,
        deserialize_i16 visit_i64 i64,
        deserialize_i32 visit_i64 i64,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u64 u64,
        deserialize_u16 visit_u64 u64,
        deserialize_u32 visit_u64 u64,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f64 f64,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Null => visitor.visit_none(),
            Kind::Loose(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        Self::here(&path, visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Loose(text) if !text.trim_start().starts_with('[') => {
                // `A,B` is what people put into a variable.
                let list: Vec<Node> = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Node::loose(item, self.node.origin.clone()))
                    .collect();
                let node = Node {
                    kind: Kind::List(list),
                    origin: self.node.origin.clone(),
                };
                let reader = Reader {
                    node: &node,
                    path: self.path,
                    unknown: self.unknown,
                };
                reader.deserialize_any(visitor)
            }
            Kind::Loose(text) => self.loose(text, visitor),
            // A list setting with nothing after it is an empty list.
            Kind::Null => self.visit_list(&[], visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        const EMPTY: &Map = &Vec::new();
        match &self.node.kind {
            Kind::Loose(text) => self.loose(text, visitor),
            // A section whose settings are all commented out.
            Kind::Null => self.visit_map(EMPTY, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Kind::Map(map) = &self.node.kind else {
            return self.deserialize_map(visitor);
        };
        let mut known = Vec::with_capacity(map.len());
        for entry in map {
            let (name, node) = entry;
            if fields.contains(&name.as_str()) {
                known.push(entry);
                continue;
            }
            let path = self.path.iter().map(String::as_str).chain([name.as_str()]);
            self.unknown.borrow_mut().push(
                Problem::new(path.collect::<Vec<_>>().join("."), "there is no such setting")
                    .origin(&node.origin)
                    .cure(did_you_mean(name, fields.iter().copied())),
            );
        }
        let path = self.path.clone();
        let entries = Entries {
            reader: self,
            rest: known,
            value: None,
        };
        Self::here(&path, visitor.visit_map(entries))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let path = self.path.clone();
        Self::here(&path, visitor.visit_enum(Choice(self)))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    rest: Vec<&'a (String, Node)>,
    value: Option<&'a (String, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let entry = self.rest.remove(0);
        self.value = Some(entry);
        let deserializer: de::value::StrDeserializer<'_, Fault> = entry.0.as_str().into_deserializer();
        let mut path = self.reader.path.clone();
        path.push(entry.0.clone());
        Reader::here(&path, seed.deserialize(deserializer)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, node)) = self.value.take() else {
            return Err(de::Error::custom("a value without its key"));
        };
        let reader = self.reader.inner(name, node);
        let path = reader.path.clone();
        Reader::here(&path, seed.deserialize(reader))
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    list: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.list.get(self.next) else {
            return Ok(None);
        };
        let reader = self.reader.inner(&self.next.to_string(), node);
        self.next += 1;
        let path = reader.path.clone();
        Reader::here(&path, seed.deserialize(reader)).map(Some)
    }
}

/// One word of several.
struct Choice<'a>(Reader<'a>);

impl<'de, 'a> EnumAccess<'de> for Choice<'a> {
    type Error = Fault;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'a>), Fault> {
        let reader = self.0;
        let (word, content) = match &reader.node.kind {
            Kind::Text(word) | Kind::Loose(word) => (word.as_str(), None),
            Kind::Map(map) if map.len() == 1 => (map[0].0.as_str(), Some(reader.inner(&map[0].0, &map[0].1))),
            _ => {
                let cause = format!("must be one word of those known, not {}", reader.node.what());
                return Reader::here(&reader.path, Err(de::Error::custom(cause)));
            }
        };
        let deserializer: de::value::StrDeserializer<'_, Fault> = word.into_deserializer();
        let variant = Reader::here(&reader.path, seed.deserialize(deserializer))?;
        Ok((variant, Content(content)))
    }
}

/// What follows the word, if anything.
struct Content<'a>(Option<Reader<'a>>);

impl<'a> Content<'a> {
    fn present(self) -> Result<Reader<'a>, Fault> {
        self.0
            .ok_or_else(|| de::Error::custom("needs settings of its own"))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.0 {
            Some(reader) => Reader::here(
                &reader.path,
                Err(de::Error::custom("takes no settings of its own")),
            ),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.present()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.present()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.present()?.deserialize_struct("", fields, visitor)
    }
}
