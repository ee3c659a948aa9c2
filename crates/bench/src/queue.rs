//! Submits through the durable queue: engine, SQLite and the SMPP connector, every message committed before it leaves and its
//! outcome committed after; beside Kannel's bearerbox and Jasmin before the same SMSC.

use crate::report::{Aim, Part, median};
use crate::session::{TEXT, runtime};
use crate::site::{self, SystemClock, SystemEntropy};
use crate::smsc::Smsc;
use crate::{Places, jasmin, kannel, proc};
use anyhow::{Result, bail};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swingbridge_connectors::smpp::{Config, SmppConnector};
use swingbridge_domain::connector::{Connector, Link, Shutdown};
use swingbridge_domain::homeserver::{Action, Homeserver, Missed, PerformError, Performed};
use swingbridge_domain::id::{ConnectorId, EventId, RoomId};
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::secret::Secret;
use swingbridge_engine::{Engine, Ports};
use swingbridge_store::Synchronous;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Messages of one run, and the conversations that they are spread over.
pub const MESSAGES: u32 = 40_000;
pub const CONVERSATIONS: u32 = 4_000;
/// The window towards the SMSC, for everybody.
pub const WINDOW: u16 = 1_000;
/// Events handed in at once, as a homeserver under load does.
const BATCH: u32 = 100;
/// So many hand in at once, so that the queue and not its filling is measured.
const FEEDERS: u32 = 4;
/// In turns with Kannel, since a machine's speed drifts by more than the two differ.
const ROUNDS: usize = 5;
/// Without any progress for this long a run has failed.
const PATIENCE: Duration = Duration::from_secs(10);

const SUBMITS: &str = "submits at the SMSC";

/// Measures.
///
/// # Errors
/// When our own does not get through. A peer that does not is left out by name.
pub fn measure(part: &mut Part, places: &Places) -> Result<()> {
    let (mut runs, mut kannels) = (Vec::new(), Ok::<_, anyhow::Error>(Vec::new()));
    for _ in 0..ROUNDS {
        runs.push(runtime()?.block_on(run(Synchronous::Full))?);
        kannels = kannels.and_then(|mut rates| {
            rates.push(kannel::measure()?);
            Ok(rates)
        });
    }
    let figure = |of: fn(&Run) -> f64| median(&mut runs.iter().map(of).collect::<Vec<_>>());
    part.ours(
        SUBMITS,
        figure(|run| run.submits),
        "/s",
        Some(Aim::AtLeast(16_000.0)),
    );
    part.ours("outcomes committed", figure(|run| run.settled), "/s", None);
    part.ours("processor time per message", figure(|run| run.cpu), "µs", None);
    match kannels {
        Ok(mut rates) => part.peer(SUBMITS, "Kannel, in memory only", median(&mut rates), "/s"),
        Err(error) => part.note(format!("without Kannel: {error:#}")),
    }
    if places.long {
        match jasmin::measure() {
            Ok(rate) => part.peer(SUBMITS, "Jasmin", rate, "/s"),
            Err(error) => part.note(format!("without Jasmin: {error:#}")),
        }
    }
    part.note(format!(
        "{MESSAGES} messages of {} characters over {CONVERSATIONS} conversations, window {WINDOW}; ours with every message \
         on disk (synchronous = full) before it leaves; what the homeserver is told of it follows at that one's own pace",
        TEXT.len()
    ));
    Ok(())
}

struct Run {
    submits: f64,
    settled: f64,
    cpu: f64,
}

/// A homeserver that does at once what it is asked.
pub struct Void;

#[async_trait]
impl Homeserver for Void {
    async fn perform(&self, action: &Action, transaction: &str) -> Result<Performed, PerformError> {
        let event = matches!(action, Action::Post(_) | Action::Status(_))
            .then(|| EventId::new(format!("${transaction}")));
        Ok(Performed {
            event,
            ..Performed::default()
        })
    }

    async fn text_of(&self, _: &RoomId, _: &EventId) -> Result<Option<String>, PerformError> {
        Ok(None)
    }

    async fn missed(&self, _: Option<&str>) -> Result<Missed, PerformError> {
        Ok(Missed {
            arrivals: Vec::new(),
            token: "nothing".into(),
            more: false,
        })
    }
}

/// Whether a message is queued, or its outcome is not committed yet.
async fn waiting(engine: &Engine) -> Result<bool> {
    let depths = engine.queue_depths().await?;
    Ok(depths
        .iter()
        .any(|depth| depth.queue == site::CONNECTOR && depth.rows > 0))
}

async fn run(synchronous: Synchronous) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let store = site::open(&folder.path().join("bench.db"), synchronous)?;
    let keys = site::keys(&[7; 32]);
    site::fill(store.as_ref(), &keys, site::LINE_ID, CONVERSATIONS).await?;
    let smsc = Smsc::start(None)?;
    let config = Config {
        host: smsc.address.ip().to_string(),
        port: smsc.address.port(),
        system_id: "bench".into(),
        password: Secret::new("bench"),
        window: WINDOW,
        ..Config::default()
    };
    let connector = Arc::new(SmppConnector::new(
        ConnectorId::new(site::CONNECTOR),
        config,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    )?);
    let ports = Ports {
        store,
        homeserver: Arc::new(Void),
        connectors: vec![connector.clone()],
        links: None,
        clock: Arc::new(SystemClock),
        keys,
    };
    let engine = Engine::open(site::site(), ports).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = Shutdown::when(async {
        let _ = stopped.await;
    });
    let running = tokio::spawn({
        let engine = engine.clone();
        async move { engine.run(shutdown).await }
    });
    while connector.probe().await.state != Link::Connected {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let text = String::from_utf8_lossy(&TEXT).into_owned();
    let (before, begun) = (proc::cpu(std::process::id())?, Instant::now());
    let mut feeders = JoinSet::new();
    for feeder in 0..FEEDERS {
        let (engine, text) = (engine.clone(), text.clone());
        feeders.spawn(async move {
            for first in (feeder * BATCH..MESSAGES).step_by((FEEDERS * BATCH) as usize) {
                let arrivals = (first..first + BATCH)
                    .map(|at| site::said(at.into(), site::room(at % CONVERSATIONS), &text))
                    .collect();
                engine.deliver(arrivals).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(fed) = feeders.join_next().await {
        fed??;
    }
    if !smsc.wait_for(MESSAGES.into(), PATIENCE) {
        bail!("only {} of {MESSAGES} were submitted", smsc.submits());
    }
    while waiting(&engine).await? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    let cpu = (proc::cpu(std::process::id())? - before).as_secs_f64();
    let run = Run {
        submits: f64::from(MESSAGES) / smsc.span().as_secs_f64(),
        settled: f64::from(MESSAGES) / took,
        cpu: cpu * 1e6 / f64::from(MESSAGES),
    };
    let _ = stop.send(());
    running.await?;
    Ok(run)
}
