//! The fixed set of AppleScripts, and how they are run: the script on standard input, values as arguments. Nothing that
//! anybody wrote is ever part of a script.

use super::config::Service;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// All scripts, by name.
pub const SCRIPTS: [(&str, &str); 9] = [
    ("accounts", include_str!("scripts/accounts.applescript")),
    ("text_to_chat", include_str!("scripts/text_to_chat.applescript")),
    ("file_to_chat", include_str!("scripts/file_to_chat.applescript")),
    (
        "text_to_imessage_handle",
        include_str!("scripts/text_to_imessage_handle.applescript"),
    ),
    (
        "file_to_imessage_handle",
        include_str!("scripts/file_to_imessage_handle.applescript"),
    ),
    (
        "text_to_sms_handle",
        include_str!("scripts/text_to_sms_handle.applescript"),
    ),
    (
        "file_to_sms_handle",
        include_str!("scripts/file_to_sms_handle.applescript"),
    ),
    (
        "text_to_rcs_handle",
        include_str!("scripts/text_to_rcs_handle.applescript"),
    ),
    (
        "file_to_rcs_handle",
        include_str!("scripts/file_to_rcs_handle.applescript"),
    ),
];

/// To whom a script sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A chat that is there, by its guid as stored.
    Chat(String),
    /// One person, by number with `+` or mail address. For each service there is a script of its own: where Messages does not
    /// know a service, only that one fails to compile.
    Handle(Service, String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// Messages took it, as far as it says.
    Accepted,
    /// It certainly was not sent: the chat, the person or the account could not be looked up.
    NotFound { code: i32 },
    /// It certainly was not sent: macOS does not let this program control Messages.
    NotAllowed,
    /// It certainly was not sent: `osascript` could not be started.
    NotStarted,
    /// It may have been sent.
    Unclear { code: Option<i32> },
}

const NOT_ALLOWED: i32 = -1743;

/// The script for a text or a file.
pub(super) fn for_message(to: &To, file: bool) -> &'static str {
    let name = match (to, file) {
        (To::Chat(_), false) => "text_to_chat",
        (To::Chat(_), true) => "file_to_chat",
        (To::Handle(Service::Imessage, _), false) => "text_to_imessage_handle",
        (To::Handle(Service::Imessage, _), true) => "file_to_imessage_handle",
        (To::Handle(Service::Sms, _), false) => "text_to_sms_handle",
        (To::Handle(Service::Sms, _), true) => "file_to_sms_handle",
        (To::Handle(Service::Rcs, _), false) => "text_to_rcs_handle",
        (To::Handle(Service::Rcs, _), true) => "file_to_rcs_handle",
    };
    named(name)
}

/// The script that only asks how many accounts there are.
pub(super) fn accounts() -> &'static str {
    named("accounts")
}

fn named(name: &str) -> &'static str {
    SCRIPTS
        .iter()
        .find(|(own, _)| *own == name)
        .map_or("", |(_, script)| script)
}

/// Runs a script, and ends it when it takes longer than `limit`.
pub(super) async fn run(osascript: &Path, script: &str, arguments: &[&str], limit: Duration) -> Ran {
    let mut command = Command::new(osascript);
    command
        .arg("-")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let Ok(mut child) = command.spawn() else {
        return Ran::NotStarted;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why by its exit code.
        let _ = stdin.write_all(script.as_bytes()).await;
    }
    match timeout(limit, child.wait_with_output()).await {
        Ok(Ok(output)) if output.status.success() => Ran::Accepted,
        Ok(Ok(output)) => failed(&String::from_utf8_lossy(&output.stderr)),
        Ok(Err(_)) | Err(_) => Ran::Unclear { code: None },
    }
}

/// What an error means. Its words are in the language of the Mac and may quote what was sent: only its number counts, and the
/// word that our scripts put before one.
fn failed(stderr: &str) -> Ran {
    let code = code(stderr);
    match code {
        Some(NOT_ALLOWED) => Ran::NotAllowed,
        Some(code) if stderr.contains(&format!("lookup ({code})")) => Ran::NotFound { code },
        // The script did not compile: Messages knows no such service.
        Some(code @ (-2740 | -2741 | -2753)) => Ran::NotFound { code },
        code => Ran::Unclear { code },
    }
}

/// The number in the last parentheses.
fn code(stderr: &str) -> Option<i32> {
    let line = stderr.trim_end().lines().last()?;
    let (_, rest) = line.rsplit_once('(')?;
    rest.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_certainly_was_not_sent_is_taken_for_that() {
        let lookup = "12:20: execution error: lookup (-1728)\n";
        assert_eq!(failed(lookup), Ran::NotFound { code: -1728 });
        let denied = "12:20: execution error: Not authorised to send Apple events to Messages. (-1743)\n";
        assert_eq!(failed(denied), Ran::NotAllowed);
        let sending =
            "12:20: execution error: Messages got an error: Can’t get chat id \"lookup\". (-1728)\n";
        assert_eq!(failed(sending), Ran::Unclear { code: Some(-1728) });
        let service = "12:20: script error: A identifier can’t go after this identifier. (-2740)\n";
        assert_eq!(failed(service), Ran::NotFound { code: -2740 });
        assert_eq!(failed("killed"), Ran::Unclear { code: None });
    }

    #[test]
    fn no_script_holds_a_value() {
        for (name, script) in SCRIPTS {
            assert!(!script.is_empty(), "{name}");
            assert!(script.starts_with("on run"), "{name}");
            assert_eq!(script.matches('"').count() % 2, 0, "{name}");
        }
    }
}
