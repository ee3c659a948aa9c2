//! The token: one for good, or ones that end (RFC 6749 section 4.4).

use super::config::{Config, Oauth};
use crate::provider::http::{Http, call};
use crate::rcs::api::{self, NoToken};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::secret::Secret;

/// How far before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is used that does not say when it ends.
const UNSAID: Duration = Duration::from_secs(5 * 60);
const MOST: usize = 64 << 10;

pub struct Tokens {
    fixed: Secret,
    oauth: Option<Oauth>,
    http: Http,
    clock: Arc<dyn Clock>,
    held: tokio::sync::Mutex<Option<(Secret, Timestamp)>>,
}

impl Tokens {
    pub fn new(config: &Config, http: Http, clock: Arc<dyn Clock>) -> Self {
        Self {
            fixed: config.token.clone(),
            oauth: config.oauth.clone(),
            http,
            clock,
            held: tokio::sync::Mutex::default(),
        }
    }
}

#[async_trait]
impl api::Tokens for Tokens {
    async fn token(&self) -> Result<Secret, NoToken> {
        let odd = || {
            let words = "the operator's sign-in cannot be reached or does not answer as it should";
            NoToken::Later(words.to_owned())
        };
        let Some(oauth) = &self.oauth else {
            return Ok(self.fixed.clone());
        };
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some((token, _)) = held.as_ref().filter(|(_, until)| *until > now) {
            return Ok(token.clone());
        }
        *held = None;
        let request = self
            .http
            .post(&oauth.token_url)
            .basic_auth(&oauth.client_id, Some(oauth.client_secret.expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(oauth));
        let answer = call(request, MOST).await.map_err(|_| odd())?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => {
                let words = "the operator's sign-in refuses client_id or client_secret";
                return Err(NoToken::Refused(words.to_owned()));
            }
            _ => return Err(odd()),
        }
        let told = answer.json().unwrap_or_default();
        let token = told.get("access_token").and_then(Value::as_str);
        let token = Secret::new(token.filter(|token| !token.is_empty()).ok_or_else(odd)?);
        let lasts = told
            .get("expires_in")
            .and_then(Value::as_u64)
            .map_or(UNSAID, Duration::from_secs);
        *held = Some((token.clone(), now + lasts.saturating_sub(MARGIN)));
        Ok(token)
    }

    async fn forget(&self, token: &Secret) -> bool {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|(held, _)| held == token) {
            *held = None;
        }
        self.oauth.is_some()
    }
}

fn form(oauth: &Oauth) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !oauth.scope.is_empty() {
        form.append_pair("scope", &oauth.scope);
    }
    form.finish()
}
