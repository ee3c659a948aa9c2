//! Jasmin: an SMS gateway written by others, with a store of its own, between a connector and the lab's carrier.
//!
//! It needs RabbitMQ and Redis; each is started for it alone, below a temporary folder.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    peers::{self, JasminPrograms},
    process::{End, PeerError, Process, Start, free_port},
};

/// The account that Jasmin lets bind.
pub const SYSTEM_ID: &str = "lab";
/// The account's password.
pub const PASSWORD: &str = "secret";

/// Where a carrier takes Jasmin's bind.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The carrier's SMPP port.
    pub address: SocketAddr,
    /// Jasmin's account there.
    pub system_id: String,
    /// The account's password.
    pub password: String,
}

/// A running Jasmin. Dropping it ends it with all that it needs.
#[derive(Debug)]
pub struct Jasmin {
    address: SocketAddr,
    // In the order of ending.
    _jasmin: Process,
    _rabbitmq: Process,
    _redis: Process,
    _epmd: Process,
    _folder: TempDir,
}

impl Jasmin {
    /// For long tests: a Jasmin that passes everything on to the carrier and back, or `None` where it is absent and may be.
    ///
    /// # Panics
    /// When it is there but does not start, and when it is absent but required.
    pub async fn for_test(upstream: &Upstream) -> Option<Self> {
        let programs = peers::jasmin()?;
        Some(
            Self::start(&programs, upstream)
                .await
                .unwrap_or_else(|error| panic!("Jasmin: {error}")),
        )
    }

    /// Where it takes binds.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    async fn start(programs: &JasminPrograms, upstream: &Upstream) -> Result<Self, PeerError> {
        let temporary = TempDir::with_prefix("swingbridge-jasmin-")?;
        let folder = temporary.path();
        let (epmd_port, amqp_port) = (free_port()?, free_port()?);
        let epmd = epmd(folder, epmd_port).await?;
        let rabbitmq = rabbitmq(&programs.rabbitmq, folder, epmd_port, amqp_port).await?;
        let (redis, redis_port) = redis(folder).await?;

        let console = free_port()?;
        let smpp = free_port()?;
        let spec = fs::read_dir(programs.environment.join("lib"))?
            .flatten()
            .map(|python| {
                python
                    .path()
                    .join("site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
            })
            .find(|spec| spec.exists())
            .ok_or_else(|| PeerError::new("Jasmin's environment has no AMQP specification"))?;
        write_configuration(folder, &spec, amqp_port, redis_port, smpp, console)?;
        let mut command = Command::new(programs.environment.join("bin/python"));
        command
            .arg(programs.environment.join("bin/jasmind.py"))
            .args([
                "--enable-dlr-thrower",
                "--enable-dlr-lookup",
                "--enable-deliver-thrower",
                "-c",
            ])
            .arg(folder.join("jasmin.cfg"))
            .env("ROOT_PATH", folder)
            .env("LOG_PATH", folder.join("logs"));
        let mut jasmin = start("Jasmin", &mut command, folder)?;
        jasmin.listens(console).await?;
        jasmin.listens(smpp).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], smpp));
        Console::open(console).await?.set_up(upstream).await?;
        Ok(Self {
            address,
            _jasmin: jasmin,
            _rabbitmq: rabbitmq,
            _redis: redis,
            _epmd: epmd,
            _folder: temporary,
        })
    }
}

fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Process, PeerError> {
    let log = folder.join(format!("{}.log", name.to_lowercase()));
    command.current_dir(folder);
    Process::start(&Start {
        name,
        command,
        log: &log,
        end: End::Terminate,
        user: None,
    })
}

/// Erlang's directory of nodes. RabbitMQ would start one itself, that outlived it and listened everywhere.
async fn epmd(folder: &Path, port: u16) -> Result<Process, PeerError> {
    let mut command = Command::new("epmd");
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    let mut epmd = start("epmd", &mut command, folder)?;
    epmd.listens(port).await?;
    Ok(epmd)
}

async fn rabbitmq(program: &PathBuf, folder: &Path, epmd: u16, port: u16) -> Result<Process, PeerError> {
    let base = folder.join("rabbitmq");
    fs::create_dir_all(&base)?;
    fs::write(
        base.join("rabbitmq.conf"),
        format!("listeners.tcp.1 = 127.0.0.1:{port}\n"),
    )?;
    let mut command = Command::new(program);
    command
        .env("HOME", &base)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", epmd.to_string())
        .env("RABBITMQ_NODENAME", "lab@localhost")
        .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
        .env("RABBITMQ_MNESIA_BASE", base.join("data"))
        .env("RABBITMQ_LOG_BASE", base.join("logs"))
        .env("RABBITMQ_CONFIG_FILE", base.join("rabbitmq"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", base.join("plugins"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1}",
        );
    let mut rabbitmq = start("RabbitMQ", &mut command, folder)?;
    rabbitmq.listens(port).await?;
    Ok(rabbitmq)
}

async fn redis(folder: &Path) -> Result<(Process, u16), PeerError> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    let mut redis = start("Redis", &mut command, folder)?;
    redis.listens(port).await?;
    Ok((redis, port))
}

fn write_configuration(
    folder: &Path,
    spec: &Path,
    amqp: u16,
    redis: u16,
    smpp: u16,
    console: u16,
) -> Result<(), PeerError> {
    for needed in ["logs", "etc/jasmin/store"] {
        fs::create_dir_all(folder.join(needed))?;
    }
    let server = free_port()?;
    let (router, clients, http) = (free_port()?, free_port()?, free_port()?);
    let spec = spec.display();
    let text = format!(
        "[smpp-server]\nbind = 127.0.0.1\nport = {smpp}\n\
         [jcli]\nbind = 127.0.0.1\nport = {console}\nauthentication = False\n\
         [router]\nbind = 127.0.0.1\nport = {router}\n\
         [client-management]\nbind = 127.0.0.1\nport = {clients}\n\
         [http-api]\nbind = 127.0.0.1\nport = {http}\n\
         [smpp-server-pb]\nbind = 127.0.0.1\nport = {server}\n\
         [smpp-server-pb-client]\nport = {server}\n\
         [amqp-broker]\nport = {amqp}\nspec = {spec}\n\
         [redis-client]\nport = {redis}\n"
    );
    Ok(fs::write(folder.join("jasmin.cfg"), text)?)
}

/// Jasmin's console, which is made for a terminal.
struct Console {
    stream: TcpStream,
}

impl Console {
    async fn open(port: u16) -> Result<Self, PeerError> {
        let mut console = Self {
            stream: TcpStream::connect(("127.0.0.1", port)).await?,
        };
        console.hear(|text| text.contains("Session ref:")).await?;
        // It prompts once it is talked to.
        console.say("", "jcli : ").await?;
        Ok(console)
    }

    /// An account here, an account at the carrier, and routes both ways.
    async fn set_up(&mut self, upstream: &Upstream) -> Result<(), PeerError> {
        let host = format!("host {}", upstream.address.ip());
        let port = format!("port {}", upstream.address.port());
        let username = format!("username {}", upstream.system_id);
        let password = format!("password {}", upstream.password);
        let forms: &[&[&str]] = &[
            &[
                "smppccm -a",
                "cid carrier",
                &host,
                &port,
                &username,
                &password,
                "submit_throughput 0",
                "con_fail_delay 1",
            ],
            &["group -a", "gid labgroup"],
            &[
                "user -a",
                &format!("username {SYSTEM_ID}"),
                &format!("password {PASSWORD}"),
                "gid labgroup",
                "uid labuser",
            ],
            &[
                "mtrouter -a",
                "type defaultroute",
                "connector smppc(carrier)",
                "rate 0",
            ],
            &[
                "morouter -a",
                "type defaultroute",
                &format!("connector smpps({SYSTEM_ID})"),
            ],
        ];
        for form in forms {
            for line in *form {
                self.say(line, "> ").await?;
            }
            let answer = self.say("ok", "jcli : ").await?;
            if !answer.contains("Successfully") {
                return Err(PeerError(format!("Jasmin's console says to {form:?}: {answer}")));
            }
        }
        self.say("smppccm -1 carrier", "jcli : ").await?;
        Ok(())
    }

    async fn say(&mut self, line: &str, prompt: &str) -> Result<String, PeerError> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.hear(|text| text.ends_with(prompt)).await
    }

    async fn hear(&mut self, enough: impl Fn(&str) -> bool) -> Result<String, PeerError> {
        let mut heard = Vec::new();
        let listening = async {
            let mut buffer = [0; 4096];
            loop {
                match self.stream.read(&mut buffer).await? {
                    0 => return Err(PeerError::new("Jasmin's console closed")),
                    count => heard.extend_from_slice(&buffer[..count]),
                }
                let text = String::from_utf8_lossy(&heard);
                if enough(&text) {
                    return Ok(text.into_owned());
                }
            }
        };
        let listened = tokio::time::timeout(Duration::from_secs(15), listening).await;
        listened.unwrap_or_else(|_| {
            Err(PeerError(format!(
                "Jasmin's console hangs after: {}",
                String::from_utf8_lossy(&heard)
            )))
        })
    }
}
