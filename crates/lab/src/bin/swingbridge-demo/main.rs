//! `cargo xtask demo`: a real homeserver, a carrier with web phones and the gateway between them, to try out. With `--device` the
//! relay on an emulated device instead.

mod check;
mod device;
mod gateway;
mod house;
mod mms;
mod ports;
mod rcs;

use std::{
    fs::{self, File},
    path::{Path, PathBuf, absolute},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use check::Check;
use house::{House, Shown};

#[derive(Parser)]
#[command(about = "A homeserver, a carrier with web phones and the gateway, to try out")]
struct Options {
    /// Show the relay on a device instead of the gateway
    #[arg(long, conflicts_with = "postgres")]
    device: Option<device::Kind>,
    /// Let the line reach phones by RCS first, and by SMS where that fails
    #[arg(long, conflicts_with_all = ["postgres", "device"])]
    rcs: bool,
    /// Let a second line have group MMS, with pictures
    #[arg(long, conflicts_with_all = ["postgres", "device", "rcs"])]
    mms: bool,
    /// Drive it unattended, print the transcript, and exit 0 or 1
    #[arg(long)]
    check: bool,
    /// Keep the homeserver's and the gateway's data in PostgreSQL
    #[arg(long)]
    postgres: bool,
    /// Forget the data of earlier runs
    #[arg(long)]
    fresh: bool,
    /// Where data and logs are kept
    #[arg(long)]
    folder: PathBuf,
    /// Where the program `swingbridge` is
    #[arg(long)]
    programs: PathBuf,
    /// The Python that has Synapse
    #[arg(long)]
    python: PathBuf,
}

impl Options {
    /// Each kind of run has a folder of its own, so that a check starts from nothing and leaves the demo's data alone.
    fn folder(&self) -> PathBuf {
        if let Some(device) = self.device {
            let check = if self.check { "check-" } else { "" };
            return self.folder.join(format!("{check}device-{}", device.word()));
        }
        match self.shown() {
            Shown::Rcs => return self.folder.join(if self.check { "check-rcs" } else { "rcs" }),
            Shown::Mms => return self.folder.join(if self.check { "check-mms" } else { "mms" }),
            Shown::Sms => {}
        }
        let kind = match (self.check, self.postgres) {
            (false, false) => "sqlite",
            (false, true) => "postgres",
            (true, false) => "check-sqlite",
            (true, true) => "check-postgres",
        };
        self.folder.join(kind)
    }

    fn shown(&self) -> Shown {
        match (self.rcs, self.mms) {
            (true, _) => Shown::Rcs,
            (false, true) => Shown::Mms,
            (false, false) => Shown::Sms,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let folder = options.folder();
    if (options.fresh || options.check) && folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("another demo runs on {}", folder.display());
    }
    // Whatever is being awaited: a signal drops it, and with it all that was started.
    tokio::select! {
        done = demonstrate(options, &folder) => done,
        () = told_to_end() => {
            println!("\nended");
            Ok(())
        }
    }
}

async fn demonstrate(options: &Options, folder: &Path) -> Result<()> {
    println!("demo: starting, with data and logs in {}", folder.display());
    // Those that we start work in folders of their own.
    let (folder, programs, python) = (
        absolute(folder)?,
        absolute(&options.programs)?,
        absolute(&options.python)?,
    );
    if let Some(kind) = options.device {
        return device::demonstrate(kind, options.check, &folder, &programs, &python).await;
    }
    let mut house = House::open(&folder, &programs, &python, options.postgres, options.shown()).await?;
    if options.check {
        let outcome = match (&house.google, &house.group) {
            (Some(google), _) => rcs::check::run(&house, google).await,
            (None, Some(group)) => mms::check::run(&house, group).await,
            (None, None) => Check::new(&house).run().await,
        };
        if outcome.is_err() {
            eprintln!("\nthe end of the gateway's log:\n{}", house.gateway_log());
        }
        drop(house);
        outcome?;
        println!("\n  check passed");
        return Ok(());
    }
    print_welcome(&house);
    if let Some(google) = &house.google {
        google.welcome().await?;
    }
    if let Some(group) = &house.group {
        group.welcome().await?;
    }
    loop {
        if let Some(error) = house.broken() {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn print_welcome(house: &House) {
    let ports = &house.ports;
    println!(
        "
  Open two pages side by side:

    Matrix    http://127.0.0.1:{chat}    a small client, logged in as {user}
    phones    http://127.0.0.1:{phones}    the phones of the lab carrier's subscribers

  From Matrix:      in the Matrix page, enter {contact} (the phone of Bob) and press Text
  From a phone:     on the phone of Bob, write to {line}, the gateway's number

  With a Matrix client of your own: homeserver http://127.0.0.1:{homeserver}, user {user}, password {password};
  start a chat with {bot} and write `help`, or `start-chat {contact}`.

  Ctrl-C ends it all.",
        chat = ports.chat,
        phones = ports.phones,
        homeserver = ports.homeserver,
        user = house::USER,
        password = house::PASSWORD,
        contact = gateway::CONTACT,
        line = gateway::LINE,
        bot = house::BOT,
    );
}

/// Waits for Ctrl-C, or for being asked to end otherwise.
async fn told_to_end() {
    let of = |kind| signal(kind).ok();
    let (mut interrupt, mut terminate, mut hangup) = (
        of(SignalKind::interrupt()),
        of(SignalKind::terminate()),
        of(SignalKind::hangup()),
    );
    let wait = async |signal: &mut Option<tokio::signal::unix::Signal>| match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    };
    tokio::select! {
        () = wait(&mut interrupt) => {}
        () = wait(&mut terminate) => {}
        () = wait(&mut hangup) => {}
    }
}
