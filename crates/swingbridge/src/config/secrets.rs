//! Secrets from files: every secret `x` may be given as `x_file`, the path of a file that holds it.

use super::connectors::FIRST;
use super::problem::{Origin, Problem};
use super::tree::{Kind, Node};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The settings that are secrets, besides those of connectors.
const SITE: &[&[&str]] = &[
    &["site_key"],
    &["appservice", "as_token"],
    &["appservice", "hs_token"],
    &["database", "uri"],
    &["provisioning", "shared_secret"],
];

/// Those of each kind of connector.
const CONNECTORS: &[(&str, &[&[&str]])] = &[
    ("smpp", &[&["password"]]),
    ("rbm", &[&["service_account"], &["client_token"]]),
    (
        "maap",
        &[&["token"], &["webhook_token"], &["oauth", "client_secret"]],
    ),
    ("twilio", &[&["auth_token"], &["api_secret"], &["shared_key"]]),
    ("telnyx", &[&["api_key"]]),
    (
        "webhook",
        &[
            &["send", "secret"],
            &["send", "signature", "secret"],
            &["receive", "signature", "secret"],
        ],
    ),
    ("sms_gateway", &[&["password"], &["signing_key"]]),
    ("bluebubbles", &[&["password"]]),
    ("termux", &[]),
    ("imessage", &[]),
];

/// Whether the setting at `path` is a secret. `kind` is the connector's, where the path is in one: of a kind that is not known, the secrets
/// of all kinds are.
pub fn is_secret(kind: Option<&str>, path: &[&str]) -> bool {
    match path {
        ["connectors", _, inner @ ..] => of_connector(kind).any(|secret| secret == inner),
        _ => SITE.contains(&path),
    }
}

/// Those of one kind of connector; of all kinds, where it is none that is known.
pub fn of_connector(kind: Option<&str>) -> impl Iterator<Item = &'static [&'static str]> {
    let known = |kind: &&str| CONNECTORS.iter().any(|(known, _)| known == kind);
    let kind = kind.filter(known).map(str::to_owned);
    let fits = move |one: &&(&str, &'static [&'static [&'static str]])| match &kind {
        Some(kind) => one.0 == kind,
        None => true,
    };
    let fitting = CONNECTORS.iter().filter(fits);
    fitting.flat_map(|(_, secrets)| secrets.iter().copied())
}

/// The kind of a connector, by what stands in the file.
pub(super) fn kind_of(connector: &Node) -> Option<&str> {
    match connector.get("type").map(|node| &node.kind) {
        Some(Kind::Text(word) | Kind::Loose(word)) => Some(word),
        None => Some(FIRST),
        Some(_) => None,
    }
}

/// Puts the contents of the files in place of the `…_file` settings. Relative paths start at `folder`. Answers warnings.
pub fn resolve(root: &mut Node, folder: &Path, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut reading = Reading {
        folder,
        problems,
        warnings: Vec::new(),
    };
    for secret in SITE {
        reading.visit(root, secret, &mut Vec::new());
    }
    let Some(connectors) = root.get_mut("connectors") else {
        return reading.warnings;
    };
    if let Kind::Map(connectors) = &mut connectors.kind {
        for (name, connector) in connectors {
            let secrets: Vec<_> = of_connector(kind_of(connector)).collect();
            for secret in secrets {
                let mut path = vec!["connectors".to_owned(), name.clone()];
                reading.visit(connector, secret, &mut path);
            }
        }
    }
    reading.warnings
}

/// What is needed on the way, and what was found.
struct Reading<'a> {
    folder: &'a Path,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<String>,
}

impl Reading<'_> {
    fn visit(&mut self, node: &mut Node, rest: &[&str], path: &mut Vec<String>) {
        match rest {
            [] => {}
            [name] => self.read_file(node, name, path),
            [first, rest @ ..] => {
                if let Some(inner) = node.get_mut(first) {
                    path.push((*first).to_owned());
                    self.visit(inner, rest, path);
                    path.pop();
                }
            }
        }
    }

    fn read_file(&mut self, node: &mut Node, name: &str, path: &[String]) {
        let key = format!("{name}_file");
        let Some(given) = node.take(&key) else {
            return;
        };
        let full = || {
            path.iter()
                .map(String::as_str)
                .chain([key.as_str()])
                .collect::<Vec<_>>()
                .join(".")
        };
        let file = match &given.kind {
            Kind::Text(text) | Kind::Loose(text) => self.folder.join(text),
            Kind::Null => return,
            _ => {
                self.problems.push(
                    Problem::new(
                        full(),
                        format!("must be the path of a file, not {}", given.what()),
                    )
                    .origin(&given.origin),
                );
                return;
            }
        };
        if node
            .get(name)
            .is_some_and(|node| !matches!(node.kind, Kind::Null))
        {
            self.problems.push(
                Problem::new(full(), format!("is set, and `{name}` too"))
                    .origin(&given.origin)
                    .cure("take one of the two out"),
            );
            return;
        }
        match secret_of(&file) {
            Ok(text) => node.set(name, Node::loose(text, Origin::Secret(file.clone()))),
            Err(error) => {
                self.problems.push(
                    Problem::new(full(), format!("{} cannot be read: {error}", file.display()))
                        .origin(&given.origin)
                        .cure("give the path of a file that the gateway's user can read"),
                );
                return;
            }
        }
        self.warnings.extend(readable_by_others(&file));
    }
}

fn secret_of(file: &Path) -> Result<String, std::io::Error> {
    let text = std::fs::read_to_string(file)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A sentence when others than the owner may read `file`.
pub fn readable_by_others(file: &Path) -> Option<String> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    // A file that systemd hands over as a credential is readable by the unit alone, whatever its mode says.
    let credential = file.components().any(|part| part.as_os_str() == "credentials");
    (mode & 0o077 != 0 && !credential).then(|| {
        let name: PathBuf = file.into();
        format!(
            "{} holds secrets and can be read by others (mode {:04o}): `chmod 600 {}`",
            name.display(),
            mode & 0o7777,
            name.display()
        )
    })
}
