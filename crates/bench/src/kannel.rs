//! Kannel (Debian's): mtbatch hands texts to bearerbox, which keeps them in memory and submits them.

use crate::queue::{CONVERSATIONS, MESSAGES, WINDOW};
use crate::session::TEXT;
use crate::site;
use crate::smsc::Smsc;
use anyhow::{Result, bail};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swingbridge_lab::process::{End, Process, Start, free_port};

/// Submits per second at the SMSC.
///
/// # Errors
/// When Kannel is not there or does not get through.
pub fn measure() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let smsc = Smsc::start(None)?;
    let (admin, boxes) = (free_port()?, free_port()?);
    let configuration = folder.path().join("kannel.conf");
    let port = smsc.address.port();
    fs::write(
        &configuration,
        format!(
            "group = core\nadmin-port = {admin}\nadmin-interface = 127.0.0.1\nadmin-password = bench\nsmsbox-port = {boxes}\n\
             smsbox-interface = 127.0.0.1\nlog-level = 4\n\n\
             group = smsc\nsmsc = smpp\nhost = 127.0.0.1\nport = {port}\ntransceiver-mode = true\n\
             smsc-username = bench\nsmsc-password = bench\nsystem-type = \"\"\ninterface-version = 34\n\
             max-pending-submits = {WINDOW}\n\n\
             group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = 0\nlog-level = 4\n"
        ),
    )?;
    let text = folder.path().join("text");
    fs::write(&text, TEXT)?;
    let receivers = folder.path().join("receivers");
    let lines: String = (0..MESSAGES)
        .map(|at| format!("{}\n", site::number(at % CONVERSATIONS).trim_start_matches('+')))
        .collect();
    fs::write(&receivers, lines)?;

    let mut command = Command::new("bearerbox");
    command
        .args(["-v", "4"])
        .arg(&configuration)
        .current_dir(folder.path());
    let _bearerbox = Process::start(&Start {
        name: "bearerbox",
        command: &command,
        log: &folder.path().join("bearerbox.log"),
        end: End::Terminate,
        user: None,
    })?;
    let begun = Instant::now();
    while !smsc.is_bound() {
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("bearerbox does not bind");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut batch = Command::new("mtbatch")
        .args([
            "-v",
            "4",
            "-b",
            "127.0.0.1",
            "-p",
            &boxes.to_string(),
            "-f",
            "447700900001",
        ])
        .arg(&text)
        .arg(&receivers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let all = smsc.wait_for(u64::from(MESSAGES), Duration::from_secs(10));
    let _ = batch.kill();
    let _ = batch.wait();
    // mtbatch may leave a few behind; what counts is the rate.
    if !all && smsc.submits() < u64::from(MESSAGES) * 9 / 10 {
        bail!("bearerbox submitted only {} of {MESSAGES}", smsc.submits());
    }
    Ok(smsc.submits() as f64 / smsc.span().as_secs_f64())
}
