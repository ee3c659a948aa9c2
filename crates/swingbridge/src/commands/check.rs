//! `check`: tries everything, and says for each failure its cause and its cure.

mod webhooks;

use crate::config::connectors::Account;
use crate::config::{self, Config, Sources};
use crate::exit::{Exit, Failure};
use crate::{http, wiring};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::process::ExitCode;
use std::sync::Arc;
use swingbridge_domain::connector::{ConnectorError, Shutdown};
use swingbridge_domain::directory::{Directory, DirectoryError, LineSummary, Resolved};
use swingbridge_domain::homeserver::Ghost;
use swingbridge_domain::id::{LineId, UserId};
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError};
use swingbridge_domain::store::Store;
use swingbridge_engine::Engine;
use swingbridge_matrix::Matrix;
use swingbridge_matrix::appservice::AppService;
use swingbridge_store::OpenError;
use tokio::net::TcpListener;

pub fn run(sources: &Sources) -> Result<ExitCode, Failure> {
    let config = config::load(sources).map_err(Failure::load)?;
    let mut report = Report::default();
    report.good(
        "the configuration is understood",
        &sources.config.display().to_string(),
    );
    files(&config, &mut report);
    registration(&config, &mut report)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let running = runtime.block_on(runs(&config));
    let store = database(&config, running, &mut report);
    runtime.block_on(async {
        if let Some(store) = store {
            site_key(&config, store, &mut report).await;
        }
        homeserver(&config, running, &mut report).await?;
        webhooks::check(&config, running, &mut report).await;
        connectors(&config, running, &mut report).await;
        Ok::<(), Failure>(())
    })?;
    Ok(report.end())
}

/// What was found, said as it is found.
#[derive(Default)]
struct Report {
    failed: Vec<Exit>,
    warnings: usize,
}

impl Report {
    fn good(&self, what: &str, detail: &str) {
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        println!("ok    {what}{detail}");
    }

    fn warn(&mut self, what: &str, cause: &str, cure: &str) {
        println!("warn  {what}: {cause}\n        {cure}");
        self.warnings += 1;
    }

    fn fail(&mut self, exit: Exit, what: &str, cause: &str, cure: &str) {
        println!("FAIL  {what}: {cause}\n        {cure}");
        self.failed.push(exit);
    }

    fn end(self) -> ExitCode {
        let warned = match self.warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            many => format!(", {many} warnings"),
        };
        match self.failed.as_slice() {
            [] => {
                println!("\nAll is well{warned}.");
                ExitCode::SUCCESS
            }
            [first, rest @ ..] => {
                println!("\n{} failed{warned}.", rest.len() + 1);
                (*first).into()
            }
        }
    }
}

/// Nobody else may read what holds secrets.
fn files(config: &Config, report: &mut Report) {
    if config.warnings.is_empty() {
        report.good("files with secrets are readable by their owner alone", "");
    }
    for warning in &config.warnings {
        let (cause, cure) = warning.split_once(": ").unwrap_or((warning, ""));
        report.warn("files with secrets", cause, cure);
    }
}

fn registration(config: &Config, report: &mut Report) -> Result<(), Failure> {
    const WHAT: &str = "the registration matches the configuration";
    let path = &config.appservice.registration;
    let registration = match config::read_registration(path) {
        Ok(registration) => registration,
        Err(cause) => {
            report.warn(
                WHAT,
                &cause,
                "nothing to compare with: the tokens come from the configuration. Set appservice.registration to the file",
            );
            return Ok(());
        }
    };
    let differences = registration.differences(&wiring::matrix_config(config)?, &wiring::own_url(config)?);
    if differences.is_empty() {
        report.good(WHAT, &path.display().to_string());
    }
    for difference in differences {
        report.fail(
            Exit::Config,
            WHAT,
            &format!("{} {}", difference.key, difference.text),
            "make a new one with `swingbridge --generate-registration --force`, and give it to the homeserver",
        );
    }
    Ok(())
}

/// Whether a gateway of this configuration runs already.
async fn runs(config: &Config) -> bool {
    let appservice = &config.appservice;
    let taken = match TcpListener::bind((appservice.hostname.as_str(), appservice.port)).await {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::AddrInUse,
    };
    taken && answers(config).await
}

/// Whether what has our port behaves like a gateway: it knows our hs_token.
async fn answers(config: &Config) -> bool {
    let Ok(client) = wiring::local_client() else {
        return false;
    };
    let appservice = &config.appservice;
    let host = match appservice.hostname.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "[::1]",
        other => other,
    };
    let answer = client
        .post(format!("http://{host}:{}/_matrix/app/v1/ping", appservice.port))
        .bearer_auth(appservice.hs_token.expose())
        .json(&serde_json::json!({}))
        .send()
        .await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

fn database(config: &Config, running: bool, report: &mut Report) -> Option<Arc<dyn Store>> {
    const WHAT: &str = "the database opens";
    match wiring::store(config) {
        Ok(store) => {
            report.good(WHAT, "");
            return Some(store);
        }
        Err(OpenError::InUse(_)) if running => report.good(WHAT, "the running gateway has it"),
        Err(error) => {
            let cure = match &error {
                OpenError::InUse(_) => "only one gateway may work on a database",
                OpenError::Newer { .. } | OpenError::Older { .. } | OpenError::Altered { .. } => {
                    "nothing was changed in it"
                }
                OpenError::Damaged(_) => "restore a backup, or move the file away to begin with an empty one",
                OpenError::Unavailable(_) => {
                    "check the path and its rights, the space on the disk, or the server's address and password"
                }
            };
            report.fail(Exit::Database, WHAT, &error.to_string(), cure);
        }
    }
    None
}

/// Another key finds nothing in the database, and nobody.
async fn site_key(config: &Config, store: Arc<dyn Store>, report: &mut Report) {
    const WHAT: &str = "the site key is the database's";
    match Engine::are_keys_of(&*store, &wiring::keys(config)).await {
        Ok(true) => report.good(WHAT, ""),
        Ok(false) => report.fail(
            Exit::Database,
            WHAT,
            "another key sealed the database",
            "start with the key that was in use then, or with a fresh database",
        ),
        Err(error) => report.fail(
            Exit::Database,
            WHAT,
            &error.to_string(),
            "check the space on the disk, or the server",
        ),
    }
    // Closing it waits for its thread.
    let closing = tokio::task::spawn_blocking(move || drop(store));
    let _ = closing.await;
}

async fn homeserver(config: &Config, running: bool, report: &mut Report) -> Result<(), Failure> {
    let matrix = wiring::matrix(config, wiring::keys(config))?;
    let mut well = true;
    for (index, finding) in matrix.probe().await.into_iter().enumerate() {
        match finding.result {
            Ok(detail) => report.good(finding.what, &detail),
            Err(fault) => {
                well = false;
                let exit = if index == 0 { Exit::Homeserver } else { Exit::Token };
                report.fail(exit, finding.what, &fault.cause, &fault.cure);
            }
        }
    }
    if well {
        for line in &config.lines {
            let Some(room) = &line.access.inbox else {
                continue;
            };
            let what = format!("the bot is in the shared room of line {}", line.id);
            match matrix.probe_shared_room(room.as_str()).await {
                Ok(()) => report.good(&what, ""),
                Err(fault) => report.warn(&what, &fault.cause, &fault.cure),
            }
        }
        ping(config, &matrix, running, report).await;
    }
    Ok(())
}

/// Lets the homeserver call us. Without a running gateway we listen ourselves, and take nothing.
async fn ping(config: &Config, matrix: &Arc<Matrix>, running: bool, report: &mut Report) {
    const WHAT: &str = "the homeserver reaches the gateway";
    let appservice = &config.appservice;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut serving = None;
    if !running {
        match http::listen("appservice.port", &appservice.hostname, appservice.port).await {
            Ok(listener) => {
                let service = AppService {
                    matrix: matrix.clone(),
                    inbox: Arc::new(NotNow),
                    directory: Arc::new(NotNow),
                };
                let shutdown = Shutdown::when(async {
                    let _ = stopped.await;
                });
                let router = http::matrix_side(service, None, false);
                serving = Some(tokio::spawn(http::serve(listener, router, shutdown)));
            }
            Err(failure) => {
                let text = failure.error.to_string();
                let (cause, cure) = text.split_once('\n').unwrap_or((&text, ""));
                report.fail(failure.exit, WHAT, cause, cure.trim());
                return;
            }
        }
    }
    match matrix.ping().await {
        Ok(took) => report.good(WHAT, &format!("in {} ms", took.as_millis())),
        Err(fault) => report.fail(Exit::Ping, WHAT, &fault.cause, &fault.cure),
    }
    let _ = stop.send(());
    if let Some(serving) = serving {
        let _ = serving.await;
    }
}

/// Tries all accounts, each by its own network.
async fn connectors(config: &Config, running: bool, report: &mut Report) {
    let keys = wiring::keys(config);
    let tries = config.connectors.iter().map(|(name, account)| {
        let built = wiring::check(config, &keys, name, account);
        async move {
            match built {
                Ok(Some(check)) => check.check().await.map(Some).map_err(Failure::from),
                Ok(None) => Ok(None),
                Err(failure) => Err(failure),
            }
        }
    });
    let tried = join_all(tries).await;
    for ((name, account), tried) in config.connectors.iter().zip(tried) {
        let binds = matches!(account, Account::Smpp(_));
        let what = match binds {
            true => format!("connector {name} binds"),
            false => format!("connector {name} reaches its provider"),
        };
        let failure = match tried {
            Ok(Some(detail)) => {
                report.good(&what, &detail);
                continue;
            }
            Ok(None) => continue,
            Err(failure) => failure,
        };
        match failure.error.downcast_ref::<ConnectorError>() {
            Some(error) if running && binds => report.warn(
                &what,
                &error.cause,
                "the running gateway may hold all the binds that the account allows: look at its /health/ready",
            ),
            Some(error) => report.fail(Exit::Connector, &what, &error.cause, &error.cure),
            None => report.fail(
                failure.exit,
                &what,
                &failure.error.to_string(),
                "change the connector's settings",
            ),
        }
    }
}

/// Stands in for the engine while we only look: what the homeserver sends meanwhile is not taken, so it sends it again.
struct NotNow;

const CHECKING: &str = "only a check runs";

#[async_trait]
impl Inbox for NotNow {
    async fn deliver(&self, _: Vec<Arrival>) -> Result<(), InboxError> {
        Err(InboxError::Unavailable(CHECKING.into()))
    }
}

#[async_trait]
impl Directory for NotNow {
    async fn lines(&self, _: &UserId) -> Result<Vec<LineSummary>, DirectoryError> {
        Err(DirectoryError::Unavailable(CHECKING.into()))
    }

    async fn resolve(
        &self,
        _: Option<&UserId>,
        _: Option<&LineId>,
        _: &str,
        _: bool,
    ) -> Result<Resolved, DirectoryError> {
        Err(DirectoryError::Unavailable(CHECKING.into()))
    }

    async fn contacts(&self, _: &UserId) -> Result<Vec<Resolved>, DirectoryError> {
        Err(DirectoryError::Unavailable(CHECKING.into()))
    }

    async fn ghost(&self, _: &str) -> Result<Option<Ghost>, DirectoryError> {
        Err(DirectoryError::Unavailable(CHECKING.into()))
    }
}
