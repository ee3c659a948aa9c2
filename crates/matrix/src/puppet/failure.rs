//! What can go wrong, and what the SDK's errors mean to our callers.

use crate::api::net;
use crate::failure::Failure;
use matrix_sdk::{Error, HttpError};
use ruma::api::client::uiaa::UiaaResponse;
use ruma::api::error::{ErrorKind, RetryAfter};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::homeserver::PerformError;

/// The puppet cannot be opened. A person must act.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Config(String),
    #[error("the folder {0} cannot be used: {1}")]
    Folder(PathBuf, String),
    #[error("the folder {0} is in use: stop the other swingbridge, or give this one a folder of its own")]
    Busy(PathBuf),
    #[error("the session cannot be used: {0}; log in again")]
    Session(String),
    /// The key is another one, or a file is damaged.
    #[error(
        "the store in {0} cannot be opened: {1}; give the key that it was made with, or remove the folder and log in again"
    )]
    Store(PathBuf, String),
}

/// [`Puppet::run`](super::Puppet::run) gave up. A person must act.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `soft`: the keys are still good, and a login to the same device goes on where this one stopped.
    #[error(
        "the homeserver ended this device's session: {}",
        if *soft { "log in again to the same device" } else { "somebody removed the device or changed the password; log in again" }
    )]
    LoggedOut { soft: bool },
    /// The homeserver has another idea of this device than our store.
    #[error(
        "the homeserver has other keys for this device than the store here: {0}; log in again as a new device"
    )]
    Keys(String),
}

/// What an HTTP error of the SDK means.
pub(super) fn http(error: HttpError) -> Failure {
    by_reference(&error)
}

fn by_reference(error: &HttpError) -> Failure {
    match error {
        HttpError::Cached(error) => by_reference(error),
        HttpError::RefreshToken(_) => unknown_token("the session's token cannot be renewed"),
        HttpError::Reqwest(error) => net(error),
        HttpError::IntoHttp(_) => Failure::invalid("request"),
        error => match error.as_ruma_api_error() {
            Some(UiaaResponse::MatrixError(error)) => {
                let delay = match error.error_kind() {
                    Some(ErrorKind::LimitExceeded(limit)) => match limit.retry_after {
                        Some(RetryAfter::Delay(delay)) => Some(delay),
                        _ => None,
                    },
                    _ => None,
                };
                match Failure::from(error.clone()) {
                    Failure::Away { code, detail, .. } => Failure::Away { code, delay, detail },
                    failure => failure,
                }
            }
            Some(UiaaResponse::AuthResponse(_)) => Failure::Refused {
                status: 401,
                code: "M_UNAUTHORIZED".to_owned(),
                detail: "the homeserver asks for the account's password".to_owned(),
            },
            None => Failure::away("the homeserver's answer makes no sense"),
        },
    }
}

fn unknown_token(detail: &str) -> Failure {
    Failure::Refused {
        status: 401,
        code: "M_UNKNOWN_TOKEN".to_owned(),
        detail: detail.to_owned(),
    }
}

/// What any error of the SDK means. Texts of errors about events are left out.
pub(super) fn any(error: Error) -> Failure {
    match error {
        Error::Http(error) => http(*error),
        Error::WrongRoomState(_) => Failure::Refused {
            status: 403,
            code: "M_FORBIDDEN".to_owned(),
            detail: "we are not in the room".to_owned(),
        },
        Error::CryptoStoreError(error) => Failure::away(format!("the store of keys: {error}")),
        Error::StateStore(error) => Failure::away(format!("the client's store: {error}")),
        Error::OlmError(error) => Failure::away(format!("the keys: {error}")),
        Error::Identifier(_) => Failure::invalid("identifier"),
        Error::Io(error) => Failure::away(error.to_string()),
        Error::NoOlmMachine => Failure::away("the keys are not opened yet"),
        _ => Failure::away("the client cannot do it now"),
    }
}

/// As the engine hears it: a session that ended is no verdict on what was asked.
pub(super) fn perform(failure: Failure) -> PerformError {
    match failure {
        failure if failure.is_unknown_token() => PerformError::Later {
            delay: Some(Duration::from_secs(30)),
            detail: "the homeserver ended this device's session: log in again".to_owned(),
        },
        failure => failure.into(),
    }
}
