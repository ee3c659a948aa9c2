//! What the kernel knows of a process: how much processor time and memory it took (proc(5)).

use anyhow::{Context, Result};
use std::time::Duration;

/// Clock ticks per second in `/proc`; on Linux always this for user programs.
const TICKS: u64 = 100;

/// Processor time of a process with all its threads, those that ended included.
///
/// # Errors
/// When it is gone.
pub fn cpu(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name stands in brackets and may hold anything; the state follows it.
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let field = |at: usize| -> Result<u64> {
        let text = rest.split_whitespace().nth(at).context("too short")?;
        Ok(text.parse()?)
    };
    let ticks = field(11)? + field(12)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Processor time and memory of a process with all its descendants.
///
/// # Errors
/// When it is gone.
pub fn tree(id: u32) -> Result<(Duration, f64)> {
    let mut total = (cpu(id)?, resident(id)?);
    let tasks = format!("/proc/{id}/task/{id}/children");
    for child in std::fs::read_to_string(tasks)
        .unwrap_or_default()
        .split_whitespace()
    {
        if let Ok((time, memory)) = child.parse().map_err(Into::into).and_then(tree) {
            total.0 += time;
            total.1 += memory;
        }
    }
    Ok(total)
}

/// Resident memory in megabytes (10^6 octets).
///
/// # Errors
/// When it is gone.
pub fn resident(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_own_memory_and_time_can_be_read() {
        let id = std::process::id();
        assert!(super::resident(id).unwrap() > 0.5);
        assert!(super::tree(id).unwrap().0 < std::time::Duration::from_secs(3600));
    }
}
