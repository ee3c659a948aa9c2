//! From Matrix to the SMSC and back, through a real Synapse, with the share of it that is the gateway's.

use crate::Places;
use crate::gateway::Gateway;
use crate::proxy::{self, Seen, mark};
use crate::report::{Aim, Part, median};
use crate::session::runtime;
use crate::site::{LINE, number};
use crate::smsc::{self, Smsc};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swingbridge_lab::client::{Client, Place};
use swingbridge_lab::process::free_port;
use swingbridge_lab::synapse::{Options, Synapse};

const TRIPS: u32 = 60;
/// The first ones make ghosts' devices and open connections.
const WARM: u32 = 5;

/// Measures.
///
/// # Errors
/// When a text gets lost.
pub fn measure(part: &mut Part, places: &Places) -> Result<()> {
    let python = places.peers.join("synapse/bin/python");
    if !python.exists() {
        part.note("left out: Synapse is not installed");
        return Ok(());
    }
    let mut trips = runtime()?.block_on(run(places, &python))?;
    let middle = |of: fn(&Trip) -> Duration| {
        let mut times: Vec<f64> = trips.iter().map(|trip| of(trip).as_secs_f64() * 1e3).collect();
        median(&mut times)
    };
    let whole = middle(|trip| trip.whole);
    part.ours(
        "ours, both ways, median",
        middle(|trip| trip.out + trip.back),
        "ms",
        Some(Aim::AtMost(5.0)),
    );
    part.ours("  transaction to submit_sm", middle(|trip| trip.out), "ms", None);
    part.ours(
        "  deliver_sm to the send request",
        middle(|trip| trip.back),
        "ms",
        None,
    );
    part.peer("ours, both ways, median", "the whole round trip", whole, "ms");
    trips.sort_by_key(|trip| trip.out + trip.back);
    if let Some(trip) = trips.get(trips.len() * 95 / 100) {
        part.ours(
            "ours, 95 of 100",
            (trip.out + trip.back).as_secs_f64() * 1e3,
            "ms",
            None,
        );
    }
    part.note(format!(
        "{TRIPS} texts one after the other; Synapse on SQLite; every step of ours committed with synchronous = full; the times \
         are taken by a proxy on both sides of the gateway, whose own time is in them"
    ));
    Ok(())
}

struct Trip {
    whole: Duration,
    out: Duration,
    back: Duration,
}

async fn run(places: &Places, python: &std::path::Path) -> Result<Vec<Trip>> {
    let (seen, at_smsc) = (Seen::default(), Seen::default());
    // The SMSC sends each text back at once.
    let (looking, sequence) = (at_smsc.clone(), AtomicU32::new(1));
    let smsc = Smsc::start(Some(Arc::new(move |submit| {
        let now = Instant::now();
        looking.look(submit, now);
        let text = String::from_utf8_lossy(submit);
        let trip = text.split("mark-there-").nth(1)?.split('.').next()?;
        let back = mark("back", trip.parse().ok()?);
        Some(smsc::deliver(
            sequence.fetch_add(1, Ordering::Relaxed),
            number(1).trim_start_matches('+'),
            LINE.trim_start_matches('+'),
            &format!("{back} and back"),
        ))
    })))?;
    let any = SocketAddr::from(([127, 0, 0, 1], 9));
    let (to_gateway, to_synapse) = (Arc::new(Mutex::new(any)), Arc::new(Mutex::new(any)));
    let before_gateway = proxy::start(to_gateway.clone(), seen.clone()).await?;
    let before_synapse = proxy::start(to_synapse.clone(), seen.clone()).await?;
    let gateway = Gateway::init(
        &places.programs,
        &format!("http://{before_synapse}"),
        smsc.address,
        Some(before_gateway),
    )?;
    let port = free_port()?;
    let point = |target: &Mutex<SocketAddr>, port: u16| {
        *target.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = ([127, 0, 0, 1], port).into();
    };
    point(&to_gateway, gateway.port);
    point(&to_synapse, port);
    let synapse = Synapse::start(
        python,
        Options {
            port: Some(port),
            registrations: vec![gateway.registration()],
            ..Options::default()
        },
    )
    .await?;
    let alice = synapse.user("alice", "alice-in-the-bench").await?;
    let (_process, _) = gateway.start().await?;
    // A text from the phone makes the room.
    smsc.send(&smsc::deliver(
        1,
        number(1).trim_start_matches('+'),
        LINE.trim_start_matches('+'),
        "hello",
    ))?;
    let room = invitation(&alice).await?;

    let mut trips = Vec::new();
    for trip in 0..WARM + TRIPS {
        let (there, back) = (mark("there", trip), mark("back", trip));
        let begun = Instant::now();
        alice.send_text(&room, &format!("{there} and away")).await?;
        alice
            .wait_for("the text that comes back", |seen| {
                seen.body().starts_with(&back).then_some(())
            })
            .await?;
        let whole = begun.elapsed();
        if trip < WARM {
            continue;
        }
        let arrived = seen.when(&there).context("not seen on its way")?;
        let submitted = at_smsc.when(&there).context("not submitted")?;
        let sent = seen.when(&back).context("not sent back")?;
        trips.push(Trip {
            whole,
            out: submitted.saturating_duration_since(arrived),
            back: sent.saturating_duration_since(submitted),
        });
    }
    ensure!(!trips.is_empty(), "no trips");
    Ok(trips)
}

/// The room that Alice is invited to and that is no space.
pub async fn invitation(alice: &Client) -> Result<String> {
    let mut tried: Vec<String> = Vec::new();
    loop {
        let room = alice
            .wait_for("the invitation", |seen| {
                (seen.place == Place::Invite && !tried.contains(&seen.room)).then(|| seen.room.clone())
            })
            .await?;
        alice.join(&room).await?;
        let create = alice.state(&room, "m.room.create", "").await?.unwrap_or_default();
        if create["type"] != "m.space" {
            return Ok(room);
        }
        tried.push(room);
    }
}
