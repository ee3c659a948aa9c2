//! The connectors of providers and operators, which a gateway alone has.

use super::{Networks, clock, public_url, webhook_path};
use crate::config::Config;
use crate::config::connectors::Account;
use crate::exit::{Ends, Exit, Failure};
use crate::http::Mounted;
use std::sync::Arc;
use swingbridge_connectors::check::Check;
use swingbridge_connectors::maap::MaapConnector;
use swingbridge_connectors::rbm::RbmConnector;
use swingbridge_connectors::telnyx::TelnyxConnector;
use swingbridge_connectors::twilio::TwilioConnector;
use swingbridge_connectors::webhook::Webhook;
use swingbridge_connectors::webhook_http::WebhookConnector;
use swingbridge_domain::connector::{Connector, ConnectorError};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::Place;
use swingbridge_domain::secret::Keys;

/// The connector of an account whose provider calls us, as each of those who use it sees it.
pub(super) struct Called {
    pub connector: Arc<dyn Connector>,
    pub check: Arc<dyn Check>,
    webhook: Arc<dyn Webhook>,
    path: String,
}

/// Builds it; `None` for an account that is of another kind.
pub(super) fn build(
    config: &Config,
    keys: &Keys,
    name: &str,
    account: &Account,
) -> Result<Option<Called>, Failure> {
    // The others are built elsewhere, or are of a device.
    if !account.is_called() {
        return Ok(None);
    }
    let beside = config.database.path.parent().unwrap_or_else(|| ".".as_ref());
    let folder = beside.join("connectors").join(name);
    crate::edges::private_folder(&folder).ends(Exit::File)?;
    let (id, path) = (ConnectorId::new(name), webhook_path(keys, name));
    let mut account = account.clone();
    account.called_at(&public_url(config, &path));
    let (ours, clock) = (Place::Gateway, clock());
    match account {
        Account::Rbm(settings) => called(path, RbmConnector::new(id, *settings, &folder, clock)),
        Account::Maap(settings) => called(path, MaapConnector::new(id, *settings, &folder, clock)),
        Account::Twilio(settings) => called(path, TwilioConnector::new(id, *settings, &folder, ours, clock)),
        Account::Telnyx(settings) => called(path, TelnyxConnector::new(id, *settings, &folder, ours, clock)),
        Account::Webhook(settings) => {
            called(path, WebhookConnector::new(id, *settings, &folder, ours, clock))
        }
        Account::Smpp(_)
        | Account::Termux(_)
        | Account::SmsGateway(_)
        | Account::Imessage(_)
        | Account::Bluebubbles(_) => Ok(None),
    }
}

fn called<C>(path: String, connector: Result<C, ConnectorError>) -> Result<Option<Called>, Failure>
where
    C: Connector + Webhook + Check + 'static,
{
    let connector = Arc::new(connector.ends(Exit::Connector)?);
    Ok(Some(Called {
        connector: connector.clone(),
        check: connector.clone(),
        webhook: connector,
        path,
    }))
}

/// Adds the connector of one account, with the place where its provider calls.
pub(super) fn add(
    config: &Config,
    keys: &Keys,
    name: &str,
    account: &Account,
    networks: &mut Networks,
) -> Result<(), Failure> {
    if let Some(called) = build(config, keys, name, account)? {
        networks.webhooks.push(Mounted {
            name: name.to_owned(),
            path: called.path,
            webhook: called.webhook,
            doors: config.webhooks.doors(name),
        });
        networks.connectors.push(called.connector);
    }
    Ok(())
}
