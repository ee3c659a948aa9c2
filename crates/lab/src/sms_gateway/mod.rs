//! A phone with the Android app "SMS Gateway" (capcom6): its local API and its webhooks.
//!
//! [`Phone`] is the other end: what a person and the network do with the phone. Paths, statuses and forms follow the app's OpenAPI
//! file ([`forms`]: what we send must be as that says, and so is what is answered) and its source (1.66); its known fault, each webhook sent twice under other ids, is there to be turned on. *Emulated*: it was
//! compared with no phone.

pub mod forms;
mod hooks;
mod routes;
mod state;

pub use hooks::signature;
pub use state::{Hook, Incoming, Scenario, Sent};

use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The user's name that the app makes.
pub const USER: &str = "sms";
/// The password of the API.
pub const PASSWORD: &str = "secret";
/// The key that webhooks are signed with.
pub const SIGNING_KEY: &str = "signing key";

/// A running phone. It ends when this is dropped.
#[derive(Debug)]
pub struct Phone {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Phone {
    /// Starts the app on a free port. `now`: the phone's clock, in seconds since the epoch; it moves a second with each text.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(now: i64) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(World::at(now)).map_err(std::io::Error::other)?);
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

    /// Sets its clock, in seconds since the epoch. Each text that comes in moves it on by one.
    pub fn is_at(&self, now: i64) {
        self.shared.world().now = now;
    }

    /// A text comes in.
    pub fn receives(&self, from: &str, text: &str) {
        let told = self.shared.world().receive(from, text, &[]);
        hooks::tell(&self.shared, told);
    }

    /// An MMS comes in, and the phone fetches it. Attachments: name, MIME type, octets.
    pub fn receives_mms(&self, from: &str, text: &str, attachments: &[(&str, &str, &[u8])]) {
        let told = self.shared.world().receive(from, text, attachments);
        hooks::tell(&self.shared, told);
    }

    /// All that the app took to send, in order.
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
        Err(std::io::Error::other("the app was given no such many"))
    }

    /// The network says what became of a message: `Sent`, `Delivered` or `Failed`. Or the person `Cancelled` it.
    pub fn reaches(&self, id: &str, state: &str) {
        let told = self.shared.world().reach(id, state);
        hooks::tell(&self.shared, told);
    }

    /// The webhooks that are registered.
    #[must_use]
    pub fn hooks(&self) -> Vec<Hook> {
        self.shared.world().hooks.clone()
    }

    /// Changes what goes wrong.
    pub fn plays(&self, change: impl FnOnce(&mut Scenario)) {
        change(&mut self.shared.world().scenario);
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}
