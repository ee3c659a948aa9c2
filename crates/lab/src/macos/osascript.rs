//! An `osascript` that knows the project's scripts by their SHA-256 and refuses everything else: it does not pretend to
//! understand AppleScript.

use super::chatdb::{Chat, ChatDb, File, Row, apple_now};
use super::scenario::{Act, RowLook, Scenario, Step};
use super::typedstream::Body;
use super::{Call, calls_file, database, scenario_file};
use anyhow::{Context, Result, bail};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Accounts,
    /// A chat's guid, and a text or a path.
    ToChat {
        file: bool,
    },
    /// An address, and a text or a path.
    ToHandle {
        service: &'static str,
        file: bool,
    },
}

/// The scripts that it knows: name, SHA-256, what they do.
pub const SCRIPTS: [(&str, &str, Kind); 9] = [
    (
        "accounts",
        "b72d17be6cbdd677da7729e2954d84f6580c6dfd97684bf5eea80826695c2bf0",
        Kind::Accounts,
    ),
    (
        "text_to_chat",
        "8bcec328bbf00930075442ebeac98cef205f8a6444c37ab528c3c029832b3f14",
        Kind::ToChat { file: false },
    ),
    (
        "file_to_chat",
        "201124adff137addf6eb34addb9b4e204f51477d65f9f36965088a46521d633f",
        Kind::ToChat { file: true },
    ),
    (
        "text_to_imessage_handle",
        "87e17ac50909e66edf26b4bfdc7d64bb51e79ea4f793a17c9d3af48797c11d9a",
        Kind::ToHandle {
            service: "iMessage",
            file: false,
        },
    ),
    (
        "file_to_imessage_handle",
        "856790f50e2332580bd5be7cfdf6ebb8c5699fa5ae09fcf9c953454241bc6178",
        Kind::ToHandle {
            service: "iMessage",
            file: true,
        },
    ),
    (
        "text_to_sms_handle",
        "94b54f86dcd5a46099f1a2d751b23ae910f686f1010dc9a99c1cd9e39eb440ed",
        Kind::ToHandle {
            service: "SMS",
            file: false,
        },
    ),
    (
        "file_to_sms_handle",
        "fbdb30a8fefb913e23f40350d11396750134c8c3a758df60f282a3ac20968531",
        Kind::ToHandle {
            service: "SMS",
            file: true,
        },
    ),
    (
        "text_to_rcs_handle",
        "dca3a0a4c93c54239721015ba899282ad206815ec2e7ae00465220cd53d3b904",
        Kind::ToHandle {
            service: "RCS",
            file: false,
        },
    ),
    (
        "file_to_rcs_handle",
        "6496ffd02beae095e5b85b137ef8bcfebdce0c5067b3c474bdfaeb7c02e868f4",
        Kind::ToHandle {
            service: "RCS",
            file: true,
        },
    ),
];

/// What a call is about, as the steps need it; handed to the process that plays those after the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Play {
    mac: PathBuf,
    text: Option<String>,
    file: Option<String>,
    chat: i64,
    handle: Option<i64>,
    service: String,
    row: Option<(i64, String)>,
    steps: Vec<Step>,
}

/// Runs as `osascript - ARGUMENTS` with the script on standard input. The Mac is the folder above the one that the program was
/// called in. Gives back the exit code.
///
/// # Errors
/// The Mac's folder is not as it should be.
pub fn main() -> Result<i32> {
    let mut arguments = std::env::args();
    let program = PathBuf::from(arguments.next().context("no name of the program")?);
    let arguments: Vec<String> = arguments.collect();
    if let [flag, play] = arguments.as_slice()
        && flag == "--later"
    {
        let mut play: Play = serde_json::from_str(play)?;
        play.run()?;
        return Ok(0);
    }
    let mac = program
        .parent()
        .and_then(Path::parent)
        .context("no Mac above the program")?;
    let Some(("-", arguments)) = arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    else {
        bail!("give `-` and the arguments of the script on standard input");
    };
    let mut script = Vec::new();
    std::io::stdin().read_to_end(&mut script)?;
    let hash: String = Sha256::digest(&script)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let Some((name, _, kind)) = SCRIPTS.iter().find(|(_, known, _)| *known == hash) else {
        eprintln!("0:0: script error: this osascript does not know the script {hash} (-2741)");
        return Ok(1);
    };
    log(
        mac,
        &Call {
            script: (*name).to_owned(),
            arguments: arguments.to_vec(),
        },
    )?;
    let scenario = match std::fs::read(scenario_file(mac)) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Scenario::ok(),
    };
    let db = ChatDb::open(&database(mac))?;
    let (chat, service, file) = match (*kind, arguments) {
        (Kind::Accounts, []) => {
            // Who may not send may not ask either.
            return Ok(match scenario.steps.first().map(|step| &step.act) {
                Some(Act::End { code, stderr }) if stderr.contains("-1743") => {
                    eprint!("{stderr}");
                    *code
                }
                _ => {
                    println!("2");
                    0
                }
            });
        }
        (Kind::ToChat { file }, [guid, _]) => {
            let found = db
                .connection
                .query_row(
                    "SELECT ROWID, service_name FROM chat WHERE guid = ?",
                    [guid],
                    |row| Ok((row.get(0)?, row.get::<_, String>(1)?)),
                )
                .optional()?;
            let Some((rowid, service)) = found else {
                eprintln!("100:200: execution error: lookup (-1728)");
                return Ok(1);
            };
            let guid = guid.clone();
            (Chat { rowid, guid }, service, file)
        }
        (Kind::ToHandle { service, file }, [address, _]) => {
            (db.direct(address, service)?, service.to_owned(), file)
        }
        _ => {
            eprintln!(
                "0:0: execution error: the script got {} arguments (-1721)",
                arguments.len()
            );
            return Ok(1);
        }
    };
    let handle = db
        .connection
        .query_row(
            "SELECT handle_id FROM chat_handle_join WHERE chat_id = ?",
            [chat.rowid],
            |row| row.get(0),
        )
        .optional()?;
    let said = arguments.get(1).cloned();
    let mut play = Play {
        mac: mac.to_owned(),
        text: said.clone().filter(|_| !file),
        file: said.filter(|_| file),
        chat: chat.rowid,
        handle,
        service,
        row: None,
        steps: scenario.steps,
    };
    play.run()?.map_or(Ok(0), |(code, stderr)| {
        eprint!("{stderr}");
        if !play.steps.is_empty() {
            Command::new(std::env::current_exe()?)
                .args(["--later", &serde_json::to_string(&play)?])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
        }
        Ok(code)
    })
}

fn log(mac: &Path, call: &Call) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(calls_file(mac))?;
    file.write_all(format!("{}\n", serde_json::to_string(call)?).as_bytes())?;
    Ok(())
}

impl Play {
    /// Plays the steps up to the end of `osascript`, or all that are left. Gives back how it ends.
    fn run(&mut self) -> Result<Option<(i32, String)>> {
        while !self.steps.is_empty() {
            let Step { after, act } = self.steps.remove(0);
            std::thread::sleep(Duration::from_millis(after));
            if let Act::End { code, stderr } = act {
                return Ok(Some((code, stderr)));
            }
            self.act(act)?;
        }
        Ok(None)
    }

    fn act(&mut self, act: Act) -> Result<()> {
        let db = ChatDb::open(&database(&self.mac))?;
        if let Act::Row(look) = act {
            self.row = Some(self.insert(&db, look)?);
            return Ok(());
        }
        let Some((rowid, guid)) = self.row.clone() else {
            bail!("a step needs the row before it is there");
        };
        match act {
            Act::Row(_) | Act::End { .. } => {}
            Act::Set { column, value } => db.set(&guid, &column, value)?,
            Act::Stamp { column } => db.set(&guid, &column, apple_now())?,
            Act::Service(service) => db.set(&guid, "service", service)?,
            Act::Join => db.join(self.chat, rowid)?,
            Act::Attach => self.attach(&db, rowid)?,
            Act::Preview => {
                let (rowid, _) = db.insert(&Row {
                    body: self.text.as_deref().map(Body::plain),
                    more: vec![(
                        "balloon_bundle_id",
                        "com.apple.messages.URLBalloonProvider".to_owned().into(),
                    )],
                    ..self.look()
                })?;
                db.join(self.chat, rowid)?;
            }
        }
        Ok(())
    }

    fn look(&self) -> Row {
        Row {
            handle: self.handle,
            service: self.service.clone(),
            from_me: true,
            ..Row::default()
        }
    }

    fn insert(&self, db: &ChatDb, look: RowLook) -> Result<(i64, String)> {
        db.connection.execute_batch("BEGIN IMMEDIATE")?;
        let attachment = format!("at_0_{}", db.new_guid()?);
        let body = match (&self.text, &self.file) {
            (Some(text), _) => Body::plain(text),
            (None, Some(_)) => Body::default().file(&attachment),
            (None, None) => Body::default(),
        };
        let row = Row {
            body: look.whole.then_some(body),
            chat: look.joined.then_some(self.chat),
            from_me: look.from_me,
            ..self.look()
        };
        let inserted = db.insert(&row)?;
        if look.attached && self.file.is_some() {
            self.attach(db, inserted.0)?;
        }
        db.connection.execute_batch("COMMIT")?;
        Ok(inserted)
    }

    fn attach(&self, db: &ChatDb, row: i64) -> Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        db.attach(
            row,
            &File {
                filename: Some(path.clone()),
                name: name.into_owned(),
                state: 5,
                ..File::default()
            },
        )?;
        Ok(())
    }
}
