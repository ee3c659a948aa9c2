//! What launchd does not do for an agent: it writes on at the end of one log for ever, and starts every half minute again what only a person can
//! mend.
//!
//! It is done here and not by a shell around the program: macOS would then look for the permissions that a person gave to the program at the
//! shell, and not find them.

use crate::config::{self, Sources};
use crate::exit::{Ends, Exit, Failure};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};

/// How long a person is waited for before it is tried again all the same.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often it is looked whether they have been there.
const LOOK: Duration = Duration::from_secs(2);

/// Begins a log, to which standard error goes from now on. The one of the start before is kept as `….1`, and no more.
///
/// # Errors
/// When it cannot be written.
pub fn begin(log: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::msg(
            Exit::File,
            format!("{} cannot be written: {error}", log.display()),
        )
    };
    let mut before = log.as_os_str().to_owned();
    before.push(".1");
    match fs::rename(log, before) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let fresh = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
        .map_err(failed)?;
    rustix::stdio::dup2_stderr(fresh).ends(Exit::File)
}

/// Where nothing but a person can help, waits for one before the program ends: launchd starts it again at once. It ends when they have changed the
/// configuration or logged in, when launchd says so, and after an hour in any case.
pub fn leave_to_a_person(failure: &Failure, sources: &Sources) {
    if !matches!(failure.exit, Exit::Unreadable | Exit::Config | Exit::Token) {
        return;
    }
    eprintln!(
        "swingbridge: {:#}\n    a person must act: it starts again when that is done, or in an hour",
        failure.error
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return std::thread::sleep(PATIENCE);
    };
    runtime.block_on(async {
        let mended = async {
            let before = touched(sources);
            loop {
                tokio::time::sleep(LOOK).await;
                if touched(sources) != before {
                    return;
                }
            }
        };
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return;
        };
        tokio::select! {
            () = mended => {}
            () = tokio::time::sleep(PATIENCE) => {}
            _ = terminate.recv() => {}
        }
    });
}

/// When the files were last written that a person mends.
fn touched(sources: &Sources) -> [Option<SystemTime>; 2] {
    let written = |path: &PathBuf| fs::metadata(path).ok()?.modified().ok();
    let session = config::device::load(sources)
        .ok()
        .map(|config| crate::device::secrets::session_file(&config.device));
    [
        written(&sources.config),
        session.and_then(|session| written(&session)),
    ]
}
