//! The token: one for good, or ones that end (RFC 6749 section 4.4).

use super::config::{Config, Oauth};
use crate::rcs::http::{self, NoAnswer};
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

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFailure {
    #[error("the operator's sign-in cannot be reached or does not answer as it should")]
    Later,
    #[error("the operator's sign-in refuses client_id or client_secret")]
    Refused,
}

pub struct Tokens {
    fixed: Secret,
    oauth: Option<Oauth>,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    held: tokio::sync::Mutex<Option<(Secret, Timestamp)>>,
}

impl Tokens {
    pub fn new(config: &Config, client: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            fixed: config.token.clone(),
            oauth: config.oauth.clone(),
            client,
            clock,
            held: tokio::sync::Mutex::default(),
        }
    }

    /// # Errors
    /// Nothing of a message has left.
    pub async fn token(&self) -> Result<Secret, TokenFailure> {
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
            .client
            .post(&oauth.token_url)
            .basic_auth(&oauth.client_id, Some(oauth.client_secret.expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(oauth));
        let answer = http::ask(request, MOST)
            .await
            .map_err(|_: NoAnswer| TokenFailure::Later)?;
        match answer.status {
            200 => {}
            400 | 401 | 403 => return Err(TokenFailure::Refused),
            _ => return Err(TokenFailure::Later),
        }
        let told = answer.json().unwrap_or_default();
        let token = told.get("access_token").and_then(Value::as_str);
        let token = Secret::new(
            token
                .filter(|token| !token.is_empty())
                .ok_or(TokenFailure::Later)?,
        );
        let lasts = told
            .get("expires_in")
            .and_then(Value::as_u64)
            .map_or(UNSAID, Duration::from_secs);
        *held = Some((token.clone(), now + lasts.saturating_sub(MARGIN)));
        Ok(token)
    }

    /// Forgets a token that was refused; gives back whether another may be had.
    pub async fn forget(&self, token: &Secret) -> bool {
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
