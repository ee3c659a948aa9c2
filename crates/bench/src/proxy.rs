//! Looks at what passes between homeserver and gateway, and notes when a text was first seen.

use anyhow::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// When each mark was seen first, by whoever looks.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<String, Instant>>>);

/// Marks look like this, so that they are found in JSON and in short messages alike: `<mark-NAME-NUMBER>`.
const BEGIN: &[u8] = b"mark-";
/// Nothing of ours is longer.
const LONGEST: usize = 24;

/// The text of a mark, `.` at its end.
pub fn mark(name: &str, number: u32) -> String {
    format!("mark-{name}-{number}.")
}

impl Seen {
    /// Notes the marks in `octets`.
    pub fn look(&self, octets: &[u8], at: Instant) {
        let mut rest = octets;
        while let Some(found) = rest.windows(BEGIN.len()).position(|window| window == BEGIN) {
            rest = &rest[found..];
            let Some(end) = rest.iter().take(LONGEST).position(|octet| *octet == b'.') else {
                rest = &rest[BEGIN.len()..];
                continue;
            };
            let mark = String::from_utf8_lossy(&rest[..=end]).into_owned();
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(mark)
                .or_insert(at);
            rest = &rest[end..];
        }
    }

    pub fn when(&self, mark: &str) -> Option<Instant> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(mark)
            .copied()
    }
}

/// Passes connections on to `target`, and notes marks in what the connecting side says. Gives where to connect to.
///
/// # Errors
/// When there is no port.
pub async fn start(target: Arc<Mutex<SocketAddr>>, seen: Seen) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::spawn(pass(client, target, seen.clone()));
        }
    });
    Ok(address)
}

async fn pass(client: TcpStream, target: SocketAddr, seen: Seen) -> Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let (mut buffer, mut last) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let read = from_client.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        // Before it goes on, and with the end of what came before: a mark may be cut in two.
        let now = Instant::now();
        last.extend_from_slice(&buffer[..read]);
        seen.look(&last, now);
        let keep = last.len().min(LONGEST);
        last.drain(..last.len() - keep);
        to_server.write_all(&buffer[..read]).await?;
    }
    to_server.shutdown().await?;
    back.await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_whole_and_once() {
        let (seen, now) = (Seen::default(), Instant::now());
        seen.look(b"{\"body\":\"mark-there-1.\"} mark-", now);
        seen.look(
            b"mark-there-1. mark-back-22.",
            now + std::time::Duration::from_secs(1),
        );
        assert_eq!(seen.when(&mark("there", 1)), Some(now));
        assert!(seen.when("mark-back-22.").unwrap() > now);
        assert_eq!(seen.when("mark-there-2."), None);
    }
}
