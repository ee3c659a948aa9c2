//! `device verify`: the owner compares seven pictures once, and no client warns of the device from then on.

use super::{load, puppet, runtime, secrets};
use crate::cli::DeviceVerify;
use crate::config::Sources;
use crate::exit::{Exit, Failure};
use async_trait::async_trait;
use std::io::Write;
use swingbridge_domain::id::UserId;
use swingbridge_matrix::puppet::{Answer, Begin, Emoji, Ui, VerifyError, Whom};

pub fn run(options: &DeviceVerify, sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    let secrets = secrets(&config, sources)?;
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
    runtime()?.block_on(async {
        let puppet = puppet(&config, &secrets).await?;
        puppet.verify_alone(whom, begin, &terminal).await.map_err(failed)
    })?;
    println!("Verified. No client that you have verified yourself warns of this device any more.");
    Ok(())
}

struct Terminal {
    begin: Begin,
    yes: bool,
}

#[async_trait]
impl Ui for Terminal {
    async fn compare(&self, user: &UserId, device: &str, emoji: &[Emoji; 7]) -> Answer {
        println!("{user}, session {device}, shows these pictures:\n");
        for emoji in emoji {
            println!("    {}  {}", emoji.symbol, emoji.name);
        }
        if self.yes {
            return Answer::Same;
        }
        let asked = tokio::task::spawn_blocking(ask).await;
        asked.unwrap_or(Answer::Different)
    }

    fn waiting(&self) {
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
            Ok(0) | Err(_) => return Answer::Different,
            Ok(_) => match line.trim().to_lowercase().as_str() {
                "yes" | "y" => return Answer::Same,
                "no" | "n" => return Answer::Different,
                _ => {}
            },
        }
    }
}

fn failed(error: VerifyError) -> Failure {
    let exit = match &error {
        VerifyError::Homeserver(_) => Exit::Homeserver,
        _ => Exit::Token,
    };
    Failure::new(exit, error)
}
