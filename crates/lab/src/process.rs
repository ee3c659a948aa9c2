//! Foreign programs as children that cannot outlive us.
//!
//! Each child has a process group of its own and a lifeline: a pipe that we hold open. When we end, in whatever way, the
//! pipe closes and a watcher in the child's group ends the child. So a killed test leaves no homeserver behind.

use std::{
    fs::{self, File, OpenOptions},
    io,
    net::TcpListener,
    ops::Range,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr, UnixListener},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rand::Rng;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A foreign program did not do what it should. The text is for a person; nothing else can be done with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PeerError(pub String);

impl PeerError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<io::Error> for PeerError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Which signal asks a program to end in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What most programs know: `SIGTERM`.
    Terminate,
    /// PostgreSQL's fast shutdown, which does not wait for its clients: `SIGINT`.
    Interrupt,
}

impl End {
    fn signal(self) -> (Signal, &'static str) {
        match self {
            Self::Terminate => (Signal::TERM, "TERM"),
            Self::Interrupt => (Signal::INT, "INT"),
        }
    }
}

/// A user that a child runs as, when we are root and the program refuses to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The numeric user id.
    pub uid: u32,
    /// The numeric group id.
    pub gid: u32,
}

/// What to start.
#[derive(Debug)]
pub struct Start<'a> {
    /// How to speak of it in errors.
    pub name: &'a str,
    /// The program with its arguments, environment and folder. Its input and output are set here.
    pub command: &'a Command,
    /// Where its output goes, appended.
    pub log: &'a Path,
    /// How it is asked to end.
    pub end: End,
    /// Somebody other than us.
    pub user: Option<User>,
}

/// A running child. Dropping it ends it, and everything in its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    _lifeline: Option<ChildStdin>,
    log: PathBuf,
    end: End,
    status: Option<ExitStatus>,
}

/// Starts a watcher that waits for the end of the lifeline, then becomes the program, so that our child is the program
/// itself. `$0` is the signal.
const WATCHED: &str = r#"
exec 3<&0 </dev/null
{ cat <&3; kill -s "$0" $$; sleep 10; kill -s KILL 0; } >/dev/null 2>&1 &
exec 3<&- "$@"
"#;

/// How long a program may take to end in good order before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

impl Process {
    /// Starts the program.
    ///
    /// # Errors
    /// When the log cannot be opened or the shell cannot be started. A program that cannot be started ends at once and
    /// says so in its log.
    pub fn start(start: &Start<'_>) -> Result<Self, PeerError> {
        let output = open_log(start.log)
            .map_err(|error| PeerError(format!("cannot open the log {}: {error}", start.log.display())))?;
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(WATCHED).arg(start.end.signal().1);
        shell
            .arg(start.command.get_program())
            .args(start.command.get_args());
        for (name, value) in start.command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = start.command.get_current_dir() {
            shell.current_dir(folder);
        }
        if let Some(user) = start.user {
            shell.uid(user.uid).gid(user.gid);
        }
        let mut child = shell
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| PeerError(format!("cannot start {}: {error}", start.name)))?;
        let lifeline = child.stdin.take();
        Ok(Self {
            name: start.name.to_owned(),
            child,
            _lifeline: lifeline,
            log: start.log.to_owned(),
            end: start.end,
            status: None,
        })
    }

    /// The operating system's id of the program.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or nothing while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits until somebody listens on a port of 127.0.0.1, a minute at most.
    ///
    /// # Errors
    /// When it ends before, or nobody does, with the end of its log.
    pub async fn listens(&mut self, port: u16) -> Result<(), PeerError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if self.ended().is_some() || Instant::now() > deadline {
                return Err(self.failure(&format!("does not listen on port {port}")));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// Asks it to end and waits for it, ten seconds at most; then it is killed.
    pub async fn stop(&mut self) -> Option<ExitStatus> {
        self.ask_to_end();
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill()
    }

    /// Kills it as a crash would, with everything in its group, and waits for it.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        if let Some(group) = self.pid() {
            // The group may be empty by now, which is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// An error that says how it ended or that it did not do `what`, with the end of its log.
    pub fn failure(&mut self, what: &str) -> PeerError {
        let state = match self.ended() {
            Some(status) => format!("ended with {status}"),
            None => what.to_owned(),
        };
        PeerError(format!(
            "{} {state}; the end of {}:\n{}",
            self.name,
            self.log.display(),
            self.log_tail(30)
        ))
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn ask_to_end(&mut self) {
        if self.ended().is_none()
            && let Some(pid) = self.pid()
        {
            // It may end at this very moment, which is what we want.
            let _ = kill_process(pid, self.end.signal().0);
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ask_to_end();
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// A port of the loopback interface that nobody uses at this moment, and that nobody else is given as long as this
/// process lasts, neither by this nor by the system: so it is still free for a program that starts later, and for one
/// that starts again.
///
/// # Errors
/// When the system has none left.
pub fn free_port() -> Result<u16, PeerError> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let chosen = lasting_ports().and_then(|range| {
        (0..TRIES)
            .map(|_| rand::rng().random_range(range.clone()))
            // Reserved first: to look whether a port is free takes it for a moment.
            .find(|port| reserve(*port) && is_free(port))
    });
    match chosen {
        Some(port) => Ok(port),
        None => Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port()),
    }
}

/// How many ports are tried before the system chooses.
const TRIES: usize = 100;
/// Below it lie ports that programs of the machine are likely to have for themselves.
const FIRST_PORT: u16 = 10_000;
/// What outgoing connections get by custom, where the system does not tell it: RFC 6335, section 6.
const FIRST_DYNAMIC_PORT: u16 = 49_152;

/// Reserves a port among those who ask here, in whichever process, and answers whether nobody had it: by a name that only
/// one can have, and that goes with its process and leaves no file.
fn reserve(port: u16) -> bool {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("swingbridge port {port}"));
    let reserved = name.and_then(|name| UnixListener::bind_addr(&name));
    match reserved {
        Ok(reserved) => {
            let mut all = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(reserved);
            true
        }
        Err(_) => false,
    }
}

/// The ports that the system does not give away itself, to outgoing connections and to who asks for any port.
fn lasting_ports() -> Option<Range<u16>> {
    let told = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let dynamic = told
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(FIRST_DYNAMIC_PORT);
    (dynamic > FIRST_PORT).then_some(FIRST_PORT..dynamic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(folder: &Path, script: &str) -> Process {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Process::start(&Start {
            name: "script",
            command: &command,
            log: &folder.join("log"),
            end: End::Terminate,
            user: None,
        })
        .unwrap()
    }

    #[test]
    fn a_port_that_was_found_free_is_given_to_no_other() {
        // Where the system gives away all of them, it chooses.
        let Some(range) = lasting_ports() else { return };
        let port = free_port().unwrap();
        assert!(range.contains(&port), "{port}");
        assert!(!reserve(port), "the next who asks gets another");
        let anybody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(!range.contains(&anybody.local_addr().unwrap().port()));
    }

    fn is_alive(id: u32) -> bool {
        let state = Command::new("ps")
            .args(["-o", "stat=", "-p", &id.to_string()])
            .output()
            .unwrap()
            .stdout;
        !state.is_empty() && !state.starts_with(b"Z")
    }

    async fn line_in(process: &mut Process, line: &str) {
        while !process.log_tail(1).contains(line) {
            assert_eq!(process.ended(), None);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn stop_lets_a_program_end_in_good_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = start(
            folder.path(),
            "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done",
        );
        line_in(&mut process, "ready").await;
        assert_eq!(process.stop().await.unwrap().code(), Some(7));
        assert_eq!(process.log_tail(1), "bye");
    }

    #[tokio::test]
    async fn nothing_of_the_group_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = start(folder.path(), "sleep 1000 & echo pid $!; wait");
        line_in(&mut process, "pid ").await;
        let grandchild: u32 = process.log_tail(1)["pid ".len()..].trim().parse().unwrap();
        assert!(is_alive(grandchild));
        drop(process);
        while is_alive(grandchild) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_closed_lifeline_ends_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = start(folder.path(), "echo ready; sleep 1000");
        line_in(&mut process, "ready").await;
        process._lifeline = None;
        while process.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = start(folder.path(), "echo no such thing >&2; exit 3");
        while process.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let told = process.failure("does not answer").to_string();
        assert!(
            told.contains("exit status: 3") && told.contains("no such thing"),
            "{told}"
        );
    }
}
