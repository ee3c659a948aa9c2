//! What the types do not say: what must be set, and what must fit together.

use super::lines::Defaults;
use super::problem::{Problem, did_you_mean};
use super::read::read;
use super::tree::Node;
use super::{Config, Named, SiteKey, permissions, validate};
use swingbridge_domain::line::{Display, Line};
use swingbridge_domain::secret::Secret;

/// Checks the sections one by one and then against each other, and makes the engine's lines.
pub(super) fn check(config: &mut Config, root: &Node, named: &Named, problems: &mut Vec<Problem>) {
    config.homeserver.check(problems);
    config.appservice.check(problems);
    config.database.check(problems);
    let site_key: Secret = root
        .get("site_key")
        .and_then(|node| read(&["site_key"], node, problems))
        .unwrap_or_default();
    match validate::site_key(site_key.expose()) {
        Some(key) => config.site_key = SiteKey(key),
        None => {
            let cause = if site_key.is_empty() {
                "is not set"
            } else {
                "must be 64 hexadecimal digits (32 bytes)"
            };
            problems.push(Problem::new("site_key", cause).cure(
                "`swingbridge init` makes one; set site_key_file to it. Losing it loses the ghosts' identities",
            ));
        }
    }
    let defaults = Defaults {
        users: &[],
        display: Display::Masked,
        consent: config.privacy.consent,
        downgrade: config.privacy.downgrade,
        limits: &config.limits,
        opt_out: &config.opt_out,
    };
    config.lines = connectors_and_lines(named, &defaults, problems);
    for line in &config.lines {
        // Without permissions there is a better thing to say than this.
        let users = line
            .access
            .users
            .iter()
            .filter(|_| !config.permissions.0.is_empty());
        for user in users {
            if config.permissions.of(user).is_none() {
                problems.push(
                    Problem::new(
                        format!("lines.{}.users", line.id),
                        format!("{user} has no permission to use the bridge"),
                    )
                    .cure(format!(
                        "add `\"{user}\": user` or `\"{}\": user` to permissions",
                        user.server()
                    )),
                );
            }
        }
    }
    permissions::check(&config.permissions.0, problems);
    config.messages.check(problems);
    config.privacy.check(problems);
    config.encryption.check(problems);
    config.files.check(problems);
    config.provisioning.check(problems);
    let called = named.connectors.iter().any(|(_, account)| account.is_called());
    let names = named.connector_names.iter().map(String::as_str);
    config.webhooks.check(names, called, problems);
    config.operations.check(problems);
    config.retention.check(problems);
}

/// Checks what has names, and makes the engine's lines.
pub(super) fn connectors_and_lines(
    named: &Named,
    defaults: &Defaults<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Line> {
    names("connectors", named.connector_names.iter(), problems);
    names("lines", named.lines.iter().map(|(id, _)| id), problems);
    if named.connector_names.is_empty() {
        problems.push(
            Problem::new("connectors", "there is none")
                .cure("describe your SMPP account, or set BRIDGE_SMPP_HOST and its companions"),
        );
    }
    for (id, account) in &named.connectors {
        account.check(id, problems);
    }
    if named.lines.is_empty() {
        problems.push(
            Problem::new("lines", "there is none").cure("describe the number that the connector serves"),
        );
    }
    defaults.limits.check("limits", problems);
    defaults.opt_out.check("opt_out", problems);
    let known = || named.connector_names.iter().map(String::as_str);
    let lines: Vec<Line> = named
        .lines
        .iter()
        .filter_map(|(id, line)| line.check(id, known(), defaults, problems))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let mut earlier = lines[..index].iter();
        if let Some(same) =
            earlier.find(|other| other.address == line.address && other.connector == line.connector)
        {
            problems.push(
                Problem::new(
                    format!("lines.{}.address", line.id),
                    format!("is the address of line `{}` too", same.id),
                )
                .cure("make one line of the two"),
            );
        }
    }
    fallbacks(&lines, problems);
    lines
}

/// Lines that stand in for others: each is there, for one other alone, and not in a circle.
fn fallbacks(lines: &[Line], problems: &mut Vec<Problem>) {
    for line in lines {
        let Some(fallback) = &line.fallback else {
            continue;
        };
        let mut wrong = |cause: String, cure: &str| {
            problems.push(Problem::new(format!("lines.{}.fallback.line", line.id), cause).cure(cure));
        };
        let names = lines.iter().map(|line| line.id.as_str());
        let Some(other) = lines.iter().find(|other| other.id == fallback.line) else {
            wrong(
                format!("there is no line `{}`", fallback.line),
                &did_you_mean(fallback.line.as_str(), names),
            );
            continue;
        };
        if other.id == line.id {
            wrong("is the line itself".to_owned(), "name another line");
        } else if other.fallback.is_some() {
            wrong(
                format!("`{}` has a fallback of its own", other.id),
                "a message goes at most two ways: take that one's `fallback` out",
            );
        }
        let mut others = lines.iter().filter(|each| each.id != line.id);
        if let Some(rival) = others.find(|each| {
            each.fallback
                .as_ref()
                .is_some_and(|theirs| theirs.line == fallback.line)
        }) {
            wrong(
                format!("`{}` stands in for line `{}` already", fallback.line, rival.id),
                "what phones send to it can only come into the rooms of one line: give this one a number of its own",
            );
        }
    }
}

/// Names of connectors and lines stand in metrics and commands.
fn names<'a>(section: &str, names: impl Iterator<Item = &'a String>, problems: &mut Vec<Problem>) {
    for name in names {
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        {
            problems.push(
                Problem::new(format!("{section}.{name}"), "cannot be used as a name")
                    .cure("use letters, digits, - and _ only"),
            );
        }
    }
}
