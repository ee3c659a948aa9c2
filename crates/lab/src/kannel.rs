//! Kannel: an SMS gateway written by others, as a customer of the lab's carrier.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    routing::get,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;

use crate::{
    client,
    peers::{self, KannelPrograms},
    process::{End, PeerError, Process, Start, free_port},
};

/// What Kannel reports of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A phone wrote to us.
    Text {
        /// The phone.
        from: String,
        /// Our number.
        to: String,
        /// What it wrote, put together by Kannel.
        text: String,
    },
    /// What became of a message that it was given to send.
    Delivery {
        /// The number given to [`Kannel::send`].
        number: u64,
        /// 1 delivered, 2 failed, 8 taken by the carrier, 16 refused by the carrier.
        state: u32,
    },
}

/// A running Kannel. Dropping it ends it.
pub struct Kannel {
    send: Url,
    reports_at: SocketAddr,
    reports: mpsc::UnboundedReceiver<Report>,
    http: reqwest::Client,
    _smsbox: Process,
    _bearerbox: Process,
    _folder: TempDir,
}

impl Kannel {
    /// For long tests: a Kannel with the account `swingbridge` at the carrier, or `None` where it is absent and may be.
    ///
    /// # Panics
    /// When it is there but does not start, and when it is absent but required.
    pub async fn for_test(carrier: SocketAddr) -> Option<Self> {
        let programs = peers::kannel()?;
        Some(
            Self::start(&programs, carrier)
                .await
                .unwrap_or_else(|error| panic!("Kannel: {error}")),
        )
    }

    async fn start(programs: &KannelPrograms, carrier: SocketAddr) -> Result<Self, PeerError> {
        let temporary = TempDir::with_prefix("swingbridge-kannel-")?;
        let folder = temporary.path();
        let (reports_at, reports) = take_reports().await?;
        let (admin, boxes, send) = (free_port()?, free_port()?, free_port()?);
        let configuration = folder.join("kannel.conf");
        fs::write(&configuration, text(carrier, reports_at, admin, boxes, send))?;
        let run = |name: &str, program: &std::path::Path| {
            let mut command = Command::new(program);
            command.arg(&configuration).current_dir(folder);
            let log = folder.join(format!("{name}.log"));
            Process::start(&Start {
                name,
                command: &command,
                log: &log,
                end: End::Terminate,
                user: None,
            })
        };
        let mut bearerbox = run("bearerbox", &programs.bearerbox)?;
        bearerbox.listens(boxes).await?;
        let mut smsbox = run("smsbox", &programs.smsbox)?;
        smsbox.listens(send).await?;
        Ok(Self {
            send: Url::parse(&format!("http://127.0.0.1:{send}/cgi-bin/sendsms"))
                .map_err(|error| PeerError(error.to_string()))?,
            reports_at,
            reports,
            http: client::http(),
            _smsbox: smsbox,
            _bearerbox: bearerbox,
            _folder: temporary,
        })
    }

    /// Sends a text to a phone; the reports about it carry the number.
    ///
    /// # Errors
    /// When Kannel does not take it.
    pub async fn send(&self, number: u64, from: &str, to: &str, text: &str) -> Result<(), PeerError> {
        let mut url = self.send.clone();
        let reports = format!("http://{}/delivery/{number}/%d", self.reports_at);
        url.query_pairs_mut()
            .append_pair("username", "lab")
            .append_pair("password", "secret")
            .append_pair("from", from)
            .append_pair("to", to)
            .append_pair("text", text)
            .append_pair("charset", "UTF-8")
            .append_pair("coding", if text.is_ascii() { "0" } else { "2" })
            .append_pair("dlr-mask", "31")
            .append_pair("dlr-url", &reports);
        let failed = |error: reqwest::Error| PeerError(error.to_string());
        let answer = self.http.get(url).send().await.map_err(failed)?;
        let (status, told) = (answer.status(), answer.text().await.map_err(failed)?);
        if status.is_success() {
            Ok(())
        } else {
            Err(PeerError(format!("Kannel says {status}: {told}")))
        }
    }

    /// The next report that the condition picks; others before it are let go.
    ///
    /// # Errors
    /// When it does not come within 30 seconds.
    pub async fn report(&mut self, what: &str, pick: impl Fn(&Report) -> bool) -> Result<Report, PeerError> {
        let wait = async {
            loop {
                match self.reports.recv().await {
                    Some(report) if pick(&report) => return Some(report),
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(30), wait).await;
        came.ok()
            .flatten()
            .ok_or_else(|| PeerError(format!("Kannel does not report {what}")))
    }
}

/// The page that Kannel calls with each report.
async fn take_reports() -> Result<(SocketAddr, mpsc::UnboundedReceiver<Report>), PeerError> {
    type Reports = mpsc::UnboundedSender<Report>;
    async fn text(
        State(reports): State<Reports>,
        Path((from, to, coding)): Path<(String, String, u8)>,
        RawQuery(text): RawQuery,
    ) {
        let text = decoded(coding, text.unwrap_or_default().as_bytes());
        // Nobody may be waiting any more.
        let _ = reports.send(Report::Text { from, to, text });
    }
    async fn delivery(State(reports): State<Reports>, Path((number, state)): Path<(u64, u32)>) {
        let _ = reports.send(Report::Delivery { number, state });
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    let routes = Router::new()
        .route("/text/{from}/{to}/{coding}", get(text))
        .route("/delivery/{number}/{state}", get(delivery))
        .with_state(sender);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((address, receiver))
}

/// A phone's text: percent-escaped, UTF-16 where Kannel says coding 2, else in its default of UTF-8.
fn decoded(coding: u8, escaped: &[u8]) -> String {
    let mut octets = Vec::new();
    let mut rest = escaped;
    while let Some((&first, after)) = rest.split_first() {
        let hex = after
            .get(..2)
            .and_then(|hex| data_encoding::HEXUPPER_PERMISSIVE.decode(hex).ok());
        match (first, hex) {
            (b'%', Some(octet)) => {
                octets.extend(octet);
                rest = &after[2..];
            }
            (b'+', _) => {
                octets.push(b' ');
                rest = after;
            }
            _ => {
                octets.push(first);
                rest = after;
            }
        }
    }
    if coding != 2 {
        return String::from_utf8_lossy(&octets).into_owned();
    }
    let units: Vec<u16> = octets
        .chunks(2)
        .map(|unit| u16::from_be_bytes([unit[0], unit[unit.len() - 1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

fn text(carrier: SocketAddr, reports: SocketAddr, admin: u16, boxes: u16, send: u16) -> String {
    let (host, port) = (carrier.ip(), carrier.port());
    format!(
        r#"group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = secret
smsbox-port = {boxes}
box-allow-ip = 127.0.0.1
box-deny-ip = *.*.*.*
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = lab
host = {host}
port = {port}
transceiver-mode = true
smsc-username = swingbridge
smsc-password = secret
system-type = ""
interface-version = 34
msg-id-type = 0x00
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = lab
password = secret
concatenation = true
max-messages = 20

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://{reports}/text/%p/%P/%c?%b"
"#
    )
}
