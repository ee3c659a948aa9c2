//! `gateway`: runs.

use crate::audit::Recorder;
use crate::config::{self, Config, Sources};
use crate::exit::{Ends, Exit, Failure};
use crate::notify::Notifier;
use crate::{http, log, stop, wiring};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::{Connector, Shutdown};
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::store::Store;
use swingbridge_engine::{Engine, Ports};
use swingbridge_matrix::Matrix;
use swingbridge_matrix::appservice::AppService;
use swingbridge_matrix::provisioning::Provisioning;
use swingbridge_ops::health::{Health, Reach};
use swingbridge_ops::metrics::Exporter;
use swingbridge_ops::observe::Observed;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long the start waits for the homeserver's first answers.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(sources: &Sources) -> Result<(), Failure> {
    let config = config::load(sources).map_err(Failure::load)?;
    log::start(config.logging);
    log::guard_panics();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let notifier = Notifier::new(sources.variables.get("NOTIFY_SOCKET"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(gateway(config, notifier))
    // The store is closed by now; whatever else is left does not keep us.
}

async fn gateway(config: Config, notifier: Notifier) -> Result<(), Failure> {
    registered(&config)?;
    let exporter = swingbridge_ops::metrics::install(env!("CARGO_PKG_VERSION"))?;
    let shutdown = stop::on_signal()?;

    let keys = wiring::keys(&config);
    let matrix = wiring::matrix(&config, keys.clone())?;
    let wiring::Networks { connectors, webhooks } = wiring::networks(&config, &keys)?;
    let appservice = &config.appservice;
    let listener = http::listen("appservice.port", &appservice.hostname, appservice.port).await?;
    let operations = match config.operations.listen() {
        Some(address) => {
            Some(http::listen("operations.address", &address.ip().to_string(), address.port()).await?)
        }
        None => None,
    };
    let hooks = match (config.webhooks.listen(), webhooks.is_empty()) {
        (Some(address), false) => {
            let listener =
                http::listen("webhooks.address", &address.ip().to_string(), address.port()).await?;
            Some((listener, webhooks))
        }
        (None, false) => {
            tracing::warn!("webhooks.address is off: nothing that phones send by a provider comes in");
            None
        }
        (_, true) => None,
    };
    let config = Arc::new(config);
    let opening = config.clone();
    let store = tokio::task::spawn_blocking(move || wiring::store(&opening))
        .await?
        .ends(Exit::Database)?;
    let opening = matrix.clone();
    tokio::task::spawn_blocking(move || opening.open_keys().map(|()| opening.empty_spool()))
        .await?
        .ends(Exit::Database)?;
    tokio::select! {
        outcome = known(&config, &matrix) => outcome?,
        () = shutdown.requested() => return Ok(()),
    }
    let engine = Engine::open(
        wiring::site(&config),
        Ports {
            store: store.clone(),
            homeserver: matrix.clone(),
            connectors: connectors.clone(),
            links: wiring::links(&config, keys.clone())?,
            clock: wiring::clock(),
            keys: keys.clone(),
        },
    )
    .await
    .ends(Exit::Database)?;
    let recorder = Recorder::new(keys.clone(), &config.fingerprint, store.clone());
    let audit_log = recorder.started().await.ends(Exit::Database)?;
    tracing::info!(%audit_log, "the start stands in the audit log");
    let running = Running {
        config,
        recorder,
        matrix,
        connectors,
        store,
        engine,
        exporter,
        shutdown,
    };
    running
        .until_stopped(listener, operations, hooks, &notifier)
        .await
}

/// All the parts, put together.
struct Running {
    config: Arc<Config>,
    recorder: Recorder,
    matrix: Arc<Matrix>,
    connectors: Vec<Arc<dyn Connector>>,
    store: Arc<dyn Store>,
    engine: Engine,
    exporter: Exporter,
    shutdown: Shutdown,
}

impl Running {
    async fn until_stopped(
        self,
        listener: TcpListener,
        operations: Option<TcpListener>,
        hooks: Option<(TcpListener, Vec<http::Mounted>)>,
        notifier: &Notifier,
    ) -> Result<(), Failure> {
        let Self {
            config,
            recorder,
            matrix,
            connectors,
            store,
            engine,
            exporter,
            shutdown,
        } = self;
        let mut tasks = JoinSet::new();
        let inbox: Arc<dyn Inbox> = Arc::new(engine.clone());
        let service = AppService {
            matrix: matrix.clone(),
            inbox: inbox.clone(),
            directory: Arc::new(engine.clone()),
        };
        let provisioning = config.provisioning.enabled().then(|| Provisioning {
            matrix: matrix.clone(),
            directory: Arc::new(engine.clone()),
            permissions: config.permissions.clone(),
            shared_secret: config.provisioning.secret().cloned(),
            network: wiring::network(),
            command_prefix: config.appservice.bot.command_prefix.clone(),
        });
        let media = config.messages.media == config::messages::Media::Link;
        let router = http::matrix_side(service, provisioning, media);
        tasks.spawn(http::serve(listener, router, shutdown.clone()));
        if let Some((listener, webhooks)) = hooks {
            tasks.spawn(http::serve_webhooks(listener, webhooks, shutdown.clone()));
        }

        let health = Arc::new(Health::new(
            store.clone(),
            connectors.clone(),
            reach(matrix.clone()),
            wiring::clock(),
            shutdown.clone(),
        ));
        if let Some(listener) = operations {
            let router = swingbridge_ops::http::router(health.clone(), exporter.clone());
            tasks.spawn(http::serve(listener, router, shutdown.clone()));
        }
        let observed = Observed {
            store: store.clone(),
            connectors,
            lines: config.lines.iter().map(|line| line.id.clone()).collect(),
            health,
            clock: wiring::clock(),
            exporter,
        };
        tasks.spawn(observed.run(shutdown.clone()));
        tasks.spawn(matrix.clone().look_after_keys(inbox, shutdown.clone()));
        let stopping = shutdown.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = matrix.announce() => {}
                () = stopping.requested() => {}
            }
        });
        let running = engine.clone();
        let stopping = shutdown.clone();
        tasks.spawn(async move { running.run(stopping).await });
        drop(engine);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            lines = config.lines.len(),
            address = %config.appservice.url(),
            "the gateway runs"
        );
        notifier.ready();

        let stop::Ended { failed, settled } =
            stop::when_done(&mut tasks, &shutdown, notifier, std::future::pending()).await;
        if failed && !settled {
            return Err(Failure::msg(
                Exit::Other,
                "a part of the gateway failed, as the log says; what was in flight is settled at the next start",
            ));
        }
        recorder.stopped(settled && !failed).await;
        drop(recorder);
        // What is queued is committed before the store lets go; that may take the disk's time.
        tokio::task::spawn_blocking(move || store.close()).await?;
        if failed {
            return Err(Failure::msg(
                Exit::Other,
                "a part of the gateway failed while it stopped, as the log says",
            ));
        }
        tracing::info!("stopped");
        Ok(())
    }
}

fn reach(matrix: Arc<Matrix>) -> Reach {
    Box::new(move || {
        let matrix = matrix.clone();
        Box::pin(async move {
            let found = matrix.probe_versions().await;
            found.map(|_| ()).map_err(|fault| fault.cause)
        })
    })
}

/// Ends the start when the registration beside us is not the one of this configuration.
fn registered(config: &Config) -> Result<(), Failure> {
    // Without the file the tokens came from the configuration: there is nothing to compare.
    let Ok(registration) = config::read_registration(&config.appservice.registration) else {
        return Ok(());
    };
    let url = wiring::own_url(config)?;
    let matrix = wiring::matrix_config(config)?;
    let mut wrong = Vec::new();
    for difference in registration.differences(&matrix, &url) {
        let text = format!("{} {}", difference.key, difference.text);
        match difference.key {
            "id" | "as_token" | "hs_token" | "namespaces.users" | "namespaces.aliases" => wrong.push(text),
            _ => tracing::warn!(registration = %text, "the registration differs from the configuration"),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::msg(
        Exit::Config,
        format!(
            "{} does not match the configuration:\n  {}\n    make a new one with `swingbridge --generate-registration --force` and \
             give it to the homeserver, or change the configuration back",
            config.appservice.registration.display(),
            wrong.join("\n  ")
        ),
    ))
}

/// Ends the start when the homeserver refuses us. While it is away we start all the same: it comes back by itself.
async fn known(config: &Config, matrix: &Matrix) -> Result<(), Failure> {
    let Ok(found) = tokio::time::timeout(PATIENCE, matrix.probe()).await else {
        tracing::warn!("the homeserver does not answer in time; what arrives is kept for it");
        return Ok(());
    };
    // The first one says whether the homeserver is there at all.
    match found.first().map(|finding| &finding.result) {
        Some(Ok(answer)) => tracing::info!(%answer, "the homeserver answers"),
        Some(Err(fault)) => {
            tracing::warn!(%fault, "the homeserver does not answer yet; what arrives is kept for it");
            return Ok(());
        }
        None => return Ok(()),
    }
    for finding in found.into_iter().skip(1) {
        match finding.result {
            Ok(detail) => tracing::debug!(what = finding.what, detail, "probed"),
            Err(fault) if fault.may_pass => {
                tracing::warn!(what = finding.what, %fault, "the homeserver is not well; going on without this");
            }
            Err(fault) => {
                return Err(Failure::msg(
                    Exit::Token,
                    format!("{}\n    {}", fault.cause, fault.cure),
                ));
            }
        }
    }
    for line in &config.lines {
        let Some(room) = &line.access.inbox else {
            continue;
        };
        let line = line.id.as_str();
        match tokio::time::timeout(PATIENCE, matrix.probe_shared_room(room.as_str())).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(fault)) if fault.may_pass => {
                tracing::warn!(line, %fault, "the shared room is not seen yet")
            }
            Ok(Err(fault)) => tracing::error!(line, %fault, "a shared line has no room"),
        }
    }
    Ok(())
}
