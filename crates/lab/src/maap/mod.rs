//! An operator's RCS platform with GSMA's chatbot API (FNW.11), as far as one bot sees it; and the phones that it reaches.
//!
//! [`Maap`] is the platform, [`Phone`] a phone in somebody's hand. Paths and forms follow two clients that others wrote, one of which
//! (`rcs-chatbot`) drives it in a test. *Emulated*: it was compared with no operator's platform, and operators differ.

mod phone;
mod routes;
mod state;

pub use phone::Phone;
pub use state::{Received, Scenario};

use serde_json::Value;
use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// The bot that is there.
pub const BOT: &str = "bot@maap.example.org";
/// Its token for good.
pub const TOKEN: &str = "bot token";
/// What gets tokens that end.
pub const CLIENT: (&str, &str) = ("client", "client secret");
/// What its webhooks bring.
pub const WEBHOOK_TOKEN: &str = "webhook token";

/// The running platform. It ends when this is dropped.
pub struct Maap {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Maap {
    /// Starts the platform on a free port of this machine.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (queue, told) = tokio::sync::mpsc::unbounded_channel();
        let base = format!("http://{address}");
        let shared = Arc::new(Shared::new(World::default(), base, queue).map_err(std::io::Error::other)?);
        let app = routes::routes(shared.clone());
        let serving = tokio::spawn(async move {
            // It ends with the task, never by itself.
            let _ = axum::serve(listener, app).await;
        });
        let telling = tokio::spawn(tell(shared.clone(), told));
        Ok(Self {
            address,
            shared,
            tasks: vec![serving, telling],
        })
    }

    /// Where the API is, without the bot's id.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/rcs/bot/v1", self.address)
    }

    /// Where tokens are given out.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("http://{}/oauth2/v1/token", self.address)
    }

    /// Where events go from now on.
    pub fn hook(&self, webhook: &str) {
        self.shared.world().webhook = Some(webhook.to_owned());
    }

    /// A phone, with RCS and switched on when it is new.
    #[must_use]
    pub fn phone(&self, number: &str) -> Phone {
        Phone::new(self.shared.clone(), number)
    }

    /// How many tokens were given out.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.shared.world().issued
    }

    /// All tokens that end, end now.
    pub fn ends_tokens(&self) {
        self.shared.world().tokens.clear();
    }

    /// Changes what goes wrong.
    pub fn plays(&self, change: impl FnOnce(&mut Scenario)) {
        change(&mut self.shared.world().scenario);
    }
}

impl Drop for Maap {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Sends what is told, one after the other, each until it is taken.
async fn tell(shared: Arc<Shared>, mut told: UnboundedReceiver<Value>) {
    while let Some(event) = told.recv().await {
        let scenario = shared.world().scenario.clone();
        let mut batch = vec![event];
        if scenario.reorders_webhooks
            && let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(500), told.recv()).await
        {
            batch.insert(0, next);
        }
        for event in batch {
            let times = if scenario.doubles_webhooks { 2 } else { 1 };
            for _ in 0..times {
                send(&shared, &event).await;
            }
        }
    }
}

async fn send(shared: &Shared, event: &Value) {
    let mut wait = Duration::from_millis(20);
    loop {
        let webhook = shared.world().webhook.clone();
        if let Some(webhook) = webhook {
            let request = shared
                .client
                .post(&webhook)
                .bearer_auth(WEBHOOK_TOKEN)
                .json(event);
            if request
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(200));
    }
}
