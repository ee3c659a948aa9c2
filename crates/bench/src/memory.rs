//! What the real gateway takes of memory, and how long it takes to start.

use crate::gateway::Gateway;
use crate::homeserver::Void;
use crate::report::{Aim, Part};
use crate::session::runtime;
use crate::site::{LINE, number};
use crate::smsc::{self, Smsc};
use crate::{Places, proc};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How long it is left alone before it counts as idle.
const IDLE: Duration = Duration::from_secs(6);
const CONVERSATIONS: u32 = 10_000;
/// Texts from phones that may wait for their answer.
const WINDOW: u64 = 200;
const MANY: u32 = 100_000;
/// Without any progress for this long a run has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures.
///
/// # Errors
/// When the gateway does not start or texts get lost.
pub fn measure(part: &mut Part, places: &Places) -> Result<()> {
    runtime()?.block_on(async {
        let (homeserver, smsc) = (Void::start().await?, Smsc::start(None)?);
        let new = || Gateway::init(&places.programs, &format!("http://{}", homeserver.address), smsc.address, None);

        let gateway = new()?;
        let (process, took) = gateway.start().await?;
        tokio::time::sleep(IDLE).await;
        part.ours("resident, idle", proc::resident(process.id())?, "MB", Some(Aim::AtMost(20.0)));
        part.ours("start, new", took.as_secs_f64() * 1e3, "ms", None);
        drop(process);

        let gateway = new()?;
        gateway.fill(CONVERSATIONS).await?;
        let (process, _) = gateway.start().await?;
        let begun = Instant::now();
        texts_in_all(&homeserver, &smsc)
            .await
            .with_context(|| process.log_tail(20))?;
        let rate = f64::from(CONVERSATIONS) / begun.elapsed().as_secs_f64();
        tokio::time::sleep(IDLE).await;
        let resident = proc::resident(process.id())?;
        part.ours("resident, 10 000 conversations in use", resident, "MB", Some(Aim::AtMost(40.0)));
        part.ours("first texts from as many phones", rate, "/s", None);
        drop(process);

        let gateway = new()?;
        gateway.fill(MANY).await?;
        let (process, took) = gateway.start().await?;
        part.ours("start to ready, 100 000 conversations", took.as_secs_f64(), "s", Some(Aim::AtMost(2.0)));
        tokio::time::sleep(IDLE).await;
        part.ours("resident, 100 000 conversations at rest", proc::resident(process.id())?, "MB", None);
        part.note(
            "before a homeserver and an SMSC that take everything; *in use* means that a text came from each phone since the start",
        );
        Ok(())
    })
}

/// Each phone writes once, and each text comes to its room.
async fn texts_in_all(homeserver: &Void, smsc: &Smsc) -> Result<()> {
    let before = homeserver.messages();
    let line = LINE.trim_start_matches('+');
    for contact in 0..CONVERSATIONS {
        // As carriers do, no more at once than a window.
        let begun = Instant::now();
        while u64::from(contact) >= smsc.delivered() + WINDOW {
            if begun.elapsed() > PATIENCE {
                bail!("only {} of {contact} texts were answered", smsc.delivered());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let phone = number(contact);
        let phone = phone.trim_start_matches('+');
        smsc.send(&smsc::deliver(contact + 1, phone, line, "hello from a phone"))?;
    }
    let (mut seen, mut since) = (0, Instant::now());
    while seen < u64::from(CONVERSATIONS) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = homeserver.messages() - before;
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!(
                "only {seen} of {CONVERSATIONS} texts came; {} were answered",
                smsc.delivered()
            );
        }
    }
    Ok(())
}
