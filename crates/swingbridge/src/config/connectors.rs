use super::problem::{Problem, did_you_mean};
use super::read::read;
use super::tree::{Kind, Node};
use std::path::{Path, PathBuf};
use swingbridge_connectors::{
    bluebubbles, imessage, maap, rbm, smpp, sms_gateway, telnyx, termux, twilio, webhook_http,
};

/// An account on a phone network, or a device's own way to its messages.
#[derive(Clone, Debug)]
pub enum Account {
    Smpp(Box<smpp::Config>),
    Rbm(Box<rbm::Config>),
    Maap(Box<maap::Config>),
    Twilio(Box<twilio::Config>),
    Telnyx(Box<telnyx::Config>),
    Webhook(Box<webhook_http::Config>),
    Termux(Box<termux::Config>),
    SmsGateway(Box<sms_gateway::Config>),
    Imessage(Box<imessage::Config>),
    Bluebubbles(Box<bluebubbles::Config>),
}

impl Default for Account {
    fn default() -> Self {
        Self::Smpp(Box::default())
    }
}

/// What a connector of a gateway is that does not say it: there was no other at first.
pub const FIRST: &str = "smpp";
/// The kinds of a gateway, by the word after `type`.
pub const GATEWAY: &[&str] = &[FIRST, "rbm", "maap", "twilio", "telnyx", "webhook"];
/// The kinds of a device.
pub const DEVICE: &[&str] = &["termux", "sms_gateway", "imessage", "bluebubbles"];

impl Account {
    /// Reads one entry of the section. `kinds`: those that can be here.
    pub(super) fn read(id: &str, node: &Node, kinds: &[&str], problems: &mut Vec<Problem>) -> Option<Self> {
        let path = ["connectors", id];
        let mut node = node.clone();
        let kind = match node.take("type") {
            None if kinds == GATEWAY => FIRST.to_owned(),
            None => {
                problems.push(
                    Problem::new(format!("connectors.{id}.type"), "is not set")
                        .cure(format!("say what it is: {}", kinds.join(", "))),
                );
                return None;
            }
            Some(Node {
                kind: Kind::Text(word) | Kind::Loose(word),
                ..
            }) if kinds.contains(&word.as_str()) => word,
            Some(other) => {
                let (cause, cure) = match &other.kind {
                    Kind::Text(word) | Kind::Loose(word) if DEVICE.contains(&word.as_str()) => (
                        "is the way of a device",
                        "a gateway has no phone of its own: use it with `swingbridge device`".to_owned(),
                    ),
                    Kind::Text(word) | Kind::Loose(word) if GATEWAY.contains(&word.as_str()) => (
                        "is an account of a gateway",
                        "use it with `swingbridge gateway`: a device serves its owner by what it is itself"
                            .to_owned(),
                    ),
                    Kind::Text(word) | Kind::Loose(word) => (
                        "there is no such kind of connector",
                        did_you_mean(word, kinds.iter().copied()),
                    ),
                    _ => (
                        "there is no such kind of connector",
                        did_you_mean("", kinds.iter().copied()),
                    ),
                };
                problems.push(
                    Problem::new(format!("connectors.{id}.type"), cause)
                        .origin(&other.origin)
                        .cure(cure),
                );
                return None;
            }
        };
        match kind.as_str() {
            "smpp" => read(&path, &node, problems).map(|config| Self::Smpp(Box::new(config))),
            "rbm" => read(&path, &node, problems).map(|config| Self::Rbm(Box::new(config))),
            "maap" => read(&path, &node, problems).map(|config| Self::Maap(Box::new(config))),
            "twilio" => read(&path, &node, problems).map(|config| Self::Twilio(Box::new(config))),
            "telnyx" => read(&path, &node, problems).map(|config| Self::Telnyx(Box::new(config))),
            "webhook" => read(&path, &node, problems).map(|config| Self::Webhook(Box::new(config))),
            "termux" => read(&path, &node, problems).map(|config| Self::Termux(Box::new(config))),
            "sms_gateway" => read(&path, &node, problems).map(|config| Self::SmsGateway(Box::new(config))),
            "imessage" => read(&path, &node, problems).map(|config| Self::Imessage(Box::new(config))),
            "bluebubbles" => read(&path, &node, problems).map(|config| Self::Bluebubbles(Box::new(config))),
            _ => None,
        }
    }

    pub(super) fn check(&self, id: &str, problems: &mut Vec<Problem>) {
        // Where it is called is known when it is built.
        let mut checked = self.clone();
        checked.called_at("https://example.org/");
        let invalid = match &checked {
            Self::Smpp(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Rbm(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Maap(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Twilio(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Telnyx(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Webhook(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Termux(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::SmsGateway(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Imessage(config) => config.validate().err().map(|it| (it.field, it.problem)),
            Self::Bluebubbles(config) => config.validate().err().map(|it| (it.field, it.problem)),
        };
        if let Some((field, problem)) = invalid {
            let path = format!("connectors.{id}.{field}");
            problems.push(Problem::new(path, "cannot be").cure(problem));
        }
    }

    /// Lets relative paths begin at `folder`.
    pub(super) fn place(&mut self, folder: &Path) {
        let within = |path: &mut Option<PathBuf>| *path = path.take().map(|path| folder.join(path));
        match self {
            Self::Smpp(config) => {
                if let Some(tls) = &mut config.tls {
                    within(&mut tls.ca_file);
                    within(&mut tls.client_cert_file);
                    within(&mut tls.client_key_file);
                }
            }
            Self::Rbm(config) => within(&mut config.ca_file),
            Self::Maap(config) => within(&mut config.ca_file),
            Self::Twilio(config) => within(&mut config.ca_file),
            Self::Telnyx(config) => within(&mut config.ca_file),
            Self::Webhook(config) => within(&mut config.ca_file),
            Self::Termux(config) => within(&mut config.programs),
            Self::SmsGateway(config) => within(&mut config.ca_file),
            // `~/` and a full path are all that a Mac needs.
            Self::Imessage(_) => {}
            Self::Bluebubbles(config) => within(&mut config.ca_file),
        }
    }

    /// Whether its provider calls us.
    pub fn is_called(&self) -> bool {
        matches!(
            self,
            Self::Rbm(_) | Self::Maap(_) | Self::Twilio(_) | Self::Telnyx(_) | Self::Webhook(_)
        )
    }

    /// Takes the address at which its provider calls us, where it must know it and it is not set by itself.
    pub fn called_at(&mut self, url: &str) {
        let own = match self {
            Self::Twilio(config) => &mut config.public_url,
            Self::Telnyx(config) => &mut config.public_url,
            Self::Webhook(config) => &mut config.public_url,
            _ => return,
        };
        if own.is_empty() {
            url.clone_into(own);
        }
    }

    /// The address at which its provider is to call us, where that is set by itself.
    pub fn own_address(&self) -> Option<&str> {
        let own = match self {
            Self::Twilio(config) => &config.public_url,
            Self::Telnyx(config) => &config.public_url,
            Self::Webhook(config) => &config.public_url,
            _ => return None,
        };
        Some(own.as_str()).filter(|own| !own.is_empty())
    }

    /// Takes the address of its line where it is not set by itself.
    pub(super) fn serve(&mut self, address: &str) {
        let own = match self {
            Self::Smpp(_) => return,
            Self::Rbm(config) => &mut config.number,
            Self::Maap(config) => &mut config.number,
            Self::Twilio(config) => &mut config.number,
            Self::Telnyx(config) => &mut config.number,
            Self::Webhook(config) => &mut config.number,
            Self::Termux(config) => &mut config.number,
            Self::SmsGateway(config) => &mut config.number,
            Self::Imessage(config) => &mut config.address,
            Self::Bluebubbles(config) => &mut config.address,
        };
        if own.is_empty() {
            address.clone_into(own);
        }
    }
}
