//! `device run`: mirrors the device's conversations until it is told to stop.

use super::{agent, load, puppet, runtime, secrets};
use crate::audit::Recorder;
use crate::config::Sources;
use crate::config::device::DeviceConfig;
use crate::device::control::Control;
use crate::device::uptime::Uptime;
use crate::device::watch::Watch;
use crate::exit::{Ends, Exit, Failure};
use crate::notify::Notifier;
use crate::{http, log, stop, wiring};
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::id::UserId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_engine::{Engine, Ports};
use swingbridge_ops::health::Health;
use swingbridge_ops::observe::Observed;
use tokio::task::JoinSet;

/// `log`: where launchd wants it.
pub fn run(sources: &Sources, log: Option<&Path>) -> Result<(), Failure> {
    let Some(log) = log else {
        return relay_until_stopped(sources);
    };
    agent::begin(log)?;
    let ended = relay_until_stopped(sources);
    if let Err(failure) = &ended {
        agent::leave_to_a_person(failure, sources);
    }
    ended
}

fn relay_until_stopped(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    log::start(config.logging);
    log::guard_panics();
    let notifier = Notifier::new(sources.variables.get("NOTIFY_SOCKET"));
    let runtime = runtime()?;
    let relayed = runtime.block_on(relay(config, sources, &notifier));
    // A request that hangs on a dead network does not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    relayed
}

async fn relay(config: DeviceConfig, sources: &Sources, notifier: &Notifier) -> Result<(), Failure> {
    let shutdown = stop::on_signal()?;
    let secrets = secrets(&config, sources)?;
    let puppet = puppet(&config, &secrets).await?;
    let keys = wiring::device_keys(&secrets.site_key().ends(Exit::File)?);
    let folder = config.device.folder.clone();
    let store = {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || wiring::device_store(&folder))
            .await?
            .ends(Exit::Database)?
    };
    let wiring::Device { connectors, webhooks } = wiring::device(&config)?;
    let listener = match (config.webhooks.listen(), webhooks.is_empty()) {
        (Some(address), false) => {
            Some(http::listen("webhooks.address", &address.ip().to_string(), address.port()).await?)
        }
        _ => None,
    };
    let operations = match config.operations.listen() {
        Some(address) => {
            Some(http::listen("operations.address", &address.ip().to_string(), address.port()).await?)
        }
        None => None,
    };
    let engine = Engine::open(
        wiring::device_site(&config, &puppet.user()),
        Ports {
            store: store.clone(),
            homeserver: puppet.clone(),
            connectors: connectors.clone(),
            links: None,
            clock: wiring::clock(),
            keys: keys.clone(),
        },
    )
    .await
    .ends(Exit::Database)?;
    let recorder = Recorder::new(keys, &config.fingerprint, store.clone());
    let audit_log = recorder.started().await.ends(Exit::Database)?;
    tracing::info!(%audit_log, "the start stands in the audit log");

    let mut tasks = JoinSet::new();
    let owner = UserId::new(&config.device.owner);
    let inbox: Arc<dyn Inbox> = Arc::new(Uptime {
        folder: folder.clone(),
        owner: owner.clone(),
        prefix: wiring::COMMANDS.to_owned(),
        puppet: puppet.clone(),
        engine: engine.clone(),
        clock: wiring::clock(),
    });
    if let Some(listener) = listener {
        tasks.spawn(http::serve_webhooks(listener, webhooks, shutdown.clone()));
    }
    if let Some(listener) = operations {
        let exporter = swingbridge_ops::metrics::install(env!("CARGO_PKG_VERSION"))?;
        let health = Arc::new(Health::new(
            store.clone(),
            connectors.clone(),
            wiring::reach_of(puppet.clone()),
            wiring::clock(),
            shutdown.clone(),
        ));
        let router = swingbridge_ops::http::router(health.clone(), exporter.clone());
        tasks.spawn(http::serve(listener, router, shutdown.clone()));
        let observed = Observed {
            store: store.clone(),
            connectors: connectors.clone(),
            lines: config.lines.iter().map(|line| line.id.clone()).collect(),
            health,
            clock: wiring::clock(),
            exporter,
        };
        tasks.spawn(observed.run(shutdown.clone()));
    }
    let control = Control::new(owner.clone(), puppet.clone(), engine.clone());
    tasks.spawn(control.run(folder.clone(), shutdown.clone()));
    let watch = Watch {
        folder,
        owner,
        puppet: puppet.clone(),
        engine: engine.clone(),
        connectors,
        clock: wiring::clock(),
    };
    tasks.spawn(watch.run(shutdown.clone()));
    // Where the session has ended nothing can be done but to say so: the others stop with it.
    let (give_up, mut gave_up) = tokio::sync::mpsc::channel(1);
    let (reading, stopping) = (puppet.clone(), shutdown.clone());
    tasks.spawn(async move {
        if let Err(error) = reading.run(inbox, stopping).await {
            let cure = "`swingbridge device login` does it; what waits here is kept, and goes on after that";
            let _ = give_up.send(format!("{error}: {cure}")).await;
        }
    });
    let (running, stopping) = (engine.clone(), shutdown.clone());
    tasks.spawn(async move { running.run(stopping).await });
    drop(engine);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        account = %puppet.user(),
        lines = config.lines.len(),
        "the device runs"
    );
    notifier.ready();
    let mut cause = None;
    let ended = stop::when_done(&mut tasks, &shutdown, notifier, async {
        cause = gave_up.recv().await;
        if cause.is_none() {
            std::future::pending().await
        }
    });
    let ended = ended.await;
    if let Some(cause) = cause {
        tasks.shutdown().await;
        tokio::task::spawn_blocking(move || store.close()).await?;
        return Err(Failure::msg(Exit::Token, cause));
    }
    if ended.failed && !ended.settled {
        return Err(Failure::msg(
            Exit::Other,
            "a part of the relay failed, as the log says; what was in flight is settled at the next start",
        ));
    }
    recorder.stopped(ended.settled && !ended.failed).await;
    drop(recorder);
    tokio::task::spawn_blocking(move || store.close()).await?;
    tracing::info!("stopped");
    Ok(())
}
