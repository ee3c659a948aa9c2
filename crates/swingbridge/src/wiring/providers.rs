//! The connectors of providers and operators, which a gateway alone has.

use super::{Networks, clock, public_url, webhook_path};
use crate::config::Config;
use crate::config::connectors::Account;
use crate::exit::{Ends, Exit, Failure};
use crate::http::Mounted;
use std::sync::Arc;
use swingbridge_connectors::maap::MaapConnector;
use swingbridge_connectors::rbm::RbmConnector;
use swingbridge_connectors::telnyx::TelnyxConnector;
use swingbridge_connectors::twilio::TwilioConnector;
use swingbridge_connectors::webhook::Webhook;
use swingbridge_connectors::webhook_http::WebhookConnector;
use swingbridge_domain::connector::Connector;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::Place;
use swingbridge_domain::secret::Keys;

/// Adds the connector of one account, with the place where its provider calls.
pub(super) fn add(
    config: &Config,
    keys: &Keys,
    name: &str,
    account: &Account,
    networks: &mut Networks,
) -> Result<(), Failure> {
    let beside = config.database.path.parent().unwrap_or_else(|| ".".as_ref());
    let folder = beside.join("connectors").join(name);
    let id = ConnectorId::new(name);
    let path = webhook_path(keys, name);
    // The others are built elsewhere, or are of a device.
    if !account.is_called() {
        return Ok(());
    }
    crate::edges::private_folder(&folder).ends(Exit::File)?;
    let mut account = account.clone();
    account.called_at(&public_url(config, &path));
    match &account {
        Account::Rbm(settings) => {
            let connector = RbmConnector::new(id, (**settings).clone(), &folder, clock());
            mount(
                config,
                name,
                path,
                Arc::new(connector.ends(Exit::Connector)?),
                networks,
            );
        }
        Account::Maap(settings) => {
            let connector = MaapConnector::new(id, (**settings).clone(), &folder, clock());
            mount(
                config,
                name,
                path,
                Arc::new(connector.ends(Exit::Connector)?),
                networks,
            );
        }
        Account::Twilio(settings) => {
            let connector = TwilioConnector::new(id, (**settings).clone(), &folder, Place::Gateway, clock());
            mount(
                config,
                name,
                path,
                Arc::new(connector.ends(Exit::Connector)?),
                networks,
            );
        }
        Account::Telnyx(settings) => {
            let connector = TelnyxConnector::new(id, (**settings).clone(), &folder, Place::Gateway, clock());
            mount(
                config,
                name,
                path,
                Arc::new(connector.ends(Exit::Connector)?),
                networks,
            );
        }
        Account::Webhook(settings) => {
            let connector = WebhookConnector::new(id, (**settings).clone(), &folder, Place::Gateway, clock());
            mount(
                config,
                name,
                path,
                Arc::new(connector.ends(Exit::Connector)?),
                networks,
            );
        }
        Account::Smpp(_)
        | Account::Termux(_)
        | Account::SmsGateway(_)
        | Account::Imessage(_)
        | Account::Bluebubbles(_) => {}
    }
    Ok(())
}

fn mount<C>(config: &Config, name: &str, path: String, connector: Arc<C>, networks: &mut Networks)
where
    C: Connector + Webhook + 'static,
{
    networks.webhooks.push(Mounted {
        path,
        webhook: connector.clone(),
        doors: config.webhooks.doors(name),
    });
    networks.connectors.push(connector);
}
