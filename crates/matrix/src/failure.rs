//! What can go wrong with a request to the homeserver, and what the caller does about it.

use ruma::api::client::uiaa::UiaaResponse;
use ruma::api::error::{Error as MatrixError, ErrorBody, FromHttpResponseError};
use std::time::Duration;
use swingbridge_domain::homeserver::PerformError;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Away, busy, failing, or something between us and it is. The same again may work.
    #[error("{detail}")]
    Away {
        /// The Matrix error code, where one came.
        code: Option<String>,
        delay: Option<Duration>,
        detail: String,
    },
    /// Refused with a Matrix error.
    #[error("{code}: {detail}")]
    Refused {
        status: u16,
        code: String,
        detail: String,
    },
}

impl Failure {
    pub(crate) fn away(detail: impl Into<String>) -> Self {
        Self::Away {
            code: None,
            delay: None,
            detail: detail.into(),
        }
    }

    pub(crate) fn invalid(what: &str) -> Self {
        Self::Refused {
            status: 400,
            code: "M_INVALID_PARAM".to_owned(),
            detail: format!("not a valid {what}"),
        }
    }

    /// The Matrix error code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Away { code, .. } => code.as_deref(),
            Self::Refused { code, .. } => Some(code),
        }
    }

    /// Refused with this code.
    pub(crate) fn refused_as(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// The homeserver does not know our token.
    pub(crate) fn is_unknown_token(&self) -> bool {
        self.refused_as("M_UNKNOWN_TOKEN") || self.refused_as("M_MISSING_TOKEN")
    }

    /// The user may not do it there, or there is nothing there.
    pub(crate) fn no_access(&self) -> bool {
        self.refused_as("M_FORBIDDEN") || self.refused_as("M_NOT_FOUND")
    }

    /// Reads an answer with an error status. `code` and `message` as its body had them.
    pub(crate) fn from_answer(
        status: u16,
        code: Option<String>,
        message: &str,
        delay: Option<Duration>,
    ) -> Self {
        let detail: String = message.chars().take(300).collect();
        match (status, code) {
            (429 | 500.., code) => Self::Away {
                detail: match &code {
                    Some(code) => format!("status {status}, {code}: {detail}"),
                    None => format!("status {status}"),
                },
                code,
                delay,
            },
            (status, Some(code)) => Self::Refused { status, code, detail },
            // No Matrix error: something before the homeserver spoke. Only what blames the request itself is final.
            (status @ (400 | 413 | 414 | 431), None) => Self::Refused {
                status,
                code: "M_UNKNOWN".to_owned(),
                detail: format!("status {status} without a Matrix error"),
            },
            (status, None) => Self::away(format!(
                "status {status} without a Matrix error: is the homeserver's address right, and does a proxy pass /_matrix on?"
            )),
        }
    }
}

impl From<MatrixError> for Failure {
    fn from(error: MatrixError) -> Self {
        let status = error.status_code.as_u16();
        match error.body {
            ErrorBody::Standard(body) => {
                Self::from_answer(status, Some(body.kind.errcode().to_string()), &body.message, None)
            }
            ErrorBody::Json(json) => {
                let code = json
                    .get("errcode")
                    .and_then(|code| code.as_str())
                    .map(str::to_owned);
                Self::from_answer(status, code, "", None)
            }
            ErrorBody::NotJson { .. } => Self::from_answer(status, None, "", None),
        }
    }
}

impl From<UiaaResponse> for Failure {
    fn from(response: UiaaResponse) -> Self {
        match response {
            UiaaResponse::MatrixError(error) => error.into(),
            UiaaResponse::AuthResponse(_) => Self::Refused {
                status: 401,
                code: "M_UNAUTHORIZED".to_owned(),
                detail:
                    "the homeserver asks a person to confirm, so it does not know this application service"
                        .to_owned(),
            },
        }
    }
}

impl<E: Into<Failure>> From<FromHttpResponseError<E>> for Failure {
    fn from(error: FromHttpResponseError<E>) -> Self {
        match error {
            FromHttpResponseError::Server(error) => error.into(),
            _ => Self::away("the homeserver's answer makes no sense"),
        }
    }
}

impl From<Failure> for PerformError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away { delay, detail, .. } => PerformError::Later { delay, detail },
            // No verdict on what was asked: it works again once a person has put it right.
            failure if failure.is_unknown_token() => PerformError::Later {
                delay: Some(Duration::from_secs(30)),
                detail: format!("{failure}: the homeserver refuses the as_token"),
            },
            Failure::Refused { code, detail, .. } => PerformError::Refused { code, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_matrix_error_or_a_bad_request_is_final() {
        let refused = Failure::from_answer(403, Some("M_FORBIDDEN".into()), "no", None);
        assert!(refused.no_access());
        assert!(
            matches!(PerformError::from(refused), PerformError::Refused { code, .. } if code == "M_FORBIDDEN")
        );
        for (status, code) in [
            (502, None),
            (500, Some("M_UNKNOWN")),
            (429, Some("M_LIMIT_EXCEEDED")),
            (404, None),
            (401, None),
        ] {
            let failure =
                Failure::from_answer(status, code.map(str::to_owned), "", Some(Duration::from_secs(3)));
            assert!(matches!(failure, Failure::Away { .. }), "{status}");
        }
        assert!(matches!(
            Failure::from_answer(413, None, "", None),
            Failure::Refused { .. }
        ));
    }

    #[test]
    fn a_refused_token_is_no_verdict_on_the_message() {
        let failure = Failure::from_answer(401, Some("M_UNKNOWN_TOKEN".into()), "Invalid access token", None);
        assert!(matches!(
            PerformError::from(failure),
            PerformError::Later { delay: Some(_), .. }
        ));
    }
}
