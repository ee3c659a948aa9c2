//! The system that the device runs on.

use std::env::consts::{ARCH, OS};
use std::process::Command;

/// Its name with its version, where it tells that, and what processor it is for.
pub fn name() -> String {
    let os = version("sw_vers", "-productVersion", "macOS")
        .or_else(|| version("getprop", "ro.build.version.release", "Android"))
        .unwrap_or_else(|| OS.to_owned());
    format!("{os} {ARCH}")
}

/// What a system's own program says of its version; nothing where there is no such program.
fn version(program: &str, argument: &str, name: &str) -> Option<String> {
    let told = Command::new(program).arg(argument).output().ok()?;
    let version = String::from_utf8(told.stdout).ok()?;
    let version = version.trim();
    (told.status.success() && !version.is_empty()).then(|| format!("{name} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_named_where_the_system_tells_it() {
        assert_eq!(version("echo", "15.1", "macOS").as_deref(), Some("macOS 15.1"));
        for silent in ["true", "false", "there-is-no-such-program"] {
            assert_eq!(version(silent, "-productVersion", "macOS"), None, "{silent}");
        }
        assert!(name().ends_with(ARCH));
    }
}
