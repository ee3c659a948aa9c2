//! `device verify`: the owner compares seven pictures once, and no client warns of the device from then on. A relay that runs does it for
//! us; else we do it ourselves.

use super::{load, puppet, runtime, secrets};
use crate::cli::DeviceVerify;
use crate::config::Sources;
use crate::config::device::DeviceConfig;
use crate::device::control::{Relay, Told};
use crate::exit::{Ends, Exit, Failure};
use async_trait::async_trait;
use std::io::Write;
use swingbridge_domain::id::UserId;
use swingbridge_matrix::puppet::{Answer, Begin, Emoji, Ui, VerifyError, Whom};

pub fn run(options: &DeviceVerify, sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    let whom = match (options.as_owner, options.own_session) {
        (true, _) => Whom::OwnersDevice,
        (false, true) => Whom::OwnDevice,
        (false, false) => Whom::Owner,
    };
    let begin = match options.wait {
        true => Begin::Wait,
        false => Begin::Ask,
    };
    let terminal = Terminal {
        begin,
        yes: options.yes,
    };
    let runtime = runtime()?;
    let verified = runtime.block_on(async {
        match Relay::reach(&config.device.folder).await.ends(Exit::File)? {
            Some(relay) => by_the_relay(relay, whom, &terminal).await,
            None => alone(&config, sources, whom, &terminal).await,
        }
    });
    // A question that nobody will answer any more does not keep the program.
    runtime.shutdown_background();
    verified?;
    println!("Verified. No client that you have verified yourself warns of this device any more.");
    Ok(())
}

async fn alone(
    config: &DeviceConfig,
    sources: &Sources,
    whom: Whom,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let secrets = secrets(config, sources)?;
    let puppet = puppet(config, &secrets).await?;
    let done = puppet.verify_alone(whom, terminal.begin, terminal).await;
    done.map_err(|error| {
        let homeserver = matches!(error, VerifyError::Homeserver(_));
        failed(homeserver, error.to_string())
    })
}

async fn by_the_relay(mut relay: Relay, whom: Whom, terminal: &Terminal) -> Result<(), Failure> {
    relay.verify(whom, terminal.begin).await?;
    loop {
        match relay.told().await? {
            Some(Told::Waiting) => terminal.waiting().await,
            Some(Told::Compare {
                user,
                session,
                pictures,
            }) => {
                let pictures = pictures.iter().map(|it| (it.symbol.as_str(), it.name.as_str()));
                terminal.show(&user, &session, pictures);
                let answer = tokio::select! {
                    answer = terminal.answer() => answer,
                    // The other side may give up before anybody has looked.
                    told = relay.told() => return ended(told?),
                };
                match answer {
                    // Hanging up is an answer, too.
                    Answer::Gone => return Err(failed(false, "nobody looked at the emoji".to_owned())),
                    answer => relay.answer(answer == Answer::Same).await?,
                }
            }
            told => return ended(told),
        }
    }
}

fn ended(told: Option<Told>) -> Result<(), Failure> {
    match told {
        Some(Told::Done) => Ok(()),
        Some(Told::Failed { homeserver, text }) => Err(failed(homeserver, text)),
        Some(Told::Waiting | Told::Compare { .. }) => Err(failed(
            false,
            "the relay asked a second time before it was answered: try again".to_owned(),
        )),
        None => Err(failed(
            false,
            "the relay stopped in the middle of it: nothing was verified, try again".to_owned(),
        )),
    }
}

struct Terminal {
    begin: Begin,
    yes: bool,
}

impl Terminal {
    fn show<'a>(&self, user: &str, session: &str, pictures: impl Iterator<Item = (&'a str, &'a str)>) {
        println!("{user}, session {session}, shows these pictures:\n");
        for (symbol, name) in pictures {
            println!("    {symbol}  {name}");
        }
    }

    async fn answer(&self) -> Answer {
        if self.yes {
            return Answer::Same;
        }
        let asked = tokio::task::spawn_blocking(ask).await;
        asked.unwrap_or(Answer::Gone)
    }
}

#[async_trait]
impl Ui for Terminal {
    async fn compare(&self, user: &UserId, device: &str, emoji: &[Emoji; 7]) -> Answer {
        self.show(
            user.as_str(),
            device,
            emoji.iter().map(|emoji| (emoji.symbol, emoji.name)),
        );
        self.answer().await
    }

    async fn waiting(&self) {
        match self.begin {
            Begin::Ask => println!("Asked: accept the verification in your client, and choose emoji."),
            Begin::Wait => {
                println!("Waiting: begin the verification of this device's account in your client.")
            }
        }
    }
}

/// Until it is answered clearly; who is gone has not agreed.
fn ask() -> Answer {
    loop {
        print!("\nAre they the same, in the same order? (yes/no) ");
        let _ = std::io::stdout().flush();
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) | Err(_) => return Answer::Gone,
            Ok(_) => match line.trim().to_lowercase().as_str() {
                "yes" | "y" => return Answer::Same,
                "no" | "n" => return Answer::Different,
                _ => {}
            },
        }
    }
}

fn failed(homeserver: bool, text: String) -> Failure {
    let exit = match homeserver {
        true => Exit::Homeserver,
        false => Exit::Token,
    };
    Failure::msg(exit, text)
}
