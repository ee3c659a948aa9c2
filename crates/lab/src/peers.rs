//! Where the foreign programs are that `cargo xtask peers` sets up.
//!
//! Each function gives `None` after one line that says so when a peer is absent, and the test then returns early. Where
//! nothing may be skipped (`CI=true` or `LAB_REQUIRE_PEERS=1`) it panics instead.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The Python that has Synapse.
#[must_use]
pub fn synapse_python() -> Option<PathBuf> {
    let python =
        std::env::var_os("LAB_SYNAPSE").map_or_else(|| folder().join("synapse/bin/python"), PathBuf::from);
    found("Synapse", python.exists().then_some(python))
}

/// The Python that has matrix-nio.
#[must_use]
pub fn nio_python() -> Option<PathBuf> {
    let python = folder().join("nio/bin/python");
    found("matrix-nio", python.exists().then_some(python))
}

/// The Python that has the makers' client of the SMS Gateway app.
#[must_use]
pub fn sms_gateway_python() -> Option<PathBuf> {
    let python = folder().join("sms-gateway/bin/python");
    found("android-sms-gateway", python.exists().then_some(python))
}

/// The Python that has a client of GSMA's chatbot API.
#[must_use]
pub fn rcs_chatbot_python() -> Option<PathBuf> {
    let python = folder().join("rcs-chatbot/bin/python");
    found("rcs-chatbot", python.exists().then_some(python))
}

/// The Python that has Twilio's SDK.
#[must_use]
pub fn twilio_python() -> Option<PathBuf> {
    let python = folder().join("twilio/bin/python");
    found("twilio", python.exists().then_some(python))
}

/// The Python that has Telnyx's SDK.
#[must_use]
pub fn telnyx_python() -> Option<PathBuf> {
    let python = folder().join("telnyx/bin/python");
    found("telnyx", python.exists().then_some(python))
}

/// The folder in which `node` finds the package `smpp`.
#[must_use]
pub fn node_smpp() -> Option<PathBuf> {
    let folder = folder().join("npm");
    let there = folder.join("node_modules/smpp").exists() && runs("node", &["--version"]);
    found("npm smpp", there.then_some(folder))
}

/// The folder in which `node` finds the packages `socket.io` and `socket.io-client`.
#[must_use]
pub fn socket_io() -> Option<PathBuf> {
    let folder = folder().join("socket-io");
    let there = ["socket.io", "socket.io-client"]
        .iter()
        .all(|name| folder.join("node_modules").join(name).exists())
        && runs("node", &["--version"]);
    found("npm socket.io", there.then_some(folder))
}

/// The folder in which `node` finds the package `matrix-js-sdk`.
#[must_use]
pub fn matrix_js() -> Option<PathBuf> {
    let folder = folder().join("matrix-js");
    let there = folder.join("node_modules/matrix-js-sdk").exists() && runs(node(&folder), &["--version"]);
    found("npm matrix-js-sdk", there.then_some(folder))
}

/// The Python that has pytypedstream.
#[must_use]
pub fn pytypedstream() -> Option<PathBuf> {
    let python = folder().join("typedstream/bin/python");
    found("pytypedstream", python.exists().then_some(python))
}

/// The folder in which `node` finds the package `node-typedstream`.
#[must_use]
pub fn node_typedstream() -> Option<PathBuf> {
    let folder = folder().join("npm-typedstream");
    let there = folder.join("node_modules/node-typedstream").exists() && runs("node", &["--version"]);
    found("npm node-typedstream", there.then_some(folder))
}

/// The Node of a folder, where it has one of its own.
#[must_use]
pub fn node(folder: &Path) -> PathBuf {
    let own = ["x64", "arm64"].map(|kind| folder.join(format!("node_modules/node-linux-{kind}/bin/node")));
    own.into_iter()
        .find(|node| node.exists())
        .unwrap_or_else(|| "node".into())
}

/// The Perl that has `Net::SMPP`.
#[must_use]
pub fn perl_net_smpp() -> Option<PathBuf> {
    let perl = PathBuf::from("/usr/bin/perl");
    let there = runs(&perl, &["-MNet::SMPP", "-e", "1"]);
    found("Perl's Net::SMPP", there.then_some(perl))
}

/// tshark, with its SMPP dissector.
#[must_use]
pub fn tshark() -> Option<PathBuf> {
    found("tshark", runs("tshark", &["--version"]).then(|| "tshark".into()))
}

/// What Jasmin runs on.
#[derive(Clone, Debug)]
pub struct JasminPrograms {
    /// The Python environment that has it.
    pub environment: PathBuf,
    /// RabbitMQ's server.
    pub rabbitmq: PathBuf,
}

/// Jasmin with RabbitMQ and Redis.
#[must_use]
pub fn jasmin() -> Option<JasminPrograms> {
    let programs = JasminPrograms {
        environment: folder().join("jasmin"),
        rabbitmq: "/usr/lib/rabbitmq/bin/rabbitmq-server".into(),
    };
    let there = programs.environment.join("bin/jasmind.py").exists()
        && programs.rabbitmq.exists()
        && runs("redis-server", &["--version"]);
    found("Jasmin (with `--long`)", there.then_some(programs))
}

/// What Kannel consists of.
#[derive(Clone, Debug)]
pub struct KannelPrograms {
    /// Holds the binds.
    pub bearerbox: PathBuf,
    /// Takes messages by HTTP.
    pub smsbox: PathBuf,
}

/// Kannel.
#[must_use]
pub fn kannel() -> Option<KannelPrograms> {
    let programs = KannelPrograms {
        bearerbox: "/usr/sbin/bearerbox".into(),
        smsbox: "/usr/sbin/smsbox".into(),
    };
    let there = programs.bearerbox.exists() && programs.smsbox.exists();
    found("Kannel (with `--long`)", there.then_some(programs))
}

/// The folder of PostgreSQL's server programs, the newest version there is.
#[must_use]
pub fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .map(|version| version.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .max_by_key(|programs| version_of(programs));
    let in_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    };
    found("PostgreSQL", newest.or_else(in_path))
}

fn version_of(programs: &Path) -> u32 {
    let name = programs.parent().and_then(Path::file_name);
    name.and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
        .unwrap_or(0)
}

fn folder() -> PathBuf {
    std::env::var_os("LAB_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    )
}

fn found<T>(what: &str, peer: Option<T>) -> Option<T> {
    if peer.is_none() {
        let required = std::env::var_os("CI").is_some_and(|ci| ci == "true")
            || std::env::var_os("LAB_REQUIRE_PEERS").is_some_and(|required| required == "1");
        assert!(!required, "{what} is required here: run `cargo xtask peers`");
        eprintln!("skipped: {what} is not there; `cargo xtask peers` sets it up");
    }
    peer
}

fn runs(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
