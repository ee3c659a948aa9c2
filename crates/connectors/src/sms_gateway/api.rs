//! Requests to the app's API.

use super::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::secret::Secret;

/// The most that an answer may have: an MMS attachment with room to spare.
const MOST: usize = 32 << 20;

#[derive(Debug)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    user: String,
    password: Secret,
}

/// Why a request gave no answer that can be used. The words hold no address and nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It certainly did not reach the app.
    #[error("the app cannot be reached: is the phone on, and the app's server started?")]
    Unreachable,
    /// It may have reached the app.
    #[error("the app did not answer")]
    NoAnswer,
    #[error("the app refuses the user or the password: copy both from the app")]
    Refused,
    #[error("the app answers {0}")]
    Status(u16),
    #[error("the app's answer cannot be understood")]
    Junk,
}

/// The client cannot be made; a person must act.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("ca_file: {0}")]
    Roots(String),
    #[error("{0}")]
    Client(String),
}

impl Api {
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(config.timing.request.min(Duration::from_secs(10)))
            .timeout(config.timing.request)
            .redirect(reqwest::redirect::Policy::none())
            // Phones drop idle connections early.
            .pool_idle_timeout(Duration::from_secs(5))
            .no_proxy()
            .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca_file {
            let bad = |problem: String| BuildError::Roots(format!("{}: {problem}", path.display()));
            let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
            let roots =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
            if roots.is_empty() {
                return Err(bad("holds no certificate in PEM form".to_owned()));
            }
            client = client.tls_certs_merge(roots);
        }
        Ok(Self {
            client: client
                .build()
                .map_err(|error| BuildError::Client(error.to_string()))?,
            base: config.url.trim_end_matches('/').to_owned(),
            user: config.user.clone(),
            password: config.password.clone(),
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        read(self.call(Method::GET, path, None).await?)
    }

    pub async fn octets(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.call(Method::GET, path, None).await
    }

    /// Posts, and reads an answer where there is one.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.call(Method::POST, path, Some(body)).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        read(answer)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Failure> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(&self.user, Some(self.password.expose()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(|error| match error.is_connect() {
            true => Failure::Unreachable,
            false => Failure::NoAnswer,
        })?;
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::Refused),
            status if !status.is_success() => return Err(Failure::Status(status.as_u16())),
            _ => {}
        }
        let mut octets = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| Failure::NoAnswer)? {
            if octets.len() + chunk.len() > MOST {
                return Err(Failure::Junk);
            }
            octets.extend_from_slice(&chunk);
        }
        Ok(octets)
    }
}

fn read(octets: Vec<u8>) -> Result<Value, Failure> {
    serde_json::from_slice(&octets).map_err(|_| Failure::Junk)
}

/// A part of a path or a value of a query.
pub fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}
