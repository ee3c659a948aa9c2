//! `webhooks`: the addresses that providers are to be told.

use crate::config::{self, Sources};
use crate::exit::Failure;
use crate::wiring;

pub fn run(sources: &Sources) -> Result<(), Failure> {
    let config = config::load(sources).map_err(Failure::load)?;
    let keys = wiring::keys(&config);
    let called = config
        .connectors
        .iter()
        .filter(|(_, account)| account.is_called());
    let mut none = true;
    for (name, account) in called {
        none = false;
        let url = wiring::public_url(&config, &wiring::webhook_path(&keys, name));
        // What is signed is the address that the connector was given.
        println!("{name}\t{}", account.own_address().unwrap_or(&url));
    }
    if none {
        eprintln!("No connector of this configuration is called by its provider.");
    }
    Ok(())
}
