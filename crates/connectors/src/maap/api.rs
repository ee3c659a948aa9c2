//! Requests to the platform.

use super::config::{Config, Dialect};
use super::token::{TokenFailure, Tokens};
use crate::rcs::http::{self, Answer, NoAnswer, escaped};
use crate::rcs::rejected;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;

const MOST: usize = 1 << 20;
/// How long an uploaded file is to be kept by the platform.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub struct Api {
    client: reqwest::Client,
    base: String,
    bot: String,
    dialect: Dialect,
    file_time: Duration,
    most_file: usize,
    tokens: Tokens,
}

/// Why a request brought nothing. The words hold no address and nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Token(TokenFailure),
    #[error("the platform cannot be reached")]
    Unreachable,
    /// It may have arrived.
    #[error("the platform did not answer")]
    NoAnswer,
    #[error("the platform's answer cannot be understood")]
    Junk,
    #[error("the platform answers {status}")]
    Refused { status: u16, wait: Option<Duration> },
}

impl Api {
    pub fn new(config: &Config, client: reqwest::Client, tokens: Tokens) -> Self {
        Self {
            client,
            base: config.url.trim_end_matches('/').to_owned(),
            bot: escaped(&config.bot_id),
            dialect: config.dialect.clone(),
            file_time: config.timing.file,
            most_file: usize::try_from(config.most()).unwrap_or(usize::MAX),
            tokens,
        }
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends a message, or that somebody writes.
    pub async fn send(&self, number: &str, message: &Value) -> Result<Value, Failure> {
        let body = json!({
            "RCSMessage": message,
            "messageContact": { (self.dialect.contact_field.as_str()): self.dialect.contact(number) },
        });
        let path = self.path(&self.dialect.messages, "");
        self.call(Method::POST, &path, Some(&body)).await
    }

    /// The word for a message's state; `None` where the platform does not say.
    pub async fn state(&self, id: &str) -> Result<Option<String>, Failure> {
        let path = self.path(&self.dialect.status, id);
        let told = self.call(Method::GET, &path, None).await?;
        Ok(state_in(&told))
    }

    /// Wants a message's state to be `cancelled` or `displayed`.
    pub async fn set_state(&self, id: &str, state: &str) -> Result<Option<String>, Failure> {
        let path = self.path(&self.dialect.status, id);
        let body = json!({ "RCSMessage": { "status": state } });
        let told = self.call(Method::PUT, &path, Some(&body)).await?;
        Ok(state_in(&told))
    }

    /// Whether a number has RCS.
    pub async fn capable(&self, number: &str) -> Result<bool, Failure> {
        let path = format!(
            "{}?{}={}",
            self.path(&self.dialect.capabilities, ""),
            self.dialect.contact_field,
            escaped(&self.dialect.contact(number))
        );
        match self.call(Method::GET, &path, None).await {
            Ok(told) => {
                let list = told
                    .get("capabilities")
                    .or_else(|| told.pointer("/contactCapabilities/capabilities"));
                // Where nothing is listed, it was found all the same.
                Ok(list.and_then(Value::as_array).is_none_or(|list| !list.is_empty()))
            }
            Err(Failure::Refused { status: 404, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Gives the platform a file, and gives back where phones find it, once it is ready.
    pub async fn upload(
        &self,
        name: &str,
        mime: &str,
        octets: &[u8],
        now: Timestamp,
    ) -> Result<String, Failure> {
        let path = self.path(&self.dialect.files, "");
        let until = (now + KEPT).to_string();
        let form = || {
            let part = reqwest::multipart::Part::bytes(octets.to_vec()).file_name(name.to_owned());
            let part = part.mime_str(mime).unwrap_or_else(|_| {
                reqwest::multipart::Part::bytes(octets.to_vec()).file_name(name.to_owned())
            });
            reqwest::multipart::Form::new()
                .text("fileType", mime.to_owned())
                .text("until", until.clone())
                .part("fileContent", part)
        };
        let mut told = self
            .ask(Method::POST, &path, |request| {
                request.multipart(form()).timeout(self.file_time)
            })
            .await?;
        let patience = tokio::time::Instant::now() + self.file_time;
        loop {
            let file = told.get("file").unwrap_or(&told);
            let text = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
            let (id, address) = (text("fileId"), text("fileUrl"));
            match (text("status").as_deref(), id, address) {
                (None | Some("ready"), _, Some(address)) => return Ok(address),
                (Some("invalid" | "failed" | "expired" | "deleted"), ..) | (_, None, _) => {
                    return Err(Failure::Junk);
                }
                (_, Some(id), _) => {
                    if tokio::time::Instant::now() > patience {
                        return Err(Failure::NoAnswer);
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                    let path = format!("{path}/{}", escaped(&id));
                    told = self.call(Method::GET, &path, None).await?;
                }
            }
        }
    }

    /// Fetches a file that a phone sent. No token goes with the request.
    pub async fn fetch(&self, address: &str) -> Result<Answer, NoAnswer> {
        let request = self.client.get(address).timeout(self.file_time);
        http::ask(request, self.most_file).await
    }

    /// Whether a file may be fetched from there: by TLS, or from where the platform itself is.
    pub fn may_fetch(&self, address: &str) -> bool {
        let origin = |text: &str| url::Url::parse(text).map(|url| (url.scheme() == "https", url.origin()));
        match (origin(address), origin(&self.base)) {
            (Ok((secure, theirs)), Ok((_, ours))) => secure || theirs == ours,
            _ => false,
        }
    }

    fn path(&self, path: &str, id: &str) -> String {
        path.replace("{bot}", &self.bot).replace("{id}", &escaped(id))
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.ask(method, path, |request| match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Value, Failure> {
        let mut tried = false;
        loop {
            let token = self.tokens.token().await.map_err(Failure::Token)?;
            let request = self
                .client
                .request(method.clone(), format!("{}{path}", self.base));
            let request = fill(request).bearer_auth(token.expose());
            let answer = http::ask(request, MOST).await.map_err(|failure| match failure {
                NoAnswer::Unreachable => Failure::Unreachable,
                NoAnswer::Lost => Failure::NoAnswer,
                NoAnswer::TooLarge => Failure::Junk,
            })?;
            if answer.is_success() {
                return match answer.body.is_empty() {
                    true => Ok(Value::Null),
                    false => answer.json().ok_or(Failure::Junk),
                };
            }
            if answer.status == 401 && !tried && self.tokens.forget(&token).await {
                tried = true;
                continue;
            }
            return Err(Failure::Refused {
                status: answer.status,
                wait: answer.retry_after,
            });
        }
    }
}

fn state_in(told: &Value) -> Option<String> {
    let found = told.pointer("/RCSMessage/status").or_else(|| told.get("status"));
    found.and_then(Value::as_str).map(str::to_owned)
}

const AWAY: Duration = Duration::from_secs(15);
const SLOWED: Duration = Duration::from_secs(30);
const REFUSED: Duration = Duration::from_secs(60);

impl Failure {
    /// For a request that, had it been answered, would have sent nothing.
    pub fn before_sending(&self) -> SendError {
        match self {
            Self::Refused { status, .. } if !matches!(status, 401 | 429 | 500..) => self.to_error(),
            _ => self.later().unwrap_or(SendError::RetryAfter {
                delay: AWAY,
                detail: self.to_string(),
                counts: true,
            }),
        }
    }

    /// For the request that sends.
    pub fn to_error(&self) -> SendError {
        if let Some(later) = self.later() {
            return later;
        }
        match self {
            Self::Refused { status: 403, .. } => rejected(
                Reason::NotAllowed,
                "the platform does not let this bot write to this number: ask the operator for whom it is launched",
            ),
            Self::Refused { status: 404, .. } => rejected(
                Reason::NotReachable,
                "the platform cannot reach this number by RCS",
            ),
            Self::Refused {
                status: 400..=499, ..
            } => rejected(
                Reason::BadContent,
                format!("{self}: it does not take the message as it is"),
            ),
            other => SendError::Unknown {
                detail: other.to_string(),
            },
        }
    }

    /// Where it certainly changed nothing and may go later.
    fn later(&self) -> Option<SendError> {
        let (delay, counts) = match self {
            Self::Token(TokenFailure::Refused) | Self::Refused { status: 401, .. } => (REFUSED, false),
            Self::Token(TokenFailure::Later) | Self::Unreachable => (AWAY, false),
            Self::Refused { status: 429, wait } => (wait.unwrap_or(SLOWED), false),
            // It asks for a repetition itself.
            Self::Refused {
                status: 503,
                wait: Some(wait),
            } => (*wait, false),
            _ => return None,
        };
        Some(SendError::RetryAfter {
            delay,
            detail: self.to_string(),
            counts,
        })
    }
}
