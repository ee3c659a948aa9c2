//! `cargo xtask licences`: every package that the workspace can reach has a licence of the list in deny.toml.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::{metadata::Metadata, process};

pub fn run() -> Result<()> {
    let list = fs::read_to_string(process::root().join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = allowed(&list)?;
    let metadata = Metadata::load()?;
    let mut refused = Vec::new();
    for package in metadata.packages.values() {
        let Some(license) = &package.license else {
            refused.push(format!("{} {} names no licence", package.name, package.version));
            continue;
        };
        let fits = satisfied(license, &allowed)
            .with_context(|| format!("the licence of {} {}", package.name, package.version))?;
        if !fits {
            refused.push(format!("{} {}: {license}", package.name, package.version));
        }
    }
    ensure!(
        refused.is_empty(),
        "licences that deny.toml does not allow:\n  {}",
        refused.join("\n  ")
    );
    println!("licences: {} packages, all allowed", metadata.packages.len());
    Ok(())
}

/// The quoted names between `allow = [` and `]`.
fn allowed(list: &str) -> Result<Vec<&str>> {
    let start = list
        .split_once("\nallow = [")
        .context("deny.toml has no line `allow = [`")?
        .1;
    let inside = start
        .split_once(']')
        .context("the list in deny.toml has no end")?
        .0;
    Ok(inside.split('"').skip(1).step_by(2).collect())
}

/// Whether an SPDX expression can be met with allowed licences alone. An older `A/B` means `A OR B`.
fn satisfied(expression: &str, allowed: &[&str]) -> Result<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, allowed)?;
    ensure!(words.next().is_none(), "`{expression}` is not an SPDX expression");
    Ok(met)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[&str]) -> Result<bool> {
    let mut met = all_of(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, allowed)?;
    }
    Ok(met)
}

fn all_of(words: &mut Words<'_>, allowed: &[&str]) -> Result<bool> {
    let mut met = term(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= term(words, allowed)?;
    }
    Ok(met)
}

fn term(words: &mut Words<'_>, allowed: &[&str]) -> Result<bool> {
    match words.next() {
        Some("(") => {
            let met = any_of(words, allowed)?;
            ensure!(words.next() == Some(")"), "a bracket is not closed");
            Ok(met)
        }
        Some(name) if !matches!(name, ")" | "AND" | "OR" | "WITH") => {
            // An exception only gives more rights.
            if words.next_if_eq(&"WITH").is_some() {
                ensure!(words.next().is_some(), "WITH names no exception");
            }
            // "or any later version" is at the taker's choice, too.
            let name = name.strip_suffix('+').unwrap_or(name);
            Ok(allowed.contains(&name))
        }
        other => bail!("a licence's name is missing before {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["MIT", "Apache-2.0", "Unicode-3.0"];

    fn met(expression: &str) -> bool {
        satisfied(expression, ALLOWED).unwrap()
    }

    #[test]
    fn one_allowed_side_of_an_or_is_enough() {
        assert!(met("MIT"));
        assert!(met("GPL-3.0-only OR MIT"));
        assert!(met("LGPL-2.1-or-later/MIT"));
        assert!(met("(GPL-2.0 OR Apache-2.0) AND Unicode-3.0"));
        assert!(met("Apache-2.0 WITH LLVM-exception"));
    }

    #[test]
    fn copyleft_is_refused() {
        assert!(!met("AGPL-3.0-only"));
        assert!(!met("SSPL-1.0 OR GPL-3.0-or-later"));
        assert!(!met("MIT AND GPL-2.0-only"));
        assert!(!met("MIT AND (GPL-2.0-only OR AGPL-3.0-only)"));
    }

    #[test]
    fn a_broken_expression_is_an_error() {
        for broken in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT"] {
            assert!(satisfied(broken, ALLOWED).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_list_is_read_from_deny_toml() {
        let list = "[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\nother = [\"GPL-3.0\"]\n";
        assert_eq!(allowed(list).unwrap(), ["MIT", "ISC"]);
        assert!(allowed("[licenses]\n").is_err());
    }

    #[test]
    fn the_projects_own_list_holds_no_copyleft() {
        let list = include_str!("../../deny.toml");
        for name in allowed(list).unwrap() {
            assert!(!name.contains("GPL") && !name.starts_with("SSPL"), "{name}");
        }
    }
}
