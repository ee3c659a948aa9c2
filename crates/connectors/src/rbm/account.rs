//! Who we are to Google: a service account, and the tokens that it is given (RFC 7523).

use crate::provider::http::{Failure, Http, call};
use crate::rcs::api::{self, NoToken};
use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::secret::Secret;

const SCOPE: &str = "https://www.googleapis.com/auth/rcsbusinessmessaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long a claim is good for; Google's most.
const CLAIM: Duration = Duration::from_secs(60 * 60);
/// How far before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(60);
/// How far clocks may differ unnoticed.
const TOLERATED: i64 = 60_000;
/// The most that an answer may have.
const MOST: usize = 64 << 10;

/// A service account's key.
pub struct Account {
    email: String,
    key_id: Option<String>,
    token_uri: String,
    key: RsaKeyPair,
}

/// It is no key of a service account. Says nothing of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no key of a service account")]
pub struct NoKey;

#[derive(Deserialize)]
struct Written {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl Account {
    pub fn read(json: &Secret) -> Result<Self, NoKey> {
        let written: Written = serde_json::from_str(json.expose()).map_err(|_| NoKey)?;
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(written.private_key.expose().as_bytes()).map_err(|_| NoKey)?;
        Ok(Self {
            email: written.client_email,
            key_id: written.private_key_id,
            token_uri: written
                .token_uri
                .unwrap_or_else(|| "https://oauth2.googleapis.com/token".to_owned()),
            key: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| NoKey)?,
        })
    }

    /// Our claim to be this account, signed (RFC 7519, RS256).
    fn assertion(&self, now: Timestamp) -> Option<String> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = id.as_str().into();
        }
        let issued = now.millis() / 1000;
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued,
            "exp": issued + CLAIM.as_secs().cast_signed(),
        });
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        // PKCS #1 v1.5 has no randomness in what comes out; the source only blinds the computation.
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// Asks for tokens, and keeps the one that is good.
pub struct Tokens {
    account: Account,
    http: Http,
    clock: Arc<dyn Clock>,
    held: tokio::sync::Mutex<Option<Held>>,
    /// How far Google's clock is ahead of ours, in milliseconds; counted in once it matters.
    skew: AtomicI64,
}

struct Held {
    token: Secret,
    until: Timestamp,
}

enum Asked {
    Token(Held),
    /// What was said, and how far Google's clock is from the time that we claimed.
    Refused(String, Option<i64>),
}

impl Tokens {
    pub fn new(account: Account, http: Http, clock: Arc<dyn Clock>) -> Self {
        Self {
            account,
            http,
            clock,
            held: tokio::sync::Mutex::default(),
            skew: AtomicI64::new(0),
        }
    }

    /// How many seconds Google's clock is ahead of ours, where that was noticed.
    pub fn skew(&self) -> Option<i64> {
        let skew = self.skew.load(Ordering::Relaxed);
        (skew != 0).then_some(skew / 1000)
    }

    /// Where tokens are asked for.
    pub fn place(&self) -> &str {
        &self.account.token_uri
    }

    async fn ask(&self, claimed: Timestamp, now: Timestamp) -> Result<Asked, NoToken> {
        let odd = || NoToken::Later("Google's sign-in does not answer as it should".to_owned());
        let Some(assertion) = self.account.assertion(claimed) else {
            return Ok(Asked::Refused("its key cannot sign".to_owned(), None));
        };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &assertion)
            .finish();
        let request = self
            .http
            .post(&self.account.token_uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = call(request, MOST).await.map_err(|failure| match failure {
            Failure::Unreachable => NoToken::Later("Google's sign-in cannot be reached".to_owned()),
            Failure::NoAnswer => odd(),
        })?;
        let told = answer.json().unwrap_or_default();
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        match answer.status {
            200 => {
                let token = text("access_token").filter(|token| !token.is_empty());
                let token = token.ok_or_else(odd)?;
                let lasts = told.get("expires_in").and_then(Value::as_u64).unwrap_or(0);
                Ok(Asked::Token(Held {
                    token: Secret::new(token),
                    until: now + Duration::from_secs(lasts).saturating_sub(MARGIN),
                }))
            }
            400 | 401 | 403 => {
                let word: String = text("error")
                    .unwrap_or("no reason given")
                    .chars()
                    .filter(|c| c.is_ascii_lowercase() || *c == '_')
                    .take(40)
                    .collect();
                let off = answer.date.map(|date| date.millis() - claimed.millis());
                Ok(Asked::Refused(word, off))
            }
            _ => Err(odd()),
        }
    }
}

#[async_trait]
impl api::Tokens for Tokens {
    async fn token(&self) -> Result<Secret, NoToken> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(held) = held.as_ref().filter(|held| held.until > now) {
            return Ok(held.token.clone());
        }
        *held = None;
        let mut skew = self.skew.load(Ordering::Relaxed);
        let mut asked = self.ask(Timestamp(now.millis() + skew), now).await?;
        if let Asked::Refused(_, Some(off)) = asked
            && off.abs() > TOLERATED
        {
            skew += off;
            tracing::warn!(
                seconds = skew / 1000,
                "this machine's clock is off Google's: its time is used to sign in"
            );
            asked = self.ask(Timestamp(now.millis() + skew), now).await?;
            if matches!(asked, Asked::Token(_)) {
                self.skew.store(skew, Ordering::Relaxed);
            }
        }
        match asked {
            Asked::Token(new) => {
                let token = new.token.clone();
                *held = Some(new);
                Ok(token)
            }
            Asked::Refused(_, Some(off)) if off.abs() > TOLERATED => Err(NoToken::Refused(format!(
                "this machine's clock is {} seconds off Google's, which therefore refuses to sign us in: set the clock",
                off / 1000
            ))),
            Asked::Refused(word, _) => Err(NoToken::Refused(format!(
                "Google does not know the service account ({word}): its key was removed, or is another account's; make a new one in the \
                 developer console, and give the file as service_account_file"
            ))),
        }
    }

    async fn forget(&self, token: &Secret) -> bool {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *token) {
            *held = None;
        }
        true
    }
}
