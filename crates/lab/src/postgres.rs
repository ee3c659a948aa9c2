//! A throwaway PostgreSQL server on the loopback interface.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    peers,
    process::{End, PeerError, Process, Start, User, free_port},
};

/// A running server. Dropping it stops it; its data go as well unless it was given a folder.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    programs: PathBuf,
    _temporary: Option<TempDir>,
}

impl Postgres {
    /// For tests: a server with fresh data, or `None` where PostgreSQL is absent and may be.
    ///
    /// # Panics
    /// When PostgreSQL is there but does not start, and when it is absent but required.
    pub async fn for_test() -> Option<Self> {
        let programs = peers::postgres_programs()?;
        Some(
            Self::start(&programs, None)
                .await
                .unwrap_or_else(|error| panic!("PostgreSQL: {error}")),
        )
    }

    /// Starts a server with its data in the folder (made anew unless it holds some), or in a temporary one. It keeps no
    /// promise across a power cut, trusts every local user, and sorts by bytes, as Synapse asks.
    ///
    /// # Errors
    /// When it does not start; safe to repeat.
    pub async fn start(programs: &Path, folder: Option<&Path>) -> Result<Self, PeerError> {
        let temporary = match folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("swingbridge-postgres-")?),
        };
        let folder = match (folder, &temporary) {
            (Some(folder), _) => folder,
            (None, Some(temporary)) => temporary.path(),
            (None, None) => return Err(PeerError::new("no folder for PostgreSQL")),
        };
        fs::create_dir_all(folder)?;
        let user = other_than_root(folder)?;
        if let Some(user) = user {
            chown(folder, Some(user.uid), Some(user.gid))?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        }
        let data = folder.join("data");
        if !data.join("PG_VERSION").exists() {
            make_cluster(programs, folder, &data, user).await?;
        }
        let port = free_port()?;
        let mut command = Command::new(programs.join("postgres"));
        command
            .current_dir(folder)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "max_connections=200",
        ] {
            command.args(["-c", setting]);
        }
        let process = Process::start(&Start {
            name: "PostgreSQL",
            command: &command,
            log: &folder.join("postgres.log"),
            end: End::Interrupt,
            user,
        })?;
        let mut server = Self {
            process,
            port,
            programs: programs.to_owned(),
            _temporary: temporary,
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, for the user `postgres`, who needs no password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database unless it is there, and gives back its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> Result<String, PeerError> {
        let there = self
            .query(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))
            .await?;
        if there.is_empty() {
            self.query(&format!(
                "CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            ))
            .await?;
        }
        Ok(self.url(name))
    }

    /// Stops it in good order, its data kept in the folder if it was given one.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Kills it, as a crash of the machine's database would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    async fn wait_until_ready(&mut self) -> Result<(), PeerError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.query("SELECT 1").await.is_err() {
            if self.process.ended().is_some() || Instant::now() > deadline {
                return Err(self.process.failure("does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Runs one statement with psql, which comes with the server.
    async fn query(&self, statement: &str) -> Result<String, PeerError> {
        let output = tokio::process::Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
            ])
            .args(["-d", "postgres", "-c", statement])
            .output()
            .await?;
        if !output.status.success() {
            return Err(PeerError(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

async fn make_cluster(
    programs: &Path,
    folder: &Path,
    data: &Path,
    user: Option<User>,
) -> Result<(), PeerError> {
    let mut command = Command::new(programs.join("initdb"));
    command.current_dir(folder).args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "-D",
    ]);
    command.arg(data);
    let log = folder.join("initdb.log");
    let mut process = Process::start(&Start {
        name: "initdb",
        command: &command,
        log: &log,
        end: End::Terminate,
        user,
    })?;
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match process.ended() {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(process.failure("failed")),
            None if Instant::now() > deadline => return Err(process.failure("does not end")),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// PostgreSQL refuses to run as root: then its own user runs it.
fn other_than_root(folder: &Path) -> Result<Option<User>, PeerError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let owner = fs::metadata(folder)?;
    if owner.uid() != 0 {
        return Ok(Some(User {
            uid: owner.uid(),
            gid: owner.gid(),
        }));
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    for field in fields {
        if let ["postgres", _, uid, gid, ..] = field[..]
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            return Ok(Some(User { uid, gid }));
        }
    }
    Err(PeerError::new(
        "PostgreSQL does not run as root, and there is no user `postgres`",
    ))
}
