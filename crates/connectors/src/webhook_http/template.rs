//! Texts with places to be filled in.

use serde_json::Value;
use std::fmt::Write as _;

/// What is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    To,
    From,
    Text,
    Id,
    MediaUrl,
    Secret,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Slot(Slot),
}

/// A text with places to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// What stands in the places. `Debug` is not derived: there are a body and a secret in it.
pub struct Filling<'a> {
    pub to: &'a str,
    pub from: &'a str,
    pub text: &'a str,
    pub id: &'a str,
    pub secret: &'a str,
    pub links: &'a [String],
}

impl Template {
    /// `None`: a brace is open, or what is named there is nothing that is known.
    pub fn read(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return None;
            }
            let (name, after) = rest.split_once('}')?;
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Slot(match name {
                "to" => Slot::To,
                "from" => Slot::From,
                "text" => Slot::Text,
                "id" => Slot::Id,
                "media_url" => Slot::MediaUrl,
                "secret" => Slot::Secret,
                _ => return None,
            }));
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        pieces.retain(|piece| !matches!(piece, Piece::Literal(text) if text.is_empty()));
        Some(Self(pieces))
    }

    /// Whether all texts within `value` are templates.
    pub fn all_hold(value: &Value) -> bool {
        match value {
            Value::String(text) => Self::read(text).is_some(),
            Value::Array(list) => list.iter().all(Self::all_hold),
            Value::Object(object) => object.values().all(Self::all_hold),
            _ => true,
        }
    }

    /// Whether nothing in it could break a header, or would carry a body in one.
    pub fn fits_a_header(&self) -> bool {
        self.0.iter().all(|piece| match piece {
            Piece::Literal(text) => text.chars().all(|c| c == '\t' || (' '..='~').contains(&c)),
            Piece::Slot(slot) => !matches!(slot, Slot::Text | Slot::MediaUrl),
        })
    }

    /// Filled in with something, to be looked at.
    pub fn sample(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Slot(_) => out.push('1'),
            }
        }
        out
    }

    /// Whether it is the link to a file and nothing else.
    pub fn is_media(&self) -> bool {
        self.0 == [Piece::Slot(Slot::MediaUrl)]
    }

    /// Filled in as it is, for where it is escaped as a whole. `link`: the file.
    pub fn fill(&self, filling: &Filling<'_>, link: &str) -> String {
        self.filled(filling, link, str::to_owned)
    }

    /// Filled in for an address: what is filled in stays within its place.
    pub fn fill_url(&self, filling: &Filling<'_>, link: &str) -> String {
        self.filled(filling, link, |text| {
            let mut out = String::new();
            for octet in text.bytes() {
                match octet {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        out.push(octet.into())
                    }
                    _ => _ = write!(out, "%{octet:02X}"),
                }
            }
            out
        })
    }

    fn filled(&self, filling: &Filling<'_>, link: &str, escape: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Slot(slot) => out.push_str(&escape(match slot {
                    Slot::To => filling.to,
                    Slot::From => filling.from,
                    Slot::Text => filling.text,
                    Slot::Id => filling.id,
                    Slot::MediaUrl => link,
                    Slot::Secret => filling.secret,
                })),
            }
        }
        out
    }
}

/// A JSON body: texts are filled in; what is a link alone is left out without a file, and repeated in a list with several.
pub fn json(value: &Value, filling: &Filling<'_>) -> Value {
    let first = filling.links.first().map(String::as_str);
    let media = |value: &Value| {
        let template = Template::read(value.as_str()?)?;
        template.is_media().then_some(())
    };
    match value {
        Value::String(text) => match Template::read(text) {
            Some(template) => template.fill(filling, first.unwrap_or_default()).into(),
            None => value.clone(),
        },
        Value::Array(list) => list
            .iter()
            .flat_map(|item| match media(item) {
                Some(()) => filling.links.iter().map(|link| link.as_str().into()).collect(),
                None => vec![json(item, filling)],
            })
            .collect(),
        Value::Object(object) => object
            .iter()
            .filter(|(_, item)| media(item).is_none() || first.is_some())
            .map(|(name, item)| (name.clone(), json(item, filling)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    fn filling<'a>(text: &'a str, links: &'a [String]) -> Filling<'a> {
        Filling {
            to: "+447700900123",
            from: "+447700900001",
            text,
            id: "k1",
            secret: "s3cret",
            links,
        }
    }

    #[test]
    fn what_is_written_stays_a_text_wherever_it_stands() {
        let nasty = "\",\"to\":\"+1{from}&a=b#é\r\n";
        let filling = filling(nasty, &[]);
        let body = json(
            &value!({ "m": { "text": "> {text}", "n": 1 }, "to": ["{to}"], "media": "{media_url}" }),
            &filling,
        );
        assert_eq!(
            body,
            value!({ "m": { "text": format!("> {nasty}"), "n": 1 }, "to": ["+447700900123"] })
        );
        let url = Template::read("https://x.example/{to}?t={text}&f={from}")
            .unwrap()
            .fill_url(&filling, "");
        let url = url::Url::parse(&url).unwrap();
        assert_eq!(url.path(), "/%2B447700900123");
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs[0], ("t".to_owned(), nasty.to_owned()));
        assert_eq!((pairs.len(), url.fragment()), (2, None));
    }

    #[test]
    fn links_are_left_out_or_repeated() {
        let links = ["https://x/1".to_owned(), "https://x/2".to_owned()];
        let template = value!({ "one": "{media_url}", "all": ["{media_url}"] });
        assert_eq!(json(&template, &filling("", &[])), value!({ "all": [] }));
        assert_eq!(
            json(&template, &filling("", &links)),
            value!({ "one": "https://x/1", "all": ["https://x/1", "https://x/2"] })
        );
    }

    #[test]
    fn braces_and_names_are_checked() {
        let filled = |text: &str| Some(Template::read(text)?.fill(&filling("t", &[]), ""));
        assert_eq!(filled("{{{text}}}").as_deref(), Some("{t}"));
        assert_eq!(filled("plain").as_deref(), Some("plain"));
        for wrong in ["{txt}", "{text", "text}", "{}"] {
            assert_eq!(filled(wrong), None, "{wrong}");
        }
        assert!(!Template::read("{text}").unwrap().fits_a_header());
        assert!(!Template::read("a\r\nb").unwrap().fits_a_header());
    }
}
