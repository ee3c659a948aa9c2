//! Google RCS for Business in the suite; what is its own is in `crate::rbm`.

use super::{CAROL, Provider, REQUEST, Setting};
use crate::device::{BOB, OWN};
use async_trait::async_trait;
use data_encoding::BASE64;
use std::sync::Arc;
use swingbridge_connectors::rbm::{Config, RbmConnector};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::rbm::{AGENT, CLIENT_TOKEN, Rbm, service_account};
use swingbridge_lab::trouble::Troubles;

pub struct RbmHouse(Rbm);

#[async_trait]
impl Provider for RbmHouse {
    type Connector = RbmConnector;
    const IDEMPOTENT: bool = true;
    // That it is on its way Google does not say.
    const TELLS: [Outcome; 3] = [Outcome::Delivered, Outcome::Read, Outcome::Expired];

    async fn start(webhook: &str, clock: Arc<dyn Clock>) -> Self {
        let google = Rbm::start(clock).await.unwrap();
        google.hook(webhook);
        for number in [BOB, CAROL] {
            // What becomes of a message is told when a test says so.
            google.phone(number).is_on(false);
        }
        Self(google)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connector(&self, setting: &Setting) -> Result<RbmConnector, ConnectorError> {
        let mut config = Config {
            base_url: Some(setting.url.clone()),
            agent_id: AGENT.into(),
            service_account: Secret::new(service_account(&format!("{}/token", setting.url))),
            client_token: Secret::new(CLIENT_TOKEN),
            number: OWN.into(),
            ..Config::default()
        };
        config.timing.request = REQUEST;
        config.timing.longest_wait = setting.wait(config.timing.longest_wait, 80);
        RbmConnector::new(
            ConnectorId::new("rbm"),
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
                Outcome::Delivered => "DELIVERED",
                Outcome::Read => "READ",
                _ => "TTL_EXPIRATION_REVOKED",
            },
        );
    }

    fn altered(body: &str, text: &str, other: &str) -> String {
        let mut envelope: serde_json::Value = serde_json::from_str(body).unwrap();
        let data = BASE64
            .decode(envelope["message"]["data"].as_str().unwrap().as_bytes())
            .unwrap();
        let data = String::from_utf8(data).unwrap().replace(text, other);
        envelope["message"]["data"] = BASE64.encode(data.as_bytes()).into();
        envelope.to_string()
    }
}
