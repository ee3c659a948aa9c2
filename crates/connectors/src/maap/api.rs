//! Requests to the platform.

use super::config::{Config, Dialect};
use crate::provider::http::{Http, escaped};
use crate::rcs::api::{Caller, Failure, Tokens, Words};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

const MOST: usize = 1 << 20;
/// How long an uploaded file is to be kept by the platform.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub const WORDS: Words = Words {
    service: "the platform",
    credentials: "compare them with the operator's",
    forbidden: "the bot may not write to this number; ask the operator for whom it is launched",
    nobody: "the platform cannot reach this number by RCS",
};

pub struct Api {
    caller: Caller,
    bot: String,
    dialect: Dialect,
    file_time: Duration,
}

impl Api {
    pub fn new(config: &Config, http: Http, tokens: Arc<dyn Tokens>) -> Self {
        Self {
            caller: Caller::new(http, config.url.trim_end_matches('/'), tokens, &WORDS),
            bot: escaped(&config.bot_id),
            dialect: config.dialect.clone(),
            file_time: config.timing.file,
        }
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
            Err(failure) if failure.status() == Some(404) => Ok(false),
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
                    return Err(self.caller.junk());
                }
                (_, Some(id), _) => {
                    if tokio::time::Instant::now() > patience {
                        return Err(self.caller.junk());
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                    let path = format!("{path}/{}", escaped(&id));
                    told = self.call(Method::GET, &path, None).await?;
                }
            }
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
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, Failure> {
        let answer = self.caller.call(method, path, MOST, fill).await?;
        match answer.octets.is_empty() {
            true => Ok(Value::Null),
            false => answer.json().ok_or_else(|| self.caller.junk()),
        }
    }
}

fn state_in(told: &Value) -> Option<String> {
    let found = told.pointer("/RCSMessage/status").or_else(|| told.get("status"));
    found.and_then(Value::as_str).map(str::to_owned)
}
