//! SMSCs, ESMEs and Matrix clients that others have written, driven from tests by the scripts in `peers/`.
//!
//! A script connects to us and speaks JSON, one object to a line: we tell it what to `do`, it tells each `event`.
//! The same words work with every script of a role:
//!
//! | role | do | events |
//! |---|---|---|
//! | SMSC | `deliver`, `receipts`, `refuse`, `late` (npm), `drop`, `enquire`, `unbind` | `listening`, `bound`, `submitted`, `refused`, `answered`, `enquired`, `closed` |
//! | ESME | `bind`, `submit`, `enquire`, `unbind` | `ready`, `bound`, `submitted`, `delivered`, `enquired`, `unbound`, `closed` |
//!
//! | Matrix client | `join`, `create`, `leave`, `send`, `burst`, `file`, `download`, `react`, `redact`, `read`, `typing`, `hold` (sends, and keeps the key back), `release` | `ready`, `invited`, `joined`, `created`, `left`, `sent`, `released`, `message`, `shut` (not decrypted), `member` |
//!
//! | socket.io | `listen`, `serve` (before another server), `emit` | `ready`, `connected`, `heard`, `refused`, `disconnected`, `listening`, `joined`, `pong`, `left` |
//!
//! The SMSCs take the account `swingbridge` with the password `secret`, and send receipts by themselves.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::peers;
use crate::process::{End, PeerError, Process, Start};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// An SMSC on npm `smpp`.
    NpmSmsc,
    /// An ESME on npm `smpp`.
    NpmEsme,
    /// An SMSC on Perl's `Net::SMPP`.
    PerlSmsc,
    /// An ESME on Perl's `Net::SMPP`.
    PerlEsme,
    /// A Matrix client on matrix-nio. It is given the homeserver, a user and the password.
    Nio,
    /// A Matrix client on matrix-js-sdk, likewise. It also tells a user's `devices`, and the `warning` that it would show at an event;
    /// it makes an `identity` and a `recovery` key for it, and can `verify`: it tells `pictures`, is told `same` or `different`, and tells `verified`.
    /// It tells whether it `rings` for an event. It can `echo`.
    MatrixJs,
    /// Both ends of socket.io, on npm `socket.io` and `socket.io-client`.
    SocketIo,
}

impl Script {
    fn file(self) -> &'static str {
        match self {
            Script::NpmSmsc => "smsc.js",
            Script::NpmEsme => "esme.js",
            Script::PerlSmsc => "smsc.pl",
            Script::PerlEsme => "esme.pl",
            Script::SocketIo => "socket_io.js",
            Script::Nio => "matrix_nio.py",
            Script::MatrixJs => "matrix_js.mjs",
        }
    }

    /// Its interpreter, ready to run it; `None` where it is absent and may be.
    fn command(self) -> Option<Command> {
        let mut command = match self {
            Script::NpmSmsc | Script::NpmEsme => {
                let folder = peers::node_smpp()?;
                let mut node = Command::new("node");
                node.env("NODE_PATH", folder.join("node_modules"));
                node
            }
            Script::SocketIo => {
                let folder = peers::socket_io()?;
                let mut node = Command::new("node");
                node.env("NODE_PATH", folder.join("node_modules"));
                node
            }
            Script::PerlSmsc | Script::PerlEsme => Command::new(peers::perl_net_smpp()?),
            Script::Nio => Command::new(peers::nio_python()?),
            Script::MatrixJs => {
                let folder = peers::matrix_js()?;
                let mut node = Command::new(peers::node(&folder));
                node.env("MATRIX_JS", folder);
                node
            }
        };
        command.arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("peers")
                .join(self.file()),
        );
        Some(command)
    }
}

/// A foreign SMSC or ESME. Dropping it ends it.
pub struct Foreign {
    process: Process,
    lines: Lines<BufReader<OwnedReadHalf>>,
    commands: OwnedWriteHalf,
    /// Told, but not asked for yet.
    told: VecDeque<Value>,
    port: u16,
    _folder: TempDir,
}

impl Foreign {
    /// Starts a script and waits until it is ready. `None`, after a line that says so, where the peer is absent;
    /// see [`peers`].
    ///
    /// # Errors
    /// When the script does not come up.
    pub async fn start(script: Script) -> Option<Result<Foreign, PeerError>> {
        Some(Foreign::run(script, script.command()?, &[]).await)
    }

    /// Starts a Matrix client, logged in; as [`Foreign::start`].
    ///
    /// # Errors
    /// When the script does not come up.
    pub async fn client(
        script: Script,
        homeserver: &str,
        user: &str,
        password: &str,
    ) -> Option<Result<Foreign, PeerError>> {
        Some(Foreign::run(script, script.command()?, &[homeserver, user, password]).await)
    }

    async fn run(script: Script, mut command: Command, arguments: &[&str]) -> Result<Foreign, PeerError> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        command
            .arg(listener.local_addr()?.port().to_string())
            .args(arguments);
        if script == Script::Nio {
            command.arg(folder.path());
        }
        let mut process = Process::start(&Start {
            name: script.file(),
            command: &command,
            log: &folder.path().join("log"),
            end: End::Terminate,
            user: None,
        })?;
        let Ok(accepted) = timeout(PATIENCE, listener.accept()).await else {
            return Err(process.failure("does not call back"));
        };
        let (stream, _) = accepted?;
        stream.set_nodelay(true)?;
        let (reader, commands) = stream.into_split();
        let lines = BufReader::new(reader).lines();
        let told = VecDeque::new();
        let mut foreign = Foreign {
            process,
            lines,
            commands,
            told,
            port: 0,
            _folder: folder,
        };
        match script {
            Script::NpmSmsc | Script::PerlSmsc => {
                let listening = foreign.event("listening").await?;
                foreign.port = listening["port"]
                    .as_u64()
                    .and_then(|port| port.try_into().ok())
                    .unwrap_or(0);
            }
            Script::NpmEsme | Script::PerlEsme | Script::Nio | Script::MatrixJs | Script::SocketIo => {
                foreign.event("ready").await?;
            }
        }
        Ok(foreign)
    }

    /// Where an SMSC takes binds, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives a command.
    ///
    /// # Errors
    /// When the script has ended.
    pub async fn tell(&mut self, command: Value) -> Result<(), PeerError> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await?;
        Ok(())
    }

    /// The next event with this name; others stay for later.
    ///
    /// # Errors
    /// After twenty seconds, or when the script has ended.
    pub async fn event(&mut self, name: &str) -> Result<Value, PeerError> {
        self.event_with(name, |_| true).await
    }

    /// The event with this name that was told already, if there is one.
    ///
    /// # Errors
    /// When the script has ended.
    pub async fn event_now(&mut self, name: &str) -> Result<Option<Value>, PeerError> {
        // What it has written before now is read first: it answers commands in their order.
        self.tell(serde_json::json!({ "do": "echo" })).await?;
        self.event("echo").await?;
        let at = self.told.iter().position(|event| event["event"] == name);
        Ok(at.and_then(|at| self.told.remove(at)))
    }

    /// The next event with this name that `fits`; others stay for later.
    ///
    /// # Errors
    /// After twenty seconds, or when the script has ended.
    pub async fn event_with(
        &mut self,
        name: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, PeerError> {
        let wanted = |event: &Value| event["event"] == name && fits(event);
        if let Some(at) = self.told.iter().position(wanted) {
            return Ok(self.told.remove(at).unwrap_or_default());
        }
        loop {
            let line = match timeout(PATIENCE, self.lines.next_line()).await {
                Ok(Ok(Some(line))) => line,
                _ => return Err(self.process.failure(&format!("tells no event {name:?} in time"))),
            };
            let event: Value =
                serde_json::from_str(&line).map_err(|error| PeerError::new(format!("not JSON: {error}")))?;
            if wanted(&event) {
                return Ok(event);
            }
            self.told.push_back(event);
        }
    }
}
