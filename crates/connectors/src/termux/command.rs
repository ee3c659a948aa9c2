//! Runs the `termux-*` programs, and says what it means when they fail.

use super::config::Config;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The most that a program may print; a phone's whole address book is far below it.
const MOST: u64 = 32 << 20;

/// The programs.
#[derive(Debug)]
pub struct Programs {
    folder: Option<PathBuf>,
    limit: Duration,
}

/// Why a program gave no answer. The words hold nothing of what it was given or of what it printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the program {0} is not there: install it with `pkg install termux-api`, and the Termux:API app")]
    Missing(&'static str),
    #[error(
        "Termux:API may not do this ({0}): allow it in Android's settings for the Termux:API app, under permissions"
    )]
    NotPermitted(&'static str),
    #[error(
        "this build of Termux:API may not use texts: Google does not permit it in its store. Install Termux and Termux:API from \
         F-Droid or GitHub"
    )]
    StoreBuild,
    #[error(
        "Termux:API has no access to notifications: allow it in Android's settings, under notification access"
    )]
    NoListener,
    #[error(
        "this version of {0} does not know an option that is needed: bring it up to date with `pkg upgrade termux-api`"
    )]
    TooOld(&'static str),
    #[error("Termux:API answers with an error")]
    Error,
    #[error("{program} did not answer within {} s: is the Termux:API app installed and not asleep?", limit.as_secs_f32())]
    Hangs { program: &'static str, limit: Duration },
    #[error("{0} printed what cannot be understood")]
    Junk(&'static str),
    #[error("{0} ended with an error")]
    Ended(&'static str),
    #[error("the program {program} cannot be run: {cause}")]
    System { program: &'static str, cause: String },
}

impl Failure {
    /// Whether nothing can have reached the phone's radio.
    pub fn nothing_left(&self) -> bool {
        match self {
            Self::Missing(_)
            | Self::NotPermitted(_)
            | Self::StoreBuild
            | Self::NoListener
            | Self::TooOld(_)
            | Self::System { .. } => true,
            Self::Error | Self::Hangs { .. } | Self::Junk(_) | Self::Ended(_) => false,
        }
    }

    /// Whether a person must act before another try can help.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Missing(_) | Self::NotPermitted(_) | Self::StoreBuild | Self::NoListener | Self::TooOld(_)
        )
    }
}

impl Programs {
    pub fn new(config: &Config) -> Self {
        Self {
            folder: config.programs.clone(),
            limit: config.timing.command,
        }
    }

    /// Runs `program` and gives back what it printed.
    ///
    /// # Errors
    /// See [`Failure`], and [`Failure::nothing_left`] for whether it may have had an effect.
    pub async fn run(
        &self,
        program: &'static str,
        arguments: &[String],
        input: Option<&str>,
    ) -> Result<String, Failure> {
        let path = match &self.folder {
            Some(folder) => folder.join(program),
            None => PathBuf::from(program),
        };
        let mut command = Command::new(path);
        command.args(arguments);
        run(program, command, input, self.limit).await
    }
}

/// Runs a command within `limit`; with it ends all that it started.
pub async fn run(
    program: &'static str,
    mut command: Command,
    input: Option<&str>,
    limit: Duration,
) -> Result<String, Failure> {
    command
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // The programs are scripts that wait for another one: all of them end together.
        .process_group(0)
        .kill_on_drop(true);
    let mut group = match command.spawn() {
        Ok(child) => Group(child),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Failure::Missing(program)),
        Err(error) => {
            let cause = error.kind().to_string();
            return Err(Failure::System { program, cause });
        }
    };
    let outcome = timeout(limit, talk(&mut group.0, input)).await;
    let Ok(outcome) = outcome else {
        return Err(Failure::Hangs { program, limit });
    };
    let (status, printed) = outcome.map_err(|_| Failure::Ended(program))?;
    let text = String::from_utf8(printed).map_err(|_| Failure::Junk(program))?;
    match said(program, &text) {
        Some(failure) => Err(failure),
        None if !status.success() => Err(Failure::Ended(program)),
        None => Ok(text),
    }
}

async fn talk(
    child: &mut Child,
    input: Option<&str>,
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>)> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let give = async {
        if let (Some(mut stdin), Some(text)) = (stdin, input) {
            // One that does not want it says so by its exit code.
            let _ = stdin.write_all(text.as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let take = async {
        let mut printed = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST).read_to_end(&mut printed).await?;
        }
        std::io::Result::Ok(printed)
    };
    let ((), printed) = tokio::join!(give, take);
    let printed = printed?;
    Ok((child.wait().await?, printed))
}

/// What a program says in words instead of an answer.
fn said(program: &'static str, text: &str) -> Option<Failure> {
    let text = text.trim_start();
    // An answer with people's words in it is never searched for ours.
    if text.starts_with('[') {
        return None;
    }
    let lower = text.to_lowercase();
    if lower.contains("no longer permitted by google") {
        return Some(Failure::StoreBuild);
    }
    if lower.contains("illegal option")
        || lower.contains("unsupported type")
        || lower.contains("too many arguments")
    {
        return Some(Failure::TooOld(program));
    }
    let error = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value.get("error").cloned())?;
    let error = error.as_str().unwrap_or_default().to_lowercase();
    const KNOWN: [(&str, &str); 6] = [
        ("send_sms", "SEND_SMS"),
        ("read_sms", "READ_SMS"),
        ("read_contacts", "READ_CONTACTS"),
        ("read_phone_state", "READ_PHONE_STATE"),
        ("receive_sms", "RECEIVE_SMS"),
        ("permission", "a permission"),
    ];
    if error.contains("notification") && !error.contains("android.permission") {
        return Some(Failure::NoListener);
    }
    let known = KNOWN.iter().find(|(word, _)| error.contains(word));
    Some(known.map_or(Failure::Error, |(_, name)| Failure::NotPermitted(name)))
}

/// A child and all that it started; they end with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // After `wait` there is no id any more, and nothing to end.
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, input: Option<&str>) -> Result<String, Failure> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run("termux-sms-send", command, input, Duration::from_millis(500)).await
    }

    #[tokio::test]
    async fn each_way_to_fail_is_told_apart() {
        let denied = r#"echo '{"error":"Please grant the following permission to use this command: android.permission.SEND_SMS"}'"#;
        let cases = [
            (denied, Failure::NotPermitted("SEND_SMS"), true),
            (r#"echo '{"error":"boom"}'"#, Failure::Error, false),
            (
                "echo 'Sending SMS is no longer permitted by Google'",
                Failure::StoreBuild,
                true,
            ),
            (
                "echo 'termux-sms-send: illegal option -x'; exit 1",
                Failure::TooOld("termux-sms-send"),
                true,
            ),
            ("exit 3", Failure::Ended("termux-sms-send"), false),
            (r"printf '\377'", Failure::Junk("termux-sms-send"), false),
        ];
        for (script, failure, nothing_left) in cases {
            let found = shell(script, None).await.unwrap_err();
            assert_eq!(
                (&found, found.nothing_left()),
                (&failure, nothing_left),
                "{script}"
            );
        }
        let hangs = shell("sleep 1000 & wait", None).await.unwrap_err();
        assert!(matches!(hangs, Failure::Hangs { .. }) && !hangs.nothing_left());
    }

    #[tokio::test]
    async fn the_input_reaches_the_program_unaltered() {
        let text = "a \"quoted\" $(line)\nand another 😀";
        assert_eq!(shell("cat", Some(text)).await.as_deref(), Ok(text));
        // One that reads nothing is no error by itself.
        assert_eq!(
            shell("exit 0", Some(&"x".repeat(1 << 20))).await.as_deref(),
            Ok("")
        );
    }

    #[tokio::test]
    async fn what_people_wrote_is_not_taken_for_an_error() {
        let text = r#"[{"body":"illegal option, no longer permitted by Google"}]"#;
        assert_eq!(shell(&format!("echo '{text}'"), None).await.unwrap().trim(), text);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let config = Config {
            programs: Some("/nowhere".into()),
            ..Config::default()
        };
        let failure = Programs::new(&config).run("termux-sms-list", &[], None).await;
        assert_eq!(failure, Err(Failure::Missing("termux-sms-list")));
    }
}
