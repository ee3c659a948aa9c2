//! Texts from a phone into a plain room and into an encrypted one, through a real Synapse: what encryption costs.

use crate::gateway::Gateway;
use crate::report::{Part, median};
use crate::roundtrip::invitation;
use crate::session::runtime;
use crate::site::{LINE, number};
use crate::smsc::{Smsc, deliver};
use crate::{Places, proc};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;
use swingbridge_lab::process::free_port;
use swingbridge_lab::synapse::{Options, Synapse};

const TEXTS: u32 = 100;
/// The first ones make the ghost, its device and its keys.
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
    let runtime = runtime()?;
    let encrypted = runtime.block_on(run(places, &python, true))?;
    let plain = runtime.block_on(run(places, &python, false))?;
    for (what, of) in [
        ("processor time of a text", (|run| run.cpu) as fn(&Run) -> f64),
        ("deliver_sm to the client, median", |run| run.whole),
    ] {
        part.ours(what, of(&encrypted), "ms", None);
        part.peer(what, "in a plain room", of(&plain), "ms");
    }
    part.ours("resident", encrypted.resident, "MB", None);
    part.peer("resident", "without encryption", plain.resident, "MB");
    part.note(format!(
        "{TEXTS} texts of one phone, one after the other, into a room with one person; Synapse on SQLite"
    ));
    Ok(())
}

struct Run {
    /// Milliseconds.
    cpu: f64,
    whole: f64,
    /// Megabytes.
    resident: f64,
}

async fn run(places: &Places, python: &Path, encrypted: bool) -> Result<Run> {
    let smsc = Smsc::start(None)?;
    let port = free_port()?;
    let homeserver = format!("http://127.0.0.1:{port}");
    let mut gateway = Gateway::init(&places.programs, &homeserver, smsc.address, None)?;
    gateway.encrypts = encrypted;
    let options = Options {
        port: Some(port),
        registrations: vec![gateway.registration()],
        ..Options::default()
    };
    let synapse = Synapse::start(python, options).await?;
    let alice = synapse.user("alice", "alice-in-the-bench").await?;
    let (process, _) = gateway.start().await?;
    let text = |at: u32| {
        deliver(
            at + 1,
            number(1).trim_start_matches('+'),
            LINE.trim_start_matches('+'),
            &format!("text number {at}"),
        )
    };
    smsc.send(&text(0))?;
    invitation(&alice).await?;
    let (mut times, mut before) = (Vec::new(), proc::cpu(process.id())?);
    for at in 1..=WARM + TEXTS {
        if at == WARM + 1 {
            before = proc::cpu(process.id())?;
        }
        // All that was ever seen is looked through anew.
        let mut shown = 0;
        let begun = Instant::now();
        smsc.send(&text(at))?;
        // Whatever it says: this client cannot read what is encrypted.
        alice
            .wait_for("the next text of the contact", |seen| {
                let says = matches!(seen.kind(), "m.room.message" | "m.room.encrypted");
                shown += u32::from(says && seen.sender().starts_with("@sms_"));
                (shown > at).then_some(())
            })
            .await?;
        if at > WARM {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let used = proc::cpu(process.id())?.saturating_sub(before);
    Ok(Run {
        cpu: used.as_secs_f64() * 1e3 / f64::from(TEXTS),
        whole: median(&mut times),
        resident: proc::resident(process.id())?,
    })
}
