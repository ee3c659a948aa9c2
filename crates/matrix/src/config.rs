//! What the operator sets, and the names that follow from it.

use crate::crypto::Mode;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// The room's configuration. The binary fills it from its own file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the homeserver's client API is: `http://127.0.0.1:8008`. No path.
    pub homeserver: Url,
    /// The part after the colon in user ids: `example.org`.
    pub server_name: String,
    /// `id` of the registration; the homeserver's ping names it.
    pub appservice_id: String,
    /// What we show to the homeserver.
    pub as_token: Secret,
    /// What the homeserver shows to us.
    pub hs_token: Secret,
    /// Ghosts are `@{prefix}_{pseudonym}:{server_name}`, rooms `#{prefix}_{pseudonym}:{server_name}`.
    pub prefix: String,
    /// Localpart of the bot. It lies in the users namespace and is never `sender_localpart`: Synapse answers 500 to
    /// that one user's `/sync`.
    pub bot: String,
    pub bot_name: String,
    /// An `mxc:` URI.
    pub bot_avatar: Option<String>,
    /// Networks that can be looked up by number (third-party lookup), with the name that people know: `sms`, `SMS`.
    pub protocols: Vec<Protocol>,
    /// Version of new rooms; `None` takes the homeserver's default.
    pub room_version: Option<String>,
    /// How far the bridge goes with encryption.
    pub encryption: Mode,
    /// Where the keys of encryption are; a folder of our own on a disk of this machine.
    pub crypto_folder: PathBuf,
    /// Where files of users are brought to, for as long as a send takes, and where it is remembered which of contacts' pictures were uploaded;
    /// a folder of our own. It is made, for its user alone (0700).
    pub media_folder: PathBuf,
    /// The largest file that is brought to this machine or from it, in octets.
    pub media_limit: u64,
    /// Certificates (PEM) of authorities to trust besides the system's.
    pub roots: Option<Vec<u8>>,
    pub connect_timeout: Duration,
    /// For one request, answer included.
    pub request_timeout: Duration,
}

/// A network as third-party lookup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub id: String,
    pub name: String,
}

impl Config {
    /// A configuration with the usual names and times; the caller changes what differs.
    pub fn new(homeserver: Url, server_name: &str, prefix: &str, as_token: Secret, hs_token: Secret) -> Self {
        Self {
            homeserver,
            server_name: server_name.to_owned(),
            appservice_id: prefix.to_owned(),
            as_token,
            hs_token,
            prefix: prefix.to_owned(),
            bot: format!("{prefix}bot"),
            bot_name: format!("{prefix} bridge"),
            bot_avatar: None,
            protocols: vec![Protocol {
                id: prefix.to_owned(),
                name: prefix.to_uppercase(),
            }],
            room_version: None,
            encryption: Mode::Off,
            crypto_folder: PathBuf::new(),
            media_folder: PathBuf::new(),
            media_limit: 50 * 1024 * 1024,
            roots: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
        }
    }

    /// The names that follow from this configuration.
    pub fn names(&self) -> Names {
        Names {
            ghosts: format!("@{}_", self.prefix),
            aliases: format!("{}_", self.prefix),
            server: format!(":{}", self.server_name),
            bot: format!("@{}:{}", self.bot, self.server_name),
        }
    }
}

/// Makes and recognises the names of our users and rooms.
#[derive(Clone, Debug)]
pub struct Names {
    ghosts: String,
    aliases: String,
    server: String,
    bot: String,
}

impl Names {
    /// Of a device's own account, which has no ghosts.
    #[cfg(feature = "puppet")]
    pub(crate) fn of_puppet(user: &str) -> Self {
        let server = user.split_once(':').map_or("", |(_, server)| server);
        Self {
            // No user's name begins so.
            ghosts: "-".to_owned(),
            aliases: "-".to_owned(),
            server: format!(":{server}"),
            bot: user.to_owned(),
        }
    }

    pub fn bot(&self) -> &str {
        &self.bot
    }

    /// `@{prefix}_{pseudonym}:{server}`.
    pub fn ghost(&self, pseudonym: &str) -> String {
        format!("{}{pseudonym}{}", self.ghosts, self.server)
    }

    /// The pseudonym of a ghost's user id; `None` for everybody else.
    pub fn pseudonym<'a>(&self, user: &'a str) -> Option<&'a str> {
        user.strip_prefix(self.ghosts.as_str())?
            .strip_suffix(self.server.as_str())
            .filter(|pseudonym| !pseudonym.is_empty())
    }

    /// A ghost or the bot.
    pub fn is_ours(&self, user: &str) -> bool {
        user == self.bot || self.pseudonym(user).is_some()
    }

    /// A user of our own homeserver.
    pub fn is_local(&self, user: &str) -> bool {
        user.starts_with('@')
            && user
                .split_once(':')
                .is_some_and(|(_, server)| server == &self.server[1..])
    }

    /// Local part of a room's alias: `{prefix}_{alias}`.
    pub fn alias_localpart(&self, alias: &str) -> String {
        format!("{}{alias}", self.aliases)
    }

    /// `#{prefix}_{alias}:{server}`.
    pub fn alias(&self, alias: &str) -> String {
        format!("#{}{alias}{}", self.aliases, self.server)
    }

    /// The homeserver's name.
    pub fn server(&self) -> &str {
        &self.server[1..]
    }
}

/// The local part of a user id.
pub(crate) fn localpart(user: &str) -> &str {
    user.strip_prefix('@')
        .and_then(|rest| rest.split_once(':'))
        .map_or(user, |(local, _)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let url = Url::parse("http://127.0.0.1:8008").unwrap();
        Config::new(url, "example.org:8448", "sms", Secret::new("a"), Secret::new("h")).names()
    }

    #[test]
    fn ghosts_and_the_bot_are_ours_and_nobody_else() {
        let names = names();
        assert_eq!(names.ghost("abc"), "@sms_abc:example.org:8448");
        assert_eq!(names.pseudonym("@sms_abc:example.org:8448"), Some("abc"));
        assert_eq!(names.pseudonym("@sms_:example.org:8448"), None);
        assert_eq!(names.pseudonym("@sms_abc:evil.org"), None);
        assert!(names.is_ours("@smsbot:example.org:8448"));
        assert!(!names.is_ours("@smsbot:evil.org"));
        assert!(!names.is_ours("@alice:example.org:8448"));
        assert!(names.is_local("@alice:example.org:8448"));
        assert!(!names.is_local("@alice:example.org"));
        assert_eq!(names.alias("x"), "#sms_x:example.org:8448");
        assert_eq!(names.server(), "example.org:8448");
        assert_eq!(localpart(names.bot()), "smsbot");
    }
}
