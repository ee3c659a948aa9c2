//! `--rcs`: Google's RCS for Business (emulated) before the carrier's SMS.

pub mod check;
pub mod page;

use crate::gateway::{CONTACT, Gateway};
use anyhow::{Context, Result};
use std::sync::Arc;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::process::free_port;
use swingbridge_lab::rbm::{AGENT, CLIENT_TOKEN, Phone, Rbm};
use swingbridge_lab::smsc::SystemClock;

/// The connector's name in the gateway's configuration.
const CONNECTOR: &str = "google";
/// What the agent is called.
const NAME: &str = "Lab Agent";

/// Google, with Bob's phone at the agent's reach.
pub struct Google {
    pub rbm: Rbm,
    pub bob: Phone,
    /// Google speaks TLS.
    _edge: Edge,
}

impl Google {
    /// Starts it, and lets the gateway have an account there and a line that falls back to the carrier's.
    pub async fn start(gateway: &mut Gateway) -> Result<Self> {
        let rbm = Rbm::start(Arc::new(SystemClock))
            .await
            .context("cannot start Google")?;
        let bob = rbm.phone(CONTACT);
        let authority = Authority::new("The lab's Google").context("no authority")?;
        let server = authority.signs("127.0.0.1").context("no certificate")?;
        let edge = Edge::open(&rbm.url(), &server, None)
            .await
            .context("no TLS before Google")?;
        let ca_file = gateway.keep("google-ca.pem", &authority.certificate)?;
        let hooks = format!("127.0.0.1:{}", free_port()?);
        gateway.set("WEBHOOKS__ADDRESS", &hooks);
        gateway.set("WEBHOOKS__PUBLIC_URL", format!("http://{hooks}"));
        for (key, value) in [
            ("TYPE", "rbm"),
            ("BASE_URL", edge.url().trim_end_matches('/')),
            ("CA_FILE", &ca_file.display().to_string()),
            ("AGENT_ID", AGENT),
            ("SERVICE_ACCOUNT", &rbm.service_account()),
            ("CLIENT_TOKEN", CLIENT_TOKEN),
        ] {
            gateway.set(&format!("CONNECTORS__GOOGLE__{key}"), value);
        }
        for (key, value) in [
            ("CONNECTOR", CONNECTOR),
            ("ADDRESS", NAME),
            ("NAME", NAME),
            ("REGION", "GB"),
            ("USERS", "@alice:localhost"),
            ("FALLBACK__LINE", "main"),
            ("FALLBACK__AFTER", "30s"),
        ] {
            gateway.set(&format!("LINES__AGENT__{key}"), value);
        }
        Ok(Self {
            rbm,
            bob,
            _edge: edge,
        })
    }

    /// Tells Google where the gateway is called, as its console does.
    pub async fn told_of(&self, gateway: &Gateway) -> Result<()> {
        let url = gateway.webhook_of(CONNECTOR)?;
        self.rbm
            .sets_up(&url)
            .await
            .context("Google cannot call the gateway")?;
        crate::house::tell("Google knows where to call the gateway, and the gateway its secret");
        Ok(())
    }

    /// Serves the page of Bob's RCS phone, and says what there is to try.
    pub async fn welcome(&self) -> Result<()> {
        let port = page::serve(self.bob.clone()).await?;
        println!(
            "
  Bob's phone has RCS as well:

    RCS       http://127.0.0.1:{port}    what the agent \"{NAME}\" sends to Bob; write, tap, lose RCS and get it back

  In the room with Bob:  !sms reach                                  asks Google whether it reaches Bob
                         !sms card Table? | Tonight | Yes | No       a card with two buttons
  Take RCS from Bob's phone and write again: it goes by SMS, once you agree."
        );
        Ok(())
    }
}
