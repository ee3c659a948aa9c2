//! The parts of a device.

use super::clock;
use crate::config::connectors::Account;
use crate::config::device::DeviceConfig;
use crate::config::webhooks::Doors;
use crate::edges::SystemEntropy;
use crate::exit::{Ends, Exit, Failure};
use crate::http::Mounted;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use swingbridge_connectors::bluebubbles::BlueBubblesConnector;
use swingbridge_connectors::imessage::IMessageConnector;
use swingbridge_connectors::sms_gateway::{SmsGatewayConnector, Where};
use swingbridge_connectors::termux::TermuxConnector;
use swingbridge_domain::connector::Connector;
use swingbridge_domain::id::{ConnectorId, UserId};
use swingbridge_domain::line::{Permission, Permissions};
use swingbridge_domain::path::{Place, Protection, Scheme};
use swingbridge_domain::secret::{Keys, Secret};
use swingbridge_domain::store::Store;
use swingbridge_engine::site::{Privacy, Site};
use swingbridge_matrix::puppet::{self, Puppet};
use swingbridge_ops::health::Reach;
use url::Url;

/// What commands to a device begin with outside the direct chat.
pub const COMMANDS: &str = "!sb";

/// What a device speaks to its networks by.
pub struct Device {
    pub connectors: Vec<Arc<dyn Connector>>,
    /// What brings requests to those that wait for them.
    pub webhooks: Vec<Mounted>,
}

/// The keys of the device.
pub fn device_keys(site_key: &[u8; 32]) -> Keys {
    Keys::derive(site_key, Arc::new(SystemEntropy))
}

/// Opens the device's database. Blocks.
pub fn device_store(folder: &Path) -> Result<Arc<dyn Store>, swingbridge_store::OpenError> {
    let config = swingbridge_store::Config::Sqlite {
        path: folder.join("swingbridge.db"),
        synchronous: swingbridge_store::Synchronous::Full,
    };
    swingbridge_store::open(&config, swingbridge_store::BATCH)
}

/// The device's own configuration of its Matrix client.
pub fn puppet_config(config: &DeviceConfig) -> Result<puppet::Config, Failure> {
    let (device, homeserver) = (&config.device, &config.homeserver);
    let address = Url::parse(&homeserver.address).ends(Exit::Config)?;
    let mut puppet = puppet::Config::new(address, UserId::new(&device.owner), device.folder.join("client"));
    puppet.device_name.clone_from(&device.name);
    puppet.only_signed_devices = device.only_signed_sessions;
    puppet.media_limit = device.largest_file << 20;
    puppet.only_these_roots = homeserver.only_this_ca;
    puppet.roots = read("ca_file", homeserver.ca_file.as_deref())?;
    let certificate = read("client_cert_file", homeserver.client_cert_file.as_deref())?;
    let key = read("client_key_file", homeserver.client_key_file.as_deref())?;
    if let (Some(mut both), Some(key)) = (certificate, key) {
        both.push(b'\n');
        both.extend(key);
        let both = String::from_utf8(both).ends(Exit::Config)?;
        puppet.client_identity = Some(Secret::new(both));
    }
    Ok(puppet)
}

fn read(key: &str, path: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            let text = format!("homeserver.{key}: {} cannot be read: {error}", path.display());
            Failure::msg(Exit::Config, text)
        })
    };
    path.map(read).transpose()
}

/// Whether the homeserver answers the device, for its health.
pub fn reach_of(puppet: Arc<Puppet>) -> Reach {
    Box::new(move || {
        let health = puppet.health();
        Box::pin(async move {
            match crate::device::sla::is_up(health.state) {
                true => Ok(()),
                false => Err(health.detail),
            }
        })
    })
}

/// What the user of the device decided, as the engine sees it.
pub fn device_site(config: &DeviceConfig, account: &UserId) -> Site {
    Site {
        bot: account.clone(),
        here: Place::Device,
        // Nobody has such a name: a device makes no Matrix users.
        ghost_prefix: "@:".into(),
        lines: config.lines.iter().cloned().map(Arc::new).collect(),
        // The engine asks the connectors.
        capabilities: BTreeMap::new(),
        permissions: Permissions(vec![(config.device.owner.clone(), Permission::Admin)]),
        policy: super::policy(&config.messages, &config.retention),
        privacy: Privacy {
            operator: None,
            hold: config.privacy.hold.0,
            homeserver: super::to_homeserver(&config.homeserver.address),
            new_rooms: Protection::EndToEnd(Scheme::Megolm),
        },
        command_prefix: COMMANDS.into(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// The connectors of a device. Each keeps what it must remember in a folder of its own.
pub fn device(config: &DeviceConfig) -> Result<Device, Failure> {
    let mut device = Device {
        connectors: Vec::new(),
        webhooks: Vec::new(),
    };
    for (name, account) in &config.connectors {
        let folder = config.device.folder.join("connectors").join(name);
        crate::edges::private_folder(&folder).ends(Exit::File)?;
        let id = ConnectorId::new(name);
        let entropy = Arc::new(SystemEntropy);
        let connector: Arc<dyn Connector> = match account {
            // Refused when the configuration was read.
            Account::Smpp(_)
            | Account::Rbm(_)
            | Account::Maap(_)
            | Account::Twilio(_)
            | Account::Telnyx(_)
            | Account::Webhook(_) => continue,
            Account::Termux(settings) => Arc::new(
                TermuxConnector::new(id, (**settings).clone(), &folder, clock()).ends(Exit::Connector)?,
            ),
            Account::SmsGateway(settings) => {
                let connector = SmsGatewayConnector::new(
                    id,
                    (**settings).clone(),
                    &folder,
                    Where::Device,
                    clock(),
                    &SystemEntropy,
                );
                let connector = Arc::new(connector.ends(Exit::Connector)?);
                if let Some(url) = &settings.webhook_url {
                    // Checked when the configuration was read.
                    let path = Url::parse(url).ends(Exit::Config)?.path().to_owned();
                    device.webhooks.push(Mounted {
                        name: name.clone(),
                        path,
                        webhook: connector.clone(),
                        doors: Doors::default(),
                    });
                }
                connector
            }
            Account::Imessage(settings) => {
                let home = std::env::home_dir().unwrap_or_default();
                let settings = (**settings).clone().at_home(&home);
                Arc::new(
                    IMessageConnector::new(id, settings, &folder, clock(), entropy).ends(Exit::Connector)?,
                )
            }
            Account::Bluebubbles(settings) => Arc::new(
                BlueBubblesConnector::new(id, (**settings).clone(), &folder, clock(), entropy)
                    .ends(Exit::Connector)?,
            ),
        };
        device.connectors.push(connector);
    }
    Ok(device)
}
