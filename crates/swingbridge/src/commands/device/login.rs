//! `device login`: a session of the device's own account, with keys of its own.

use super::{load, puppet, runtime, secrets};
use crate::cli::DeviceLogin;
use crate::config::Sources;
use crate::config::device::DeviceConfig;
use crate::device::files::read_secret;
use crate::device::secrets::Secrets;
use crate::edges::SystemEntropy;
use crate::exit::{self, Ends, Exit};
use crate::wiring;
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;
use swingbridge_matrix::Failure;
use swingbridge_matrix::puppet::login::{self, DeviceCode, LoginError, Methods, Standing};
use swingbridge_matrix::puppet::{Config, Identity, Session};

pub fn run(options: &DeviceLogin, sources: &Sources) -> Result<(), exit::Failure> {
    let config = load(sources)?;
    let secrets = secrets(&config, sources)?;
    runtime()?.block_on(log_in(options, &config, &secrets))
}

async fn log_in(
    options: &DeviceLogin,
    config: &DeviceConfig,
    secrets: &Secrets,
) -> Result<(), exit::Failure> {
    let mut puppet_config = wiring::puppet_config(config)?;
    if options.as_owner {
        puppet_config.device_name = format!("{} (sends as you)", puppet_config.device_name);
    }
    let before = match options.as_owner {
        true => secrets.owner_session(),
        false => secrets.session(),
    };
    let before = before.ends(Exit::File)?;
    let asked_for = asked_for(options, config);
    // Another account's device is none of this one's.
    let same = |before: &&Session| asked_for.is_none_or(|asked| is(&before.user, asked));
    let device = match before.as_ref().filter(same) {
        Some(session) if !options.new_session => again(&puppet_config, session).await?,
        _ => None,
    };
    let methods = login::methods(&puppet_config).await.map_err(refused)?;
    let password = match &options.password_file {
        Some(path) => Some(read_secret(path).ends(Exit::File)?),
        None => None,
    };
    let session = session(
        options,
        config,
        &puppet_config,
        methods,
        password.as_ref(),
        device.as_deref(),
    )
    .await?;
    if options.as_owner {
        if session.user.as_str() != config.device.owner {
            give_up(&puppet_config, &session).await;
            let text = format!(
                "the session is {}'s, and `device.owner` is {}: log in as the owner",
                session.user, config.device.owner
            );
            return Err(exit::Failure::msg(Exit::Token, text));
        }
        secrets.keep_owner_session(&session).ends(Exit::File)?;
        println!(
            "Logged in as {}, device {}: what you say on the phone itself will appear as yours.",
            session.user, session.device
        );
        return sign(options, config, secrets).await;
    }
    // Who names nobody means the account that was here, as long as its device goes on.
    let expected = match (&device, &before) {
        (Some(_), Some(before)) => asked_for.or(Some(before.user.as_str())),
        _ => asked_for,
    };
    if expected.is_some_and(|expected| !is(&session.user, expected)) {
        give_up(&puppet_config, &session).await;
        let told = refused(LoginError::OtherUser(session.user));
        let text = format!(
            "{}\n    log in as the right one, or name the other with --user",
            told.error
        );
        return Err(exit::Failure::msg(told.exit, text));
    }
    if session.user.as_str() == config.device.owner {
        give_up(&puppet_config, &session).await;
        return Err(exit::Failure::msg(
            Exit::Token,
            "this is the owner's own account: the device needs an account of its own, such as `swingbridge register` makes. \
             With --as-owner the session is used to show what you say on the phone as yours.",
        ));
    }
    secrets.keep_session(&session).ends(Exit::File)?;
    println!(
        "Logged in as {}, device {}. The session lies here under {}.",
        session.user,
        session.device,
        secrets.protected_by()
    );
    establish(options, config, secrets, password).await
}

/// The account that the person names, if they do.
fn asked_for<'a>(options: &'a DeviceLogin, config: &'a DeviceConfig) -> Option<&'a str> {
    match (&options.user, options.as_owner) {
        (Some(user), _) => Some(user),
        (None, true) => Some(&config.device.owner),
        (None, false) => None,
    }
}

/// Whether `user` is the account that was asked for, by its full user id or by the part before the colon.
fn is(user: &UserId, asked: &str) -> bool {
    let asked = asked.strip_prefix('@').unwrap_or(asked);
    let user = user.as_str().strip_prefix('@').unwrap_or(user.as_str());
    let user = match asked.contains(':') {
        true => user,
        false => user.split(':').next().unwrap_or_default(),
    };
    // Homeservers find accounts whatever the case.
    user.eq_ignore_ascii_case(asked)
}

/// A session that is not kept does not stay open, either.
async fn give_up(config: &Config, session: &Session) {
    if let Err(error) = login::log_out(config, session).await {
        eprintln!(
            "swingbridge: {}'s new session {} could not be ended ({error}): end it in that account's list of sessions",
            session.user, session.device
        );
    }
}

/// The same device again, so that its keys stay good: homeservers take that where the account is the same. One that the homeserver has
/// removed has no keys there any more, and would be given none.
async fn again(config: &Config, before: &Session) -> Result<Option<String>, exit::Failure> {
    match login::standing(config, before).await.map_err(refused)? {
        Standing::Good | Standing::Soft => Ok(Some(before.device.clone())),
        Standing::Ended => {
            println!("The homeserver has ended the session that was here: a new one begins.");
            Ok(None)
        }
    }
}

async fn session(
    options: &DeviceLogin,
    config: &DeviceConfig,
    puppet: &Config,
    methods: Methods,
    password: Option<&Secret>,
    device: Option<&str>,
) -> Result<Session, exit::Failure> {
    let user = asked_for(options, config);
    if let Some(path) = &options.token_file {
        let token = read_secret(path).ends(Exit::File)?;
        return login::with_token(puppet, &token, device).await.map_err(refused);
    }
    if let (Some(user), true) = (user, options.password_file.is_some() || !options.device_code) {
        let password = match password {
            Some(password) => password.clone(),
            None if methods.password => asked()?,
            None => return Err(refused(LoginError::NotOffered("login by password"))),
        };
        return login::with_password(puppet, user, &password, device)
            .await
            .map_err(refused);
    }
    if methods.device_code {
        return login::with_device_code(puppet, &SystemEntropy, show)
            .await
            .map_err(refused);
    }
    Err(exit::Failure::msg(
        Exit::Token,
        "the homeserver offers no login by a code: give --user and --password-file, or --token-file",
    ))
}

fn show(code: &DeviceCode) {
    let page = code.page_with_code.as_ref().unwrap_or(&code.page);
    println!(
        "Open {page}\nand confirm the code {} there, logged in as the device's account. It is good for {} minutes.",
        code.code,
        code.good_for / 60
    );
}

fn asked() -> Result<Secret, exit::Failure> {
    rpassword::prompt_password("Password of the device's account: ")
        .map(Secret::new)
        .map_err(|error| {
            exit::Failure::msg(
                Exit::Token,
                format!("the password cannot be asked: {error}; give --password-file"),
            )
        })
}

/// Gives the account its own keys, so that others can verify it once and for all.
async fn establish(
    options: &DeviceLogin,
    config: &DeviceConfig,
    secrets: &Secrets,
    password: Option<Secret>,
) -> Result<(), exit::Failure> {
    let identity = match &options.recovery_key_file {
        Some(path) => Identity::Recover {
            key: read_secret(path).ends(Exit::File)?,
        },
        None if options.reset_identity => Identity::Reset { password },
        None => Identity::New { password },
    };
    let puppet = puppet(config, secrets).await?;
    let established = puppet.establish(&identity).await.map_err(|failure| {
        let text = format!(
            "{failure}\n    the session is kept; give --recovery-key-file, or --reset-identity, and log in again"
        );
        exit::Failure::msg(Exit::Token, text)
    })?;
    if let Some(key) = established.recovery_key {
        println!(
            "The account's recovery key, which is shown only now and kept nowhere here:\n\n    {}\n\n\
             Keep it safe: with it another device can take this one's place and read what it could.",
            key.expose()
        );
    }
    println!("Next: `swingbridge device verify`, and then `swingbridge device`.");
    Ok(())
}

/// Lets the owner's other clients know that this session is theirs.
async fn sign(options: &DeviceLogin, config: &DeviceConfig, secrets: &Secrets) -> Result<(), exit::Failure> {
    let Some(path) = &options.recovery_key_file else {
        println!(
            "Verify this session in your own client, so that nobody is warned of it: `swingbridge device verify --as-owner`, \
             or log in again with --recovery-key-file."
        );
        return Ok(());
    };
    if secrets.session().ends(Exit::File)?.is_none() {
        let text = "the device itself is not logged in yet: run `swingbridge device login`, and this again";
        return Err(exit::Failure::msg(Exit::Token, text));
    }
    let key = read_secret(path).ends(Exit::File)?;
    let puppet = puppet(config, secrets).await?;
    puppet.recover_owner(&key).await.map_err(|failure| {
        let text = format!(
            "{failure}\n    the session is kept, and not verified yet: log in again with the right key"
        );
        exit::Failure::msg(Exit::Token, text)
    })?;
    println!("Your recovery key has signed it: none of your clients warns of it.");
    Ok(())
}

/// `device logout`
pub fn out(sources: &Sources) -> Result<(), exit::Failure> {
    let config = load(sources)?;
    let secrets = secrets(&config, sources)?;
    runtime()?.block_on(async {
        let puppet = puppet(&config, &secrets).await?;
        puppet.log_out().await.map_err(|failure| {
            let text = format!("{failure}; the session is kept, try again");
            exit::Failure::msg(Exit::Homeserver, text)
        })?;
        secrets.forget_sessions().ends(Exit::File)?;
        println!("Logged out. What waits is kept, sealed; `device.folder` can be removed.");
        Ok(())
    })
}

fn refused(error: LoginError) -> exit::Failure {
    let exit = match &error {
        LoginError::Config(_) => Exit::Config,
        LoginError::Homeserver(Failure::Away { .. }) => Exit::Homeserver,
        _ => Exit::Token,
    };
    // Its words name the cause already.
    exit::Failure::msg(exit, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_by_its_whole_name_or_by_the_part_before_the_colon() {
        let user = UserId::new("@phone-alice:example.org");
        for asked in [
            "@phone-alice:example.org",
            "phone-alice",
            "@phone-alice",
            "Phone-Alice",
        ] {
            assert!(is(&user, asked), "{asked}");
        }
        for asked in [
            "@phone-alice:example.com",
            "@alice:example.org",
            "phone",
            "phone-alice:other",
            "",
        ] {
            assert!(!is(&user, asked), "{asked}");
        }
    }
}
