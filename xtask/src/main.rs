//! Chores of the project: `cargo xtask COMMAND`. One file for each command.

mod bench;
mod demo;
mod dist;
mod floors;
mod gen_docs;
mod licences;
mod metadata;
mod peers;
mod process;
mod test;
mod units;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Chores of the project.

cargo xtask test [--long] [FILTER]   every check; with FILTER only the tests whose names hold it;
                                     --long adds slow peers, and the build for phones under qemu
cargo xtask demo [--check] [--postgres] [--fresh]
                                     a homeserver, a carrier with web phones and the gateway, to try out;
                                     --check drives it unattended and exits 0 or 1
cargo xtask demo --rcs [--check] [--fresh]
                                      the same with Google's RCS for Business (emulated) first, and SMS where that fails
cargo xtask demo --mms [--check] [--fresh]
                                      the same with group MMS by Telnyx (emulated): three phones in a group, and pictures
cargo xtask demo --device android|mac [--check] [--fresh]
                                     the relay on a user's own device (emulated), encrypted to a Matrix client of yours
cargo xtask bench [--quick] [--long] [NAME]
                                     measure what the gateway carries beside others: session, queue, absorb, roundtrip,
                                     webhook, rooms, memory; --quick builds faster, --long adds Jasmin; `device` by itself measures
                                     the relay on a device
cargo xtask dist [--target aarch64-unknown-linux-musl] [--std rustup|source|debian]
                                     the program with the relay for devices, into target/dist: for this machine, or as one
                                     static file for phones. --std says how to come by Rust's library for them, else the
                                     first way that works is taken
cargo xtask gen [--check]            write the generated documentation, or compare it
cargo xtask floors                   prove which crate may use which
cargo xtask licences                 prove that every dependency's licence is on the list in deny.toml
cargo xtask units                    prove that the systemd units are hardened
cargo xtask peers [--long]           set up the foreign programs that tests and demo run against
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.split_first() {
        None | Some((&("help" | "-h" | "--help"), _)) => {
            print!("{HELP}");
            Ok(())
        }
        Some((&"test", rest)) => test::run(&test::Options::parse(rest)?),
        Some((&"demo", rest)) => demo::run(&demo::Options::parse(rest)?),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"dist", rest)) => dist::run(&dist::Options::parse(rest)?).map(drop),
        Some((&"gen", [])) => gen_docs::run(gen_docs::Mode::Write),
        Some((&"gen", ["--check"])) => gen_docs::run(gen_docs::Mode::Check),
        Some((&"floors", [])) => floors::run(),
        Some((&"licences", [])) => licences::run(),
        Some((&"units", [])) => units::run(true),
        Some((&"peers", [])) => peers::set_up(false, false).map(drop),
        Some((&"peers", ["--long"])) => peers::set_up(true, false).map(drop),
        Some((command, rest)) => bail!(
            "`{command} {}` is not a chore; see `cargo xtask help`",
            rest.join(" ")
        ),
    }
}
