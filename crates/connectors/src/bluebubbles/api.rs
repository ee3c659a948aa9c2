//! The server over HTTP. The password stands in the address of each request, so no error of the client is passed on with its
//! address; and what the server says in its errors may quote texts and numbers, so only its codes are passed on.

use super::config::Config;
use super::shapes::{Attachment, Chat, Contact, Envelope, Handle, Info, Message, Total};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// How many messages are asked for at once.
const LIMIT: u32 = 1000;

/// Why a request came to nothing, as callers act on it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing of the request left: there was no connection.
    #[error("the server cannot be reached: {0}")]
    Away(String),
    /// The password is wrong.
    #[error("the server refuses the password")]
    Refused,
    /// There is no such thing.
    #[error("the server does not have it")]
    Missing,
    /// The server did not take the request at all.
    #[error("the server did not take the request ({0})")]
    Invalid(StatusCode),
    /// The server took the request and failed at it; `message` is the row it made of it, if any.
    #[error("the server failed: {what}")]
    Failed {
        what: String,
        message: Option<Box<Message>>,
    },
    /// No answer, or none that can be read: it may have been done.
    #[error("no answer: {0}")]
    Lost(String),
}

/// The client could not be built; a person must act.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BuildError(String);

pub(super) struct Api {
    client: Client,
    /// Opens a connection for each request: on one that was kept, nobody can tell a request that never left from one that was
    /// lost with it.
    sender: Client,
    base: Url,
    password: Secret,
    timeout: Duration,
}

impl Api {
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let failed = |text: String| BuildError(text);
        let mut base = Url::parse(&config.url).map_err(|error| failed(format!("url: {error}")))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let password = match &config.password_file {
            None => config.password.clone(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| failed(format!("password_file cannot be read: {error}")))?;
                Secret::new(text.trim_end_matches(['\r', '\n']))
            }
        };
        if password.is_empty() {
            return Err(failed("password_file is empty".to_owned()));
        }
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = match &config.ca_file {
            None => Vec::new(),
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|error| failed(format!("ca_file cannot be read: {error}")))?;
                let roots = reqwest::Certificate::from_pem_bundle(&pem)
                    .map_err(|error| failed(format!("ca_file cannot be read: {error}")))?;
                if roots.is_empty() {
                    return Err(failed("ca_file: no certificate is in it".to_owned()));
                }
                roots
            }
        };
        let build = |kept_connections: usize| {
            Client::builder()
                // The events come over a connection that is upgraded, which HTTP/2 cannot.
                .http1_only()
                .connect_timeout(Duration::from_secs(10))
                .tcp_nodelay(true)
                // Node ends idle connections after five seconds.
                .pool_idle_timeout(Duration::from_secs(3))
                .pool_max_idle_per_host(kept_connections)
                .no_proxy()
                // A redirection would carry the password to whoever it names.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")))
                .tls_certs_merge(roots.clone())
                .build()
                .map_err(|error| failed(format!("the HTTP client cannot be built: {error}")))
        };
        let (client, sender) = (build(4)?, build(0)?);
        Ok(Self {
            client,
            sender,
            base,
            password,
            timeout: config.request_timeout,
        })
    }

    /// A request to upgrade to the websocket of the events.
    pub fn events(&self, key: &str) -> RequestBuilder {
        let mut url = self.url(&["socket.io", ""]);
        url.query_pairs_mut()
            .append_pair("EIO", "4")
            .append_pair("transport", "websocket");
        self.client
            .get(url)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", key)
    }

    pub async fn info(&self) -> Result<Info, Failure> {
        self.get(&["server", "info"], &[]).await
    }

    /// How many rows there are from `lowest` on, up to `highest`, whether they belong to a chat or not.
    pub async fn count(&self, lowest: i64, highest: Option<i64>) -> Result<u64, Failure> {
        let lowest = lowest.max(0).to_string();
        let highest = highest.map(|row| row.to_string());
        let mut query = vec![("minRowId", lowest.as_str())];
        query.extend(highest.as_deref().map(|row| ("maxRowId", row)));
        let total: Total = self.get(&["message", "count"], &query).await?;
        Ok(total.total)
    }

    /// The rows above `after`, up to `highest`. The server sorts by date, and gives only those that belong to a chat when their chats
    /// are asked for (`whole`).
    pub async fn rows(&self, after: i64, highest: Option<i64>, whole: bool) -> Result<Vec<Message>, Failure> {
        let mut wheres = vec![json!({"statement": "message.ROWID > :after", "args": {"after": after}})];
        if let Some(highest) = highest {
            wheres.push(json!({"statement": "message.ROWID <= :highest", "args": {"highest": highest}}));
        }
        self.query(json!({"where": wheres, "sort": "ASC"}), whole).await
    }

    /// The latest rows by date.
    pub async fn latest(&self, since: Option<i64>) -> Result<Vec<Message>, Failure> {
        let mut body = json!({"sort": "DESC"});
        if let Some(since) = since {
            body["after"] = since.into();
        }
        self.query(body, false).await
    }

    async fn query(&self, mut body: Value, whole: bool) -> Result<Vec<Message>, Failure> {
        body["limit"] = LIMIT.into();
        body["offset"] = 0.into();
        // With dashes: the names in camel case are compared after they were put in lower case. `chat.participants` is not asked for,
        // it makes the server run in a circle.
        body["with"] = match whole {
            true => json!(["chat", "attachment", "attributed-body", "message-summary-info"]),
            false => json!([]),
        };
        let request = self.request(Method::POST, &["message", "query"]).json(&body);
        let rows: Vec<Value> = self.read(request).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row).ok())
            .collect())
    }

    pub async fn message(&self, guid: &str) -> Result<Message, Failure> {
        let with = [("with", "chats,attachments,attributed-body,message-summary-info")];
        self.get(&["message", guid], &with).await
    }

    pub async fn chat(&self, guid: &str) -> Result<Chat, Failure> {
        self.get(&["chat", guid], &[("with", "participants")]).await
    }

    pub async fn chats(&self, offset: usize) -> Result<Vec<Chat>, Failure> {
        let body = json!({"limit": LIMIT, "offset": offset, "with": ["participants"], "sort": "lastmessage"});
        self.read(self.request(Method::POST, &["chat", "query"]).json(&body))
            .await
    }

    pub async fn handles(&self, offset: usize) -> Result<Vec<Handle>, Failure> {
        let body = json!({"limit": LIMIT, "offset": offset});
        self.read(self.request(Method::POST, &["handle", "query"]).json(&body))
            .await
    }

    pub async fn contacts(&self) -> Result<Vec<Contact>, Failure> {
        let rows: Vec<Value> = self.get(&["contact"], &[("extraProperties", "avatar")]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| serde_json::from_value(row).ok())
            .collect())
    }

    /// The file as it was sent; by the Private API from Apple's store when the Mac has it no more.
    pub async fn download(&self, attachment: &Attachment, force: bool) -> Result<reqwest::Response, Failure> {
        let path: &[&str] = match force {
            true => &["attachment", &attachment.guid, "download", "force"],
            false => &["attachment", &attachment.guid, "download"],
        };
        let mut url = self.v1(path);
        url.query_pairs_mut().append_pair("original", "true");
        self.open(self.client.get(url).timeout(self.timeout * 20)).await
    }

    pub async fn icon(&self, chat: &str) -> Result<reqwest::Response, Failure> {
        self.open(self.request(Method::GET, &["chat", chat, "icon"]))
            .await
    }

    pub async fn mark_read(&self, chat: &str) -> Result<(), Failure> {
        let request = self.request(Method::POST, &["chat", chat, "read"]);
        self.read::<Value>(request).await.map(drop)
    }

    pub async fn typing(&self, chat: &str, active: bool) -> Result<(), Failure> {
        let method = if active { Method::POST } else { Method::DELETE };
        let request = self.request(method, &["chat", chat, "typing"]);
        self.read::<Value>(request).await.map(drop)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.query_pairs_mut()
            .append_pair("password", self.password.expose());
        url
    }

    fn v1(&self, path: &[&str]) -> Url {
        let mut whole = vec!["api", "v1"];
        whole.extend(path);
        self.url(&whole)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.client.request(method, self.v1(path)).timeout(self.timeout)
    }

    /// Each has a limit of its own.
    pub(super) fn sending(&self, path: &[&str]) -> RequestBuilder {
        self.sender.post(self.v1(path))
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Failure> {
        let mut url = self.v1(path);
        url.query_pairs_mut().extend_pairs(query);
        self.read(self.client.get(url).timeout(self.timeout)).await
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let answer = self.open(request).await?;
        let body = answer.bytes().await.map_err(failure)?;
        let envelope: Envelope = serde_json::from_slice(&body)
            .map_err(|_| Failure::Lost("the answer is not the server's".to_owned()))?;
        serde_json::from_value(envelope.data)
            .map_err(|_| Failure::Lost("the answer is not as this version knows it".to_owned()))
    }

    async fn open(&self, request: RequestBuilder) -> Result<reqwest::Response, Failure> {
        let answer = request.send().await.map_err(failure)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::Refused),
            StatusCode::NOT_FOUND => return Err(Failure::Missing),
            _ if status.is_client_error() => return Err(Failure::Invalid(status)),
            _ if status.is_redirection() => {
                return Err(Failure::Away(
                    "it answers with a redirection; give the address that it leads to".to_owned(),
                ));
            }
            _ => {}
        }
        let body = answer.bytes().await.unwrap_or_default();
        let envelope: Option<Envelope> = serde_json::from_slice(&body).ok();
        let kind = envelope
            .as_ref()
            .and_then(|envelope| envelope.error.as_ref()?.kind.clone())
            .filter(|kind| kind.len() < 40)
            .map_or(String::new(), |kind| format!(", {kind}"));
        let message = envelope.and_then(|envelope| serde_json::from_value(envelope.data).ok());
        Err(Failure::Failed {
            what: format!("{status}{kind}"),
            message,
        })
    }
}

fn failure(error: reqwest::Error) -> Failure {
    let connect = error.is_connect();
    let timeout = error.is_timeout();
    let error = error.without_url();
    // The innermost cause says it in the fewest words.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match (connect, timeout) {
        (true, _) => Failure::Away(cause.to_string()),
        (false, true) => Failure::Lost("it took too long".to_owned()),
        (false, false) => Failure::Lost(cause.to_string()),
    }
}
