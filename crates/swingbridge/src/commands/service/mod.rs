//! `service`: lets the system start the device relay and keep it running, in the way of the system that it runs on.

mod launchd;
mod systemd;
mod termux;

use crate::cli::{Service, ServicePlace};
use crate::config::environment::Variables;
use crate::config::{self, LoadError, Sources};
use crate::exit::{Exit, Failure};
use clap::ValueEnum;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, ExitCode};

/// The ways in which systems start programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A user's unit, on Linux
    Systemd,
    /// An agent of the person's session, on a Mac
    Launchd,
    /// A script of Termux:Boot, on Android
    Termux,
}

/// Where everything is. Paths are absolute.
struct Place {
    home: PathBuf,
    /// The home is that of the person who asks: then there is a service manager to be told.
    own: bool,
    program: PathBuf,
    config: PathBuf,
    /// The folder that the relay writes to.
    data: PathBuf,
    /// Termux's folder of programs, above `bin`.
    prefix: PathBuf,
}

/// What a system needs to be given: one file.
struct Unit {
    path: PathBuf,
    text: String,
    mode: u32,
}

/// What a relay is doing, as far as it can be seen.
struct State {
    runs: bool,
    /// In whole lines.
    told: String,
}

pub fn run(sources: &Sources, act: &Service) -> Result<ExitCode, Failure> {
    let variables = &sources.variables;
    // Where the data are concerns `install` alone.
    let data_elsewhere = Some(Path::new("/"));
    match act {
        Service::Install(options) => {
            let kind = kind(&options.place, variables);
            let place = place(
                &options.place,
                sources,
                options.program.as_deref(),
                options.data.as_deref(),
            )?;
            install(kind, &place, options.dry_run, options.no_start)
        }
        Service::Status(options) => {
            let kind = kind(options, variables);
            status(kind, &place(options, sources, None, data_elsewhere)?)
        }
        Service::Remove(options) => {
            let kind = kind(&options.place, variables);
            let place = place(&options.place, sources, None, data_elsewhere)?;
            remove(kind, &place, options.dry_run)
        }
    }
}

fn install(kind: Kind, place: &Place, dry_run: bool, no_start: bool) -> Result<ExitCode, Failure> {
    let unit = unit(kind, place)?;
    if dry_run {
        println!("would write {}:\n\n{}", unit.path.display(), unit.text);
        println!("{}", by_hand(kind, place));
        return Ok(ExitCode::SUCCESS);
    }
    if !place.config.is_file() {
        return Err(Failure::msg(
            Exit::Unreadable,
            format!(
                "{} is not there: make the relay's configuration first, or name it with --config",
                place.config.display()
            ),
        ));
    }
    // A service whose folder is not there does not start.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&place.data)
        .map_err(|error| {
            Failure::msg(
                Exit::File,
                format!("{} cannot be made: {error}", place.data.display()),
            )
        })?;
    let changed = write(&unit)?;
    match changed {
        true => println!("wrote {}:\n\n{}", unit.path.display(), unit.text),
        false => println!("{} is as it should be", unit.path.display()),
    }
    if place.own && !no_start {
        match start(kind, &unit, place, changed) {
            Ok(told) => println!("{told}"),
            Err(why) => {
                println!("{}", by_hand(kind, place));
                return Err(Failure::msg(Exit::ByHand, why));
            }
        }
    } else {
        println!("It was not started.");
    }
    println!("\n{}", by_hand(kind, place));
    Ok(ExitCode::SUCCESS)
}

fn status(kind: Kind, place: &Place) -> Result<ExitCode, Failure> {
    let path = path(kind, place);
    if !path.exists() {
        println!("not installed: {} is not there", path.display());
        return Ok(Exit::Stopped.into());
    }
    println!("installed: {}", path.display());
    if !place.own && kind != Kind::Termux {
        println!("whether it runs cannot be seen from here: it is another home than yours");
        return Ok(Exit::Stopped.into());
    }
    let state = match kind {
        Kind::Systemd => systemd::state(),
        Kind::Launchd => launchd::state(),
        Kind::Termux => termux::state(place),
    };
    println!("{}", state.told);
    Ok(match state.runs {
        true => ExitCode::SUCCESS,
        false => Exit::Stopped.into(),
    })
}

fn remove(kind: Kind, place: &Place, dry_run: bool) -> Result<ExitCode, Failure> {
    let path = path(kind, place);
    if !path.exists() {
        println!("not installed: {} is not there", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if dry_run {
        println!("would stop the relay and delete {}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    if place.own || kind == Kind::Termux {
        let stopped = match kind {
            Kind::Systemd => systemd::stop(),
            Kind::Launchd => launchd::stop(),
            Kind::Termux => termux::stop(place),
        };
        // The file goes all the same: without it, nothing starts it again.
        if let Err(why) = stopped {
            eprintln!("swingbridge: it could not be stopped: {why}");
        }
    }
    fs::remove_file(&path).map_err(|error| {
        Failure::msg(
            Exit::File,
            format!("{} cannot be deleted: {error}", path.display()),
        )
    })?;
    println!("deleted {}; configuration and data stay", path.display());
    if place.own && kind == Kind::Systemd {
        systemd::forget();
    }
    Ok(ExitCode::SUCCESS)
}

fn kind(options: &ServicePlace, variables: &Variables) -> Kind {
    if let Some(kind) = options.kind {
        return kind;
    }
    let termux = variables.contains_key("TERMUX_VERSION")
        || variables
            .get("PREFIX")
            .is_some_and(|prefix| prefix.contains("com.termux"));
    if termux {
        Kind::Termux
    } else if cfg!(target_os = "macos") {
        Kind::Launchd
    } else {
        Kind::Systemd
    }
}

fn place(
    options: &ServicePlace,
    sources: &Sources,
    program: Option<&Path>,
    data: Option<&Path>,
) -> Result<Place, Failure> {
    let variables = &sources.variables;
    let whole = |path: &Path| {
        absolute(path)
            .map_err(|error| Failure::msg(Exit::File, format!("{} is no path: {error}", path.display())))
    };
    let home = match (&options.home, variables.get("HOME")) {
        (Some(home), _) => whole(home)?,
        (None, Some(home)) if Path::new(home).is_absolute() => home.into(),
        _ => {
            return Err(Failure::msg(
                Exit::File,
                "HOME is not set: name your home folder with --home",
            ));
        }
    };
    let config = whole(&sources.config)?;
    let program = match program {
        Some(program) => whole(program)?,
        None => std::env::current_exe().map_err(|error| {
            Failure::msg(
                Exit::File,
                format!("where this program is, is not known ({error}): say it with --program"),
            )
        })?,
    };
    let beside = config.parent().unwrap_or(Path::new("/")).to_owned();
    let data = match data {
        Some(data) => whole(data)?,
        None => match named(sources) {
            Some(folder) if !whole(&folder)?.starts_with(&beside) => whole(&folder)?,
            _ => beside,
        },
    };
    let prefix = match (&options.prefix, variables.get("PREFIX")) {
        (Some(prefix), _) => whole(prefix)?,
        (None, Some(prefix)) if Path::new(prefix).is_absolute() => prefix.into(),
        _ => termux::PREFIX.into(),
    };
    let place = Place {
        own: options.home.is_none(),
        home,
        program,
        config,
        data,
        prefix,
    };
    for path in [
        &place.home,
        &place.program,
        &place.config,
        &place.data,
        &place.prefix,
    ] {
        // Files of all three kinds are text in lines.
        let fit = path.to_str().is_some_and(|text| !text.contains(char::is_control));
        if !fit {
            return Err(Failure::msg(
                Exit::File,
                format!(
                    "{} cannot be named in a service: use a path of ordinary letters",
                    path.display()
                ),
            ));
        }
    }
    Ok(place)
}

/// The folder that the configuration names, where it can be read.
fn named(sources: &Sources) -> Option<PathBuf> {
    match config::device::load(sources) {
        Ok(read) => Some(read.device.folder),
        Err(LoadError::Unreadable { .. }) => None,
        Err(LoadError::Invalid(_)) => {
            eprintln!(
                "swingbridge: the configuration is not right yet, so its folder is taken for that of the data. Run this again when it is"
            );
            None
        }
    }
}

fn path(kind: Kind, place: &Place) -> PathBuf {
    match kind {
        Kind::Systemd => systemd::path(place),
        Kind::Launchd => launchd::path(place),
        Kind::Termux => termux::path(place),
    }
}

fn unit(kind: Kind, place: &Place) -> Result<Unit, Failure> {
    let (text, mode) = match kind {
        Kind::Systemd => (systemd::text(place), 0o600),
        Kind::Launchd => (launchd::text(place), 0o600),
        Kind::Termux => (termux::text(place), 0o700),
    };
    Ok(Unit {
        path: path(kind, place),
        text,
        mode,
    })
}

/// What no program can grant itself.
fn by_hand(kind: Kind, place: &Place) -> String {
    match kind {
        Kind::Systemd => systemd::by_hand(),
        Kind::Launchd => launchd::by_hand(place),
        Kind::Termux => termux::by_hand(place),
    }
}

fn start(kind: Kind, unit: &Unit, place: &Place, changed: bool) -> Result<String, String> {
    match kind {
        Kind::Systemd => systemd::start(changed),
        Kind::Launchd => launchd::start(unit, changed),
        Kind::Termux => termux::start(unit, place, changed),
    }
}

/// Writes the file all at once, unless it is so already. Says whether it did.
fn write(unit: &Unit) -> Result<bool, Failure> {
    let path = &unit.path;
    let failed = |error: std::io::Error| {
        Failure::msg(
            Exit::File,
            format!("{} cannot be written: {error}", path.display()),
        )
    };
    match fs::read(path) {
        Ok(bytes) if bytes == unit.text.as_bytes() => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    // Hidden: Termux:Boot and systemd read all files of their folder that are not.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = folder.join(format!(".{name}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(unit.mode)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(unit.text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(failed)?;
    Ok(true)
}

/// Runs a program of the system. Its output when it ended well, else what it said.
fn tool(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(match said {
        "" => format!("`{program} {}` ended with {}", arguments.join(" "), output.status),
        said => format!("`{program} {}`: {said}", arguments.join(" ")),
    })
}
