//! A real Synapse on the loopback interface, with its rate limits out of the way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rand::{Rng, distr::Alphanumeric};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, ClientError},
    peers,
    postgres::Postgres,
    process::{End, PeerError, Process, Start, free_port},
};

/// The engine below Synapse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Database {
    /// A file. Its transaction ids restart with the homeserver.
    #[default]
    Sqlite,
    /// A PostgreSQL server of its own.
    Postgres,
}

/// How a Synapse is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The part after the colon of its users' names.
    pub server_name: String,
    /// Where everything is kept; a temporary folder when `None`.
    pub folder: Option<PathBuf>,
    /// The port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// The engine.
    pub database: Database,
    /// Registration files of application services. They must exist when it starts.
    pub registrations: Vec<PathBuf>,
    /// Keys of homeserver.yaml to add or to replace, as an object.
    pub settings: Value,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server_name: "localhost".into(),
            folder: None,
            port: None,
            database: Database::Sqlite,
            registrations: Vec::new(),
            settings: json!({}),
        }
    }
}

/// A running homeserver. Dropping it ends it; its data go as well unless it was given a folder.
#[derive(Debug)]
pub struct Synapse {
    process: Process,
    python: PathBuf,
    folder: PathBuf,
    url: String,
    server_name: String,
    shared_secret: String,
    postgres: Option<Postgres>,
    _temporary: Option<TempDir>,
}

impl Synapse {
    /// For tests: a running Synapse, or `None` where it (or PostgreSQL, if asked for) is absent and may be.
    ///
    /// # Panics
    /// When it is there but does not start, and when it is absent but required (see [`peers`]).
    pub async fn for_test(options: Options) -> Option<Self> {
        let python = peers::synapse_python()?;
        if options.database == Database::Postgres {
            peers::postgres_programs()?;
        }
        Some(
            Self::start(&python, options)
                .await
                .unwrap_or_else(|error| panic!("Synapse: {error}")),
        )
    }

    /// Writes the configuration, starts Synapse with the Python that has it, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start, with the end of its log. Safe to repeat.
    pub async fn start(python: &Path, options: Options) -> Result<Self, PeerError> {
        let temporary = match options.folder {
            Some(_) => None,
            None => Some(TempDir::with_prefix("swingbridge-synapse-")?),
        };
        let folder = match (&options.folder, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(PeerError::new("no folder for Synapse")),
        };
        fs::create_dir_all(&folder)?;
        let postgres = match options.database {
            Database::Sqlite => None,
            Database::Postgres => {
                let programs = peers::postgres_programs()
                    .ok_or_else(|| PeerError::new("PostgreSQL is not installed"))?;
                let kept = options.folder.as_ref().map(|folder| folder.join("postgres"));
                Some(Postgres::start(&programs, kept.as_deref()).await?)
            }
        };
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let secrets = Secrets::kept_in(&folder)?;
        let database = database(&folder, postgres.as_ref()).await?;
        write_configuration(&folder, port, &secrets, database, &options)?;
        let mut synapse = Self {
            process: run(python, &folder)?,
            python: python.to_owned(),
            folder,
            url: format!("http://127.0.0.1:{port}"),
            server_name: options.server_name,
            shared_secret: secrets.shared,
            postgres,
            _temporary: temporary,
        };
        synapse.wait_until_ready().await?;
        Ok(synapse)
    }

    /// The base URL of its client-server API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The part after the colon of its users' names.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Where its configuration, data and log are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its `registration_shared_secret`.
    #[must_use]
    pub fn shared_secret(&self) -> &str {
        &self.shared_secret
    }

    /// Its PostgreSQL server, if it has one.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// Makes a user, unless the name is taken, and logs in.
    ///
    /// # Errors
    /// When Synapse refuses, also because the password is not the one that the user was made with.
    pub async fn user(&self, name: &str, password: &str) -> Result<Client, ClientError> {
        let made = Client::register(&self.url, &self.shared_secret, name, password).await;
        match made {
            Err(error) if error.code() == Some("M_USER_IN_USE") => {}
            other => other?,
        }
        Client::login(&self.url, name, password).await
    }

    /// Ends it in good order. It can be started again with [`Self::start_again`].
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again with the same data, configuration and port, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.kill();
        self.process = run(&self.python, &self.folder)?;
        self.wait_until_ready().await
    }

    /// How it ended, or nothing while it runs.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.ended()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    async fn wait_until_ready(&mut self) -> Result<(), PeerError> {
        let deadline = Instant::now() + Duration::from_secs(90);
        while Client::versions(&self.url).await.is_err() {
            if self.process.ended().is_some() || Instant::now() > deadline {
                return Err(self.process.failure("does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }
}

fn run(python: &Path, folder: &Path) -> Result<Process, PeerError> {
    let mut command = Command::new(python);
    command
        .args(["-m", "synapse.app.homeserver", "-c"])
        .arg(folder.join("homeserver.yaml"))
        .current_dir(folder);
    Process::start(&Start {
        name: "Synapse",
        command: &command,
        log: &folder.join("synapse.log"),
        end: End::Terminate,
        user: None,
    })
}

/// What stays the same as long as the folder does.
struct Secrets {
    shared: String,
    signing_key: String,
}

impl Secrets {
    fn kept_in(folder: &Path) -> Result<Self, PeerError> {
        let path = folder.join("secrets.json");
        if let Ok(text) = fs::read(&path)
            && let Ok(stored) = serde_json::from_slice::<Value>(&text)
            && let (Some(shared), Some(key)) = (stored["shared"].as_str(), stored["signing_key"].as_str())
        {
            return Ok(Self {
                shared: shared.to_owned(),
                signing_key: key.to_owned(),
            });
        }
        let seed: [u8; 32] = rand::rng().random();
        let secrets = Self {
            shared: rand::rng()
                .sample_iter(Alphanumeric)
                .take(32)
                .map(char::from)
                .collect(),
            signing_key: format!("ed25519 a_lab {}", data_encoding::BASE64_NOPAD.encode(&seed)),
        };
        let text = json!({ "shared": secrets.shared, "signing_key": secrets.signing_key }).to_string();
        fs::write(path, text)?;
        Ok(secrets)
    }
}

async fn database(folder: &Path, postgres: Option<&Postgres>) -> Result<Value, PeerError> {
    let Some(postgres) = postgres else {
        return Ok(json!({ "name": "sqlite3", "args": { "database": folder.join("homeserver.db") } }));
    };
    postgres.database("synapse").await?;
    Ok(json!({ "name": "psycopg2", "args": {
        "user": "postgres", "host": "127.0.0.1", "port": postgres.port(), "dbname": "synapse", "cp_min": 2, "cp_max": 8,
    } }))
}

/// JSON is YAML, too.
fn write_configuration(
    folder: &Path,
    port: u16,
    secrets: &Secrets,
    database: Value,
    options: &Options,
) -> Result<(), PeerError> {
    let without_limit = json!({ "per_second": 100_000, "burst_count": 100_000 });
    let mut configuration = json!({
        "server_name": options.server_name,
        "pid_file": folder.join("homeserver.pid"),
        "listeners": [{
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "type": "http",
            "tls": false,
            "resources": [{ "names": ["client"], "compress": false }],
        }],
        "public_baseurl": format!("http://127.0.0.1:{port}/"),
        "database": database,
        "log_config": folder.join("log.yaml"),
        "media_store_path": folder.join("media"),
        "signing_key": secrets.signing_key,
        "registration_shared_secret": secrets.shared,
        "macaroon_secret_key": secrets.shared,
        "form_secret": secrets.shared,
        "report_stats": false,
        "trusted_key_servers": [],
        "suppress_key_server_warning": true,
        "federation_domain_whitelist": [],
        "bcrypt_rounds": 4,
        "app_service_config_files": options.registrations,
        // To-device events and device lists in transactions.
        "experimental_features": {
            "msc2409_to_device_messages_enabled": true,
            "msc3202_transaction_extensions": true,
        },
        "rc_message": without_limit,
        "rc_registration": without_limit,
        "rc_login": { "address": without_limit, "account": without_limit, "failed_attempts": without_limit },
        "rc_joins": { "local": without_limit, "remote": without_limit },
        "rc_joins_per_room": without_limit,
        "rc_invites": { "per_room": without_limit, "per_user": without_limit, "per_issuer": without_limit },
        "rc_room_creation": without_limit,
        "rc_presence": { "per_user": without_limit },
        "rc_key_requests": without_limit,
        "rc_media_create": without_limit,
        "rc_profile": without_limit,
    });
    if let (Some(all), Some(settings)) = (configuration.as_object_mut(), options.settings.as_object()) {
        all.extend(settings.clone());
    }
    let logging = json!({
        "version": 1,
        "formatters": { "plain": { "format": "%(asctime)s %(levelname)s %(name)s %(message)s" } },
        "handlers": { "console": { "class": "logging.StreamHandler", "formatter": "plain" } },
        "root": { "level": "WARNING", "handlers": ["console"] },
        "disable_existing_loggers": false,
    });
    for (name, content) in [("homeserver.yaml", configuration), ("log.yaml", logging)] {
        fs::write(folder.join(name), format!("{content:#}"))?;
    }
    Ok(())
}
