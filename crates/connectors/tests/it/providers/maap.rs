//! GSMA's chatbot API in the suite; what is its own is in `crate::maap`.

use super::{CAROL, Provider, REQUEST, Setting};
use crate::device::{BOB, OWN};
use async_trait::async_trait;
use std::sync::Arc;
use swingbridge_connectors::maap::{Config, MaapConnector};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::maap::{BOT, Maap, TOKEN, WEBHOOK_TOKEN};
use swingbridge_lab::trouble::Troubles;

pub struct MaapHouse(Maap);

#[async_trait]
impl Provider for MaapHouse {
    type Connector = MaapConnector;
    const IDEMPOTENT: bool = false;
    const SIGNS: bool = false;

    async fn start(webhook: &str, _: Arc<dyn Clock>) -> Self {
        let platform = Maap::start().await.unwrap();
        platform.hook(webhook);
        for number in [BOB, CAROL] {
            // What becomes of a message is told when a test says so.
            platform.phone(number).is_on(false);
        }
        Self(platform)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connector(&self, setting: &Setting) -> Result<MaapConnector, ConnectorError> {
        let mut config = Config {
            url: setting.url.clone(),
            bot_id: BOT.into(),
            token: Secret::new(TOKEN),
            number: OWN.into(),
            webhook_token: Secret::new(WEBHOOK_TOKEN),
            ..Config::default()
        };
        config.timing.request = REQUEST;
        MaapConnector::new(
            ConnectorId::new("maap"),
            config,
            &setting.folder,
            setting.clock.clone(),
        )
    }

    fn troubles(&self) -> &Troubles {
        self.0.troubles()
    }

    fn taken(&self) -> usize {
        self.0.taken()
    }

    fn receives(&self, from: &str, text: &str) -> String {
        self.0.phone(from).writes(text)
    }

    fn reaches(&self, id: &str, outcome: Outcome) {
        self.0.reaches(
            id,
            match outcome {
                Outcome::Sent => "sent",
                Outcome::Delivered => "delivered",
                _ => "failed",
            },
        );
    }
}
