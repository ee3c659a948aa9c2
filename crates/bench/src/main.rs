//! What Swingbridge carries: figures beside others' programs, each taken in one run on one machine.
//!
//! `cargo xtask bench` builds this, sets up the peers and runs it. Each file measures one thing; [`smsc`] and [`homeserver`]
//! are the same far ends for all, which take everything and do nothing.

mod absorb;
mod device;
mod gateway;
mod homeserver;
mod jasmin;
mod kannel;
mod memory;
mod proc;
mod proxy;
mod queue;
mod report;
mod rooms;
mod roundtrip;
mod serve;
mod session;
mod site;
mod smsc;
mod webhook;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use report::Report;
use std::path::PathBuf;

/// Everything that can be measured, in the order in which it is.
const NAMES: [&str; 7] = [
    "session",
    "queue",
    "absorb",
    "roundtrip",
    "webhook",
    "rooms",
    "memory",
];
/// What is measured only when it is named, by itself or all as `device`: it takes a program that is built with its device.
const DEVICE: [&str; 3] = ["mirror", "conversations", "chatdb"];

/// Measures what Swingbridge carries, beside others.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Serve>,
    /// What to measure: session, queue, absorb, roundtrip, webhook, rooms, memory. Without a name all of it. And by itself: device,
    /// or of it mirror, conversations, chatdb.
    names: Vec<String>,
    /// Also beside Jasmin, which takes minutes.
    #[arg(long)]
    long: bool,
    /// Where the peers were set up.
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
    /// Where the results are written.
    #[arg(long, default_value = "target/bench")]
    results: PathBuf,
    /// What the programs were built with, for the record.
    #[arg(long, default_value = "unknown")]
    profile: String,
}

#[derive(Subcommand)]
enum Serve {
    /// Takes transactions and commits them, for `absorb`.
    #[command(hide = true)]
    Serve(serve::Options),
}

/// Where everything is.
pub struct Places {
    /// Below it the peers stand.
    pub peers: PathBuf,
    /// The folder of the gateway's program.
    pub programs: PathBuf,
    /// Also what takes minutes.
    pub long: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(Serve::Serve(options)) = cli.command {
        return serve::run(&options);
    }
    let known = |name: &str| NAMES.contains(&name) || DEVICE.contains(&name) || name == "device";
    if let Some(unknown) = cli.names.iter().find(|name| !known(name)) {
        bail!(
            "`{unknown}` cannot be measured; there are {}, and by itself device",
            NAMES.join(", ")
        );
    }
    let program = std::env::current_exe()?;
    let places = Places {
        peers: std::path::absolute(&cli.peers)?,
        programs: program.parent().context("a program without a folder")?.to_owned(),
        long: cli.long,
    };
    let mut report = Report::new(&cli.profile);
    let named = |name: &str| cli.names.iter().any(|asked| asked == name);
    let of_gateway = NAMES.iter().filter(|name| cli.names.is_empty() || named(name));
    let of_device = DEVICE.iter().filter(|name| named("device") || named(name));
    for name in of_gateway.chain(of_device) {
        eprintln!("measuring: {name}");
        let part = report.part(name);
        match *name {
            "session" => session::measure(part)?,
            "queue" => queue::measure(part, &places)?,
            "absorb" => absorb::measure(part, &places)?,
            "roundtrip" => roundtrip::measure(part, &places)?,
            "webhook" => webhook::measure(part, &places)?,
            "rooms" => rooms::measure(part, &places)?,
            "mirror" => device::mirror(part, &places)?,
            "conversations" => device::conversations(part, &places)?,
            "chatdb" => device::chatdb(part, &places)?,
            _ => memory::measure(part, &places)?,
        }
        print!("{}", part.table());
    }
    let path = report.write(&cli.results)?;
    println!("written to {}", path.display());
    Ok(())
}
