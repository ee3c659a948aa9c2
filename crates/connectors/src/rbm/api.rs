//! Requests to the API.

use super::account::{TokenFailure, Tokens};
use super::config::Config;
use crate::rcs::http::{self, Answer, NoAnswer, escaped};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::connector::SendError;

/// The most that an answer may have: ten thousand numbers, with room to spare.
const MOST: usize = 4 << 20;
/// Between the two parts of an upload; chosen anew where a file holds it.
const BOUNDARY: &str = "swingbridge-part";

pub struct Api {
    client: reqwest::Client,
    base: String,
    agent_id: String,
    /// The same, for a query.
    agent: String,
    file_time: Duration,
    most_file: usize,
    pub tokens: Tokens,
}

/// Why a request brought nothing. The words hold no address and nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Token(TokenFailure),
    /// It certainly did not arrive.
    #[error("Google cannot be reached")]
    Unreachable,
    /// It may have arrived.
    #[error("Google did not answer")]
    NoAnswer,
    /// It did arrive, and what came back is cut off or of another form.
    #[error("Google's answer cannot be understood")]
    Junk,
    #[error("{0}")]
    Refused(Refusal),
}

/// Google said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// `PERMISSION_DENIED`; empty where none was given.
    pub word: String,
    /// Which field of the request it is about.
    pub field: Option<String>,
    pub wait: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Google answers {}", self.status)?;
        if !self.word.is_empty() {
            write!(f, " {}", self.word)?;
        }
        if let Some(field) = &self.field {
            write!(f, " at {field}")?;
        }
        Ok(())
    }
}

enum Payload<'a> {
    None,
    Json(&'a Value),
    Related(&'a str, &'a bytes::Bytes),
}

impl Api {
    pub fn new(config: &Config, client: reqwest::Client, tokens: Tokens) -> Self {
        Self {
            client,
            base: config.base(),
            agent_id: config.agent_id.clone(),
            agent: escaped(&config.agent_id),
            file_time: config.timing.file,
            most_file: usize::try_from(config.most()).unwrap_or(usize::MAX),
            tokens,
        }
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// `number`: with its `+`, digits alone behind it.
    pub async fn capabilities(&self, number: &str, request: &str) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/capabilities?requestId={request}&agentId={}",
            self.agent
        );
        self.call(Method::GET, &path, Payload::None).await
    }

    /// Asks after 500 to 10,000 numbers at once.
    pub async fn batch(&self, numbers: &[&str]) -> Result<Value, Failure> {
        let body = json!({ "users": numbers, "agentId": self.agent_id });
        self.call(Method::POST, "/v1/users:batchGet", Payload::Json(&body))
            .await
    }

    pub async fn send(&self, number: &str, id: &str, message: &Value) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/agentMessages?messageId={id}&agentId={}",
            self.agent
        );
        self.call(Method::POST, &path, Payload::Json(message)).await
    }

    pub async fn revoke(&self, number: &str, id: &str) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/agentMessages/{}?agentId={}",
            escaped(id),
            self.agent
        );
        self.call(Method::DELETE, &path, Payload::None).await
    }

    pub async fn event(&self, number: &str, id: &str, event: &Value) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/agentEvents?eventId={id}&agentId={}",
            self.agent
        );
        self.call(Method::POST, &path, Payload::Json(event)).await
    }

    /// Gives Google a file, and gives back its name there.
    pub async fn upload(&self, mime: &str, octets: &[u8]) -> Result<String, Failure> {
        let mut boundary = BOUNDARY.to_owned();
        while octets
            .windows(boundary.len())
            .any(|window| window == boundary.as_bytes())
        {
            boundary.push('x');
        }
        let mime: String = mime.chars().filter(|c| c.is_ascii_graphic()).collect();
        let about = json!({ "agentId": self.agent_id });
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n--{boundary}\r\nContent-Type: {mime}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(octets);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let path = format!("/upload/v1/files?uploadType=multipart&agentId={}", self.agent);
        let kind = format!("multipart/related; boundary={boundary}");
        let body = bytes::Bytes::from(body);
        let told = self
            .call(Method::POST, &path, Payload::Related(&kind, &body))
            .await?;
        let name = told
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or(Failure::Junk)
    }

    /// Fetches a file that a phone sent. No token goes with the request.
    pub async fn fetch(&self, address: &str) -> Result<Answer, NoAnswer> {
        let request = self.client.get(address).timeout(self.file_time);
        http::ask(request, self.most_file).await
    }

    /// Whether a file may be fetched from there: by TLS, or from where the API itself is.
    pub fn may_fetch(&self, address: &str) -> bool {
        let origin = |text: &str| url::Url::parse(text).map(|url| (url.scheme() == "https", url.origin()));
        match (origin(address), origin(&self.base)) {
            (Ok((secure, theirs)), Ok((_, ours))) => secure || theirs == ours,
            _ => false,
        }
    }

    async fn call(&self, method: Method, path: &str, payload: Payload<'_>) -> Result<Value, Failure> {
        let mut tried = false;
        loop {
            let token = self.tokens.token().await.map_err(Failure::Token)?;
            let mut request = self
                .client
                .request(method.clone(), format!("{}{path}", self.base))
                .bearer_auth(token.expose());
            match payload {
                Payload::None => {}
                Payload::Json(body) => request = request.json(body),
                Payload::Related(kind, body) => {
                    request = request
                        .header("content-type", kind)
                        .timeout(self.file_time)
                        .body(body.clone());
                }
            }
            let answer = http::ask(request, MOST).await.map_err(|failure| match failure {
                NoAnswer::Unreachable => Failure::Unreachable,
                NoAnswer::Lost => Failure::NoAnswer,
                NoAnswer::TooLarge => Failure::Junk,
            })?;
            if answer.is_success() {
                return answer.json().filter(Value::is_object).ok_or(Failure::Junk);
            }
            // A token may end before its time.
            if answer.status == 401 && !tried {
                tried = true;
                self.tokens.forget(&token).await;
                continue;
            }
            return Err(Failure::Refused(refusal(&answer)));
        }
    }
}

/// Of Google's words only those are kept that cannot hold an address or a text.
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

/// The wait that the engine is asked for while Google is away.
const AWAY: Duration = Duration::from_secs(15);
/// And where it says that we are too fast without saying how long to wait.
const SLOWED: Duration = Duration::from_secs(30);
/// And while it refuses the account: a person must act.
const REFUSED: Duration = Duration::from_secs(60);

impl Failure {
    /// For a request that, had it been answered, would have sent nothing: a check, an upload.
    pub fn before_sending(&self) -> SendError {
        match self {
            Self::Refused(refusal) if !matches!(refusal.status, 401 | 429 | 500..) => self.to_error(),
            _ => self.later().unwrap_or(SendError::RetryAfter {
                delay: AWAY,
                detail: self.to_string(),
                counts: true,
            }),
        }
    }

    /// For the request that sends.
    pub fn to_error(&self) -> SendError {
        use crate::rcs::rejected;
        use swingbridge_domain::delivery::Reason;
        if let Some(later) = self.later() {
            return later;
        }
        match self {
            Self::Refused(refusal) => match refusal.status {
                403 => rejected(
                    Reason::NotAllowed,
                    format!(
                        "{refusal}: before its launch an agent reaches only phones that accepted its invitation as testers; after it, look at the agent's state and at what the service account may do"
                    ),
                ),
                404 => rejected(
                    Reason::NotReachable,
                    "Google cannot reach this number by RCS: its phone has none, or the agent is not launched with its carrier",
                ),
                400..=499 => rejected(
                    Reason::BadContent,
                    format!("{refusal}: it does not take the message as it is"),
                ),
                _ => SendError::Unknown {
                    detail: refusal.to_string(),
                },
            },
            other => SendError::Unknown {
                detail: other.to_string(),
            },
        }
    }

    /// Where it certainly changed nothing and may go later.
    fn later(&self) -> Option<SendError> {
        let (delay, counts) = match self {
            Self::Token(TokenFailure::Refused(_) | TokenFailure::Clock(_)) => (REFUSED, false),
            Self::Token(_) | Self::Unreachable => (AWAY, false),
            Self::Refused(refusal) if refusal.status == 401 => (REFUSED, false),
            Self::Refused(refusal) if refusal.status == 429 => (refusal.wait.unwrap_or(SLOWED), false),
            _ => return None,
        };
        Some(SendError::RetryAfter {
            delay,
            detail: self.to_string(),
            counts,
        })
    }
}
