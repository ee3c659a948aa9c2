//! Swingbridge: Matrix to phones.
//!
//! Read it in this order: [`cli`] (what can be asked), `config` (what the operator decided), [`wiring`] (the one place that
//! builds adapters and opens secrets), `http` (what is served) and `commands` (one file for each subcommand).

mod audit;
#[cfg(feature = "device")]
mod authorities;
mod cli;
mod commands;
mod config;
#[cfg(feature = "device")]
mod device;
mod edges;
mod exit;
mod http;
mod log;
mod notify;
mod stop;
mod wiring;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use commands::{audit_log, check, docs, example, gateway, init, registration, retention};
use config::{Sources, environment};
use exit::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "device")]
    authorities::find();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("swingbridge: {:#}", failure.error);
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let config_given = cli.config.is_some();
    #[cfg_attr(
        not(feature = "device"),
        expect(unused_mut, reason = "a device has a file of its own")
    )]
    let mut sources = Sources {
        config: cli.config.unwrap_or_else(|| "config.yaml".into()),
        registration: cli.registration,
        variables: environment::variables(),
    };
    if cli.generate_example_config {
        example::run(&sources.config, cli.force)?;
        return Ok(ExitCode::SUCCESS);
    }
    if cli.generate_registration {
        registration::run(&sources, cli.force)?;
        return Ok(ExitCode::SUCCESS);
    }
    match cli.command {
        Some(Command::Init(options)) => init::run(&options, sources, config_given)?,
        Some(Command::Check) => return check::run(&sources),
        #[cfg(feature = "device")]
        Some(Command::Device { act }) => {
            if !config_given {
                sources.config = commands::device::CONFIG.into();
            }
            return commands::device::run(&sources, act);
        }
        Some(Command::AuditLog { act }) => return audit_log::run(&sources, act),
        Some(Command::Retention { act }) => retention::run(&sources, act)?,
        Some(Command::Migrate(options)) => commands::migrate::run(&sources, &options)?,
        Some(Command::Webhooks) => commands::webhooks::run(&sources)?,
        #[cfg(feature = "device")]
        Some(Command::Register(options)) => return commands::register::run(&options, &sources.variables),
        #[cfg(feature = "device")]
        Some(Command::Service { act }) => return commands::service::run(&sources, &act),
        Some(Command::Docs { topic }) => print!("{}", docs::page(topic)),
        Some(Command::Gateway) => gateway::run(&sources)?,
        None if config_given => gateway::run(&sources)?,
        None => Cli::command().print_help()?,
    }
    Ok(ExitCode::SUCCESS)
}
