//! Who may use the provisioning API.

use crate::api::net;
use crate::homeserver::Matrix;
use crate::routes::{Expected, bearer, digest, error, query};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::UserId;
use swingbridge_domain::line::Permissions;
use swingbridge_domain::secret::Secret;

/// How long the homeserver's word on a token holds.
const HOLDS: Duration = Duration::from_secs(60);
/// Tokens asked about in that time, by everybody together: nobody may use us to try tokens out, or to busy the homeserver.
const ASKED_AT_MOST: usize = 120;

/// Tells users by the shared secret, or by their own access token of the homeserver.
pub(super) struct Guard {
    matrix: Arc<Matrix>,
    permissions: Permissions,
    secret: Option<Expected>,
    /// Our own token opens everything on the homeserver; shown here it is somebody's mistake.
    own: Expected,
    lately: Mutex<Lately>,
}

/// The last minute.
#[derive(Default)]
struct Lately {
    /// What the homeserver said, by the token's digest; `None` is a token that it does not know.
    said: HashMap<[u8; 32], (Timestamp, Option<UserId>)>,
    /// When it was asked.
    asked: VecDeque<Timestamp>,
}

impl Lately {
    fn forget(&mut self, now: Timestamp) {
        let holds = |at: Timestamp| now >= at && now.since(at) < HOLDS;
        self.said.retain(|_, (at, _)| holds(*at));
        self.asked.retain(|at| holds(*at));
    }
}

impl Guard {
    pub fn new(matrix: Arc<Matrix>, permissions: Permissions, secret: Option<&Secret>) -> Self {
        Self {
            own: Expected::new(&matrix.config.as_token),
            matrix,
            permissions,
            secret: secret.filter(|secret| !secret.is_empty()).map(Expected::new),
            lately: Mutex::default(),
        }
    }

    /// The user of a request, or the answer to somebody else.
    pub async fn user(&self, headers: &HeaderMap, uri: &Uri) -> Result<UserId, Response> {
        let Some(token) = bearer(headers).filter(|token| !token.is_empty()) else {
            return Err(error(
                StatusCode::UNAUTHORIZED,
                "M_MISSING_TOKEN",
                "the Authorization header is missing",
            ));
        };
        let user = if self.secret.as_ref().is_some_and(|secret| secret.is(token)) {
            match query(uri, "user_id") {
                Some(user) if user.starts_with('@') && user.contains(':') => UserId::new(user),
                _ => {
                    return Err(error(
                        StatusCode::BAD_REQUEST,
                        "M_MISSING_PARAM",
                        "user_id is missing",
                    ));
                }
            }
        } else {
            self.owner(token).await?
        };
        if self.permissions.of(&user).is_none() {
            return Err(error(
                StatusCode::FORBIDDEN,
                "M_FORBIDDEN",
                "you may not use this bridge",
            ));
        }
        Ok(user)
    }

    /// Whose access token it is.
    async fn owner(&self, token: &str) -> Result<UserId, Response> {
        let unknown = || {
            error(
                StatusCode::UNAUTHORIZED,
                "M_UNKNOWN_TOKEN",
                "the homeserver does not know this token",
            )
        };
        if self.own.is(token) {
            return Err(unknown());
        }
        let key = digest(token);
        let now = self.matrix.clock.now();
        {
            let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
            lately.forget(now);
            if let Some((_, owner)) = lately.said.get(&key) {
                return owner.clone().ok_or_else(unknown);
            }
            if lately.asked.len() >= ASKED_AT_MOST {
                return Err(error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "M_LIMIT_EXCEEDED",
                    "too many tokens; wait a minute",
                ));
            }
            lately.asked.push_back(now);
        }
        let owner = self.ask(token).await?;
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.said.insert(key, (now, owner.clone()));
        owner.ok_or_else(unknown)
    }

    /// Asks the homeserver (`GET /account/whoami` with the token). Only its own users count, and never our ghosts.
    async fn ask(&self, token: &str) -> Result<Option<UserId>, Response> {
        #[derive(Deserialize)]
        struct Answer {
            user_id: String,
            #[serde(default)]
            is_guest: bool,
        }
        let away = |detail: String| {
            tracing::warn!(detail, "the homeserver cannot be asked about a token");
            error(
                StatusCode::BAD_GATEWAY,
                "M_UNKNOWN",
                "the homeserver cannot be asked now",
            )
        };
        let api = &self.matrix.api;
        let request = api
            .plain("/_matrix/client/v3/account/whoami", Some(&Secret::new(token)))
            .timeout(api.timeout());
        let answer = request
            .send()
            .await
            .map_err(|error| away(net(&error).to_string()))?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(away(format!("status {}", status.as_u16())));
        }
        if !status.is_success() {
            return Ok(None);
        }
        let answer: Answer = answer
            .json()
            .await
            .map_err(|_| away("its answer makes no sense".to_owned()))?;
        let names = self.matrix.names();
        let good = names.is_local(&answer.user_id) && !names.is_ours(&answer.user_id) && !answer.is_guest;
        Ok(good.then(|| UserId::new(answer.user_id)))
    }
}
