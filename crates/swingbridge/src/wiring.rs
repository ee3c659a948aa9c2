//! The one place that builds adapters and opens secrets.
//!
//! Architecture Invariant: nothing else names a connector's or a store's concrete type, and nothing else hands out keys and tokens.

#[cfg(feature = "device")]
mod device;
mod providers;

#[cfg(feature = "device")]
pub use device::*;

use crate::config::Config;
use crate::config::connectors::Account;
use crate::config::database::{Kind, Synchronous};
use crate::config::encryption::Mode as Encryption;
use crate::config::messages::{Fallback, Media, Messages};
use crate::config::retention::Retention;
use crate::edges::{SystemClock, SystemEntropy};
use crate::exit::{Ends, Exit, Failure};
use crate::http::Mounted;
use std::sync::Arc;
use swingbridge_connectors::check::Check;
use swingbridge_connectors::smpp::SmppConnector;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::Connector;
use swingbridge_domain::homeserver::MediaLinks;
use swingbridge_domain::id::{ConnectorId, UserId};
use swingbridge_domain::path::{Place, Protection, Scheme};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::Store;
use swingbridge_engine::site::{self, Policy, Site};
use swingbridge_matrix::media::Links;
use swingbridge_matrix::provisioning::Network;
use swingbridge_matrix::{Matrix, Mode, Protocol};
use url::Url;

/// The network that all connectors of today reach.
const NETWORK: &str = "sms";
const NETWORK_NAME: &str = "SMS";

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The keys of the site.
pub fn keys(config: &Config) -> Keys {
    Keys::derive(&config.site_key.0, Arc::new(SystemEntropy))
}

/// Opens the database. Blocks.
pub fn store(config: &Config) -> Result<Arc<dyn Store>, swingbridge_store::OpenError> {
    swingbridge_store::open(&store_config(config), swingbridge_store::BATCH)
}

/// Opens the database to be read, also beside a running gateway. Blocks.
pub fn store_to_read(config: &Config) -> Result<Arc<dyn Store>, swingbridge_store::OpenError> {
    swingbridge_store::open_to_read(&store_config(config))
}

fn store_config(config: &Config) -> swingbridge_store::Config {
    let database = &config.database;
    match database.kind {
        Kind::Sqlite => swingbridge_store::Config::Sqlite {
            path: database.path.clone(),
            synchronous: match database.synchronous {
                Synchronous::Full => swingbridge_store::Synchronous::Full,
                Synchronous::Normal => swingbridge_store::Synchronous::Normal,
            },
        },
        Kind::Postgres => swingbridge_store::Config::Postgres {
            url: database.uri.clone(),
            schema: database.schema.clone(),
        },
    }
}

/// Where the homeserver reaches us.
pub fn own_url(config: &Config) -> Result<Url, Failure> {
    Url::parse(&config.appservice.url()).ends(Exit::Config)
}

/// The Matrix side's own configuration.
pub fn matrix_config(config: &Config) -> Result<swingbridge_matrix::Config, Failure> {
    let (appservice, homeserver) = (&config.appservice, &config.homeserver);
    let address = Url::parse(&homeserver.address).ends(Exit::Config)?;
    let mut matrix = swingbridge_matrix::Config::new(
        address,
        &homeserver.domain,
        &appservice.prefix,
        appservice.as_token.clone(),
        appservice.hs_token.clone(),
    );
    matrix.appservice_id.clone_from(&appservice.id);
    matrix.bot.clone_from(&appservice.bot.username);
    matrix.bot_name.clone_from(&appservice.bot.displayname);
    matrix.bot_avatar.clone_from(&appservice.bot.avatar);
    matrix.protocols = vec![Protocol {
        id: NETWORK.into(),
        name: NETWORK_NAME.into(),
    }];
    matrix.room_version.clone_from(&homeserver.room_version);
    matrix.encryption = match config.encryption.mode {
        Encryption::Off => Mode::Off,
        Encryption::Allow => Mode::Allow,
        Encryption::Default => Mode::Default,
        Encryption::Require => Mode::Require,
    };
    matrix.crypto_folder.clone_from(&config.encryption.path);
    matrix.media_folder.clone_from(&config.files.path);
    matrix.media_limit = config.files.largest << 20;
    if let Some(file) = &homeserver.ca_file {
        let roots = std::fs::read(file).map_err(|error| {
            Failure::msg(
                Exit::Config,
                format!("homeserver.ca_file: {} cannot be read: {error}", file.display()),
            )
        })?;
        matrix.roots = Some(roots);
    }
    Ok(matrix)
}

/// The homeserver's client.
pub fn matrix(config: &Config, keys: Keys) -> Result<Arc<Matrix>, Failure> {
    Matrix::new(matrix_config(config)?, keys, clock()).ends(Exit::Config)
}

/// A client for what runs on this machine: no proxy, little patience.
pub fn local_client() -> reqwest::Result<reqwest::Client> {
    // Whoever came first may have installed one; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(5))
        .build()
}

/// The SMPP connector of an account; `None` for an account of another kind.
fn smpp(name: &str, account: &Account) -> Result<Option<Arc<SmppConnector>>, Failure> {
    let Account::Smpp(settings) = account else {
        return Ok(None);
    };
    let (id, entropy) = (ConnectorId::new(name), Arc::new(SystemEntropy));
    let connector = SmppConnector::new(id, (**settings).clone(), clock(), entropy);
    connector
        .map(|connector| Some(Arc::new(connector)))
        .ends(Exit::Config)
}

/// What tries an account of a gateway; `None` for one of a device.
pub fn check(
    config: &Config,
    keys: &Keys,
    name: &str,
    account: &Account,
) -> Result<Option<Arc<dyn Check>>, Failure> {
    if let Some(connector) = smpp(name, account)? {
        return Ok(Some(connector));
    }
    Ok(providers::build(config, keys, name, account)?.map(|called| called.check))
}

/// What a gateway speaks to phone networks by.
pub struct Networks {
    pub connectors: Vec<Arc<dyn Connector>>,
    /// What providers call.
    pub webhooks: Vec<Mounted>,
}

/// All connectors. Each keeps what it must remember in a folder of its own, beside the database.
pub fn networks(config: &Config, keys: &Keys) -> Result<Networks, Failure> {
    let mut networks = Networks {
        connectors: Vec::new(),
        webhooks: Vec::new(),
    };
    for (name, account) in &config.connectors {
        if let Some(connector) = smpp(name, account)? {
            networks.connectors.push(connector);
        }
        providers::add(config, keys, name, account, &mut networks)?;
    }
    Ok(networks)
}

/// Where a provider calls a connector: only who was told knows it.
pub fn webhook_path(keys: &Keys, name: &str) -> String {
    format!("/_swingbridge/hook/{name}/{}", keys.pseudonym("webhook", name))
}

/// A path of the webhooks' listener as the outside sees it.
pub fn public_url(config: &Config, path: &str) -> String {
    let base = config.webhooks.public_url.as_deref().unwrap_or_default();
    format!("{}{path}", base.trim_end_matches('/'))
}

/// Links to media, where they are turned on.
pub fn links(config: &Config, keys: Keys) -> Result<Option<Arc<dyn MediaLinks>>, Failure> {
    let (Media::Link, Some(public)) = (config.messages.media, &config.messages.public_url) else {
        return Ok(None);
    };
    let public = Url::parse(public).ends(Exit::Config)?;
    Ok(Some(Arc::new(Links::new(
        keys,
        &public,
        config.messages.link_ttl.0,
    ))))
}

/// The network as clients show it.
pub fn network() -> Network {
    Network {
        id: NETWORK.into(),
        name: NETWORK_NAME.into(),
        url: String::new(),
    }
}

/// What the operator decided, as the engine sees it.
pub fn site(config: &Config) -> Site {
    let (appservice, messages) = (&config.appservice, &config.messages);
    Site {
        bot: UserId::new(format!(
            "@{}:{}",
            appservice.bot.username, config.homeserver.domain
        )),
        here: Place::Gateway,
        ghost_prefix: format!("@{}_", appservice.prefix),
        lines: config.lines.iter().cloned().map(Arc::new).collect(),
        // The engine asks the connectors.
        capabilities: std::collections::BTreeMap::new(),
        permissions: config.permissions.clone(),
        policy: policy(messages, &config.retention),
        privacy: site::Privacy {
            operator: config.privacy.operator.clone(),
            hold: config.privacy.hold.0,
            homeserver: to_homeserver(&config.homeserver.address),
            new_rooms: match config.encryption.mode {
                Encryption::Default | Encryption::Require => Protection::EndToEnd(Scheme::Megolm),
                Encryption::Off | Encryption::Allow => Protection::None,
            },
        },
        command_prefix: appservice.bot.command_prefix.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// What is done where there is a choice.
fn policy(messages: &Messages, retention: &Retention) -> Policy {
    let fallback = |fallback| match fallback {
        Fallback::Text => site::Fallback::Text,
        Fallback::Refuse => site::Fallback::Refuse,
    };
    Policy {
        validity: messages.validity.0,
        assembly_wait: messages.assembly_timeout.0,
        assembly_keep: messages.assembly_keep.0,
        attempts: messages.attempts,
        reactions: fallback(messages.reactions),
        edits: fallback(messages.edits),
        media: match messages.media {
            Media::Refuse => site::MediaPolicy::Refuse,
            Media::Link => site::MediaPolicy::Link,
        },
        retention: retention.messages.0,
        audit_retention: retention.audit.0,
        buried_retention: retention.buried.0,
        ..Policy::default()
    }
}

/// What protects the connection to the homeserver.
fn to_homeserver(address: &str) -> Protection {
    match address.starts_with("https://") {
        true => Protection::Transport,
        false => Protection::None,
    }
}
