//! The far end of the network, the same for everybody: it takes every bind and submit at once and keeps nothing.
//!
//! It runs in threads of its own with the plainest of I/O, so that it costs little beside those who are measured.

use anyhow::Result;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use swingbridge_wire::smpp::{Address, Body, Pdu, Sm, command};

const DELIVERED: u32 = command::DELIVER_SM | command::RESPONSE;

/// Called with each submit_sm, header included; may answer with PDUs to send besides the response.
pub type Hook = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// An SMSC that takes everything.
pub struct Smsc {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    begun: Instant,
    submits: AtomicU64,
    /// Nanoseconds after `begun`; zero for never.
    first: AtomicU64,
    last: AtomicU64,
    /// Answers to our deliver_sm.
    delivered: AtomicU64,
    /// The connection that was bound last.
    bound: Mutex<Option<TcpStream>>,
    hook: Option<Hook>,
}

impl Smsc {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(hook: Option<Hook>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            submits: AtomicU64::new(0),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            bound: Mutex::default(),
            hook,
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                // A connection that breaks is its client's affair.
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Ok(Self { address, shared })
    }

    pub fn submits(&self) -> u64 {
        self.shared.submits.load(Ordering::Relaxed)
    }

    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    /// From the first submit to the last one.
    pub fn span(&self) -> Duration {
        let (first, last) = (&self.shared.first, &self.shared.last);
        Duration::from_nanos(
            last.load(Ordering::Relaxed)
                .saturating_sub(first.load(Ordering::Relaxed)),
        )
    }

    /// Whether somebody is bound.
    pub fn is_bound(&self) -> bool {
        self.shared.lock().is_some()
    }

    /// Writes to the connection that was bound last.
    ///
    /// # Errors
    /// When nobody is bound or the connection broke.
    pub fn send(&self, octets: &[u8]) -> Result<()> {
        let stream = self.shared.lock().as_ref().map(TcpStream::try_clone);
        stream
            .ok_or_else(|| anyhow::anyhow!("nobody is bound"))??
            .write_all(octets)?;
        Ok(())
    }

    /// Waits until as many submits came, for as long as some come within `patience`; answers whether they did.
    pub fn wait_for(&self, submits: u64, patience: Duration) -> bool {
        let (mut seen, mut since) = (self.submits(), Instant::now());
        while seen < submits {
            std::thread::sleep(Duration::from_millis(5));
            let now = self.submits();
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > patience {
                return false;
            }
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<TcpStream>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut filled) = (vec![0u8; 256 * 1024], 0);
    let (mut out, mut given) = (Vec::with_capacity(64 * 1024), 0u64);
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        let (mut at, mut submits) = (0, 0);
        while let Some(pdu) = next(&buffer[at..filled]) {
            let id = word(pdu, 4);
            match id {
                command::BIND_TRANSMITTER | command::BIND_RECEIVER | command::BIND_TRANSCEIVER => {
                    respond(&mut out, pdu, b"smsc\0");
                    *shared.lock() = stream.try_clone().ok();
                }
                command::SUBMIT_SM => {
                    submits += 1;
                    given += 1;
                    respond(&mut out, pdu, format!("{given:x}\0").as_bytes());
                    if let Some(more) = shared.hook.as_ref().and_then(|hook| hook(pdu)) {
                        out.extend_from_slice(&more);
                    }
                }
                DELIVERED => {
                    shared.delivered.fetch_add(1, Ordering::Relaxed);
                }
                command::ENQUIRE_LINK | command::UNBIND => respond(&mut out, pdu, b""),
                _ => {}
            }
            at += pdu.len();
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        if submits > 0 {
            let now = u64::try_from(shared.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let _ = shared
                .first
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
            shared.last.store(now, Ordering::Relaxed);
            shared.submits.fetch_add(submits, Ordering::Relaxed);
        }
        if stream.write_all(&out).is_err() {
            break;
        }
        out.clear();
    }
    *shared.lock() = None;
}

/// The whole PDU at the front, if it is there (SMPP 3.4 section 3.2).
fn next(octets: &[u8]) -> Option<&[u8]> {
    if octets.len() < 16 {
        return None;
    }
    octets.get(..word(octets, 0) as usize)
}

fn word(octets: &[u8], at: usize) -> u32 {
    let word = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
    word.map_or(0, u32::from_be_bytes)
}

fn respond(out: &mut Vec<u8>, request: &[u8], body: &[u8]) {
    let length = u32::try_from(16 + body.len()).unwrap_or(16);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&(word(request, 4) | command::RESPONSE).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&request[12..16]);
    out.extend_from_slice(body);
}

/// A text from a phone.
pub fn deliver(sequence: u32, from: &str, to: &str, text: &str) -> Vec<u8> {
    let sm = Sm {
        source: Address::new(1, 1, from),
        destination: Address::new(1, 1, to),
        short_message: text.as_bytes().to_vec().into(),
        ..Sm::default()
    };
    let mut out = bytes::BytesMut::new();
    Pdu::new(sequence, Body::DeliverSm(sm))
        .encode(&mut out)
        .expect("a short text of ours can be written");
    out.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdu_is_taken_only_when_it_is_whole() {
        let pdu = deliver(7, "447700900456", "447700900123", "hello");
        assert_eq!(next(&pdu[..pdu.len() - 1]), None);
        assert_eq!(next(&[&pdu[..], &[0, 0]].concat()), Some(&pdu[..]));
    }

    #[test]
    fn submits_are_answered_and_counted() {
        let smsc = Smsc::start(None).unwrap();
        let mut stream = TcpStream::connect(smsc.address).unwrap();
        let mut submit = deliver(9, "1", "2", "hi");
        submit[7] = 4;
        stream.write_all(&[&submit[..], &submit[..]].concat()).unwrap();
        let mut answer = [0; 18];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!((word(&answer, 4), word(&answer, 12)), (0x8000_0004, 9));
        assert!(smsc.wait_for(2, Duration::from_secs(5)));
    }
}
