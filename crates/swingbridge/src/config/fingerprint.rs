//! What each section of the configuration says, to be compared at the next start. Secrets are left out.

use super::secrets::{is_secret, kind_of};
use super::tree::{Kind, Node};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Sections with their settings in one way of writing. Holds numbers of ours: never printed, and only its keyed digests are
/// kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(pub BTreeMap<String, String>);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} sections]", self.0.len())
    }
}

/// Of the settings as they were written, in the file or in the environment, before secret files are read.
pub fn of(root: &Node) -> Fingerprint {
    let Kind::Map(sections) = &root.kind else {
        return Fingerprint::default();
    };
    let written = |(name, node): &(String, Node)| {
        let mut text = String::new();
        write(node, None, &mut vec![name.as_str()], &mut text);
        // A section without settings is as good as none.
        (text != "{}" && text != "~").then(|| (name.clone(), text))
    };
    Fingerprint(sections.iter().filter_map(written).collect())
}

/// The same for the same settings, wherever they were set and in whatever order. `kind`: of the connector that it is in.
fn write<'a>(node: &'a Node, kind: Option<&'a str>, path: &mut Vec<&'a str>, out: &mut String) {
    if is_secret(kind, path) {
        out.push_str("[secret]");
        return;
    }
    let kind = match path.as_slice() {
        ["connectors", _] => kind_of(node),
        _ => kind,
    };
    match &node.kind {
        Kind::Null => out.push('~'),
        Kind::Bool(value) => drop(write!(out, "{value}")),
        Kind::Unsigned(value) => drop(write!(out, "{value}")),
        Kind::Signed(value) => drop(write!(out, "{value}")),
        Kind::Float(value) => drop(write!(out, "{value}")),
        Kind::Text(text) | Kind::Loose(text) => drop(write!(out, "{text}")),
        Kind::List(items) => {
            out.push('[');
            for item in items {
                write(item, kind, path, out);
                out.push('\n');
            }
            out.push(']');
        }
        Kind::Map(map) => {
            out.push('{');
            let mut sorted: Vec<&(String, Node)> = map.iter().collect();
            sorted.sort_by(|one, other| one.0.cmp(&other.0));
            for (name, inner) in sorted {
                let _ = write!(out, "{name}=");
                path.push(name);
                write(inner, kind, path, out);
                path.pop();
                out.push('\n');
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(text: &str) -> Fingerprint {
        of(&Node::parse(text).unwrap())
    }

    #[test]
    fn order_and_way_of_writing_do_not_count() {
        let one = "retention:\n  messages: 90d\n  audit: 400d\nlogging: {}\n";
        let other = "retention: {audit: '400d', messages: \"90d\"}\n";
        assert_eq!(fingerprint(one), fingerprint(other));
        assert_ne!(
            fingerprint(one),
            fingerprint("retention:\n  messages: 91d\n  audit: 400d\n")
        );
    }

    #[test]
    fn secrets_do_not_count_and_do_not_show() {
        let one = "site_key: aa\nconnectors:\n  smpp:\n    password: hunter2\n    host: h\n";
        let other = "site_key: bb\nconnectors:\n  smpp:\n    password: other\n    host: h\n";
        assert_eq!(fingerprint(one), fingerprint(other));
        assert!(fingerprint(one).0.values().all(|text| !text.contains("hunter2")));
        assert_eq!(format!("{:?}", fingerprint(one)), "[2 sections]");
        let provider = "connectors:\n  acme:\n    type: webhook\n    send:\n      signature: {secret: hunter2, header: x}\n";
        let told = fingerprint(provider);
        assert!(told.0.values().all(|text| !text.contains("hunter2")));
        assert_ne!(told, fingerprint(&provider.replace("header: x", "header: y")));
        // The same word is a secret at one provider, and none at another.
        let key = |kind| fingerprint(&format!("connectors:\n  one: {{type: {kind}, api_key: SK1}}\n"));
        assert!(key("twilio").0.values().all(|text| text.contains("SK1")));
        assert!(key("telnyx").0.values().all(|text| !text.contains("SK1")));
    }
}
