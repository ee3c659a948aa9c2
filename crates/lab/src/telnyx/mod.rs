//! Telnyx: its messages API, group MMS and webhooks, with the phones behind it.
//!
//! Fields, statuses and errors follow Telnyx's OpenAPI file as its SDK for Python was made of it, and its pages on idempotency keys and
//! webhooks; that SDK is run against this, and checks its signatures (`tests/it/telnyx.rs`). *Emulated*: it was compared with no account.

mod hooks;
mod routes;
mod state;

pub use hooks::{Signed, sign};
pub use state::{Incoming, Sent};

use crate::trouble::{Troubles, client};
use ring::signature::{Ed25519KeyPair, KeyPair};
use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The account's API key.
pub const API_KEY: &str = "KEY0123456789ABCDEF_secret";
/// The account's number.
pub const NUMBER: &str = "+13125550001";

/// A running Telnyx. It ends when this is dropped.
#[derive(Debug)]
pub struct Telnyx {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// The key that webhooks are signed with.
fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[42; 32]).expect("a seed of 32 octets")
}

/// The account's public key, as the portal shows it.
#[must_use]
pub fn public_key() -> String {
    data_encoding::BASE64.encode(key().public_key().as_ref())
}

impl Telnyx {
    /// Starts it on a free port. `now`: its clock, in seconds since the epoch; it moves a millisecond with each message.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(now: i64) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            world: World::at(now).into(),
            troubles: Troubles::new(client()?),
            api: format!("http://{address}"),
        });
        let app = routes::routes(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task, never by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where the messaging profile tells of messages that come.
    pub fn webhook(&self, url: &str) {
        url.clone_into(&mut self.shared.world().webhook);
    }

    /// A phone texts the account's number; gives the message's id.
    pub fn receives(&self, from: &str, text: &str) -> String {
        self.comes(Incoming::new(from, text))
    }

    /// A phone sends files: MIME type and octets.
    pub fn receives_mms(&self, from: &str, text: &str, files: &[(&str, &[u8])]) -> String {
        let files = files
            .iter()
            .map(|(mime, octets)| ((*mime).to_owned(), octets.to_vec()))
            .collect();
        self.comes(Incoming {
            files,
            ..Incoming::new(from, text)
        })
    }

    /// A phone writes to a group of us and `others`.
    pub fn receives_group(&self, from: &str, others: &[&str], text: &str) -> String {
        self.receives_group_mms(from, others, text, Vec::new())
    }

    /// A phone writes to a group, with files: MIME type and octets.
    pub fn receives_group_mms(
        &self,
        from: &str,
        others: &[&str],
        text: &str,
        files: Vec<(String, Vec<u8>)>,
    ) -> String {
        self.comes(Incoming {
            cc: others.iter().map(|&other| other.to_owned()).collect(),
            files,
            ..Incoming::new(from, text)
        })
    }

    /// So many seconds since the epoch it is by now: what is told is dated and signed with it.
    pub fn is_now(&self, seconds: i64) {
        let mut world = self.shared.world();
        world.now = world.now.max(seconds * 1000);
    }

    /// A phone texts STOP, START or HELP, which Telnyx answers and acts on by itself.
    pub fn receives_keyword(&self, from: &str, word: &str) -> String {
        {
            let mut world = self.shared.world();
            match word {
                "STOP" => _ = world.opted_out.insert(from.to_owned()),
                "START" => _ = world.opted_out.remove(from),
                _ => {}
            }
        }
        self.comes(Incoming {
            keyword: Some(word.to_owned()),
            ..Incoming::new(from, word)
        })
    }

    fn comes(&self, incoming: Incoming) -> String {
        let incoming = self.shared.world().receive(incoming);
        hooks::tell_of(&self.shared, &incoming);
        incoming.id
    }

    /// All that was taken to be sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.world().sent.clone()
    }

    /// Waits until `many` were taken, half a minute at most.
    ///
    /// # Errors
    /// They were not.
    pub async fn sends(&self, many: usize) -> std::io::Result<Vec<Sent>> {
        for _ in 0..3000 {
            let sent = self.sent();
            if sent.len() >= many {
                return Ok(sent);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(std::io::Error::other("Telnyx was given no such many"))
    }

    /// The status changes of one recipient, or of all: `sent`, `delivered`, `delivery_unconfirmed`, or `delivery_failed` with an error code.
    pub fn reaches(&self, id: &str, number: Option<&str>, status: &str, error: Option<u32>) {
        let changed = self.shared.world().reach(id, number, status, error);
        if let Some(sent) = changed {
            hooks::tell_state(&self.shared, &sent, status);
        }
    }

    /// Sets its clock.
    pub fn is_at(&self, now: Timestamp) {
        self.shared.world().now = now.millis();
    }

    /// What goes wrong.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }
}

impl Drop for Telnyx {
    fn drop(&mut self) {
        self.task.abort();
    }
}
