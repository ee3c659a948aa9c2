//! `--generate-registration`: a registration that fits the configuration.

use super::init;
use crate::config::{self, Sources};
use crate::edges::SystemEntropy;
use crate::exit::Failure;
use crate::wiring;
use swingbridge_matrix::registration::{Registration, random_token};

pub fn run(sources: &Sources, force: bool) -> Result<(), Failure> {
    let mut config = config::load_for_registration(sources).map_err(Failure::load)?;
    let path = config.appservice.registration.clone();
    write(&mut config, force)?;
    println!("wrote {}", path.display());
    println!("{}", init::next_steps(&path, &config));
    Ok(())
}

/// Writes the registration; tokens that the configuration does not give are drawn.
pub fn write(config: &mut config::Config, force: bool) -> Result<(), Failure> {
    for token in [&mut config.appservice.as_token, &mut config.appservice.hs_token] {
        if token.is_empty() {
            *token = random_token(&SystemEntropy);
        }
    }
    let matrix = wiring::matrix_config(config)?;
    let registration = Registration::new(&matrix, &wiring::own_url(config)?, &SystemEntropy);
    let text = format!(
        "# Made by `swingbridge`. Give it to the homeserver, and keep it secret: who has it can act as the bridge's users.\n{}",
        registration.to_yaml()
    );
    init::write_new(&config.appservice.registration, &text, force)
}
