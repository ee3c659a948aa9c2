use super::problem::Problem;
use super::validate::http_url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use swingbridge_domain::secret::Secret;

/// The gateway as an application service of the homeserver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Appservice {
    /// The application service's id; the homeserver knows the gateway by it.
    pub id: String,
    /// Where the homeserver reaches the gateway; goes into the registration as `url`. Without it: `http://HOSTNAME:PORT`.
    pub address: Option<String>,
    /// The address to listen on. The listener speaks plain HTTP: keep it on loopback or a private network.
    pub hostname: String,
    /// The port to listen on.
    pub port: u16,
    pub bot: Bot,
    /// What ghosts' user ids and room aliases begin with: `sms` makes `@sms_…`. Changing it later makes new ghosts and rooms.
    pub prefix: String,
    /// The registration file. Its tokens are used where `as_token` and `hs_token` are not set.
    pub registration: PathBuf,
    /// The token by which the gateway proves itself to the homeserver.
    #[schemars(with = "Option<String>")]
    pub as_token: Secret,
    /// The token by which the homeserver proves itself to the gateway.
    #[schemars(with = "Option<String>")]
    pub hs_token: Secret,
}

/// The bot that people talk to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Bot {
    /// Local part of its user id.
    pub username: String,
    pub displayname: String,
    /// Its picture, as `mxc://…`.
    pub avatar: Option<String>,
    /// What commands begin with outside the bot's own rooms.
    pub command_prefix: String,
}

impl Default for Appservice {
    fn default() -> Self {
        Self {
            id: "swingbridge".into(),
            address: None,
            hostname: "127.0.0.1".into(),
            port: 29370,
            bot: Bot::default(),
            prefix: "sms".into(),
            registration: "registration.yaml".into(),
            as_token: Secret::default(),
            hs_token: Secret::default(),
        }
    }
}

impl Default for Bot {
    fn default() -> Self {
        Self {
            username: "smsbot".into(),
            displayname: "SMS".into(),
            avatar: None,
            command_prefix: "!sms".into(),
        }
    }
}

impl Appservice {
    /// Where the homeserver reaches the gateway.
    pub fn url(&self) -> String {
        match &self.address {
            Some(address) => address.clone(),
            None if self.hostname.contains(':') => format!("http://[{}]:{}", self.hostname, self.port),
            None => format!("http://{}:{}", self.hostname, self.port),
        }
    }

    pub fn check(&self, problems: &mut Vec<Problem>) {
        if let Some(address) = &self.address {
            http_url(
                "appservice.address",
                address,
                "give the address at which the homeserver reaches the gateway, such as http://127.0.0.1:29370",
                problems,
            );
        } else if matches!(self.hostname.as_str(), "0.0.0.0" | "::") {
            problems.push(
                Problem::new(
                    "appservice.address",
                    "is not set, and the gateway listens on every address",
                )
                .cure("give the address at which the homeserver reaches the gateway"),
            );
        }
        let localpart = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'=' | b'/' | b'+'))
        };
        if self.id.is_empty() || self.id.contains(char::is_whitespace) {
            problems.push(Problem::new("appservice.id", "must be a word without spaces"));
        }
        for (path, text) in [
            ("appservice.bot.username", &self.bot.username),
            ("appservice.prefix", &self.prefix),
        ] {
            if !localpart(text) {
                problems.push(
                    Problem::new(path, "cannot stand in a Matrix user id")
                        .cure("use lower case letters, digits and . _ - only"),
                );
            }
        }
        if self.hostname.is_empty() {
            problems.push(
                Problem::new("appservice.hostname", "is empty")
                    .cure("give 127.0.0.1, or the address to listen on"),
            );
        }
        if let Some(avatar) = &self.bot.avatar
            && !avatar.starts_with("mxc://")
        {
            problems.push(
                Problem::new("appservice.bot.avatar", "is no Matrix content address")
                    .cure("upload the picture in a Matrix client and give its mxc:// address"),
            );
        }
        if self.bot.command_prefix.is_empty() || self.bot.command_prefix.contains(char::is_whitespace) {
            problems.push(
                Problem::new("appservice.bot.command_prefix", "must be a word without spaces")
                    .cure("for example `!sms`"),
            );
        }
    }
}
