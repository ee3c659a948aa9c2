//! What the types do not say: what must be set, and what must fit together.

use super::lines::Defaults;
use super::problem::Problem;
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
    lines
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
