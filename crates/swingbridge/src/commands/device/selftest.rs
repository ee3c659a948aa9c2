//! `device selftest`: what this device can really do, tried with a chat of the person's own and written down. Until a report of a real
//! device says so, the documentation calls it *emulated*.

use super::{load, runtime};
use crate::cli::DeviceSelftest;
use crate::config::Sources;
use crate::config::device::DeviceConfig;
use crate::device::sla::is_up;
use crate::exit::{Ends, Exit, Failure};
use crate::{http, wiring};
use async_trait::async_trait;
use serde::Serialize;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::Entropy;
use swingbridge_domain::connector::{Connector, Outbound, SendError, Shutdown};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{MessageId, NetworkId};
use swingbridge_domain::inbox::{Arrival, Inbound, Inbox, InboxError, What};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference, Text};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long each step may take: some phones wake up slowly.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is written down. It holds no address and no text.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    at: String,
    /// Operating system and machine, as the program was built for them.
    system: String,
    lines: Vec<LineReport>,
}

#[derive(Debug, Serialize)]
struct LineReport {
    line: String,
    connector: String,
    networks: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    outcome: Found,
    milliseconds: u128,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Passed,
    Failed,
    /// The connector says that it cannot.
    NotOffered,
    /// Nothing was seen in time: it may be so, or not.
    NotSeen,
}

impl Found {
    fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotOffered => "not offered",
            Self::NotSeen => "not seen",
        }
    }
}

pub fn run(options: &DeviceSelftest, sources: &Sources) -> Result<ExitCode, Failure> {
    let config = load(sources)?;
    let report = runtime()?.block_on(all(options, config))?;
    let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(Exit::Other, error))?;
    std::fs::write(&options.report, format!("{text}\n")).ends(Exit::File)?;
    println!(
        "\nwrote {}: it holds no address and no text",
        options.report.display()
    );
    let failed = report
        .lines
        .iter()
        .flat_map(|line| &line.steps)
        .any(|step| step.outcome == Found::Failed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn all(options: &DeviceSelftest, mut config: DeviceConfig) -> Result<Report, Failure> {
    // Beside the relay's own memory: what is tried here must not be taken for seen there. What an earlier try left is of no use.
    let folder = config.device.folder.join("selftest");
    let _ = std::fs::remove_dir_all(&folder);
    crate::edges::private_folder(&folder).ends(Exit::File)?;
    config.device.folder = folder.clone();
    let mut device = wiring::device(&config)?;
    let hooks = webhooks(&config, &mut device).await;
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        at: wiring::clock().now().to_string(),
        system: crate::device::system::name(),
        lines: Vec::new(),
    };
    for line in &config.lines {
        if options
            .line
            .as_deref()
            .is_some_and(|only| only != line.id.as_str())
        {
            continue;
        }
        let connector = device.connectors.iter().find(|one| one.id() == &line.connector);
        let Some(connector) = connector.cloned() else {
            continue;
        };
        let to = match &options.to {
            Some(text) => Address::from_user(text, line.region).ends(Exit::Config)?,
            None => line.address.clone(),
        };
        println!("{} by {}:", line.name, line.connector);
        report.lines.push(one(line, &to, connector).await);
    }
    if let Some(hooks) = hooks {
        hooks.abort();
    }
    let _ = std::fs::remove_dir_all(folder);
    if report.lines.is_empty() {
        return Err(Failure::msg(Exit::Config, "there is no such line to test"));
    }
    Ok(report)
}

/// Takes what programs on the phone bring, as the relay does. Where the relay itself runs it has the port, and the connectors here ask
/// for what they are not told.
async fn webhooks(config: &DeviceConfig, device: &mut wiring::Device) -> Option<JoinHandle<()>> {
    let address = config.webhooks.listen()?;
    let webhooks = std::mem::take(&mut device.webhooks);
    if webhooks.is_empty() {
        return None;
    }
    match http::listen("webhooks.address", &address.ip().to_string(), address.port()).await {
        Ok(listener) => {
            let served = http::serve_webhooks(listener, webhooks, Shutdown::never());
            Some(tokio::spawn(served))
        }
        Err(failure) => {
            println!(
                "no webhooks are taken, what comes is asked for: {}",
                failure.error
            );
            None
        }
    }
}

async fn one(line: &Line, to: &Address, connector: Arc<dyn Connector>) -> LineReport {
    let seen = Arc::new(Seen::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = Shutdown::when(async {
        let _ = stopped.await;
    });
    let running = tokio::spawn(connector.clone().run(seen.clone(), shutdown));
    let mut tried = Tried {
        line,
        to,
        connector: connector.clone(),
        seen,
        steps: Vec::new(),
    };
    tried.go_through().await;
    let steps = tried.steps;
    let _ = stop.send(());
    let _ = tokio::time::timeout(Duration::from_secs(10), running).await;
    LineReport {
        line: line.id.to_string(),
        connector: line.connector.to_string(),
        networks: connector.capabilities().networks,
        steps,
    }
}

struct Tried<'a> {
    line: &'a Line,
    to: &'a Address,
    connector: Arc<dyn Connector>,
    seen: Arc<Seen>,
    steps: Vec<Step>,
}

impl Tried<'_> {
    async fn go_through(&mut self) {
        let begun = Instant::now();
        let connector = self.connector.clone();
        let connected = async {
            loop {
                let health = connector.probe().await;
                if is_up(health.state) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let connected = tokio::time::timeout(PATIENCE, connected).await.is_ok();
        let detail = self.connector.probe().await.detail;
        let outcome = if connected { Found::Passed } else { Found::Failed };
        self.note("connect", outcome, begun, detail);
        if !connected {
            return;
        }
        // What some of them can do they know only now.
        let able = self.connector.capabilities();
        // A word that nobody has written before, so that it is known again.
        let mut drawn = [0; 6];
        crate::edges::SystemEntropy.fill(&mut drawn);
        let word = format!("swingbridge selftest {}", data_encoding::HEXLOWER.encode(&drawn));
        let Some(ids) = self.send("send a text", Message::text(&word)).await else {
            return;
        };
        self.receipt(
            "hear of its delivery",
            able.delivery_receipts,
            &ids,
            &[Outcome::Delivered, Outcome::Read],
        )
        .await;
        self.came_back(&word).await;
        let Some(id) = ids.first().cloned() else {
            return;
        };
        let text = |plain: &str| {
            Body::Text(Text {
                plain: plain.into(),
                ..Text::default()
            })
        };
        let about = |disposition, body| Message {
            in_reply_to: Some(Reference::Network(id.clone())),
            parts: vec![Part { disposition, body }],
            ..Message::default()
        };
        let replaces = |body| Message {
            replaces: Some(Reference::Network(id.clone())),
            parts: vec![Part {
                disposition: Disposition::Render,
                body,
            }],
            ..Message::default()
        };
        let steps = [
            (
                "answer it",
                able.replies,
                about(Disposition::Render, text(&format!("{word} answered"))),
            ),
            (
                "react to it",
                able.reactions,
                about(Disposition::Reaction, text("❤️")),
            ),
            ("edit it", able.edits, replaces(text(&format!("{word} edited")))),
            ("unsend it", able.unsends, replaces(Body::Null)),
        ];
        for (name, support, message) in steps {
            match support {
                Support::Absent => self.note(name, Found::NotOffered, Instant::now(), String::new()),
                _ => {
                    self.send(name, message).await;
                }
            }
        }
    }

    fn note(&mut self, name: &'static str, outcome: Found, begun: Instant, detail: String) {
        let line = format!("  {name:<22}{:<14}{detail}", outcome.words());
        println!("{}", line.trim_end());
        self.steps.push(Step {
            name,
            outcome,
            milliseconds: begun.elapsed().as_millis(),
            detail,
        });
    }

    /// Sends, and gives the network's ids when it took it.
    async fn send(&mut self, name: &'static str, message: Message) -> Option<Vec<NetworkId>> {
        let begun = Instant::now();
        let outbound = Outbound {
            id: MessageId(i64::try_from(self.steps.len()).unwrap_or_default() + 1),
            key: String::new(),
            line: self.line.id.clone(),
            from: self.line.address.clone(),
            to: vec![self.to.clone()],
            message,
            expires_at: None,
        };
        match self.connector.send(outbound).await {
            Ok(accepted) => {
                self.note(name, Found::Passed, begun, String::new());
                Some(accepted.network_ids)
            }
            Err(error @ SendError::Unknown { .. }) => {
                self.note(name, Found::NotSeen, begun, error.to_string());
                None
            }
            Err(error) => {
                self.note(name, Found::Failed, begun, error.to_string());
                None
            }
        }
    }

    async fn receipt(
        &mut self,
        name: &'static str,
        support: Support,
        ids: &[NetworkId],
        outcomes: &[Outcome],
    ) {
        let begun = Instant::now();
        if support == Support::Absent {
            return self.note(name, Found::NotOffered, begun, String::new());
        }
        let heard = self.seen.until(|inbound| match inbound {
            Inbound::Receipt(receipt) => {
                outcomes.contains(&receipt.outcome) && receipt.network_ids.iter().any(|id| ids.contains(id))
            }
            _ => false,
        });
        let outcome = if heard.await {
            Found::Passed
        } else {
            Found::NotSeen
        };
        self.note(name, outcome, begun, String::new());
    }

    /// A chat with oneself brings each text back. Where it is somebody else's, they may answer with the same words.
    async fn came_back(&mut self, word: &str) {
        let begun = Instant::now();
        let came = self.seen.until(|inbound| match inbound {
            Inbound::Message(message) => message
                .message
                .first_text()
                .is_some_and(|text| text.plain.contains(word)),
            _ => false,
        });
        let outcome = if came.await { Found::Passed } else { Found::NotSeen };
        self.note("get it back", outcome, begun, String::new());
    }
}

/// What the connector handed in.
#[derive(Default)]
struct Seen {
    inbound: Mutex<Vec<Inbound>>,
    changed: Notify,
}

impl Seen {
    async fn until(&self, holds: impl Fn(&Inbound) -> bool) -> bool {
        let waited = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let found = {
                    let inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
                    inbound.iter().any(&holds)
                };
                if found {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.is_ok()
    }
}

#[async_trait]
impl Inbox for Seen {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        let network = arrivals.into_iter().filter_map(|arrival| match arrival.what {
            What::Network(inbound) => Some(inbound),
            What::Room(_) => None,
        });
        self.inbound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(network);
        self.changed.notify_waiters();
        Ok(())
    }
}
