//! Jasmin (PyPI), with RabbitMQ and Redis: it takes texts by SMPP, keeps them and passes them on.

use crate::report::OURS;
use crate::session::{self, runtime};
use crate::smsc::Smsc;
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};
use swingbridge_lab::jasmin::{Jasmin, PASSWORD, SYSTEM_ID, Upstream};

/// For so long it is given texts, and for so long it may pass them on.
const DURING: Duration = Duration::from_secs(60);
const TEXTS: u64 = 2_000;

/// Submits per second at the SMSC behind it.
///
/// # Errors
/// When it is not there or does not get through.
pub fn measure() -> Result<f64> {
    runtime()?.block_on(async {
        let smsc = Smsc::start(None)?;
        let upstream = Upstream {
            address: smsc.address,
            system_id: OURS.into(),
            password: "bench".into(),
        };
        // It panics where it cannot start; that is not the end of everything here.
        let jasmin = tokio::spawn(async move { Jasmin::for_test(&upstream).await })
            .await?
            .context("not installed")?;
        let begun = Instant::now();
        while !smsc.is_bound() {
            if begun.elapsed() > DURING {
                bail!("it does not bind");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        session::hand_over(jasmin.address(), SYSTEM_ID, PASSWORD, TEXTS, DURING).await?;
        let begun = Instant::now();
        while smsc.submits() < TEXTS && begun.elapsed() < DURING {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if smsc.submits() < 100 {
            bail!("it passed on only {} of {TEXTS}", smsc.submits());
        }
        Ok(smsc.submits() as f64 / smsc.span().as_secs_f64())
    })
}
