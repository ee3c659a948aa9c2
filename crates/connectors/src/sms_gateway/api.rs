//! Requests to the app's API.

use super::config::Config;
use crate::provider::http::{self, Http};
use reqwest::Method;
use serde_json::Value;
use swingbridge_domain::secret::Secret;

/// The most that an answer may have: an MMS attachment with room to spare.
const MOST: usize = 32 << 20;

#[derive(Debug)]
pub struct Api {
    http: Http,
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

impl Api {
    pub fn new(config: &Config, http: Http) -> Self {
        Self {
            http,
            base: config.url.trim_end_matches('/').to_owned(),
            user: config.user.clone(),
            password: config.password.clone(),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        read(self.call(Method::GET, path, None).await?)
    }

    pub async fn octets(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.call(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        read(self.call(Method::DELETE, path, None).await?)
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
            .http
            .request(method, &format!("{}{path}", self.base))
            .basic_auth(&self.user, Some(self.password.expose()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = http::call(request, MOST).await.map_err(|failure| match failure {
            http::Failure::Unreachable => Failure::Unreachable,
            http::Failure::NoAnswer => Failure::NoAnswer,
        })?;
        match answer.status {
            401 | 403 => Err(Failure::Refused),
            200..300 if answer.whole => Ok(answer.octets),
            200..300 if answer.too_large => Err(Failure::Junk),
            200..300 => Err(Failure::NoAnswer),
            status => Err(Failure::Status(status)),
        }
    }
}

fn read(octets: Vec<u8>) -> Result<Value, Failure> {
    serde_json::from_slice(&octets).map_err(|_| Failure::Junk)
}
