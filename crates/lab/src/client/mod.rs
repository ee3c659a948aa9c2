//! A small Matrix client for tests and the demo: plain HTTP and JSON, so that it is a second opinion on the library that
//! the gateway uses.

mod rooms;
mod sync;

use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hmac::{Hmac, Mac};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::sync::Mutex;
use url::Url;

use sync::Memory;
pub use sync::{Place, Seen};

/// Why a request or a wait came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The homeserver answered with an error.
    #[error("{method} {path}: {status} {body}")]
    Refused {
        /// The method of the request.
        method: Method,
        /// The path of the request.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The Matrix error, `errcode` and `error`.
        body: Value,
    },
    /// The homeserver could not be reached, or broke off.
    #[error("the homeserver does not answer: {0}")]
    Transport(#[from] reqwest::Error),
    /// What was awaited did not come.
    #[error("waited {} s in vain for {what}", after.as_secs())]
    TimedOut {
        /// What was awaited, in words.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The answer lacks something that the specification promises.
    #[error("the homeserver's answer has no {0}")]
    Lacks(String),
    /// An address is not a URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
}

impl ClientError {
    /// The Matrix error code, such as `M_FORBIDDEN`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { body, .. } => body["errcode"].as_str(),
            _ => None,
        }
    }
}

/// A logged-in client. It remembers everything that came by sync; clones share that memory.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
    user: String,
    device: String,
    transactions: Arc<AtomicU64>,
    seen: Arc<Mutex<Memory>>,
}

impl Client {
    /// Logs in with a password.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat.
    pub async fn login(base: &str, user: &str, password: &str) -> Result<Self, ClientError> {
        let nobody = Self::with_token(base, "", "", "")?;
        let answer = nobody
            .post(
                &["_matrix", "client", "v3", "login"],
                json!({
                    "type": "m.login.password",
                    "identifier": { "type": "m.id.user", "user": user },
                    "password": password,
                    "initial_device_display_name": "lab",
                }),
            )
            .await?;
        let field = |name: &str| text(&answer, name);
        Self::with_token(
            base,
            &field("user_id")?,
            &field("access_token")?,
            &field("device_id")?,
        )
    }

    /// A client of a token that is there already, of a user or of an application service.
    ///
    /// # Errors
    /// When the base is not a URL.
    pub fn with_token(base: &str, user: &str, token: &str, device: &str) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(),
            base: Url::parse(base)?,
            token: token.to_owned(),
            user: user.to_owned(),
            device: device.to_owned(),
            transactions: Arc::new(AtomicU64::new(rand::random::<u64>() >> 24)),
            seen: Arc::default(),
        })
    }

    /// Makes a user with Synapse's shared secret.
    ///
    /// # Errors
    /// When the homeserver refuses, `M_USER_IN_USE` among others.
    pub async fn register(base: &str, secret: &str, user: &str, password: &str) -> Result<(), ClientError> {
        let nobody = Self::with_token(base, "", "", "")?;
        let path = &["_synapse", "admin", "v1", "register"];
        let nonce = text(&nobody.get(path, &[]).await?, "nonce")?;
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes())
            .map_err(|_| ClientError::Lacks("shared secret".into()))?;
        mac.update(format!("{nonce}\0{user}\0{password}\0notadmin").as_bytes());
        let mac = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let body =
            json!({ "nonce": nonce, "username": user, "password": password, "admin": false, "mac": mac });
        nobody.post(path, body).await.map(drop)
    }

    /// What the homeserver says it speaks; the cheapest question to see that it is there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn versions(base: &str) -> Result<Value, ClientError> {
        Self::with_token(base, "", "", "")?
            .get(&["_matrix", "client", "versions"], &[])
            .await
    }

    /// The full user id.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The device's id.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The access token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks with GET. The path's parts are escaped here.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.answer(Method::GET, path, self.request(Method::GET, path, query)?)
            .await
    }

    /// Sends JSON with POST.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn post(&self, path: &[&str], body: Value) -> Result<Value, ClientError> {
        self.answer(
            Method::POST,
            path,
            self.request(Method::POST, path, &[])?.json(&body),
        )
        .await
    }

    /// Sends JSON with PUT.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn put(&self, path: &[&str], body: Value) -> Result<Value, ClientError> {
        self.answer(
            Method::PUT,
            path,
            self.request(Method::PUT, path, &[])?.json(&body),
        )
        .await
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| url::ParseError::RelativeUrlWithoutBase)?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        })
    }

    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        request: RequestBuilder,
    ) -> Result<Value, ClientError> {
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        Err(ClientError::Refused {
            method,
            path: format!("/{}", path.join("/")),
            status: status.as_u16(),
            body,
        })
    }

    fn transaction(&self) -> String {
        format!("lab{}", self.transactions.fetch_add(1, Ordering::Relaxed))
    }
}

/// One pool of connections, and the provider of cryptography that reqwest asks for even where there is no TLS.
pub(crate) fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the program installed one before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::new()
}

fn v3<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["_matrix", "client", "v3"];
    path.extend(rest);
    path
}

fn text(value: &Value, key: &str) -> Result<String, ClientError> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| ClientError::Lacks(key.to_owned()))
}
