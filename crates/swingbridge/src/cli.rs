//! The command line.

#[cfg(feature = "device")]
mod device;

#[cfg(feature = "device")]
pub use device::*;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use swingbridge_domain::audit::Mark;
use swingbridge_domain::secret::Secret;

/// Matrix to phones over SMS, always saying who can read what you write
#[derive(Debug, Parser)]
#[command(
    name = "swingbridge",
    version,
    disable_version_flag = true,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Settings may also come from the environment, as SWINGBRIDGE_SECTION__KEY. \
                  Begin with `swingbridge init --help`."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The configuration file [default: config.yaml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The registration file [default: as the configuration says, else registration.yaml beside it]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub registration: Option<PathBuf>,

    /// Write a registration that fits the configuration, and quit
    #[arg(short, long)]
    pub generate_registration: bool,

    /// Write an example configuration, and quit
    #[arg(short = 'e', long)]
    pub generate_example_config: bool,

    /// Let -g and -e replace a file that is there
    #[arg(long)]
    pub force: bool,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented configuration, a registration with random tokens, and a site key
    Init(Box<Init>),
    /// Try everything, and say for each failure its cause and its cure
    Check,
    /// Run the gateway (also without a command, when `--config` is given)
    Gateway,
    #[cfg(feature = "device")]
    /// The relay on your own phone, Mac or home box: mirrors its conversations into encrypted rooms
    Device {
        #[command(subcommand)]
        act: Option<DeviceAct>,
    },
    /// Verify or print the audit log, also while the gateway runs
    AuditLog {
        #[command(subcommand)]
        act: AuditLog,
    },
    /// Say what is kept, where, how long, why, and how it is protected
    Retention {
        #[command(subcommand)]
        act: Retention,
    },
    /// Let all conversations of a line go by another; stop the gateway first. Rooms, history and ghosts stay
    Migrate(Migrate),
    /// Print the addresses at which providers are to call; whoever knows one may try to pass for the provider
    Webhooks,
    #[cfg(feature = "device")]
    /// Make the Matrix account that a device logs in to
    Register(Box<Register>),
    #[cfg(feature = "device")]
    /// Let the system start the device relay, and see whether it runs
    Service {
        #[command(subcommand)]
        act: Service,
    },
    /// Print documentation that the program writes about itself
    #[command(hide = true)]
    Docs { topic: Topic },
}

#[derive(Debug, Subcommand)]
pub enum AuditLog {
    /// Find removed, altered and inserted entries; exit code 1 when there are any
    Verify {
        /// The end of the log as an earlier `verify` or the gateway's log said it: finds that it was put back to an older state since
        #[arg(long, value_name = "NUMBER:HASH", value_parser = mark)]
        since: Option<Mark>,
    },
    /// Print all entries, one JSON object to a line
    Export,
}

#[derive(Debug, Subcommand)]
pub enum Retention {
    /// Report what this site keeps, from its configuration and its database
    Report {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// The line that they are on; it need not be configured any more
    #[arg(long, value_name = "LINE")]
    pub from: String,

    /// The line that they are to go by
    #[arg(long, value_name = "LINE")]
    pub to: String,

    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    Config,
    #[cfg(feature = "device")]
    DeviceConfig,
    Cli,
    Metrics,
    Example,
}

/// What `init` is told. What it is not told stands in the configuration to be filled in.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to write to, when --config and --registration do not say otherwise
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub directory: PathBuf,

    /// Where the gateway reaches the homeserver's client API, such as http://127.0.0.1:8008
    #[arg(long, value_name = "URL")]
    pub homeserver: Option<String>,

    /// The homeserver's name: the part of user ids after the colon
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,

    /// Where the gateway listens for the homeserver
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:29370")]
    pub listen: String,

    /// Where the homeserver reaches the gateway [default: the address it listens on]
    #[arg(long, value_name = "URL")]
    pub appservice_address: Option<String>,

    /// Where health and metrics are served, or `off`
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:29371")]
    pub operations: String,

    /// What ghosts' user ids begin with
    #[arg(long, value_name = "WORD", default_value = "sms")]
    pub prefix: String,

    /// Local part of the bot's user id [default: the prefix and `bot`]
    #[arg(long, value_name = "WORD")]
    pub bot: Option<String>,

    /// Keep the data in PostgreSQL: postgres://USER:PASSWORD@HOST/NAME [default: SQLite in the folder]
    #[arg(long, value_name = "URI")]
    pub postgres: Option<String>,

    /// The SMSC's host
    #[arg(long, value_name = "HOST", env = "BRIDGE_SMPP_HOST", hide_env_values = true)]
    pub smpp_host: Option<String>,

    /// The SMSC's port
    #[arg(long, value_name = "PORT", env = "BRIDGE_SMPP_PORT", hide_env_values = true)]
    pub smpp_port: Option<u16>,

    /// The account's name at the SMSC
    #[arg(
        long,
        value_name = "NAME",
        env = "BRIDGE_SMPP_SYSTEM_ID",
        hide_env_values = true
    )]
    pub smpp_system_id: Option<String>,

    /// The account's password; better given by the variable, which other users of the machine cannot see
    #[arg(long, value_name = "PASSWORD", env = "BRIDGE_SMPP_PASSWORD", hide_env_values = true, value_parser = secret)]
    pub smpp_password: Option<Secret>,

    /// Our own number, with + and the country code
    #[arg(long, visible_alias = "line-address", value_name = "NUMBER")]
    pub line: Option<String>,

    /// What people call the line
    #[arg(long, value_name = "NAME")]
    pub line_name: Option<String>,

    /// The region by whose rules numbers without a country code are read, such as GB
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// A Matrix user who may use the line; may be repeated
    #[arg(long = "user", value_name = "USER_ID")]
    pub users: Vec<String>,

    /// A Matrix user who may use the line and the admin commands; may be repeated
    #[arg(long = "admin", value_name = "USER_ID")]
    pub admins: Vec<String>,

    /// The room whose members share the line
    #[arg(long, value_name = "ROOM_ID")]
    pub inbox_room: Option<String>,

    /// Replace files that are there; never the site key
    #[arg(long)]
    pub force: bool,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

fn mark(text: &str) -> Result<Mark, &'static str> {
    Mark::parse(text).ok_or("must be a number, a colon and a hash, as `audit-log verify` prints them")
}
