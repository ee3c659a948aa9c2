//! An operator's RCS platform with GSMA's chatbot API (FNW.11), as far as one bot sees it; and the phones that it reaches.
//!
//! [`Maap`] is the platform, [`Phone`] a phone in somebody's hand. Paths and forms follow two clients that others wrote, one of which
//! (`rcs-chatbot`) drives it in a test. *Emulated*: it was compared with no operator's platform, and operators differ.

mod phone;
mod routes;
mod state;

pub use phone::Phone;
pub use state::Received;

use crate::trouble::Troubles;
use serde_json::{Value, json};
use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
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
        let telling = {
            let shared = shared.clone();
            tokio::spawn(async move {
                let hook = |event: &Value| shared.hook_of(event);
                shared.troubles.tell_in_order(told, hook).await;
            })
        };
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

    /// The platform tells what became of a message, whatever did: `sent`, `delivered`, `displayed`, `failed`.
    pub fn reaches(&self, message: &str, state: &str) {
        let found = {
            let world = self.shared.world();
            let found = world.messages.iter().find(|one| one.id == message);
            found.map(|one| state::number_of(&one.contact))
        };
        let about = json!({ "msgId": message, "status": state });
        self.shared
            .tell("messageStatus", &found.unwrap_or_default(), about);
    }

    /// What goes wrong. Signing in is not touched by it.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }

    /// How many messages it took to be sent.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.shared.world().messages.len()
    }

    /// From now on the answers to messages have these fields beside, or in place of, what they have by themselves.
    pub fn answers_with(&self, beside: Value) {
        self.shared.world().beside = Some(beside);
    }

    /// From now on a file is ready only when it is asked for again.
    pub fn readies_files_late(&self) {
        self.shared.world().readies_files_late = true;
    }
}

impl Drop for Maap {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
