//! Login by a code that the person enters elsewhere: the OAuth 2.0 device authorization grant (RFC 8628), over what the homeserver
//! says of its authorization server (Matrix 1.15, "OAuth 2.0 API"; MSC4341). For accounts that have no password here.

use super::login::LoginError;
use super::{Config, Session};
use crate::api::net;
use crate::failure::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use swingbridge_domain::clock::Entropy;
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;
use url::Url;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Under its stable name and the one before.
const METADATA: [&str; 2] = [
    "_matrix/client/v1/auth_metadata",
    "_matrix/client/unstable/org.matrix.msc2965/auth_metadata",
];
pub(super) const WHOAMI: &str = "_matrix/client/v3/account/whoami";
/// The names that authorization servers of today all know; the stable ones are newer than many.
const SCOPE: &str = "urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:";
const HOME: &str = "https://swingbridge.dev/";

/// What the person is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeviceCode {
    /// The page to open.
    #[serde(rename = "verification_uri")]
    pub page: Url,
    /// The same page with the code filled in, for a link or a QR code.
    #[serde(rename = "verification_uri_complete")]
    pub page_with_code: Option<Url>,
    /// The code to enter there.
    #[serde(rename = "user_code")]
    pub code: String,
    /// Seconds.
    #[serde(rename = "expires_in")]
    pub good_for: u64,
}

#[derive(Deserialize)]
struct Metadata {
    token_endpoint: Url,
    #[serde(default)]
    registration_endpoint: Option<Url>,
    #[serde(default)]
    device_authorization_endpoint: Option<Url>,
    #[serde(default)]
    revocation_endpoint: Option<Url>,
    #[serde(default)]
    grant_types_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
}

#[derive(Deserialize)]
struct Authorization {
    device_code: Secret,
    #[serde(default = "five")]
    interval: u64,
    #[serde(flatten)]
    shown: DeviceCode,
}

/// RFC 8628, section 3.2.
fn five() -> u64 {
    5
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Secret,
    #[serde(default)]
    refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Whoami {
    user_id: String,
    device_id: Option<String>,
}

/// RFC 6749, section 5.2.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

enum Answer<T> {
    Good(T),
    Refused(Refusal),
}

/// Whether [`with_device_code`] may work.
pub(super) async fn offered(config: &Config) -> Result<bool, LoginError> {
    Ok(metadata(config, &config.http()?)
        .await?
        .is_some_and(|metadata| metadata.grants()))
}

/// Logs in by a code: `show` is called once with what the person needs, then this waits until they confirmed.
///
/// # Errors
/// [`LoginError`]; each try makes a new code.
pub async fn with_device_code(
    config: &Config,
    entropy: &dyn Entropy,
    show: impl FnOnce(&DeviceCode) + Send,
) -> Result<Session, LoginError> {
    let http = config.http()?;
    let not_offered = LoginError::NotOffered("a login by code (OAuth 2.0 device authorization)");
    let Some(metadata) = metadata(config, &http).await?.filter(Metadata::grants) else {
        return Err(not_offered);
    };
    let (Some(register), Some(authorize)) = (
        &metadata.registration_endpoint,
        &metadata.device_authorization_endpoint,
    ) else {
        return Err(not_offered);
    };
    // What is sent there opens the account: never over a weaker connection than to the homeserver itself.
    for endpoint in [register, authorize, &metadata.token_endpoint] {
        if config.homeserver.scheme() == "https" && endpoint.scheme() != "https" {
            return Err(Failure::away("its authorization server is not reached by https").into());
        }
    }
    let client = json!({
        "client_name": config.device_name,
        "client_uri": HOME,
        "application_type": "native",
        "grant_types": [GRANT, "refresh_token"],
        "response_types": [],
        "token_endpoint_auth_method": "none",
    });
    let registered: Registered = good(answer(http.post(register.clone()).json(&client)).await?)?;
    let device = device_id(entropy);
    let form = [
        ("client_id", registered.client_id.as_str()),
        ("scope", &format!("{SCOPE}{device}")),
    ];
    let authorization: Authorization = good(answer(form_post(&http, authorize, &form)).await?)?;
    show(&authorization.shown);
    let tokens = wait(&http, &metadata, &registered, &authorization).await?;
    let who = http
        .get(path(config, WHOAMI)?)
        .bearer_auth(tokens.access_token.expose());
    let who: Whoami = good(answer(who).await?)?;
    Ok(Session {
        user: UserId::new(who.user_id),
        device: who.device_id.unwrap_or(device),
        token: tokens.access_token,
        refresh: tokens.refresh_token,
        oauth_client: Some(registered.client_id),
    })
}

/// Ends a session that was opened by a code (RFC 7009; Matrix 1.15, "OAuth 2.0 API", "Token revocation").
pub(super) async fn revoke(config: &Config, client: &str, token: &Secret) -> Result<(), LoginError> {
    let http = config.http()?;
    let endpoint = metadata(config, &http)
        .await?
        .and_then(|metadata| metadata.revocation_endpoint)
        .filter(|endpoint| config.homeserver.scheme() != "https" || endpoint.scheme() == "https");
    let Some(endpoint) = endpoint else {
        return Err(LoginError::NotOffered("to end a session"));
    };
    let form = [
        ("token", token.expose()),
        ("token_type_hint", "access_token"),
        ("client_id", client),
    ];
    let answer = form_post(&http, &endpoint, &form).send().await;
    let status = answer.map_err(|error| net(&error))?.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(Failure::away(format!("status {}", status.as_u16())).into()),
    }
}

async fn wait(
    http: &reqwest::Client,
    metadata: &Metadata,
    registered: &Registered,
    authorization: &Authorization,
) -> Result<Tokens, LoginError> {
    let form = [
        ("grant_type", GRANT),
        ("device_code", authorization.device_code.expose()),
        ("client_id", &registered.client_id),
    ];
    let mut interval = Duration::from_secs(authorization.interval);
    let asking = async {
        loop {
            tokio::time::sleep(interval).await;
            match answer(form_post(http, &metadata.token_endpoint, &form)).await {
                Ok(Answer::Good(tokens)) => return Ok(tokens),
                Ok(Answer::Refused(refusal)) => match refusal.error.as_str() {
                    "authorization_pending" => {}
                    // RFC 8628, section 3.5.
                    "slow_down" => interval += Duration::from_secs(5),
                    "access_denied" => return Err(LoginError::NotConfirmed("it was refused".to_owned())),
                    "expired_token" => return Err(LoginError::NotConfirmed("the time is over".to_owned())),
                    _ => return Err(refused(refusal).into()),
                },
                Err(Failure::Away { .. }) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    };
    let limit = Duration::from_secs(authorization.shown.good_for.max(1));
    match tokio::time::timeout(limit, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(LoginError::NotConfirmed("the time is over".to_owned())),
    }
}

impl Metadata {
    fn grants(&self) -> bool {
        self.device_authorization_endpoint.is_some()
            && self.registration_endpoint.is_some()
            && (self.grant_types_supported.is_empty()
                || self.grant_types_supported.iter().any(|grant| grant == GRANT))
    }
}

/// What the homeserver says of its authorization server; `None` where it has none.
async fn metadata(config: &Config, http: &reqwest::Client) -> Result<Option<Metadata>, LoginError> {
    for place in METADATA {
        let answer = http
            .get(path(config, place)?)
            .send()
            .await
            .map_err(|error| net(&error))?;
        if answer.status().is_success() {
            let read = answer.json().await;
            return Ok(Some(read.map_err(|_| {
                Failure::away("what it says of its authorization server makes no sense")
            })?));
        }
        if answer.status().is_server_error() {
            return Err(Failure::away(format!("status {}", answer.status().as_u16())).into());
        }
    }
    Ok(None)
}

fn path(config: &Config, path: &str) -> Result<Url, Failure> {
    let base = config.homeserver.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/{path}")).map_err(|_| Failure::invalid("homeserver address"))
}

fn form_post(http: &reqwest::Client, to: &Url, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    http.post(to.clone())
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
}

async fn answer<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<Answer<T>, Failure> {
    let answer = request
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .map_err(|error| net(&error))?;
    let status = answer.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(Failure::away(format!("status {}", status.as_u16())));
    }
    let bytes = answer.bytes().await.map_err(|error| net(&error))?;
    let odd = || Failure::away("the authorization server's answer makes no sense");
    match status.is_success() {
        true => serde_json::from_slice(&bytes)
            .map(Answer::Good)
            .map_err(|_| odd()),
        false => serde_json::from_slice(&bytes)
            .map(Answer::Refused)
            .map_err(|_| odd()),
    }
}

fn good<T>(answer: Answer<T>) -> Result<T, Failure> {
    match answer {
        Answer::Good(good) => Ok(good),
        Answer::Refused(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused {
        status: 400,
        code: refusal.error,
        detail: refusal
            .error_description
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect(),
    }
}

/// Ten letters, as homeservers make them.
fn device_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0u8; 10];
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(b'A' + byte % 26)).collect()
}
