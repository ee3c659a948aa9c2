//! The lab on the command line: a carrier to try things with.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use swingbridge_lab::faults::Plan;
use swingbridge_lab::smsc::{self, Account, Config, Receipts};

/// The fake outside of Swingbridge.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A carrier: an SMPP server with a web page of phones
    Smsc(Smsc),
}

#[derive(Args)]
struct Smsc {
    /// Where to take binds
    #[arg(long, default_value = "127.0.0.1:2775")]
    listen: SocketAddr,
    /// Where to serve the page of phones
    #[arg(long, default_value = "127.0.0.1:8775")]
    http: SocketAddr,
    /// The account that may bind
    #[arg(long, default_value = "swingbridge")]
    system_id: String,
    /// Its password
    #[arg(long, default_value = "secret")]
    password: String,
    /// A number of the account, for the page to write to
    #[arg(long = "line", value_name = "NUMBER")]
    lines: Vec<String>,
    /// A phone on the page: its number, and whose it is
    #[arg(long = "phone", value_name = "NUMBER[=NAME]")]
    phones: Vec<String>,
    /// Milliseconds from a message to its receipt
    #[arg(long, default_value_t = 500)]
    receipt_delay: u64,
    /// Be as unreliable as this seed says
    #[arg(long, value_name = "SEED")]
    faults: Option<u64>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Arguments {
        command: Command::Smsc(arguments),
    } = Arguments::parse();
    let phone = |phone: &String| match phone.split_once('=') {
        Some((number, name)) => (number.to_owned(), Some(name.to_owned())),
        None => (phone.clone(), None),
    };
    let carrier = smsc::start(Config {
        listen: arguments.listen,
        http: Some(arguments.http),
        accounts: vec![Account {
            numbers: arguments.lines,
            ..Account::new(arguments.system_id, arguments.password)
        }],
        phones: arguments.phones.iter().map(phone).collect(),
        receipts: Receipts {
            delay: Duration::from_millis(arguments.receipt_delay),
            ..Receipts::default()
        },
        faults: arguments.faults.map_or_else(Plan::none, Plan::rough),
        ..Config::default()
    })
    .await?;
    println!("smpp://{}", carrier.address());
    if let Some(page) = carrier.page() {
        println!("http://{page}/");
    }
    tokio::signal::ctrl_c().await?;
    carrier.stop();
    Ok(())
}
