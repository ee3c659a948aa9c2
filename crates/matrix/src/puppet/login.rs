//! How the device gets its session: as the homeserver offers.

use super::device_code::WHOAMI;
use super::session::{self, Session};
use super::{Config, OpenError, failure};
use crate::api::net;
use crate::failure::Failure;
use ruma::api::client::session::get_login_types::v3::LoginType;
use ruma::api::client::session::{get_login_types, login};
use ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use serde::Deserialize;
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;

const LOGOUT: &str = "_matrix/client/v3/logout";

pub use super::device_code::{DeviceCode, with_device_code};

/// What the homeserver offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// Name and password (`m.login.password`).
    pub password: bool,
    /// A token that another service or session gave (`m.login.token`).
    pub token: bool,
    /// A code that the person enters on another device (OAuth 2.0 device authorization grant, RFC 8628).
    pub device_code: bool,
}

/// There is no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    Config(#[from] OpenError),
    /// The homeserver cannot be asked, or refused. For a wrong password its code is `M_FORBIDDEN`.
    #[error("the homeserver did not let us in: {0}")]
    Homeserver(#[from] Failure),
    /// The homeserver does not offer this way.
    #[error("the homeserver does not offer {0}")]
    NotOffered(&'static str),
    /// The person said no, or waited too long.
    #[error("the login was not confirmed: {0}")]
    NotConfirmed(String),
    /// Another account than was asked for.
    #[error("the homeserver let us in as {0}, which is not the account that was asked for")]
    OtherUser(UserId),
}

/// What the homeserver offers.
///
/// # Errors
/// [`LoginError`]; safe to repeat.
pub async fn methods(config: &Config) -> Result<Methods, LoginError> {
    let client = session::nobody(config).await?;
    let answer = client.send(get_login_types::v3::Request::new()).await;
    let mut methods = Methods::default();
    match answer.map_err(failure::http) {
        Ok(answer) => {
            for flow in answer.flows {
                match flow {
                    LoginType::Password(_) => methods.password = true,
                    LoginType::Token(_) => methods.token = true,
                    _ => {}
                }
            }
        }
        // Where OAuth 2.0 is all there is, there may be nothing here.
        Err(failure) if failure.refused_as("M_UNRECOGNIZED") || failure.refused_as("M_NOT_FOUND") => {}
        Err(failure) => return Err(failure.into()),
    }
    methods.device_code = super::device_code::offered(config).await?;
    Ok(methods)
}

/// What the homeserver thinks of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    /// Its time is over, and a login to the same device goes on where it stopped.
    Soft,
    /// The device is gone, and the homeserver has forgotten its keys: another login must make a new one.
    Ended,
}

/// Asks what a session that we had is good for.
///
/// # Errors
/// [`LoginError`]; safe to repeat.
pub async fn standing(config: &Config, session: &Session) -> Result<Standing, LoginError> {
    let http = config.http()?;
    let url = config
        .homeserver
        .join(WHOAMI)
        .map_err(|_| Failure::invalid("address"))?;
    let asked = http.get(url).bearer_auth(session.token.expose()).send().await;
    let answer = asked.map_err(|error| net(&error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(Standing::Good);
    }
    #[derive(Default, Deserialize)]
    struct Refusal {
        errcode: Option<String>,
        #[serde(default)]
        soft_logout: bool,
    }
    let refusal: Refusal = answer.json().await.unwrap_or_default();
    match (refusal.errcode.as_deref(), refusal.soft_logout) {
        (Some("M_UNKNOWN_TOKEN"), true) => Ok(Standing::Soft),
        (Some("M_UNKNOWN_TOKEN"), false) => Ok(Standing::Ended),
        _ => Err(Failure::from_answer(status.as_u16(), refusal.errcode, "whoami was refused", None).into()),
    }
}

/// Logs in with a password. `device`: the id of a device to log in to again (a soft logout), whose keys are in the folder.
///
/// # Errors
/// [`LoginError`]. Not repeated by itself: homeservers count wrong passwords, and each success makes a device.
pub async fn with_password(
    config: &Config,
    user: &str,
    password: &Secret,
    device: Option<&str>,
) -> Result<Session, LoginError> {
    let identifier = UserIdentifier::Matrix(MatrixUserIdentifier::new(user.to_owned()));
    let password = login::v3::Password::new(identifier, password.expose().to_owned());
    log_in(config, login::v3::LoginInfo::Password(password), device).await
}

/// Logs in with a token.
///
/// # Errors
/// [`LoginError`]; a token is good for once.
pub async fn with_token(
    config: &Config,
    token: &Secret,
    device: Option<&str>,
) -> Result<Session, LoginError> {
    let token = login::v3::Token::new(token.expose().to_owned());
    log_in(config, login::v3::LoginInfo::Token(token), device).await
}

/// Gives a session up that is not to be used, so that it does not stay open.
///
/// # Errors
/// [`LoginError`]; safe to repeat.
pub async fn log_out(config: &Config, session: &Session) -> Result<(), LoginError> {
    if let Some(client) = &session.oauth_client {
        return super::device_code::revoke(config, client, &session.token).await;
    }
    let http = config.http()?;
    let url = config
        .homeserver
        .join(LOGOUT)
        .map_err(|_| Failure::invalid("address"))?;
    let asked = http.post(url).bearer_auth(session.token.expose()).send().await;
    let status = asked.map_err(|error| net(&error))?.status();
    match status.is_success() || status.as_u16() == 401 {
        true => Ok(()),
        false => Err(Failure::from_answer(status.as_u16(), None, "the logout was refused", None).into()),
    }
}

async fn log_in(
    config: &Config,
    info: login::v3::LoginInfo,
    device: Option<&str>,
) -> Result<Session, LoginError> {
    let client = session::nobody(config).await?;
    let mut request = login::v3::Request::new(info);
    request.initial_device_display_name = Some(config.device_name.clone());
    // No token that is to be renewed: what the homeserver renews while we are killed would be lost.
    request.device_id = device.map(Into::into);
    let answer = client.send(request).await.map_err(failure::http)?;
    Ok(Session {
        user: UserId::new(answer.user_id.as_str()),
        device: answer.device_id.to_string(),
        token: Secret::new(answer.access_token),
        refresh: answer.refresh_token.map(Secret::new),
        oauth_client: None,
    })
}
