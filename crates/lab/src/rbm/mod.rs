//! Google RCS for Business, as far as one agent sees it: sign-in, REST API and webhook; and the phones that it reaches.
//!
//! [`Rbm`] is the service, [`Phone`] a phone in somebody's hand. Paths, fields, bounds and errors follow Google's REST reference and the
//! types of its Node.js client; fields that are not there are refused, as Google refuses them. *Emulated*: it was compared with no
//! account of Google's.

mod check;
mod hooks;
mod phone;
mod routes;
mod sign_in;
mod state;

pub use hooks::signature;
pub use phone::Phone;
pub use state::{Button, Received, Stage};

use crate::trouble::Troubles;
use serde_json::json;
use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The agent that is there.
pub const AGENT: &str = "lab_agent@rbm.goog";
/// What its webhook is configured with.
pub const CLIENT_TOKEN: &str = "client token";
/// The service account that may use it.
pub const EMAIL: &str = "lab@project.iam.gserviceaccount.com";
/// Its key. It opens nothing but this.
const KEY: &str = include_str!("key.pem");
/// How often it is looked whether a message's time is over.
const TICK: Duration = Duration::from_millis(50);

/// The service account's key, as the console gives it.
#[must_use]
pub fn service_account(token_uri: &str) -> String {
    json!({
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "lab",
        "private_key": KEY,
        "client_email": EMAIL,
        "token_uri": token_uri,
    })
    .to_string()
}

/// The running service. It ends when this is dropped.
pub struct Rbm {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Rbm {
    /// Starts the service on a free port of this machine. By `clock` it judges claims, tokens and times to live.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (queue, told) = tokio::sync::mpsc::unbounded_channel();
        let base = format!("http://{address}");
        let shared = Shared::new(World::default(), clock, base, queue).map_err(std::io::Error::other)?;
        let shared = Arc::new(shared);
        let app = routes::routes(shared.clone());
        let serving = tokio::spawn(async move {
            // It ends with the task, never by itself.
            let _ = axum::serve(listener, app).await;
        });
        let telling = {
            let shared = shared.clone();
            tokio::spawn(async move {
                let hook = |event: &serde_json::Value| hooks::hook(&shared, event);
                shared.troubles.tell_in_order(told, hook).await;
            })
        };
        let looking = {
            let shared = shared.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(TICK).await;
                    shared.revoke_what_is_over();
                }
            })
        };
        Ok(Self {
            address,
            shared,
            tasks: vec![serving, telling, looking],
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key of the account that may use it.
    #[must_use]
    pub fn service_account(&self) -> String {
        service_account(&format!("{}/token", self.url()))
    }

    /// Sets up the agent's webhook as the console does: the address must know the client token.
    ///
    /// # Errors
    /// It does not; in words.
    pub async fn sets_up(&self, webhook: &str) -> std::io::Result<()> {
        hooks::set_up(&self.shared, webhook)
            .await
            .map_err(std::io::Error::other)?;
        self.hook(webhook);
        Ok(())
    }

    /// Where events go from now on, as if it had been set up before.
    pub fn hook(&self, webhook: &str) {
        self.shared.world().webhook = Some(webhook.to_owned());
    }

    /// A phone, with RCS and switched on when it is new.
    #[must_use]
    pub fn phone(&self, number: &str) -> Phone {
        Phone::new(self.shared.clone(), number)
    }

    /// How many messages it took to be sent.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.shared.world().messages.len()
    }

    /// How many tokens were given out.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.shared.world().issued
    }

    /// How many files were uploaded.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.shared.world().uploads.len()
    }

    /// All tokens end now.
    pub fn ends_tokens(&self) {
        self.shared.world().tokens.clear();
    }

    /// Google tells what became of a message, whatever did: `DELIVERED`, `READ`, or an event of its own such as
    /// `TTL_EXPIRATION_REVOKED`.
    pub fn reaches(&self, message: &str, kind: &str) {
        let found = {
            let world = self.shared.world();
            let found = world.messages.iter().find(|one| one.id == message);
            found.map(|one| one.number.clone())
        };
        let number = found.unwrap_or_default();
        match kind.starts_with("TTL_") {
            true => self.shared.tell_of_its_own(&number, kind, message),
            false => self.shared.tell_of(&number, kind, Some(message)),
        }
    }

    /// What goes wrong. Signing in is another service of Google's: of this only an outage and silence reach it.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }

    /// Its clock is so many seconds ahead of the one that it was started with.
    pub fn is_ahead(&self, seconds: i64) {
        self.shared.world().clock_ahead = seconds;
    }

    /// Messages whose time is over cannot be taken back from now on.
    pub fn fails_to_revoke(&self) {
        self.shared.world().fails_to_revoke = true;
    }

    /// Files that phones sent are answered with this.
    pub fn answers_files_with(&self, status: u16) {
        self.shared.world().files_answer = Some(status);
    }

    /// Waits until it holds, half a minute at most.
    ///
    /// # Errors
    /// It never did.
    pub async fn until(&self, holds: impl Fn() -> bool) -> std::io::Result<()> {
        for _ in 0..3000 {
            if holds() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(std::io::Error::other("it never came to that"))
    }
}

impl Drop for Rbm {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
