//! Transactions of a homeserver: absorbed and committed by ours, merely taken by others, the same ones with one request in
//! flight as Synapse sends them.

use crate::report::{Aim, OURS, Part};
use crate::serve::HS_TOKEN;
use crate::site::SystemClock;
use crate::{Places, proc};
use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_lab::process::{End, Process, Start, free_port};

/// Events in a transaction, how many events at most, and for how long at most.
const SIZES: [(u32, u32); 2] = [(1, 20_000), (100, 200_000)];
const DURING: Duration = Duration::from_secs(4);

const BRIDGE_JS: &str = include_str!("../peers/appservice_bridge.js");
const MAUTRIX_PY: &str = include_str!("../peers/mautrix_bridge.py");

/// Measures.
///
/// # Errors
/// When our own does not get through. A peer that does not is left out by name.
pub fn measure(part: &mut Part, places: &Places) -> Result<()> {
    let program = std::env::current_exe()?;
    let ours = |normal: bool| {
        move |folder: &Path, port: u16| {
            let mut command = Command::new(&program);
            command.arg("serve").arg("--folder").arg(folder);
            command.args(["--port", &port.to_string()]);
            if normal {
                command.arg("--normal");
            }
            Ok(command)
        }
    };
    let full = run(ours.clone()(false)).context(OURS)?;
    for (measured, least) in full.sizes.iter().zip([4_500.0, 20_000.0]) {
        part.ours(
            &measured.rate_name(),
            measured.rate,
            "/s",
            Some(Aim::AtLeast(least)),
        );
        part.ours(&measured.cpu_name(), measured.cpu, "µs", Some(Aim::AtMost(100.0)));
    }
    part.ours(RESIDENT, full.resident, "MB", Some(Aim::AtMost(20.0)));
    let relaxed = run(ours(true)).context(OURS)?;
    let peers = places.peers.clone();
    let node = |folder: &Path, port: u16| {
        let modules = peers.join("appservice-bridge");
        ensure!(
            modules.join("node_modules/matrix-appservice-bridge").exists(),
            "not installed"
        );
        let script = modules.join("bench.js");
        std::fs::write(&script, BRIDGE_JS)?;
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg(port.to_string())
            .arg(HS_TOKEN)
            .current_dir(folder);
        Ok(command)
    };
    let python = |folder: &Path, port: u16| {
        let python = peers.join("mautrix/bin/python");
        ensure!(python.exists(), "not installed");
        let script = folder.join("bench.py");
        std::fs::write(&script, MAUTRIX_PY)?;
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(port.to_string())
            .arg(HS_TOKEN)
            .current_dir(folder);
        Ok(command)
    };
    let others: [(&str, Result<Run>); 3] = [
        ("swingbridge, synchronous=normal", Ok(relaxed)),
        ("matrix-appservice-bridge, no store", run(node)),
        ("mautrix-python, no store", run(python)),
    ];
    for (who, run) in others {
        match run {
            Ok(run) => {
                for measured in &run.sizes {
                    part.peer(&measured.rate_name(), who, measured.rate, "/s");
                    part.peer(&measured.cpu_name(), who, measured.cpu, "µs");
                }
                part.peer(RESIDENT, who, run.resident, "MB");
            }
            Err(error) => part.note(format!("without {who}: {error:#}")),
        }
    }
    part.peer(SINGLE, "the disk, one sync after the other", syncs()?, "/s");
    part.note("ours commits every event with the disk's word for it (synchronous = full) and processes it; the others only read it");
    Ok(())
}

const SINGLE: &str = "events, 1 in a transaction";
const RESIDENT: &str = "resident memory after both";

/// How often in a second the disk says that something is there to stay: no more commits can follow one another.
fn syncs() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut file = std::fs::File::create(folder.path().join("syncs"))?;
    let (begun, mut done) = (Instant::now(), 0u32);
    while begun.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        done += 1;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

struct Run {
    sizes: Vec<Measured>,
    resident: f64,
}

struct Measured {
    events: u32,
    rate: f64,
    cpu: f64,
}

impl Measured {
    fn rate_name(&self) -> String {
        format!("events, {} in a transaction", self.events)
    }

    fn cpu_name(&self) -> String {
        format!("processor time each, {} in a transaction", self.events)
    }
}

fn run(command: impl FnOnce(&Path, u16) -> Result<Command>) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let log = folder.path().join("server.log");
    let mut server = Process::start(&Start {
        name: "the server",
        command: &command(folder.path(), port)?,
        log: &log,
        end: End::Terminate,
        user: None,
    })?;
    let mut homeserver = loop {
        if server.ended().is_some() {
            bail!("it ended:\n{}", server.log_tail(20));
        }
        match Homeserver::connect(port) {
            Ok(homeserver) => break homeserver,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    // Both sizes once, so that everything is loaded and compiled that will be.
    for (size, _) in SIZES {
        for _ in 0..20 {
            homeserver.send(size).context("the first transactions")?;
        }
    }
    let mut sizes = Vec::new();
    for (size, most) in SIZES {
        // What is still being processed belongs to what was before.
        std::thread::sleep(Duration::from_millis(500));
        let (before, begun) = (proc::tree(server.id())?.0, Instant::now());
        let mut sent = 0;
        while sent < most && begun.elapsed() < DURING {
            homeserver.send(size)?;
            sent += size;
        }
        let took = begun.elapsed();
        std::thread::sleep(Duration::from_millis(500));
        let cpu = proc::tree(server.id())?.0 - before;
        sizes.push(Measured {
            events: size,
            rate: f64::from(sent) / took.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / f64::from(sent),
        });
    }
    let resident = proc::tree(server.id())?.1;
    Ok(Run { sizes, resident })
}

/// The sending side of a homeserver.
struct Homeserver {
    stream: TcpStream,
    transactions: u32,
    events: u64,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Homeserver {
    fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self {
            stream,
            transactions: 0,
            events: 0,
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// Sends a transaction of `events` events and waits for its answer.
    fn send(&mut self, events: u32) -> Result<()> {
        let mut body = String::with_capacity(700 * events as usize + 16);
        body.push_str("{\"events\":[");
        let now = SystemClock.now();
        for at in 0..events {
            self.events += 1;
            if at > 0 {
                body.push(',');
            }
            body.push_str(&event(self.events, now));
        }
        body.push_str("]}");
        self.transactions += 1;
        self.request.clear();
        write!(
            self.request,
            "PUT /_matrix/app/v1/transactions/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {HS_TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.transactions,
            body.len()
        )?;
        self.request.extend_from_slice(body.as_bytes());
        self.stream.write_all(&self.request)?;
        self.answer.clear();
        let mut buffer = [0; 4096];
        loop {
            let read = self.stream.read(&mut buffer)?;
            ensure!(read > 0, "the server closed the connection");
            self.answer.extend_from_slice(&buffer[..read]);
            if whole(&self.answer)? {
                return Ok(());
            }
        }
    }
}

/// Whether an HTTP answer is complete; an error when it is a refusal.
fn whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    ensure!(
        head.starts_with("http/1.1 200"),
        "refused: {}",
        head.lines().next().unwrap_or_default()
    );
    let body = &answer[end + 4..];
    if head.contains("transfer-encoding: chunked") {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .context("an answer without a length")?;
    Ok(body.len() >= length.trim().parse()?)
}

/// A text as Synapse hands it on, in a room that no bridge has anything to do with, by somebody whom this one does not serve: it
/// asks for nothing. A user of ours would be answered there that the room is unknown, which the others do not do.
fn event(number: u64, sent_at: Timestamp) -> String {
    format!(
        "{{\"type\":\"m.room.message\",\"room_id\":\"!aBcDeFgHiJkLmNoPqR:localhost\",\"sender\":\"@bob:example.org\",\
         \"content\":{{\"body\":\"The quick brown fox jumps over the lazy dog, and then once more, number {number}\",\
         \"msgtype\":\"m.text\"}},\"origin_server_ts\":{},\"unsigned\":{{\"age\":37}},\
         \"event_id\":\"$bench{number:038}\",\"user_id\":\"@bob:example.org\",\"age\":37}}",
        sent_at.millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_to_their_end() {
        assert!(!whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{").unwrap());
        assert!(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap());
        assert!(!whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n").unwrap());
        assert!(whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").unwrap());
        assert!(whole(b"HTTP/1.1 503 No\r\n\r\n").is_err());
    }

    #[test]
    fn events_are_json() {
        let event: serde_json::Value = serde_json::from_str(&event(7, Timestamp(1))).unwrap();
        assert_eq!(event["event_id"].as_str().unwrap().len(), 44);
    }
}
