//! `docs`: documentation that the program writes about itself. `cargo xtask gen` keeps it below docs/generated/.

mod settings;

use super::init::template;
use crate::cli::{Cli, Topic};
use crate::config::environment;
use crate::exit;
use clap::CommandFactory;
use std::fmt::Write as _;

pub fn page(topic: Topic) -> String {
    match topic {
        Topic::Config => settings::markdown(),
        #[cfg(feature = "device")]
        Topic::DeviceConfig => settings::device(),
        Topic::Cli => command_line(),
        Topic::Metrics => swingbridge_ops::metrics::markdown(),
        Topic::Example => template::example(),
    }
}

/// The help texts, exit codes and variables.
fn command_line() -> String {
    let mut out = String::from("# Command line\n");
    let mut command = Cli::command().term_width(100);
    command.build();
    help(&mut command, &mut out);
    for path in [
        &["init"][..],
        &["check"],
        &["gateway"],
        &["audit-log", "verify"],
        &["audit-log", "export"],
        &["retention", "report"],
        &["register"],
        &["device"],
        &["device", "init"],
        &["device", "login"],
        &["device", "verify"],
        &["device", "status"],
        &["device", "selftest"],
        &["device", "logout"],
        &["service", "install"],
        &["service", "status"],
        &["service", "remove"],
    ] {
        let found = path
            .iter()
            .try_fold(&mut command, |command, name| command.find_subcommand_mut(name));
        if let Some(subcommand) = found {
            help(subcommand, &mut out);
        }
    }
    out.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in exit::CODES {
        let _ = writeln!(out, "| {code} | {meaning} |");
    }
    out.push_str(
        "\n## Environment\n\n`SWINGBRIDGE_SECTION__KEY` goes over `key` in `section` of the configuration; deeper ones have more parts, \
         such as `SWINGBRIDGE_CONNECTORS__CARRIER__PASSWORD_FILE`. Lists are written `A,B` or as YAML.\n\nFor a single SMPP account \
         there are also:\n\n| variable | setting |\n|---|---|\n",
    );
    for (variable, key) in environment::SMPP {
        let _ = writeln!(
            out,
            "| `{variable}` | `connectors.smpp.{key}`, or the only connector's |"
        );
    }
    out
}

fn help(command: &mut clap::Command, out: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let text = command.render_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let _ = writeln!(
        out,
        "\n## {name}\n\n```text\n{}\n```",
        lines.join("\n").trim_end()
    );
}
