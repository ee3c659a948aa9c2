//! Requests with a token, and what is certain where they bring nothing.

use crate::provider::account::Account;
use crate::provider::http::{self, AWAY, Answer, Http, later, rejected, unknown};
use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::secret::Secret;

/// The wait that the engine is asked for where the service says that we are too fast, and not for how long.
const SLOWED: Duration = Duration::from_secs(30);
/// And while it refuses the account: a person must act.
const REFUSED: Duration = Duration::from_secs(60);

/// What people are told of a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// It begins a sentence.
    pub service: &'static str,
    /// What to do where it refuses our credentials.
    pub credentials: &'static str,
    /// What to do where we may not write to a number.
    pub forbidden: &'static str,
    /// It does not reach a number.
    pub nobody: &'static str,
}

/// Why there is no token. In words that hold nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// There may be one later.
    #[error("{0}")]
    Later(String),
    /// A person must act.
    #[error("{0}")]
    Refused(String),
}

/// Where tokens come from.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token that is good for a while. Several callers wait for one request.
    ///
    /// # Errors
    /// Nothing of a message has left.
    async fn token(&self) -> Result<Secret, NoToken>;

    /// Forgets a token that was refused; gives back whether another may be had.
    async fn forget(&self, token: &Secret) -> bool;
}

/// Asks a service.
pub struct Caller {
    http: Http,
    base: String,
    tokens: Arc<dyn Tokens>,
    words: &'static Words,
}

/// Why a request brought nothing. The words hold no address and nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    words: &'static Words,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Token(NoToken),
    /// It certainly did not arrive.
    Unreachable,
    /// It may have arrived.
    NoAnswer,
    /// It did arrive, and what came back is cut off or of another form.
    Junk,
    Refused(Refusal),
}

/// The service said no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Refusal {
    status: u16,
    /// `PERMISSION_DENIED`; empty where none was given.
    word: String,
    /// Which field of the request it is about.
    field: Option<String>,
    wait: Option<Duration>,
}

impl Caller {
    /// `base`: where the API is, without a slash at the end.
    pub fn new(http: Http, base: &str, tokens: Arc<dyn Tokens>, words: &'static Words) -> Self {
        Self {
            http,
            base: base.to_owned(),
            tokens,
            words,
        }
    }

    /// Asks, and gives back an answer of success, of at most `most` octets.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        most: usize,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let failed = |kind| Failure {
            words: self.words,
            kind,
        };
        let mut tried = false;
        loop {
            let token = self
                .tokens
                .token()
                .await
                .map_err(|error| failed(Kind::Token(error)))?;
            let request = self.http.request(method.clone(), &format!("{}{path}", self.base));
            let request = fill(request).bearer_auth(token.expose());
            let answer = http::call(request, most).await.map_err(|failure| {
                failed(match failure {
                    http::Failure::Unreachable => Kind::Unreachable,
                    http::Failure::NoAnswer => Kind::NoAnswer,
                })
            })?;
            match answer.status {
                200..300 if answer.whole => return Ok(answer),
                200..300 => return Err(self.junk()),
                // A token may end before its time.
                401 if !tried && self.tokens.forget(&token).await => tried = true,
                _ => return Err(failed(Kind::Refused(refusal(&answer)))),
            }
        }
    }

    /// An answer of success that cannot be understood.
    pub fn junk(&self) -> Failure {
        Failure {
            words: self.words,
            kind: Kind::Junk,
        }
    }
}

/// Of the service's words only those are kept that cannot hold an address or a text (Google's `Status`).
fn refusal(answer: &Answer) -> Refusal {
    let told = answer.json().unwrap_or_default();
    let word = told
        .pointer("/error/status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let field = told
        .pointer("/error/details")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find_map(|detail| detail.pointer("/fieldViolations/0/field")?.as_str())
        .filter(|field| {
            field
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'[' | b']'))
                && field.bytes().filter(u8::is_ascii_digit).count() < 5
        });
    Refusal {
        status: answer.status,
        word: word
            .chars()
            .filter(|c| c.is_ascii_uppercase() || *c == '_')
            .take(40)
            .collect(),
        field: field.map(|field| field.chars().take(80).collect()),
        wait: answer.retry_after,
    }
}

impl Failure {
    pub fn token(words: &'static Words, error: NoToken) -> Self {
        Self {
            words,
            kind: Kind::Token(error),
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Why there was no token to ask with.
    pub fn no_token(&self) -> Option<&NoToken> {
        match &self.kind {
            Kind::Token(error) => Some(error),
            _ => None,
        }
    }

    pub fn is_junk(&self) -> bool {
        self.kind == Kind::Junk
    }

    /// Notes what is wrong with the service, if anything is: an answer that is about one message says that it works.
    pub fn note(&self, account: &Account) -> bool {
        let words = self.to_string();
        match &self.kind {
            Kind::Token(NoToken::Refused(_)) => account.refused(&words),
            Kind::Token(NoToken::Later(_)) | Kind::Unreachable | Kind::NoAnswer => {
                account.disconnected(&words)
            }
            Kind::Junk => account.connected(Some(&words)),
            Kind::Refused(refusal) => match refusal.status {
                401 => account.refused(&words),
                429 => account.connected(Some(&words)),
                500.. => account.disconnected(&words),
                _ => return false,
            },
        }
        true
    }

    /// For a request that, had it been answered, would have sent nothing: a check, an upload.
    pub fn before_sending(&self) -> SendError {
        match &self.kind {
            Kind::Refused(refusal) if !matches!(refusal.status, 401 | 429 | 500..) => self.to_error(),
            _ => self
                .later()
                .unwrap_or_else(|| later(AWAY, self.to_string(), true)),
        }
    }

    /// For the request that sends.
    pub fn to_error(&self) -> SendError {
        if let Some(later) = self.later() {
            return later;
        }
        let words = self.words;
        match self.status() {
            Some(403) => rejected(Reason::NotAllowed, format!("{self}: {}", words.forbidden)),
            Some(404) => rejected(Reason::NotReachable, words.nobody),
            Some(400..500) => rejected(
                Reason::BadContent,
                format!("{self}: it does not take the message as it is"),
            ),
            _ => unknown(self.to_string()),
        }
    }

    /// Where it certainly changed nothing and may go later.
    fn later(&self) -> Option<SendError> {
        let delay = match &self.kind {
            Kind::Token(NoToken::Refused(_)) => REFUSED,
            Kind::Token(NoToken::Later(_)) | Kind::Unreachable => AWAY,
            Kind::Refused(refusal) => match (refusal.status, refusal.wait) {
                (401, _) => REFUSED,
                (429, wait) => wait.unwrap_or(SLOWED),
                // It asks for a repetition itself.
                (503, Some(wait)) => wait,
                _ => return None,
            },
            _ => return None,
        };
        Some(later(delay, self.to_string(), false))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.words.service;
        match &self.kind {
            Kind::Token(error) => error.fmt(f),
            Kind::Unreachable => write!(f, "{service} cannot be reached"),
            Kind::NoAnswer => write!(f, "{service} did not answer"),
            Kind::Junk => write!(f, "the answer of {service} cannot be understood"),
            Kind::Refused(refusal) => {
                write!(f, "{service} answers {}", refusal.status)?;
                if !refusal.word.is_empty() {
                    write!(f, " {}", refusal.word)?;
                }
                if let Some(field) = &refusal.field {
                    write!(f, " at {field}")?;
                }
                match refusal.status {
                    401 => write!(f, ": it refuses the credentials; {}", self.words.credentials),
                    _ => Ok(()),
                }
            }
        }
    }
}
