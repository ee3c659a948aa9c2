//! Everything that the demo runs: a homeserver, a carrier, the gateway, and a page for each side.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use swingbridge_lab::{
    chat::{self, Session},
    client::Client,
    process::Process,
    smsc::{self, Account},
    synapse::{Database, Options, Synapse},
};
use tokio::net::TcpListener;

use crate::{
    gateway::{self, Gateway},
    mms::Group,
    ports::Ports,
    rcs::Google,
};

/// The user of the demo.
pub const USER: &str = "alice";
pub const PASSWORD: &str = "alice-in-the-lab";
pub const BOT: &str = "@smsbot:localhost";

/// Phones that are there from the start: the one that we text, and two more.
const PHONES: &[(&str, &str)] = &[
    (gateway::CONTACT, "Bob"),
    ("+447700900457", "Carol"),
    ("+15555550123", "Dave"),
];

/// What is shown besides the carrier's SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Sms,
    /// Google is there as well, and the line that we text from reaches phones by it first.
    Rcs,
    /// Telnyx is there as well, with phones that have a group.
    Mms,
}

/// Everything that runs. Dropping it ends it all, in good order.
pub struct House {
    // The gateway goes first, so that it can say goodbye to both sides.
    process: Process,
    synapse: Synapse,
    pub gateway: Gateway,
    pub carrier: smsc::Handle,
    pub google: Option<Google>,
    pub group: Option<Group>,
    pub alice: Client,
    pub ports: Ports,
}

impl House {
    pub async fn open(
        folder: &Path,
        programs: &Path,
        python: &Path,
        postgres: bool,
        shown: Shown,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let ports = Ports::choose(folder)?;
        let carrier = carrier(&ports).await?;
        tell(&format!("the carrier takes binds on port {}", ports.smpp));

        let mut gateway = Gateway::new(programs, folder, ports);
        ports.keep(folder, &[gateway.config(), gateway.registration()])?;
        gateway.init(&format!("@{USER}:localhost"))?;
        let google = match shown {
            Shown::Rcs => Some(Google::start(&mut gateway).await?),
            _ => None,
        };
        let group = match shown {
            Shown::Mms => Some(Group::start(&mut gateway, &ports).await?),
            _ => None,
        };

        let synapse = Synapse::start(
            python,
            Options {
                folder: Some(folder.join("synapse")),
                port: Some(ports.homeserver),
                database: if postgres {
                    Database::Postgres
                } else {
                    Database::Sqlite
                },
                registrations: vec![gateway.registration()],
                ..Options::default()
            },
        )
        .await?;
        tell(&format!("Synapse answers on port {}", ports.homeserver));
        if let Some(postgres) = synapse.postgres() {
            gateway.keep_data_in(postgres.database("swingbridge").await?);
        }
        let alice = synapse.user(USER, PASSWORD).await.context("cannot make a user")?;

        let process = gateway.start().await?;
        carrier
            .wait_for("the gateway's bind", Duration::from_secs(30), |view| {
                (!view.sessions.is_empty()).then_some(())
            })
            .await?;
        tell("the gateway runs and is bound to the carrier");
        if let Some(google) = &google {
            google.told_of(&gateway).await?;
        }
        if let Some(group) = &group {
            group.told_of(&gateway)?;
        }
        serve_chat_page(&ports, &alice).await?;
        Ok(Self {
            process,
            synapse,
            gateway,
            carrier,
            google,
            group,
            alice,
            ports,
        })
    }

    /// What died, if something did.
    pub fn broken(&mut self) -> Option<anyhow::Error> {
        if self.process.ended().is_some() {
            return Some(self.process.failure("").into());
        }
        self.synapse.ended().map(|status| {
            anyhow!(
                "Synapse ended with {status}; the end of its log:\n{}",
                self.synapse.log_tail(30)
            )
        })
    }

    /// The end of the gateway's log, for a check that failed.
    pub fn gateway_log(&self) -> String {
        self.process.log_tail(40)
    }
}

pub fn tell(what: &str) {
    println!("  {what}");
}

async fn carrier(ports: &Ports) -> Result<smsc::Handle> {
    let config = smsc::Config {
        listen: SocketAddr::from(([127, 0, 0, 1], ports.smpp)),
        http: Some(SocketAddr::from(([127, 0, 0, 1], ports.phones))),
        accounts: vec![Account {
            numbers: vec![smsc::key(gateway::LINE)],
            ..Account::new(gateway::SYSTEM_ID, gateway::PASSWORD)
        }],
        phones: PHONES
            .iter()
            .map(|(number, name)| ((*number).to_owned(), Some((*name).to_owned())))
            .collect(),
        // Its books are empty in each run, and the gateway's are not: an id must not come twice.
        first_id: rand::random_range(1_000_000_000..9_000_000_000),
        ..smsc::Config::default()
    };
    smsc::start(config).await.context("cannot start the carrier")
}

async fn serve_chat_page(ports: &Ports, alice: &Client) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", ports.chat)).await?;
    let router = chat::router(Session {
        homeserver: format!("http://127.0.0.1:{}", ports.homeserver),
        user: alice.user().to_owned(),
        token: alice.token().to_owned(),
        bot: BOT.to_owned(),
    });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("the chat page ended: {error}");
        }
    });
    Ok(())
}
