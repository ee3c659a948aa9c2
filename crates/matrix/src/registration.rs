//! `registration.yaml`: what the homeserver is told about us.
//!
//! The format is that of the application service API (section "Registration"); ruma's type lacks the keys of MSC4190,
//! MSC3202 and the old name of ephemeral events, so this is our own.

use crate::config::Config;
use crate::crypto::Mode;
use serde::{Deserialize, Serialize};
use swingbridge_domain::clock::Entropy;
use swingbridge_domain::secret::Secret;
use url::Url;

/// The file that the homeserver reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub id: String,
    /// Where the homeserver finds us; `null` for one without traffic.
    pub url: Option<String>,
    pub as_token: Secret,
    pub hs_token: Secret,
    /// Random, and never the bot: Synapse answers 500 to this one user's `/sync`.
    pub sender_localpart: String,
    #[serde(default = "limited_unless_said")]
    pub rate_limited: bool,
    #[serde(default)]
    pub receive_ephemeral: bool,
    /// The old name of `receive_ephemeral`; Synapse before 1.157 knew only this one.
    #[serde(default, rename = "de.sorunome.msc2409.push_ephemeral")]
    pub push_ephemeral: bool,
    /// Devices are made with `PUT /devices/{id}` (MSC4190).
    #[serde(default, rename = "io.element.msc4190")]
    pub makes_devices: bool,
    /// Transactions carry key counts and device lists (MSC3202).
    #[serde(default, rename = "org.matrix.msc3202")]
    pub device_lists: bool,
    #[serde(default)]
    pub protocols: Vec<String>,
    pub namespaces: Namespaces,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    #[serde(default)]
    pub users: Vec<Namespace>,
    #[serde(default)]
    pub aliases: Vec<Namespace>,
    #[serde(default)]
    pub rooms: Vec<Namespace>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub exclusive: bool,
    pub regex: String,
}

fn limited_unless_said() -> bool {
    true
}

/// Something in which a registration and the configuration disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key in the file.
    pub key: &'static str,
    /// What is wrong with it and what should be. Holds no token.
    pub text: String,
}

/// The file is not a registration.
#[derive(Debug, thiserror::Error)]
#[error("the registration cannot be read: {0}")]
pub struct Unreadable(String);

/// 64 characters that nobody guesses (381 bits).
pub fn random_token(entropy: &dyn Entropy) -> Secret {
    Secret::new(random_text(entropy, 64))
}

fn random_text(entropy: &dyn Entropy, length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::with_capacity(length);
    let mut bytes = [0u8; 64];
    while out.len() < length {
        entropy.fill(&mut bytes);
        // Six bits each; the two values beyond the alphabet are drawn again, so that each letter is as likely.
        let letters = bytes
            .iter()
            .filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        out.extend(letters.map(|letter| char::from(*letter)).take(length - out.len()));
    }
    out
}

impl Registration {
    /// The registration that `config` asks for, with a fresh random `sender_localpart`. `url` is where the homeserver
    /// finds us.
    pub fn new(config: &Config, url: &Url, entropy: &dyn Entropy) -> Self {
        Self {
            id: config.appservice_id.clone(),
            url: Some(url.as_str().trim_end_matches('/').to_owned()),
            as_token: config.as_token.clone(),
            hs_token: config.hs_token.clone(),
            sender_localpart: random_text(entropy, 32).to_lowercase(),
            rate_limited: false,
            receive_ephemeral: true,
            push_ephemeral: true,
            makes_devices: true,
            device_lists: true,
            protocols: config
                .protocols
                .iter()
                .map(|protocol| protocol.id.clone())
                .collect(),
            namespaces: namespaces(config),
        }
    }

    /// Reads a registration file.
    ///
    /// # Errors
    /// [`Unreadable`] when it is not YAML or lacks a required key; final.
    pub fn parse(yaml: &str) -> Result<Self, Unreadable> {
        serde_yaml_ng::from_str(yaml).map_err(|error| Unreadable(error.to_string()))
    }

    /// The file's text. Holds both tokens: keep it at mode 0600.
    pub fn to_yaml(&self) -> String {
        serde_yaml_ng::to_string(self).expect("texts, booleans and lists always serialise")
    }

    /// Where this registration and `config` (with our own address `url`) disagree, in the order of the file. Empty when
    /// the two belong together.
    pub fn differences(&self, config: &Config, url: &Url) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut differ = |key, text: String| found.push(Difference { key, text });
        if self.id != config.appservice_id {
            differ(
                "id",
                format!(
                    "is {:?}, the configuration says {:?}",
                    self.id, config.appservice_id
                ),
            );
        }
        let wanted = url.as_str().trim_end_matches('/');
        match self.url.as_deref().map(|url| url.trim_end_matches('/')) {
            Some(url) if url == wanted => {}
            Some(url) => differ("url", format!("is {url}, the configuration says {wanted}")),
            None => differ(
                "url",
                format!("is null, so the homeserver sends nothing; it should be {wanted}"),
            ),
        }
        if self.as_token != config.as_token {
            differ("as_token", "is another one than the configuration's".to_owned());
        }
        if self.hs_token != config.hs_token {
            differ("hs_token", "is another one than the configuration's".to_owned());
        }
        if self.as_token == self.hs_token {
            differ(
                "hs_token",
                "is the same as as_token; each must be a secret of its own".to_owned(),
            );
        }
        if self.sender_localpart == config.bot {
            let text = "is the bot, whose /sync then fails on Synapse; it should be a random name".to_owned();
            differ("sender_localpart", text);
        }
        if self.rate_limited {
            differ(
                "rate_limited",
                "is true or absent; it should be false, or messages wait".to_owned(),
            );
        }
        if !self.receive_ephemeral && !self.push_ephemeral {
            differ("receive_ephemeral", "is absent; it should be true".to_owned());
        }
        if !self.makes_devices {
            differ(
                "io.element.msc4190",
                "is absent; it should be true, or ghosts get no devices".to_owned(),
            );
        }
        if !self.device_lists && config.encryption != Mode::Off {
            differ(
                "org.matrix.msc3202",
                "is absent; it should be true, or encrypted rooms lack news of devices".to_owned(),
            );
        }
        for protocol in &config.protocols {
            if !self.protocols.contains(&protocol.id) {
                differ(
                    "protocols",
                    format!("lacks {}; lookup by number will not reach us", protocol.id),
                );
            }
        }
        let wanted = namespaces(config);
        for (key, has, wants) in [
            ("namespaces.users", &self.namespaces.users, &wanted.users),
            ("namespaces.aliases", &self.namespaces.aliases, &wanted.aliases),
        ] {
            for namespace in wants {
                // A file written by hand may leave the anchors out.
                let bare = |regex: &str| regex.trim_start_matches('^').trim_end_matches('$').to_owned();
                match has
                    .iter()
                    .find(|other| bare(&other.regex) == bare(&namespace.regex))
                {
                    Some(other) if other.exclusive => {}
                    Some(_) => differ(key, format!("has {} as not exclusive", namespace.regex)),
                    None => differ(key, format!("lacks {}", namespace.regex)),
                }
            }
        }
        found
    }
}

fn namespaces(config: &Config) -> Namespaces {
    let exclusive = |regex| Namespace {
        exclusive: true,
        regex,
    };
    let prefix = escaped(&config.prefix);
    let bot = escaped(&config.bot);
    let server = escaped(&config.server_name);
    Namespaces {
        users: vec![
            exclusive(format!("^@{prefix}_.*:{server}$")),
            exclusive(format!("^@{bot}:{server}$")),
        ],
        aliases: vec![exclusive(format!("^#{prefix}_.*:{server}$"))],
        rooms: Vec::new(),
    }
}

/// Escapes what means something in a regular expression.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Repeats only after 2^64 bytes.
    struct Stirred(AtomicU64);
    impl Entropy for Stirred {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                let at = self.0.fetch_add(1, Ordering::Relaxed);
                *byte = (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
            }
        }
    }

    fn parts() -> (Config, Url, Stirred) {
        let entropy = Stirred(AtomicU64::new(1));
        let (as_token, hs_token) = (random_token(&entropy), random_token(&entropy));
        let homeserver = Url::parse("http://127.0.0.1:8008").unwrap();
        let config = Config::new(homeserver, "matrix.example.org", "sms", as_token, hs_token);
        (config, Url::parse("http://127.0.0.1:29400/").unwrap(), entropy)
    }

    #[test]
    fn a_written_registration_is_read_back_and_matches() {
        let (config, url, entropy) = parts();
        let registration = Registration::new(&config, &url, &entropy);
        let yaml = registration.to_yaml();
        assert_eq!(Registration::parse(&yaml).unwrap(), registration);
        assert_eq!(registration.differences(&config, &url), []);
        for wanted in [
            r"^@sms_.*:matrix\.example\.org$",
            r"^@smsbot:matrix\.example\.org$",
            r"^#sms_.*:matrix\.example\.org$",
            "url: http://127.0.0.1:29400\n",
            "de.sorunome.msc2409.push_ephemeral: true",
            "io.element.msc4190: true",
            "org.matrix.msc3202: true",
            "receive_ephemeral: true",
            "rate_limited: false",
            "- sms",
            "rooms: []",
        ] {
            assert!(yaml.contains(wanted), "{wanted} is not in\n{yaml}");
        }
    }

    #[test]
    fn tokens_are_long_random_and_different() {
        let (config, url, entropy) = parts();
        assert_eq!(config.as_token.expose().len(), 64);
        assert_ne!(config.as_token, config.hs_token);
        let one = Registration::new(&config, &url, &entropy);
        let two = Registration::new(&config, &url, &entropy);
        assert_ne!(one.sender_localpart, two.sender_localpart);
        assert_ne!(one.sender_localpart, config.bot);
        assert!(!format!("{one:?}").contains(config.as_token.expose()));
    }

    #[test]
    fn every_difference_is_named() {
        let (config, url, entropy) = parts();
        let mut registration = Registration::new(&config, &url, &entropy);
        registration.id = "other".into();
        registration.url = None;
        registration.as_token = Secret::new("x");
        registration.hs_token = Secret::new("x");
        registration.sender_localpart = config.bot.clone();
        registration.rate_limited = true;
        registration.receive_ephemeral = false;
        registration.push_ephemeral = false;
        registration.makes_devices = false;
        registration.protocols.clear();
        registration.namespaces.users[0].exclusive = false;
        registration.namespaces.users[1].regex = "@smsbot:other".into();
        registration.namespaces.aliases.clear();
        let differences = registration.differences(&config, &url);
        let keys: Vec<_> = differences.iter().map(|difference| difference.key).collect();
        let wanted = [
            "id",
            "url",
            "as_token",
            "hs_token",
            "hs_token",
            "sender_localpart",
            "rate_limited",
            "receive_ephemeral",
            "io.element.msc4190",
            "protocols",
            "namespaces.users",
            "namespaces.users",
            "namespaces.aliases",
        ];
        assert_eq!(keys, wanted);
        assert!(!format!("{differences:?}").contains(config.as_token.expose()));
    }

    #[test]
    fn a_hand_written_file_with_its_own_keys_is_read() {
        let yaml = "id: sms\nurl: null\nas_token: a\nhs_token: b\nsender_localpart: x\nsome.other.key: 1\n\
                    namespaces:\n  users:\n  - {exclusive: true, regex: '@sms_.*:matrix\\.example\\.org'}\n";
        let registration = Registration::parse(yaml).unwrap();
        let (config, url, _) = parts();
        let users = |difference: &Difference| difference.key == "namespaces.users";
        let differences = registration.differences(&config, &url);
        assert_eq!(
            differences.iter().filter(|d| users(d)).count(),
            1,
            "{differences:?}"
        );
        assert!(Registration::parse("id: sms").is_err());
    }
}
