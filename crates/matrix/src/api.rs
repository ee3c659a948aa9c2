//! Requests to the homeserver: one HTTP client, the application service's token, and the user to act as.

use crate::config::Config;
use crate::failure::Failure;
use crate::tls;
use bytes::{Bytes, BytesMut};
use ruma::api::auth_scheme::{AuthScheme, SendAccessToken};
use ruma::api::path_builder::VersionHistory;
use ruma::api::{AppserviceUserIdentity, MatrixVersion, Metadata, OutgoingRequest, SupportedVersions};
use ruma::{DeviceId, UserId};
use ruma_client::{Error, HttpClient, HttpClientExt};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swingbridge_domain::secret::Secret;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the homeserver's address {0:?} is not an http or https URL")]
    Address(String),
    #[error("{what} is not valid in Matrix: {value:?}")]
    Name { what: &'static str, value: String },
    #[error("the certificates given for the homeserver cannot be read: {0}")]
    Roots(String),
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// The user (and the user's device) that a request is made as.
#[derive(Clone, Copy)]
pub(crate) struct As<'a> {
    pub user: &'a UserId,
    pub device: Option<&'a DeviceId>,
}

impl<'a> From<&'a UserId> for As<'a> {
    fn from(user: &'a UserId) -> Self {
        Self { user, device: None }
    }
}

/// The homeserver's client API.
#[derive(Debug)]
pub(crate) struct Api {
    http: Http,
    /// Without a slash at the end.
    base: String,
    token: Secret,
    versions: SupportedVersions,
    /// The homeserver refuses our token, and that was said.
    refused: Arc<AtomicBool>,
}

/// The same HTTP client, with the time that one request may take.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    timeout: Duration,
}

#[derive(Debug)]
pub(crate) enum HttpError {
    Net(reqwest::Error),
    /// 429 and 5xx, read here because ruma drops the time to wait when the body is not as it should be.
    Busy(Failure),
}

impl Api {
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let url = &config.homeserver;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(BuildError::Address(url.to_string()));
        }
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            // Shorter than homeservers keep an idle connection, so that no request meets its end.
            .pool_idle_timeout(Duration::from_secs(30))
            .no_proxy()
            .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &config.roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| BuildError::Roots(error.to_string()))?;
            if roots.is_empty() {
                return Err(BuildError::Roots("no certificate is in them".to_owned()));
            }
            client = client.tls_certs_merge(roots);
        }
        let client = client
            .build()
            .map_err(|error| BuildError::Client(error.to_string()))?;
        Ok(Self {
            http: Http {
                client,
                timeout: config.request_timeout,
            },
            base: url.as_str().trim_end_matches('/').to_owned(),
            token: config.as_token.clone(),
            versions: versions(),
            refused: Arc::default(),
        })
    }

    /// The same with another time limit for one request.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            http: Http {
                client: self.http.client.clone(),
                timeout,
            },
            base: self.base.clone(),
            token: self.token.clone(),
            versions: self.versions.clone(),
            refused: self.refused.clone(),
        }
    }

    /// Makes a request as one of our users; as the registration's own user when there is none.
    pub async fn call<'a, R>(
        &'a self,
        who: Option<As<'_>>,
        request: R,
    ) -> Result<R::IncomingResponse, Failure>
    where
        R: OutgoingRequest + Metadata<PathBuilder = VersionHistory>,
        R::Authentication: AuthScheme<Input<'a> = SendAccessToken<'a>>,
        R::EndpointError: Into<Failure>,
    {
        let token = SendAccessToken::Appservice(self.token.expose());
        let answer = self.http.send_customized_matrix_request(
            &self.base,
            token,
            Cow::Borrowed(&self.versions),
            request,
            |request| {
                if let Some(who) = who {
                    let mut identity = AppserviceUserIdentity::new(who.user);
                    identity.device_id = who.device;
                    identity.maybe_add_to_uri(request.uri_mut())?;
                }
                Ok(())
            },
        );
        let answer = answer.await.map_err(failure);
        self.look_at_token(answer.as_ref().err());
        answer
    }

    /// Says once that nothing works until a person acts, and says it again only after it worked in between.
    fn look_at_token(&self, failure: Option<&Failure>) {
        match failure {
            Some(failure) if failure.is_unknown_token() => {
                if !self.refused.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        "the homeserver refuses the as_token: it does not know this registration. Compare as_token in the \
                         configuration with registration.yaml, name that file in the homeserver's configuration (Synapse: \
                         app_service_config_files) and restart the homeserver"
                    );
                }
            }
            Some(Failure::Away { .. }) => {}
            _ => self.refused.store(false, Ordering::Relaxed),
        }
    }

    /// A plain request, for what ruma has no type for: streams, other people's tokens, and none at all.
    pub fn plain(&self, path: &str, token: Option<&Secret>) -> reqwest::RequestBuilder {
        let request = self.http.client.get(format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Posts JSON and reads JSON, for what ruma has no type for.
    pub async fn post_json(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Failure> {
        self.json(self.http.client.post(self.address(path, query)).json(body))
            .await
    }

    /// Reads JSON, for what is read in our own way.
    pub async fn get_json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.json(self.http.client.get(self.address(path, query))).await
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let request = request
            .bearer_auth(self.token.expose())
            .timeout(self.http.timeout);
        let answer = request.send().await.map_err(|error| net(&error))?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        answer.json().await.map_err(|error| net(&error))
    }

    fn address(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(query);
        format!("{}{path}?{}", self.base, pairs.finish())
    }

    /// Our own token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    pub fn timeout(&self) -> Duration {
        self.http.timeout
    }

    /// Where requests go, for messages to people.
    pub fn base(&self) -> &str {
        &self.base
    }
}

/// What is asked for is the newest path of each endpoint that servers have had for years, media with authentication
/// included; what a server lacks shows by its answer, since `/versions` says both too much and too little.
fn versions() -> SupportedVersions {
    SupportedVersions {
        versions: [MatrixVersion::V1_1, MatrixVersion::V1_7, MatrixVersion::V1_11].into(),
        features: Default::default(),
    }
}

impl HttpClient for Http {
    type RequestBody = BytesMut;
    type ResponseBody = Bytes;
    type Error = HttpError;

    async fn send_http_request(
        &self,
        request: http::Request<BytesMut>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let mut request: reqwest::Request =
            request.map(BytesMut::freeze).try_into().map_err(HttpError::Net)?;
        *request.timeout_mut() = Some(self.timeout);
        let answer = self.client.execute(request).await.map_err(HttpError::Net)?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = answer.bytes().await.map_err(HttpError::Net)?;
        if status.as_u16() == 429 || status.is_server_error() {
            return Err(HttpError::Busy(busy(status.as_u16(), &headers, &body)));
        }
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[derive(Default, Deserialize)]
struct ErrorAnswer {
    errcode: Option<String>,
    #[serde(default)]
    error: String,
    retry_after_ms: Option<u64>,
}

/// Reads an answer that asks for patience (`Retry-After` goes before `retry_after_ms`).
fn busy(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Failure {
    let answer: ErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    let header = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let delay = header.or(answer.retry_after_ms.map(Duration::from_millis));
    Failure::from_answer(status, answer.errcode, &answer.error, delay)
}

/// Reads an answer of a plain request.
pub(crate) async fn refused(answer: reqwest::Response) -> Failure {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    match answer.bytes().await {
        Ok(body) => busy(status, &headers, &body),
        Err(error) => net(&error),
    }
}

/// What the client says of a connection that ended before anything was sent on it.
const NOT_READY: &str = "connection was not ready";

/// No answer at all. The text names neither path nor query.
pub(crate) fn net(error: &reqwest::Error) -> Failure {
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be reached"
    } else {
        "the connection broke"
    };
    let mut cause = std::error::Error::source(error);
    while let Some(this) = cause {
        if let Some(words) = tls::in_words(this) {
            return Failure::away(format!("{what}: {words} ({this})"));
        }
        match this.source() {
            Some(next) => cause = Some(next),
            None => break,
        }
    }
    let secure = error.url().is_some_and(|url| url.scheme() == "https");
    Failure::away(match cause {
        // From TLS 1.3 on a certificate is missed after the handshake: the connection may be gone before the reason was read.
        Some(cause) if secure && cause.to_string() == NOT_READY => {
            format!("{what} before it took a request: it may ask for a client certificate ({cause})")
        }
        Some(cause) => format!("{what} ({cause})"),
        None => what.to_owned(),
    })
}

fn failure<E: Into<Failure>>(error: Error<HttpError, E>) -> Failure {
    match error {
        Error::Response(HttpError::Net(error)) => net(&error),
        Error::Response(HttpError::Busy(failure)) => failure,
        Error::FromHttpResponse(error) => error.into(),
        _ => Failure::invalid("request"),
    }
}
