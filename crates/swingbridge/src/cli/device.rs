//! What the device relay can be asked.

use crate::commands::service::Kind;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum DeviceAct {
    /// Run the relay (also without a command)
    Run(DeviceRun),
    /// Write a commented device.yaml, and a passphrase for what the device seals
    Init(DeviceInit),
    /// Log in to the device's own account, and give it keys
    Login(Box<DeviceLogin>),
    /// Give the session up
    Logout,
    /// Compare emoji with your own client once, so that it never warns of this device
    Verify(DeviceVerify),
    /// Say what is connected, for how long it was, and what waits; exit code 1 when something is away
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send through each connector to a chat of your own, and write down what was really seen
    Selftest(DeviceSelftest),
}

#[derive(Debug, Default, Args)]
pub struct DeviceRun {
    /// For launchd: begin the log anew in FILE, and wait before ending with what only a person can mend
    #[arg(long, value_name = "FILE", hide = true)]
    pub log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DeviceInit {
    /// Whose device it is: the account that you use in your own client
    #[arg(long, value_name = "@USER:DOMAIN")]
    pub owner: Option<String>,

    /// The homeserver's client API, such as https://matrix.example.org
    #[arg(long, value_name = "URL")]
    pub homeserver: Option<String>,

    /// How the device reaches its conversations
    #[arg(long, value_name = "KIND", default_value = "termux")]
    pub connector: DeviceConnector,

    /// The device's number with + and the country code, or the Apple ID
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<String>,

    /// The region by whose rules numbers without a country code are read, such as GB
    #[arg(long, value_name = "XX")]
    pub region: Option<String>,

    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceConnector {
    /// An Android phone, from inside it: Termux with Termux:API
    Termux,
    /// An Android phone, from beside it: the app "SMS Gateway"
    SmsGateway,
    /// A Mac, from inside it: its Messages
    Imessage,
    /// A Mac, from beside it: a BlueBubbles server
    Bluebubbles,
}

#[derive(Debug, Args)]
pub struct DeviceLogin {
    /// The device's account: @phone-alice:example.org or phone-alice
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// A file (mode 0600) with its password, such as `swingbridge register` writes; else it is asked for
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A file (mode 0600) with a login token (m.login.token)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Log in by a code that is confirmed on another device, where the homeserver offers it
    #[arg(long)]
    pub device_code: bool,

    /// Log in as the owner instead, so that what you say on the phone itself appears as yours
    #[arg(long)]
    pub as_owner: bool,

    /// A file (mode 0600) with the account's recovery key, where it has keys already. With --as-owner: yours, which signs the session
    #[arg(long, value_name = "FILE")]
    pub recovery_key_file: Option<PathBuf>,

    /// Give the account new keys, where the old ones are lost. Everybody has to verify it anew
    #[arg(long, conflicts_with = "recovery_key_file")]
    pub reset_identity: bool,

    /// Begin a new session where there is one already
    #[arg(long)]
    pub new_session: bool,
}

#[derive(Debug, Args)]
pub struct DeviceVerify {
    /// Wait until your client asks, instead of asking it
    #[arg(long)]
    pub wait: bool,

    /// With another session of the device's own account
    #[arg(long, conflicts_with = "as_owner")]
    pub own_session: bool,

    /// The session that was made with `login --as-owner`, with another one of yours
    #[arg(long)]
    pub as_owner: bool,

    /// Take the emoji for the same without a look: only for tests, where a program compares
    #[arg(long, hide = true)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct DeviceSelftest {
    /// The line to test [default: all]
    #[arg(long, value_name = "LINE")]
    pub line: Option<String>,

    /// Where to send: a number or mail address of your own, which must reach this device [default: the line's own]
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,

    /// Where to write the report
    #[arg(long, value_name = "FILE", default_value = "selftest.json")]
    pub report: PathBuf,
}

/// What `register` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "In place of the three files of secrets, the variables SWINGBRIDGE_REGISTER__SHARED_SECRET, \
                  SWINGBRIDGE_REGISTER__ADMIN_TOKEN and SWINGBRIDGE_REGISTER__REGISTRATION_TOKEN may hold them. Exit code 19: \
                  the account exists already. 20: what the homeserver's admin has to do was printed."
)]
pub struct Register {
    /// The part of the new user id between @ and the colon, such as phone-alice
    #[arg(long, value_name = "NAME")]
    pub username: String,

    /// The homeserver's address, such as https://matrix.example.org, or its name
    #[arg(
        long,
        value_name = "URL",
        env = "SWINGBRIDGE_HOMESERVER__ADDRESS",
        hide_env_values = true
    )]
    pub homeserver: String,

    /// A file with `registration_shared_secret` of homeserver.yaml (Synapse) or dendrite.yaml
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_REGISTER__SHARED_SECRET_FILE",
        hide_env_values = true
    )]
    pub shared_secret_file: Option<PathBuf>,

    /// A file with the access token of a server admin (Synapse)
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_REGISTER__ADMIN_TOKEN_FILE",
        hide_env_values = true
    )]
    pub admin_token_file: Option<PathBuf>,

    /// A file with a registration token, for homeservers that let people register with one
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_REGISTER__REGISTRATION_TOKEN_FILE",
        hide_env_values = true
    )]
    pub registration_token_file: Option<PathBuf>,

    /// The file of the account's password; drawn and written if it is not there [default: NAME.password]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A file of certificates (PEM) to trust besides the public authorities
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_HOMESERVER__CA_FILE",
        hide_env_values = true
    )]
    pub ca_file: Option<PathBuf>,

    /// Trust those authorities alone
    #[arg(long, requires = "ca_file")]
    pub only_this_ca: bool,

    /// The certificate (PEM, with its chain) to show where the site asks for mutual TLS
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_HOMESERVER__CLIENT_CERT_FILE",
        hide_env_values = true,
        requires = "client_key_file"
    )]
    pub client_cert_file: Option<PathBuf>,

    /// The key (PEM) of that certificate
    #[arg(
        long,
        value_name = "FILE",
        env = "SWINGBRIDGE_HOMESERVER__CLIENT_KEY_FILE",
        hide_env_values = true,
        requires = "client_cert_file"
    )]
    pub client_key_file: Option<PathBuf>,

    /// Make it a server admin. A device needs none of that
    #[arg(long)]
    pub admin: bool,
}

#[derive(Debug, Subcommand)]
pub enum Service {
    /// Write what the system needs to start the relay, start it, and say what a person must grant
    Install(ServiceInstall),
    /// Say whether it is installed and runs; exit code 3 when it does not
    Status(ServicePlace),
    /// Stop it and take away what `install` wrote; configuration and data stay
    Remove(ServiceRemove),
}

#[derive(Debug, Args)]
pub struct ServiceInstall {
    #[command(flatten)]
    pub place: ServicePlace,

    /// The program to start [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,

    /// The folder that the relay keeps its data in, the only one that it may write to [default: the configuration's, or the one that
    /// it names]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,

    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Write, but start nothing
    #[arg(long)]
    pub no_start: bool,
}

#[derive(Debug, Args)]
pub struct ServiceRemove {
    #[command(flatten)]
    pub place: ServicePlace,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a service is.
#[derive(Debug, Args)]
pub struct ServicePlace {
    /// Which way of starting programs [default: this system's]
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,

    /// The home folder to write to; one given here is only written to, and nothing is started [default: $HOME]
    #[arg(long, value_name = "FOLDER")]
    pub home: Option<PathBuf>,

    /// Termux's folder above bin [default: $PREFIX]
    #[arg(long, value_name = "FOLDER")]
    pub prefix: Option<PathBuf>,
}
