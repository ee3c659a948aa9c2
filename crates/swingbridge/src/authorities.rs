//! The authorities of TLS for a static build, as phones run it.
//!
//! Such a build is a program for Linux: it looks where Linux keeps them, and under Android nothing is there. Termux has a file of
//! its own. The library that reads them takes the environment's word; a program cannot safely change its own environment, so it
//! starts itself again, in its own place, with one that says where.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Termux's, of its package `ca-certificates`.
const FILE: &str = "/data/data/com.termux/files/usr/etc/tls/cert.pem";
/// Whoever sets one of these knows better.
const SAID_BY: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Called before anything else. Comes back where there is nothing to be done, or where it cannot be done: then TLS says what it
/// lacks.
pub fn find() {
    if !cfg!(target_env = "musl") || !are_termuxs(Path::new(FILE), |name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let error = Command::new(&program)
        .arg0(name.as_deref().unwrap_or(OsStr::new("swingbridge")))
        .args(arguments)
        .env(SAID_BY[0], FILE)
        .exec();
    eprintln!(
        "swingbridge: cannot start again with {}={FILE}: {error}",
        SAID_BY[0]
    );
}

fn are_termuxs(file: &Path, said: impl Fn(&str) -> bool) -> bool {
    file.exists() && !SAID_BY.into_iter().any(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn termuxs_authorities_are_taken_once_and_only_unless_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cert.pem");
        assert!(!are_termuxs(&file, |_| false));
        std::fs::write(&file, "").unwrap();
        assert!(are_termuxs(&file, |_| false));
        // The second start is told, and does not start again.
        assert!(!are_termuxs(&file, |name| name == "SSL_CERT_FILE"));
        assert!(!are_termuxs(&file, |name| name == "SSL_CERT_DIR"));
    }
}
