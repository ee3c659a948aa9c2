//! How a person at the device compares emoji while the relay runs: `device verify` speaks with it over a Unix socket in the device's folder,
//! which only the device's user can open.
//!
//! Both sides write JSON, one object to a line. The terminal begins with an [`Order::Verify`] and answers the emoji with an
//! [`Order::Answer`]; the relay tells what happens, [`Told::Done`] or [`Told::Failed`] last. Whoever hangs up has not agreed.
//!
//! Architecture Invariant: emoji are shown, and agreed to, only here. Nothing that is said in a room counts: the room is what is being
//! verified.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::id::UserId;
use swingbridge_engine::Engine;
use swingbridge_matrix::puppet::{Answer, Begin, Emoji, Puppet, Ui, VerifyError, Whom};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines, Take};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// In the device's folder.
const SOCKET: &str = "verify.sock";
/// All that one side ever says is far shorter.
const LONGEST: u64 = 64 << 10;
/// What the owner reads when they ask and nobody is at the device.
const ASKED: &str = "Somebody at your account asks to compare emoji with this device. That is done where the device is, and never in a chat: run \
                     `swingbridge device verify` on it within ten minutes, and look at your client and at its terminal. If it was not you \
                     who asked, do not confirm anything, and look at your account's list of sessions.";

/// What the owner reads when they invited the device to a room in which others are, or may come to be.
const REFUSED: &str = "You invited this device to a room that is no direct chat, and it did not enter: it serves you alone, and whoever else is in a \
                       room can read what it says there. Its commands are here: write `help`.";

/// What the terminal says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    Verify { whom: Whom, begin: Begin },
    Answer { same: bool },
}

/// What the relay says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Told {
    /// The other side was asked, or is waited for.
    Waiting,
    /// To be compared with what the other side shows.
    Compare {
        user: String,
        session: String,
        pictures: Vec<Picture>,
    },
    /// The keys are verified.
    Done,
    Failed {
        /// The homeserver is the cause.
        homeserver: bool,
        text: String,
    },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    pub symbol: String,
    pub name: String,
}

/// The relay's side.
#[derive(Clone)]
pub struct Control {
    owner: UserId,
    puppet: Arc<Puppet>,
    engine: Engine,
    /// Held by the one terminal at which somebody compares.
    person: Arc<Mutex<()>>,
}

impl Control {
    pub fn new(owner: UserId, puppet: Arc<Puppet>, engine: Engine) -> Self {
        let person = Arc::default();
        Self {
            owner,
            puppet,
            engine,
            person,
        }
    }

    /// Serves terminals until `shutdown`, and tells the owner where to go when they ask and nobody is at one. `folder` must be held by us:
    /// a socket that is left in it is nobody's.
    pub async fn run(self, folder: PathBuf, shutdown: Shutdown) {
        let serving = async {
            match listen(&folder) {
                Ok(listener) => self.serve(&listener, &shutdown).await,
                Err(error) => {
                    tracing::warn!(%error, "no terminal can reach the relay: `device verify` works only while it is stopped");
                    shutdown.requested().await;
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = self.point_the_way() => {}
            () = self.excuse() => {}
        }
        let _ = std::fs::remove_file(folder.join(SOCKET));
    }

    async fn serve(&self, listener: &UnixListener, shutdown: &Shutdown) {
        let mut terminals = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (control, shutdown) = (self.clone(), shutdown.clone());
                        terminals.spawn(async move { control.attend(stream, &shutdown).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a terminal could not connect");
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    }
                },
                Some(_) = terminals.join_next() => {}
            }
        }
        // The other side is told, too, that nothing comes of it.
        while terminals.join_next().await.is_some() {}
    }

    /// One terminal, from its first word to the last.
    async fn attend(&self, stream: UnixStream, shutdown: &Shutdown) {
        // The folder is closed to others already; this holds where somebody opened it.
        let ours = rustix::process::geteuid().as_raw();
        if !stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
            tracing::warn!("another user of this machine tried to verify the device, and was not heard");
            return;
        }
        let (reader, writer) = stream.into_split();
        let mut lines = lines(reader);
        let person = Terminal {
            writer: Mutex::new(writer),
            answers: Mutex::new(None),
            gone: CancellationToken::new(),
        };
        let first = tokio::select! {
            first = lines.next_line() => first,
            () = shutdown.requested() => return,
        };
        let Ok(Some(first)) = first else {
            return;
        };
        let Ok(Order::Verify { whom, begin }) = serde_json::from_str(&first) else {
            let text = "the relay does not understand this terminal: is it another version?".to_owned();
            person.tell(&failed(false, text)).await;
            return;
        };
        let Ok(_alone) = self.person.try_lock() else {
            let text = "somebody compares emoji at another terminal already".to_owned();
            person.tell(&failed(false, text)).await;
            return;
        };
        let (answer, answers) = mpsc::channel(1);
        *person.answers.lock().await = Some(answers);
        let hearing = async {
            tokio::select! {
                () = hear(&mut lines, answer) => {}
                () = shutdown.requested() => {}
            }
            person.gone.cancel();
            std::future::pending::<()>().await
        };
        let done = tokio::select! {
            done = self.puppet.verify(whom, begin, &person) => done,
            () = hearing => return,
        };
        let last = match done {
            Ok(()) => Told::Done,
            Err(_) if shutdown.is_requested() => failed(
                false,
                "the relay is stopping: nothing was verified, try again".to_owned(),
            ),
            Err(error) => failed(matches!(error, VerifyError::Homeserver(_)), error.to_string()),
        };
        person.tell(&last).await;
    }

    async fn point_the_way(&self) {
        let mut asked = self.puppet.asked();
        loop {
            asked.next().await;
            // Who is at a terminal sees it there.
            if self.person.try_lock().is_err() {
                continue;
            }
            if let Err(error) = self.engine.tell(&self.owner, ASKED).await {
                tracing::warn!(%error, "the owner cannot be told how to verify the device");
            }
        }
    }
}

impl Control {
    /// Says why an invite was refused.
    async fn excuse(&self) {
        loop {
            self.puppet.refused_owner().await;
            if let Err(error) = self.engine.tell(&self.owner, REFUSED).await {
                tracing::warn!(%error, "the owner cannot be told why an invite was refused");
            }
        }
    }
}

fn failed(homeserver: bool, text: String) -> Told {
    Told::Failed { homeserver, text }
}

/// Takes the place of a socket that a killed relay left.
fn listen(folder: &Path) -> std::io::Result<UnixListener> {
    let path = folder.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn lines(reader: OwnedReadHalf) -> Lines<BufReader<Take<OwnedReadHalf>>> {
    BufReader::new(reader.take(LONGEST)).lines()
}

/// Hands answers on until the terminal hangs up, or says what it has no business to say.
async fn hear(lines: &mut Lines<BufReader<Take<OwnedReadHalf>>>, answer: mpsc::Sender<bool>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Order::Answer { same }) = serde_json::from_str(&line) else {
            return;
        };
        if answer.send(same).await.is_err() {
            return;
        }
    }
}

/// The person at the other end of the socket.
struct Terminal {
    writer: Mutex<OwnedWriteHalf>,
    answers: Mutex<Option<mpsc::Receiver<bool>>>,
    gone: CancellationToken,
}

impl Terminal {
    async fn tell(&self, told: &Told) {
        if write(&mut *self.writer.lock().await, told).await.is_err() {
            self.gone.cancel();
        }
    }
}

#[async_trait]
impl Ui for Terminal {
    async fn compare(&self, user: &UserId, device: &str, emoji: &[Emoji; 7]) -> Answer {
        let mut answers = self.answers.lock().await;
        let Some(answers) = answers.as_mut() else {
            return Answer::Gone;
        };
        // Only what is said after the emoji were shown is an answer to them.
        while answers.try_recv().is_ok() {}
        let picture = |emoji: &Emoji| Picture {
            symbol: emoji.symbol.to_owned(),
            name: emoji.name.to_owned(),
        };
        self.tell(&Told::Compare {
            user: user.as_str().to_owned(),
            session: device.to_owned(),
            pictures: emoji.iter().map(picture).collect(),
        })
        .await;
        match answers.recv().await {
            Some(true) => Answer::Same,
            Some(false) => Answer::Different,
            None => Answer::Gone,
        }
    }

    async fn waiting(&self) {
        self.tell(&Told::Waiting).await;
    }

    async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

async fn write(writer: &mut OwnedWriteHalf, word: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// A running relay, as a terminal sees it.
pub struct Relay {
    lines: Lines<BufReader<Take<OwnedReadHalf>>>,
    writer: OwnedWriteHalf,
}

impl Relay {
    /// `None`: no relay runs here that could be reached.
    ///
    /// # Errors
    /// When one does, and we may not speak to it.
    pub async fn reach(folder: &Path) -> std::io::Result<Option<Self>> {
        let stream = match UnixStream::connect(folder.join(SOCKET)).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(error),
            // None was there, or it was killed; or the path is too long for a socket, and then it has none.
            Err(_) => return Ok(None),
        };
        let (reader, writer) = stream.into_split();
        let lines = lines(reader);
        Ok(Some(Self { lines, writer }))
    }

    /// Has it compare keys.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn verify(&mut self, whom: Whom, begin: Begin) -> std::io::Result<()> {
        write(&mut self.writer, &Order::Verify { whom, begin }).await
    }

    /// What it says next; `None` when it ended in the middle.
    ///
    /// # Errors
    /// When it makes no sense.
    pub async fn told(&mut self) -> std::io::Result<Option<Told>> {
        match self.lines.next_line().await? {
            Some(line) => Ok(Some(serde_json::from_str(&line)?)),
            None => Ok(None),
        }
    }

    /// # Errors
    /// When it has ended.
    pub async fn answer(&mut self, same: bool) -> std::io::Result<()> {
        write(&mut self.writer, &Order::Answer { same }).await
    }
}
