use super::problem::{Problem, did_you_mean};
use super::read::read;
use super::tree::{Kind, Node};
use std::path::{Path, PathBuf};
use swingbridge_connectors::smpp;

/// An account on a phone network.
#[derive(Clone, Debug)]
pub enum Account {
    Smpp(Box<smpp::Config>),
}

impl Default for Account {
    fn default() -> Self {
        Self::Smpp(Box::default())
    }
}

/// The kinds of accounts, by the word after `type`.
pub const TYPES: &[&str] = &["smpp"];

impl Account {
    /// Reads one entry of the section. An entry without a `type` is an SMPP account.
    pub(super) fn read(id: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<Self> {
        let path = ["connectors", id];
        let mut node = node.clone();
        let kind = match node.take("type") {
            None => "smpp".to_owned(),
            Some(Node {
                kind: Kind::Text(word) | Kind::Loose(word),
                ..
            }) if TYPES.contains(&word.as_str()) => word,
            Some(other) => {
                let cure = match &other.kind {
                    Kind::Text(word) | Kind::Loose(word) => did_you_mean(word, TYPES.iter().copied()),
                    _ => did_you_mean("", TYPES.iter().copied()),
                };
                problems.push(
                    Problem::new(
                        format!("connectors.{id}.type"),
                        "there is no such kind of connector",
                    )
                    .origin(&other.origin)
                    .cure(cure),
                );
                return None;
            }
        };
        match kind.as_str() {
            "smpp" => read(&path, &node, problems).map(|config| Self::Smpp(Box::new(config))),
            _ => None,
        }
    }

    pub(super) fn check(&self, id: &str, problems: &mut Vec<Problem>) {
        let Self::Smpp(config) = self;
        if let Err(invalid) = config.validate() {
            let path = format!("connectors.{id}.{}", invalid.field);
            problems.push(Problem::new(path, "cannot be").cure(invalid.problem));
        }
    }

    /// Lets relative paths begin at `folder`.
    pub(super) fn place(&mut self, folder: &Path) {
        let Self::Smpp(config) = self;
        if let Some(tls) = &mut config.tls {
            for path in [
                &mut tls.ca_file,
                &mut tls.client_cert_file,
                &mut tls.client_key_file,
            ] {
                *path = path.take().map(|path: PathBuf| folder.join(path));
            }
        }
    }
}
