//! `register`: makes the Matrix account that a device logs in to.
//!
//! Ways, in this order: the shared secret (Synapse and Dendrite), an admin's token (Synapse), a registration token or open
//! registration (any homeserver). Where none is offered, it says what the homeserver's admin has to do.

mod by_hand;
mod homeserver;
mod password;
mod ways;

use crate::cli::Register;
use crate::config::environment::Variables;
use crate::config::secrets::readable_by_others;
use crate::exit::{Exit, Failure};
use homeserver::Homeserver;
use password::Password;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use swingbridge_domain::secret::Secret;

/// What may be given by a variable in place of a file.
const SHARED_SECRET: &str = "SWINGBRIDGE_REGISTER__SHARED_SECRET";
const ADMIN_TOKEN: &str = "SWINGBRIDGE_REGISTER__ADMIN_TOKEN";
const REGISTRATION_TOKEN: &str = "SWINGBRIDGE_REGISTER__REGISTRATION_TOKEN";

/// The account that is wanted.
struct Wanted<'a> {
    username: &'a str,
    password: &'a Secret,
    admin: bool,
}

/// How a way ended, when it ended well or leads on to the next.
enum Outcome {
    /// The account's full user id, and by which way it was made.
    Made { user: String, way: &'static str },
    /// Nothing was changed.
    Exists,
    /// The next way may do, and this is why this one does not.
    NotOffered(String),
    /// The request went out and no answer came: the account may be there.
    Unknown(String),
}

pub fn run(options: &Register, variables: &Variables) -> Result<ExitCode, Failure> {
    username(&options.username)?;
    let secret = |file: &Option<_>, variable| secret(file.as_deref(), variables.get(variable));
    let secrets = Secrets {
        shared: secret(&options.shared_secret_file, SHARED_SECRET)?,
        admin: secret(&options.admin_token_file, ADMIN_TOKEN)?,
        registration: secret(&options.registration_token_file, REGISTRATION_TOKEN)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(make(options, &secrets))
}

struct Secrets {
    shared: Option<Secret>,
    admin: Option<Secret>,
    registration: Option<Secret>,
}

async fn make(options: &Register, secrets: &Secrets) -> Result<ExitCode, Failure> {
    let homeserver = Homeserver::find(options).await?;
    let password = Password::take(options.password_file.as_deref(), &options.username)?;
    let wanted = Wanted {
        username: &options.username,
        password: &password.text,
        admin: options.admin,
    };
    let mut reasons = Vec::new();
    let outcome = by_some_way(&homeserver, &wanted, secrets, &mut reasons).await;
    match outcome {
        Ok(Some(Outcome::Made { user, way })) => {
            println!("made {user} by {way}");
            println!("its password is in {}", password.path.display());
            println!(
                "Next: swingbridge device login, with that password. The file can be deleted afterwards."
            );
            Ok(ExitCode::SUCCESS)
        }
        Ok(Some(Outcome::Unknown(why))) => Err(Failure::msg(
            Exit::Homeserver,
            format!(
                "whether the account was made is not known: {why}. Its password would be the one in {}. Run the same \
                 command again: it says whether the account exists",
                password.path.display()
            ),
        )),
        Ok(Some(Outcome::Exists)) => {
            password.take_back();
            Err(Failure::msg(
                Exit::Exists,
                format!(
                    "the account {} exists already, and was not changed: log in to it with its password, or choose another \
                     --username",
                    options.username
                ),
            ))
        }
        Ok(Some(Outcome::NotOffered(_)) | None) => {
            password.take_back();
            println!("{}", by_hand::page(&homeserver, &wanted, &reasons).await);
            Ok(Exit::ByHand.into())
        }
        Err(failure) => {
            password.take_back();
            Err(failure)
        }
    }
}

/// Tries one way after the other until one answers for good. What is not offered is told in `reasons`.
async fn by_some_way(
    homeserver: &Homeserver,
    wanted: &Wanted<'_>,
    secrets: &Secrets,
    reasons: &mut Vec<String>,
) -> Result<Option<Outcome>, Failure> {
    if let Some(secret) = &secrets.shared {
        match ways::shared_secret(homeserver, wanted, secret).await? {
            Outcome::NotOffered(why) => reasons.push(format!("the shared secret: {why}")),
            outcome => return Ok(Some(outcome)),
        }
    }
    if let Some(token) = &secrets.admin {
        match ways::admin_api(homeserver, wanted, token).await? {
            Outcome::NotOffered(why) => reasons.push(format!("the admin's token: {why}")),
            outcome => return Ok(Some(outcome)),
        }
    }
    if wanted.admin {
        reasons.push("registration for everybody: it makes no admins".into());
        return Ok(None);
    }
    match ways::registration(homeserver, wanted, secrets.registration.as_ref()).await? {
        Outcome::NotOffered(why) => reasons.push(format!("registration for everybody: {why}")),
        outcome => return Ok(Some(outcome)),
    }
    Ok(None)
}

/// The part of the user id before the colon, by the grammar of the Matrix specification (appendices, user identifiers).
fn username(name: &str) -> Result<(), Failure> {
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
    if name.is_empty() || name.len() > 200 || !name.chars().all(fit) {
        return Err(Failure::msg(
            Exit::Config,
            format!(
                "--username {name:?} cannot be a Matrix user: give the part between @ and the colon, such as phone-alice, in small \
                 letters, digits and . _ = - / +"
            ),
        ));
    }
    Ok(())
}

/// A secret from a file, else from a variable.
fn secret(file: Option<&Path>, variable: Option<&String>) -> Result<Option<Secret>, Failure> {
    let Some(file) = file else {
        return Ok(variable.filter(|text| !text.is_empty()).map(Secret::new));
    };
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::msg(
            Exit::File,
            format!(
                "{} cannot be read: {error}; give the path of a file that holds the secret",
                file.display()
            ),
        )
    })?;
    if let Some(warning) = readable_by_others(file) {
        eprintln!("swingbridge: {warning}");
    }
    let text = text.trim();
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err(Failure::msg(
            Exit::File,
            format!(
                "{} must hold the secret on one line, and nothing else",
                file.display()
            ),
        ));
    }
    Ok(Some(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_homeserver_takes_is_a_username() {
        for name in ["phone-alice", "a", "x.y_z=1-2/3+4"] {
            assert!(username(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "Alice",
            "@alice",
            "alice:example.org",
            "älice",
            "a b",
            &"x".repeat(201),
        ] {
            assert!(username(name).is_err(), "{name}");
        }
    }
}
