//! The commented configuration.

use crate::cli::Init;
use std::path::Path;

/// The configuration that `init` writes. Relative paths in it begin at its own folder.
pub fn filled(options: &Init, registration: &Path, folder: &Path) -> String {
    let (hostname, port) = options
        .listen
        .rsplit_once(':')
        .unwrap_or((&options.listen, "29370"));
    let hostname = hostname.trim_matches(['[', ']']);
    let users: Vec<&String> = options.admins.iter().chain(&options.users).collect();
    let registration = registration.strip_prefix(folder).unwrap_or(registration);
    let password = options.smpp_password.as_ref().map(|password| password.expose());
    let values: &[(&str, String)] = &[
        ("homeserver", given(options.homeserver.as_deref())),
        ("domain", given(options.domain.as_deref())),
        ("hostname", text(hostname)),
        ("port", port.to_owned()),
        (
            "address",
            optional(
                "address",
                options.appservice_address.as_deref(),
                "http://10.0.0.5:29370",
            ),
        ),
        (
            "bot",
            text(
                &options
                    .bot
                    .clone()
                    .unwrap_or_else(|| format!("{}bot", options.prefix)),
            ),
        ),
        ("prefix", text(&options.prefix)),
        ("command_prefix", text(&format!("!{}", options.prefix))),
        ("registration", text(&registration.to_string_lossy())),
        (
            "database_type",
            if options.postgres.is_some() {
                "postgres"
            } else {
                "sqlite"
            }
            .into(),
        ),
        (
            "uri",
            optional(
                "uri",
                options.postgres.as_deref(),
                "postgres://swingbridge:PASSWORD@localhost/swingbridge",
            ),
        ),
        ("smpp_host", given(options.smpp_host.as_deref())),
        ("smpp_port", options.smpp_port.unwrap_or(2775).to_string()),
        ("smpp_system_id", given(options.smpp_system_id.as_deref())),
        ("smpp_password", given(password)),
        ("line", given(options.line.as_deref())),
        (
            "line_name",
            optional("name", options.line_name.as_deref(), "Helpdesk"),
        ),
        ("region", optional("region", options.region.as_deref(), "GB")),
        (
            "users",
            format!(
                "[{}]",
                users.iter().map(|user| text(user)).collect::<Vec<_>>().join(", ")
            ),
        ),
        (
            "inbox_room",
            optional("inbox_room", options.inbox_room.as_deref(), "!abcdef:example.org"),
        ),
        ("permissions", permissions(options)),
        ("operations", text(&options.operations)),
    ];
    values.iter().fold(TEMPLATE.to_owned(), |filled, (name, value)| {
        filled.replace(&format!("<{name}>"), value)
    })
}

/// The configuration with values of an example, for the documentation.
pub fn example() -> String {
    filled(&told(), Path::new("registration.yaml"), Path::new(""))
}

/// What the example's operator told.
fn told() -> Init {
    let some = |text: &str| Some(text.to_owned());
    Init {
        directory: ".".into(),
        homeserver: some("http://127.0.0.1:8008"),
        domain: some("example.org"),
        listen: "127.0.0.1:29370".into(),
        appservice_address: None,
        operations: "127.0.0.1:29371".into(),
        prefix: "sms".into(),
        bot: None,
        postgres: None,
        smpp_host: some("smpp.example.net"),
        smpp_port: Some(2775),
        smpp_system_id: some("example"),
        smpp_password: Some(swingbridge_domain::secret::Secret::new("change me")),
        line: some("+447700900000"),
        line_name: None,
        region: some("GB"),
        users: vec!["@bob:example.org".into()],
        admins: vec!["@alice:example.org".into()],
        inbox_room: None,
        force: false,
    }
}

/// A text in quotes; JSON's are YAML's too.
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn given(value: Option<&str>) -> String {
    text(value.unwrap_or_default())
}

fn optional(key: &str, value: Option<&str>, example: &str) -> String {
    match value {
        Some(value) => format!("{key}: {}", text(value)),
        None => format!("#{key}: {}", text(example)),
    }
}

fn permissions(options: &Init) -> String {
    let line = |who: &String, what: &str| format!("  {}: {what}", text(who));
    let mut lines: Vec<String> = options.admins.iter().map(|user| line(user, "admin")).collect();
    lines.extend(options.users.iter().map(|user| line(user, "user")));
    if lines.is_empty() {
        lines.push("  #\"@alice:example.org\": admin".into());
        lines.push("  #\"example.org\": user".into());
    }
    lines.join("\n")
}

const TEMPLATE: &str = r##"# The configuration of a Swingbridge gateway. `swingbridge check` tries what stands here.
#
# What is commented out shows the default, or an example where there is none. Every secret can stand in a file of its own
# instead: `password_file: /path` in place of `password`. Environment variables go over what stands here:
# SWINGBRIDGE_HOMESERVER__DOMAIN=example.org, with two underscores between section and key. Times have a unit: 30s, 15m, 24h.

homeserver:
  # Where the gateway reaches the homeserver's client API.
  address: <homeserver>
  # The homeserver's name: the part of user ids after the colon.
  domain: <domain>
  # A file of certificates (PEM) to trust besides the public authorities.
  #ca_file: homeserver-ca.pem
  # The version of new rooms; without it the homeserver's default.
  #room_version: "12"

appservice:
  # The name by which the homeserver knows the gateway.
  #id: swingbridge
  # Where the gateway listens. Plain HTTP: keep it on loopback or a private network.
  hostname: <hostname>
  port: <port>
  # Where the homeserver reaches the gateway, when that is not the address above.
  <address>
  bot:
    username: <bot>
    #displayname: SMS
    #avatar: mxc://example.org/abcdef
    # What commands begin with outside the bot's own rooms.
    command_prefix: <command_prefix>
  # What ghosts' user ids and room aliases begin with. Changing it later makes new ghosts and rooms.
  prefix: <prefix>
  # The registration holds the tokens. They may be given here instead, as as_token and hs_token.
  registration: <registration>

database:
  # sqlite or postgres
  type: <database_type>
  #path: swingbridge.db
  # full keeps every acknowledged message through a power cut; normal is faster and may lose the last ones then.
  #synchronous: full
  # PostgreSQL: where it is, and the schema in which the tables stand.
  <uri>
  #schema: swingbridge

# 32 random bytes from which everything secret of this site derives: the ghosts' pseudonyms, and what seals the database.
# Keep a copy in a safe place.
site_key_file: site.key

# Accounts on phone networks.
connectors:
  smpp:
    type: smpp
    host: <smpp_host>
    port: <smpp_port>
    system_id: <smpp_system_id>
    password: <smpp_password>
    # The version to offer: "3.4" or "5.0".
    #version: "3.4"
    # One connection both ways (transceiver), or one for each direction (transmitter_receiver); and how many of them.
    #bind: transceiver
    #binds: 1
    # How many texts may be under way on one connection, and how many may be sent in a second (no limit without it).
    #window: 10
    #rate: 10
    # The local address to connect from; providers allow accounts by it.
    #source_address: 192.0.2.10
    # TLS, with public authorities, a private one, or pinned certificates. All settings: docs/generated/config.md.
    #tls:
    #  ca_file: provider-ca.pem

# Our own numbers, and who may use them.
lines:
  main:
    connector: smpp
    # The number that phones see and answer to, in quotes; a short code; or a sender's name, which cannot be answered.
    address: <line>
    # What people see of the line; without it, its name here.
    <line_name>
    # By whose rules numbers without a country code are read.
    <region>
    # The users who may use the line; they are invited to every conversation.
    users: <users>
    # A room whose members share the line; new conversations are announced there.
    <inbox_room>
    # How much of a contact's number the homeserver gets to see in room names and topics: masked or full.
    #display: masked
    # What this line asks of its users, and what becomes of a message that would go less protected: see privacy.
    #consent: line
    #downgrade: ask
    # Put under what is written on a shared line, so that phones see who wrote.
    #signature: "— {name}"

# Who may do what: users, homeservers or "*"; user or admin. The most exact one counts.
permissions:
<permissions>

encryption:
  # Between people's clients and the gateway, so that the homeserver reads nothing: default makes encrypted rooms, allow takes part in
  # rooms that people encrypt, require takes and sends nothing in plain ones, off takes no part. Synapse needs two settings for it;
  # without them keys come late: experimental_features with msc2409_to_device_messages_enabled and msc3202_transaction_extensions.
  #mode: default
  # The folder of the keys. Back it up with the database; never put an older one back.
  #path: crypto

files:
  # Pictures and other files that a connector carries itself: where they lie until their send is answered, and the largest, in MiB.
  #path: files
  #largest: 50

privacy:
  # Who runs this gateway, as people read it when they are asked.
  #operator: Example Ltd
  # What is asked before anything is passed on: line (each user agrees once for a line), conversation (for each), or policy (the
  # organisation has decided; its users are told, not asked).
  #consent: line
  # A message that would go less protected than the one before it: refuse, ask or tell.
  #downgrade: ask
  # How long a text from a phone waits, sealed, until somebody agrees.
  #hold: 7d

messages:
  # A text that did not reach the phone by then is given up, and its sender is told.
  #validity: 24h
  # How often a text is tried when the network reports a passing fault.
  #attempts: 5
  # How long the parts of a long text are waited for before it is shown with a gap, and how long a late one may fill it.
  #assembly_timeout: 2m
  #assembly_keep: 24h
  # What SMS cannot carry: `text` says it in words, `refuse` tells the sender.
  #reactions: refuse
  #edits: refuse
  # Pictures, files and voice messages: `refuse`, or `link` to send an expiring link to phones.
  #media: refuse
  #link_ttl: 7d
  # Where phones reach such links; a proxy passes them on to the port above.
  #public_url: https://sms.example.org

# How much may be sent, where to and at what cost; nothing is limited but premium numbers. docs/guide/limits.md tells of each.
limits:
  #user: { minute: 10, day: 500 }
  #contact: { hour: 30 }
  #parts: 6
  #countries: [GB, IE]

# STOP, START and HELP: enforced on lines that people share. Texts to answer with, where the provider does not answer itself.
opt_out:
  #confirm_stop: "Example Ltd: you get no more texts from us. START ends that."
  #help: "Example Ltd, 020 7946 0000. STOP for no more texts."

provisioning:
  # A secret with which a program acts for any user at /_matrix/provision/v3. Without it, only people's own access tokens
  # count. `disable` turns the API off.
  #shared_secret: disable

webhooks:
  # Where providers (Twilio, Telnyx, Google and others) bring what phones sent, behind a proxy that speaks TLS; or off.
  # `swingbridge webhooks` shows the address of each connector.
  #address: 127.0.0.1:29373
  #public_url: https://hooks.example.org

operations:
  # Where /health/live, /health/ready and /metrics are served, or off. No password: keep it on loopback.
  address: <operations>

logging:
  # error, warn, info, debug or trace; never with texts or full numbers.
  #level: info
  # human or json
  #format: human

retention:
  # How long ids and states of messages are remembered. What they say is erased as soon as they are delivered.
  #messages: 90d

  # How long entries of the audit log are kept: a year, and a month to look at it.
  #audit: 400d

  # How long what could not be processed is kept for an admin to look at.
  #buried: 30d
"##;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};

    /// Loads a configuration with the database on PostgreSQL, so that both kinds' settings may stand in it.
    fn load(text: &str) -> Result<config::Config, config::LoadError> {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        std::fs::write(folder.path().join("site.key"), "0".repeat(64)).unwrap();
        let variables = [
            ("SWINGBRIDGE_DATABASE__TYPE", "postgres"),
            ("SWINGBRIDGE_DATABASE__URI", "postgres://localhost/swingbridge"),
            ("SWINGBRIDGE_APPSERVICE__AS_TOKEN", "one"),
            ("SWINGBRIDGE_APPSERVICE__HS_TOKEN", "two"),
        ];
        config::load(&Sources {
            config: folder.path().join("config.yaml"),
            registration: None,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        })
    }

    #[test]
    fn the_example_is_a_good_configuration() {
        let config = load(&example()).unwrap();
        assert_eq!(config.lines.len(), 1);
        assert_eq!(config.permissions.0.len(), 2);
    }

    #[test]
    fn every_setting_that_is_commented_out_exists() {
        let mut uncommented = 0;
        let text: Vec<String> = example()
            .lines()
            .map(|line| match line.find('#') {
                // Settings follow the sign at once, or are deeper in; prose has one space.
                Some(at) if line[..at].trim().is_empty() && !line[at + 1..].starts_with(" ") => {
                    uncommented += 1;
                    line.replacen('#', "", 1)
                }
                Some(at) if line[..at].trim().is_empty() && line[at + 1..].starts_with("  ") => {
                    uncommented += 1;
                    line.replacen('#', "", 1)
                }
                _ => line.to_owned(),
            })
            .filter(|line| !line.trim_start().is_empty() || line.is_empty())
            .collect();
        assert!(uncommented > 25, "{uncommented}");
        if let Err(error) = load(&text.join("\n")) {
            panic!("{error}");
        }
    }

    #[test]
    fn what_init_is_told_stands_in_the_configuration_whatever_its_characters() {
        let mut options = told();
        options.line_name = Some("Help: \"desk\" #1".into());
        options.smpp_password = Some(swingbridge_domain::secret::Secret::new("a: b # c \\ \" '"));
        let config = load(&filled(&options, Path::new("registration.yaml"), Path::new(""))).unwrap();
        assert_eq!(config.lines[0].name, "Help: \"desk\" #1");
        let config::connectors::Account::Smpp(smpp) = &config.connectors[0].1 else {
            panic!("{:?}", config.connectors);
        };
        assert_eq!(smpp.password.expose(), "a: b # c \\ \" '");
    }
}
