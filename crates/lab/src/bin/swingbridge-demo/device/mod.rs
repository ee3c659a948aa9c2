//! `--device`: a device whose conversations the relay mirrors, encrypted, to its owner.

mod check;
mod handset;
mod house;
mod page;

pub use handset::Kind;

use crate::house::{PASSWORD, USER};
use anyhow::Result;
use check::Check;
use house::{CONTACTS, DeviceHouse, OWN};
use std::path::Path;
use std::time::Duration;

/// Runs until something ends, or until the check is done.
pub async fn demonstrate(
    kind: Kind,
    check: bool,
    folder: &Path,
    programs: &Path,
    python: &Path,
) -> Result<()> {
    let mut house = DeviceHouse::open(kind, folder, programs, python).await?;
    if check {
        let outcome = Check::run(&mut house).await;
        if outcome.is_err() {
            eprintln!("\nthe end of the relay's log:\n{}", house.log());
        }
        drop(house);
        outcome?;
        println!("\n  check passed");
        return Ok(());
    }
    print_welcome(&house);
    loop {
        if let Some(error) = house.broken() {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn print_welcome(house: &DeviceHouse) {
    let (contact, name) = CONTACTS.first().copied().unwrap_or_default();
    let asked = match house.kind {
        Kind::Android => {
            "\n                    What leaves by SMS others can read: you are asked first. React to the question with ✅."
        }
        Kind::Mac => "",
    };
    println!(
        "
  Open two things side by side:

    phones    http://127.0.0.1:{phones}    {device} ({OWN}, emulated) and the phones of her contacts
    Matrix    a client that encrypts, such as Element Desktop or Nheko (the chat page of the other demo does not):
              homeserver http://127.0.0.1:{homeserver}    user {USER}    password {PASSWORD}

  From a phone:     on the phone of {name} ({contact}), write to {OWN}. In Matrix, accept the invitation.
  From Matrix:      answer in that room, and look at the phone of {name}.{asked}
  By hand:          write on the phone of Alice herself: it appears in the room too.
  Your client may warn that the relay is not verified. On a device of your own `swingbridge device verify` settles that
  once, before the relay starts: it shows emoji to compare.

  Ctrl-C ends it all.",
        phones = house.ports.phones,
        homeserver = house.ports.homeserver,
        device = house.kind.name(),
    );
}
