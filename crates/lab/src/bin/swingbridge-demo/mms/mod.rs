//! `--mms`: group MMS by Telnyx (emulated), with three phones in one group and a line of ours.

pub mod check;
mod page;
mod phones;

pub use phones::{Phones, Said};

use crate::gateway::Gateway;
use crate::ports::Ports;
use anyhow::{Context, Result};
use std::sync::Arc;
use swingbridge_domain::clock::Clock;
use swingbridge_lab::process::free_port;
use swingbridge_lab::smsc::SystemClock;
use swingbridge_lab::telnyx::{API_KEY, NUMBER, Telnyx, public_key};
use tokio::task::JoinHandle;

/// The connector's name in the gateway's configuration.
const CONNECTOR: &str = "telnyx";

/// Whose phones are in the group: numbers that are kept for fiction.
pub const PEOPLE: [(&str, &str); 3] = [
    ("+13125550101", "Erin"),
    ("+13125550102", "Frank"),
    ("+13125550103", "Grace"),
];

/// A picture to send: a bridge at dusk.
pub const PICTURE: &[u8] = include_bytes!("picture.png");

/// Telnyx, with the phones of the group.
pub struct Group {
    pub phones: Arc<Phones>,
    listening: JoinHandle<()>,
}

impl Group {
    /// Starts it, and lets the gateway have an account there and a line.
    pub async fn start(gateway: &mut Gateway, ports: &Ports) -> Result<Self> {
        let telnyx = Telnyx::start(SystemClock.now().millis() / 1000)
            .await
            .context("cannot start Telnyx")?;
        let hooks = format!("127.0.0.1:{}", free_port()?);
        gateway.set("WEBHOOKS__ADDRESS", &hooks);
        gateway.set("WEBHOOKS__PUBLIC_URL", format!("http://{hooks}"));
        // Telnyx fetches what we send from here.
        gateway.set("MESSAGES__MEDIA", "link");
        gateway.set(
            "MESSAGES__PUBLIC_URL",
            format!("http://127.0.0.1:{}", ports.gateway),
        );
        for (key, value) in [
            ("TYPE", "telnyx"),
            ("URL", &telnyx.url()),
            ("API_KEY", API_KEY),
            ("PUBLIC_KEY", &public_key()),
        ] {
            gateway.set(&format!("CONNECTORS__TELNYX__{key}"), value);
        }
        for (key, value) in [
            ("CONNECTOR", CONNECTOR),
            ("ADDRESS", NUMBER),
            ("NAME", "Group texts"),
            ("REGION", "US"),
            ("USERS", "@alice:localhost"),
        ] {
            gateway.set(&format!("LINES__GROUPS__{key}"), value);
        }
        let phones = Arc::new(Phones::new(telnyx));
        let listening = tokio::spawn(Phones::listen(phones.clone()));
        Ok(Self { phones, listening })
    }

    /// Tells Telnyx where the gateway is called, as its portal does.
    pub fn told_of(&self, gateway: &Gateway) -> Result<()> {
        self.phones.telnyx.webhook(&gateway.webhook_of(CONNECTOR)?);
        crate::house::tell("Telnyx knows where to call the gateway");
        Ok(())
    }

    /// Serves the page of the phones, and says what there is to try.
    pub async fn welcome(&self) -> Result<()> {
        let port = page::serve(self.phones.clone()).await?;
        println!(
            "
  Three more phones have a group with the line \"Group texts\" ({NUMBER}):

    group     http://127.0.0.1:{port}    the phones of Erin, Frank and Grace; write and send pictures from any of them

  Let one of them write: alice is asked into a room with all three. What she answers there, pictures too, is on each phone."
        );
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
