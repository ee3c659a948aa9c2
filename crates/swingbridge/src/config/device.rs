//! What the user of a device decided: the file of `swingbridge device`.

use super::connectors::{self, Account};
use super::fingerprint::{self, Fingerprint};
use super::lines::Defaults;
use super::problem::Problem;
use super::tree::{Kind, Node};
use super::validate::{http_url, user_id};
use super::{
    LoadError, Named, Sources, add_news, environment, finish, known_sections, meaning, parse, secrets,
    section,
};
use super::{limits, logging, messages, operations, privacy, retention};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use swingbridge_domain::line::{Display, Line};

/// The sections of the file.
const SECTIONS: &[&str] = &[
    "device",
    "homeserver",
    "connectors",
    "lines",
    "messages",
    "limits",
    "opt_out",
    "privacy",
    "webhooks",
    "operations",
    "logging",
    "retention",
];

/// The device, and whom it serves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Device {
    /// Whose device it is, by the account they use in their own client: `"@alice:example.org"`. Nobody else is served.
    pub owner: String,
    /// Where keys, queue and files are kept: a folder of the device's own on a disk of its own.
    pub folder: PathBuf,
    /// What people see in their list of sessions.
    pub name: String,
    /// A file (mode 0600) with the passphrase under which the session's keys are sealed, where the system has no keychain. Without it
    /// the passphrase is asked for, or taken from SWINGBRIDGE_PASSPHRASE.
    pub passphrase_file: Option<PathBuf>,
    /// Keep the key in the system's keychain where there is one.
    pub keychain: bool,
    /// Share room keys only with sessions that their owner has verified by cross-signing.
    pub only_signed_sessions: bool,
    /// The largest file that is brought over, in MiB.
    pub largest_file: u64,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            owner: String::new(),
            folder: "swingbridge-device".into(),
            name: "Swingbridge device".into(),
            passphrase_file: None,
            keychain: true,
            only_signed_sessions: false,
            largest_file: 100,
        }
    }
}

/// The homeserver that the device logs in to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Homeserver {
    /// Where the homeserver's client API is: `https://matrix.example.org`.
    pub address: String,
    /// A file of certificates (PEM) of authorities to trust for it.
    pub ca_file: Option<PathBuf>,
    /// Trust those authorities alone.
    pub only_this_ca: bool,
    /// The certificate (PEM, with its chain) that the device shows where the site asks for mutual TLS.
    pub client_cert_file: Option<PathBuf>,
    /// The key (PEM) of that certificate.
    pub client_key_file: Option<PathBuf>,
}

/// Where programs on the phone bring what came, where their connector waits for it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Webhooks {
    /// Address and port to listen on; `off` turns it off. Every request must be signed, as its connector says.
    pub address: String,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:29372".into(),
        }
    }
}

impl Webhooks {
    pub fn listen(&self) -> Option<std::net::SocketAddr> {
        self.address.parse().ok()
    }
}

/// A device's configuration that was read and understood.
#[derive(Debug)]
pub struct DeviceConfig {
    pub device: Device,
    pub homeserver: Homeserver,
    /// By their names.
    pub connectors: Vec<(String, Account)>,
    /// In the order of the file.
    pub lines: Vec<Line>,
    pub messages: messages::Messages,
    pub limits: limits::Limits,
    pub opt_out: limits::OptOut,
    pub privacy: privacy::Privacy,
    pub webhooks: Webhooks,
    pub operations: operations::Operations,
    pub logging: logging::Logging,
    pub retention: retention::Retention,
    /// To be compared at the next start.
    pub fingerprint: Fingerprint,
    /// What is no error, and still not good.
    pub warnings: Vec<String>,
}

/// Reads a device's configuration.
///
/// # Errors
/// [`LoadError`], with everything that is wrong.
pub fn load(sources: &Sources) -> Result<DeviceConfig, LoadError> {
    let mut root = parse(sources)?;
    let mut problems = Vec::new();
    environment::apply(&mut root, &sources.variables, &mut problems);
    let fingerprint = fingerprint::of(&root);
    let mut warnings = secrets::resolve(&mut root, sources.folder(), &mut problems);
    warnings.extend(secrets::readable_by_others(&sources.config));
    known_sections(&root, SECTIONS, &mut problems);
    let formed = problems.len();
    let mut named = Named::read(&root, connectors::DEVICE, &mut problems).serving();
    let problems_of = &mut problems;
    let mut config = DeviceConfig {
        device: section(&root, "device", problems_of),
        homeserver: section(&root, "homeserver", problems_of),
        connectors: Vec::new(),
        lines: Vec::new(),
        messages: messages_of(&root, problems_of),
        limits: section(&root, "limits", problems_of),
        opt_out: section(&root, "opt_out", problems_of),
        privacy: section(&root, "privacy", problems_of),
        webhooks: section(&root, "webhooks", problems_of),
        operations: match root.get("operations") {
            Some(_) => section(&root, "operations", problems_of),
            // On a phone nobody reads metrics.
            None => operations::Operations {
                address: "off".into(),
            },
        },
        logging: section(&root, "logging", problems_of),
        retention: section(&root, "retention", problems_of),
        fingerprint,
        warnings,
    };
    let mut found = Vec::new();
    check(&mut config, &named, &mut found);
    add_news(&root, found, formed, &mut problems);
    let folder = sources.folder();
    for (_, account) in &mut named.connectors {
        account.place(folder);
    }
    config.connectors = named.connectors;
    place(&mut config, folder);
    finish(config, problems, sources)
}

fn messages_of(root: &Node, problems: &mut Vec<Problem>) -> messages::Messages {
    let mut read: messages::Messages = section(root, "messages", problems);
    let told = root.find("messages.validity");
    if told.is_none_or(|told| matches!(told.kind, Kind::Null)) {
        read.validity = messages::Messages::of_device().validity;
    }
    read
}

fn check(config: &mut DeviceConfig, named: &Named, problems: &mut Vec<Problem>) {
    let device = &config.device;
    if !user_id(&device.owner) {
        let cause = match device.owner.is_empty() {
            true => "is not set",
            false => "is no Matrix user id",
        };
        problems.push(
            Problem::new("device.owner", cause).cure(
                "give the account that you use in your own client, as \"@alice:example.org\", in quotes",
            ),
        );
    }
    if device.largest_file == 0 {
        problems.push(
            Problem::new("device.largest_file", "is 0")
                .cure("give MiB, such as 100; take `media` out of a connector to carry no files at all"),
        );
    }
    http_url(
        "homeserver.address",
        &config.homeserver.address,
        "give the address of your homeserver's client API, such as https://matrix.example.org",
        problems,
    );
    let homeserver = &config.homeserver;
    if homeserver.client_cert_file.is_some() != homeserver.client_key_file.is_some() {
        problems.push(
            Problem::new("homeserver.client_cert_file", "stands without its companion")
                .cure("give both client_cert_file and client_key_file, or neither"),
        );
    }
    if homeserver.only_this_ca && homeserver.ca_file.is_none() {
        problems.push(
            Problem::new("homeserver.only_this_ca", "is on, and there is no ca_file")
                .cure("give the ca_file that is to be trusted alone"),
        );
    }
    if config.webhooks.address != "off" && config.webhooks.listen().is_none() {
        problems.push(
            Problem::new("webhooks.address", "is no address with a port")
                .cure("write it as 127.0.0.1:29372, or `off`"),
        );
    }
    let owner = [config.device.owner.clone()];
    let defaults = Defaults {
        users: &owner,
        display: Display::Name,
        consent: config.privacy.consent,
        downgrade: config.privacy.downgrade,
        limits: &config.limits,
        opt_out: &config.opt_out,
    };
    config.lines = meaning::connectors_and_lines(named, &defaults, problems);
    for line in &config.lines {
        let others = line.access.users.iter().any(|user| user.as_str() != owner[0]);
        if others || line.access.inbox.is_some() {
            problems.push(
                Problem::new(
                    format!("lines.{}.users", line.id),
                    "names somebody besides the owner",
                )
                .cure("a device serves its owner alone: leave `users` and `inbox_room` out"),
            );
        }
    }
    config.messages.check(problems);
    config.privacy.check(problems);
    config.operations.check(problems);
    config.retention.check(problems);
}

/// Lets relative paths begin at the configuration's folder.
fn place(config: &mut DeviceConfig, folder: &Path) {
    config.device.folder = folder.join(&config.device.folder);
    for path in [
        &mut config.device.passphrase_file,
        &mut config.homeserver.ca_file,
        &mut config.homeserver.client_cert_file,
        &mut config.homeserver.client_key_file,
    ] {
        *path = path.take().map(|path| folder.join(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::duration::Span;

    #[test]
    fn what_is_written_to_a_phone_that_is_away_for_a_weekend_waits_for_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let validity = |more: &str| {
            let config = folder.path().join("device.yaml");
            let text = format!(
                "device: {{owner: \"@alice:example.org\"}}\nhomeserver: {{address: \"https://matrix.example.org\"}}\n\
                 connectors: {{sms: {{type: termux}}}}\nlines: {{phone: {{connector: sms, address: \"+447700900123\"}}}}\n{more}"
            );
            std::fs::write(&config, text).unwrap();
            let sources = Sources {
                config,
                registration: None,
                variables: environment::Variables::new(),
            };
            load(&sources).unwrap().messages.validity
        };
        assert_eq!(validity(""), Span::days(7));
        assert_eq!(validity("messages: {attempts: 3}\n"), Span::days(7));
        assert_eq!(validity("messages: {validity: 24h}\n"), Span::hours(24));
    }
}
