//! What the device reaches its conversations by: each of the lab's, by one set of words.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swingbridge_lab::bluebubbles::{self, BlueBubbles};
use swingbridge_lab::macos::scenario::Scenario;
use swingbridge_lab::macos::schema::Release;
use swingbridge_lab::macos::{self, Mac};
use swingbridge_lab::process::free_port;
use swingbridge_lab::{sms_gateway, termux};

pub const OWN: &str = "+447700900001";
pub const FRIEND: &str = "+447700900456";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A phone, with the device on it.
    Termux,
    /// A phone with the app "SMS Gateway", and the device beside it.
    SmsGateway,
    /// A Mac, with the device on it.
    IMessage,
    /// A Mac with BlueBubbles and its Private API, and the device beside it.
    BlueBubbles,
}

impl Kind {
    /// As `device init` calls it.
    pub fn connector(self) -> &'static str {
        match self {
            Self::Termux => "termux",
            Self::SmsGateway => "sms-gateway",
            Self::IMessage => "imessage",
            Self::BlueBubbles => "bluebubbles",
        }
    }

    /// What the log says once it is read: what was there before is none of ours, unless it is asked for.
    pub fn is_read(self) -> &'static str {
        match self {
            Self::Termux => "the phone answers",
            Self::SmsGateway => "the service answers",
            Self::IMessage => "reads Messages' database",
            Self::BlueBubbles => "the server is read",
        }
    }

    /// Who others than the device can read what leaves, as the question names them; `None` where nobody is asked.
    pub fn asks(self) -> Option<&'static str> {
        match self {
            Self::Termux => Some("the phone carriers and your device"),
            Self::SmsGateway => Some("the phone carriers and your device"),
            Self::IMessage => None,
            // The server does not say by which service a message goes.
            Self::BlueBubbles => Some("whoever carries them, beside your device"),
        }
    }

    /// Where the label says that a text came from, and what protected it up to the device.
    pub fn first_leg(self) -> Value {
        let (to, protection, evidence) = match self {
            Self::Termux | Self::SmsGateway => ("carrier", json!("none"), "network_cannot"),
            Self::IMessage => ("device", json!({ "end_to_end": "imessage" }), "service_column"),
            Self::BlueBubbles => ("device", json!("unknown"), "none"),
        };
        json!({ "from": "phone", "to": to, "protection": protection, "evidence": evidence })
    }

    /// There is an address book in which the friend is Ada.
    pub fn knows_names(self) -> bool {
        self != Self::SmsGateway
    }

    /// It tells what the owner writes on the device itself.
    pub fn tells_own(self) -> bool {
        self != Self::SmsGateway
    }

    /// It takes a message once, however often it is handed over.
    pub fn takes_once(self) -> bool {
        self == Self::SmsGateway
    }
}

pub enum Handset {
    Termux(termux::Phone),
    SmsGateway {
        phone: sms_gateway::Phone,
        /// Where the device takes webhooks.
        hooks: SocketAddr,
    },
    IMessage(Mac),
    BlueBubbles(BlueBubbles),
}

impl Handset {
    pub async fn new(kind: Kind, folder: &Path) -> Self {
        match kind {
            Kind::Termux => {
                let phone = termux::Phone::new(folder, &termux::program().unwrap()).unwrap();
                phone.contacts(&[("Ada", FRIEND)]).unwrap();
                Self::Termux(phone)
            }
            Kind::SmsGateway => Self::SmsGateway {
                phone: sms_gateway::Phone::start(now()).await.unwrap(),
                hooks: ([127, 0, 0, 1], free_port().unwrap()).into(),
            },
            Kind::IMessage => {
                let mac = Mac::with_program(folder, Release::Tahoe, &macos::program().unwrap()).unwrap();
                mac.set_scenario(&Scenario::read_after(50)).unwrap();
                mac.knows("Ada", &[FRIEND]).unwrap();
                Self::IMessage(mac)
            }
            Kind::BlueBubbles => {
                let server = BlueBubbles::start(bluebubbles::Rules::private()).await.unwrap();
                server.contact("Ada", &[FRIEND], None);
                Self::BlueBubbles(server)
            }
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Termux(_) => Kind::Termux,
            Self::SmsGateway { .. } => Kind::SmsGateway,
            Self::IMessage(_) => Kind::IMessage,
            Self::BlueBubbles(_) => Kind::BlueBubbles,
        }
    }

    /// Leads the device to it.
    pub fn lead(&self, command: &mut Command) {
        let mut set = |name: &str, value: &str| {
            command.env(format!("SWINGBRIDGE_{name}"), value);
        };
        match self {
            Self::Termux(phone) => {
                set("CONNECTORS__SMS__PROGRAMS", &phone.programs().to_string_lossy());
                set("CONNECTORS__SMS__POLL", "0.2");
            }
            Self::SmsGateway { phone, hooks } => {
                set("CONNECTORS__SMS__URL", &phone.url());
                set("CONNECTORS__SMS__USER", sms_gateway::USER);
                set("CONNECTORS__SMS__PASSWORD", sms_gateway::PASSWORD);
                set("CONNECTORS__SMS__SIGNING_KEY", sms_gateway::SIGNING_KEY);
                set(
                    "CONNECTORS__SMS__WEBHOOK_URL",
                    &format!("http://{hooks}/hook/of-the-test"),
                );
                set("CONNECTORS__SMS__TIMING__POLL", "1");
                set("WEBHOOKS__ADDRESS", &hooks.to_string());
            }
            Self::IMessage(mac) => {
                set(
                    "CONNECTORS__IMESSAGE__DATABASE",
                    &mac.database().to_string_lossy(),
                );
                set("CONNECTORS__IMESSAGE__STAGING", &mac.staging().to_string_lossy());
                set(
                    "CONNECTORS__IMESSAGE__ADDRESS_BOOK",
                    &mac.address_book().to_string_lossy(),
                );
                set(
                    "CONNECTORS__IMESSAGE__OSASCRIPT",
                    &mac.osascript().to_string_lossy(),
                );
            }
            Self::BlueBubbles(server) => {
                set("CONNECTORS__IMESSAGE__URL", &server.url());
                set(
                    "CONNECTORS__IMESSAGE__PASSWORD",
                    &bluebubbles::Rules::default().password,
                );
                set("CONNECTORS__IMESSAGE__POLL", "1");
            }
        }
    }

    /// Somebody writes to the owner.
    pub fn receives(&self, from: &str, text: &str) {
        match self {
            Self::Termux(phone) => drop(phone.receives(from, text).unwrap()),
            Self::SmsGateway { phone, .. } => phone.receives(from, text),
            Self::IMessage(mac) => drop(mac.says(from, text).unwrap()),
            Self::BlueBubbles(server) => drop(server.says(from, text)),
        }
    }

    /// The owner writes on the device itself.
    pub fn writes(&self, to: &str, text: &str) {
        match self {
            Self::Termux(phone) => drop(phone.writes(to, text).unwrap()),
            Self::SmsGateway { .. } => panic!("the app tells nothing of it"),
            Self::IMessage(mac) => drop(mac.writes(to, text).unwrap()),
            Self::BlueBubbles(server) => drop(server.user_writes(to, text)),
        }
    }

    /// What our program let leave, in order: to whom, and what.
    pub fn sent(&self) -> Vec<(String, String)> {
        // `any;-;+4477…`, or the address itself.
        let contact = |chat: &str| chat.rsplit(';').next().unwrap_or_default().to_owned();
        match self {
            Self::Termux(phone) => phone.sent().unwrap(),
            Self::SmsGateway { phone, .. } => {
                let sent = phone.sent().into_iter();
                sent.map(|sent| (sent.to.join(","), sent.text)).collect()
            }
            Self::IMessage(mac) => {
                let calls = mac.calls().unwrap().into_iter();
                calls
                    .filter(|call| call.script.starts_with("text_to"))
                    .map(|call| (contact(&call.arguments[0]), call.arguments[1].clone()))
                    .collect()
            }
            Self::BlueBubbles(server) => {
                let sent = server.sent().into_iter();
                sent.map(|sent| (contact(&sent.chat), sent.text)).collect()
            }
        }
    }

    /// Waits until so many have left.
    pub async fn sends(&self, many: usize) -> Vec<(String, String)> {
        loop {
            let sent = self.sent();
            if sent.len() >= many {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// In seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the phone's clock goes with ours")]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}
