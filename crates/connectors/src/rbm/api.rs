//! Requests to the API.

use super::account::Tokens;
use super::config::Config;
use crate::provider::http::{Http, escaped};
use crate::rcs::api::{Caller, Failure, Words};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The most that an answer may have: ten thousand numbers, with room to spare.
const MOST: usize = 4 << 20;
/// Between the two parts of an upload; chosen anew where a file holds it.
const BOUNDARY: &str = "swingbridge-part";

pub const WORDS: Words = Words {
    service: "Google",
    credentials: "look at the service account's key, and at what it may do",
    forbidden: "before its launch an agent reaches only phones that accepted its invitation as testers; after it, look at the agent's state and at what the service account may do",
    nobody: "Google cannot reach this number by RCS: its phone has none, or the agent is not launched with its carrier",
};

pub struct Api {
    caller: Caller,
    agent_id: String,
    /// The same, for a query.
    agent: String,
    file_time: Duration,
}

impl Api {
    pub fn new(config: &Config, http: Http, tokens: Arc<Tokens>) -> Self {
        Self {
            caller: Caller::new(http, &config.base(), tokens, &WORDS),
            agent_id: config.agent_id.clone(),
            agent: escaped(&config.agent_id),
            file_time: config.timing.file,
        }
    }

    /// `number`: with its `+`, digits alone behind it.
    pub async fn capabilities(&self, number: &str, request: &str) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/capabilities?requestId={request}&agentId={}",
            self.agent
        );
        self.call(Method::GET, &path, |request| request).await
    }

    /// Asks after 500 to 10,000 numbers at once.
    pub async fn batch(&self, numbers: &[&str]) -> Result<Value, Failure> {
        let body = json!({ "users": numbers, "agentId": self.agent_id });
        self.call(Method::POST, "/v1/users:batchGet", |request| request.json(&body))
            .await
    }

    pub async fn send(&self, number: &str, id: &str, message: &Value) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/agentMessages?messageId={id}&agentId={}",
            self.agent
        );
        self.call(Method::POST, &path, |request| request.json(message))
            .await
    }

    /// It says nothing, or an empty object.
    pub async fn revoke(&self, number: &str, id: &str) -> Result<(), Failure> {
        let path = format!(
            "/v1/phones/{number}/agentMessages/{}?agentId={}",
            escaped(id),
            self.agent
        );
        self.caller
            .call(Method::DELETE, &path, MOST, |request| request)
            .await
            .map(drop)
    }

    pub async fn event(&self, number: &str, id: &str, event: &Value) -> Result<Value, Failure> {
        let path = format!(
            "/v1/phones/{number}/agentEvents?eventId={id}&agentId={}",
            self.agent
        );
        self.call(Method::POST, &path, |request| request.json(event))
            .await
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
            .call(Method::POST, &path, |request| {
                request
                    .header("content-type", &kind)
                    .timeout(self.file_time)
                    .body(body.clone())
            })
            .await?;
        let name = told
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| self.junk())
    }

    /// An answer of success that cannot be understood.
    pub fn junk(&self) -> Failure {
        self.caller.junk()
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Failure> {
        let answer = self.caller.call(method, path, MOST, fill).await?;
        answer.json().filter(Value::is_object).ok_or_else(|| self.junk())
    }
}
