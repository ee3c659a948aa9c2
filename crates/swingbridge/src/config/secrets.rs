//! Secrets from files: every secret `x` may be given as `x_file`, the path of a file that holds it.

use super::problem::{Origin, Problem};
use super::tree::{Kind, Node};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The settings that are secrets. `*` stands for any name.
pub const SECRETS: &[&[&str]] = &[
    &["site_key"],
    &["appservice", "as_token"],
    &["appservice", "hs_token"],
    &["database", "uri"],
    &["connectors", "*", "password"],
    &["connectors", "*", "signing_key"],
    &["provisioning", "shared_secret"],
];

/// Puts the contents of the files in place of the `…_file` settings. Relative paths start at `folder`. Answers warnings.
pub fn resolve(root: &mut Node, folder: &Path, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut warnings = Vec::new();
    for secret in SECRETS {
        visit(root, secret, &mut Vec::new(), folder, problems, &mut warnings);
    }
    warnings
}

fn visit(
    node: &mut Node,
    rest: &[&str],
    path: &mut Vec<String>,
    folder: &Path,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let Kind::Map(map) = &mut node.kind else {
        return;
    };
    match rest {
        [] => {}
        [name] => read_file(node, name, path, folder, problems, warnings),
        [first, rest @ ..] => {
            for (key, inner) in map.iter_mut().filter(|(key, _)| *first == "*" || key == first) {
                path.push(key.clone());
                visit(inner, rest, path, folder, problems, warnings);
                path.pop();
            }
        }
    }
}

fn read_file(
    node: &mut Node,
    name: &str,
    path: &[String],
    folder: &Path,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
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
        Kind::Text(text) | Kind::Loose(text) => folder.join(text),
        Kind::Null => return,
        _ => {
            problems.push(
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
        problems.push(
            Problem::new(full(), format!("is set, and `{name}` too"))
                .origin(&given.origin)
                .cure("take one of the two out"),
        );
        return;
    }
    match secret_of(&file) {
        Ok(text) => node.set(name, Node::loose(text, Origin::Secret(file.clone()))),
        Err(error) => {
            problems.push(
                Problem::new(full(), format!("{} cannot be read: {error}", file.display()))
                    .origin(&given.origin)
                    .cure("give the path of a file that the gateway's user can read"),
            );
            return;
        }
    }
    warnings.extend(readable_by_others(&file));
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
