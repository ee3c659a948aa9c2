//! Requests of Twilio's newer interfaces (Conversations, media, content), and what a refusal means for a message.

use super::codes::{self, Meaning};
use super::connector::Shared;
use super::send::code;
use crate::provider::http::{ANSWER, Answer, Failure, call, later, rejected, unknown};
use reqwest::RequestBuilder;
use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;

/// The wait that the engine is asked for when nothing has left yet.
const AWAY: Duration = Duration::from_secs(15);

/// What was asked for is not there.
pub enum Refusal {
    Unanswered(Failure),
    Answered(Answer),
}

impl Refusal {
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status),
            Self::Unanswered(_) => None,
        }
    }

    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Answered(answer) => answer.json()?.get("code").and_then(code),
            Self::Unanswered(_) => None,
        }
    }

    /// Whether it may be answered otherwise a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Answered(answer) => answer.status >= 500 || answer.status == 429 || answer.is_success(),
            Self::Unanswered(_) => true,
        }
    }

    /// What it means for a message of which nothing has left.
    pub fn before_sending(self, shared: &Shared) -> SendError {
        match &self {
            Self::Unanswered(failure) => {
                shared.account.disconnected(&failure.to_string());
                later(AWAY, "the provider cannot be reached", false)
            }
            Self::Answered(answer) if self.may_pass() => match answer.status {
                429 => answer.slower(),
                _ => later(AWAY, "the provider fails just now", true),
            },
            Self::Answered(_) => self.after_sending(shared),
        }
    }

    /// What it means for a message that was handed over.
    pub fn after_sending(self, shared: &Shared) -> SendError {
        let answer = match &self {
            Self::Unanswered(Failure::Unreachable) => return self.before_sending(shared),
            Self::Unanswered(failure) => {
                shared.account.disconnected(&failure.to_string());
                return unknown("the provider did not say whether it has the message");
            }
            Self::Answered(answer) => answer,
        };
        let code = self.code();
        let meaning = code.map(|code| codes::meaning(code, false));
        if answer.status == 401 || meaning == Some(Meaning::Credentials) {
            let detail = "Twilio refuses the account's credentials: compare account_sid and auth_token, or the API key";
            shared.account.refused(detail);
            return later(Duration::from_secs(60), detail, false);
        }
        match meaning {
            Some(Meaning::Slower) => return answer.slower(),
            Some(Meaning::Refused(reason, words)) if answer.status < 500 && answer.status != 429 => {
                return rejected(reason, format!("{words} ({})", code.unwrap_or_default()));
            }
            _ => {}
        }
        match answer.verdict() {
            Err(error) => error,
            // It took it, and its answer was cut off.
            Ok(()) if answer.is_success() => {
                unknown("Twilio took the message, and its answer cannot be read")
            }
            Ok(()) => rejected(
                Reason::NetworkRefused,
                format!("Twilio refuses it with {} and says no more", answer.status),
            ),
        }
    }
}

/// Makes a request with the account's credentials, and gives the JSON of a success.
///
/// # Errors
/// See [`Refusal`].
pub async fn ask(shared: &Shared, request: RequestBuilder) -> Result<Value, Refusal> {
    let answer = call(shared.authorised(request), ANSWER)
        .await
        .map_err(Refusal::Unanswered)?;
    match answer.json().filter(|_| answer.is_success()) {
        Some(json) => Ok(json),
        None => Err(Refusal::Answered(answer)),
    }
}

/// The SID of what was made.
///
/// # Errors
/// It was made, and the answer cannot be read.
pub fn sid(made: &Value) -> Result<String, Refusal> {
    match made["sid"].as_str() {
        Some(sid) => Ok(sid.to_owned()),
        None => Err(Refusal::Answered(Answer {
            status: 200,
            retry_after: None,
            date: None,
            mime: None,
            octets: Vec::new(),
            whole: false,
            too_large: false,
        })),
    }
}
