//! One request to a provider, and what is certain of its fate.

use reqwest::{RequestBuilder, header};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;

/// The most octets of an answer that is no file.
pub const ANSWER: usize = 8 << 20;
/// The wait that the engine is asked for while the provider is away.
const AWAY: Duration = Duration::from_secs(15);
/// The wait after a refusal for too many requests that names none.
const SLOWER: Duration = Duration::from_secs(5);
/// The longest wait that a provider may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A client that follows nothing, and one that follows a link to a file.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    files: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    pub mime: Option<String>,
    pub octets: Vec<u8>,
    /// It was neither cut off nor longer than allowed.
    pub whole: bool,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request certainly did not reach the provider.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// It may have reached it.
    #[error("the provider did not answer")]
    NoAnswer,
}

impl Http {
    /// `request`: how long one request may take.
    ///
    /// # Errors
    /// In words; a person must act.
    pub fn new(ca_file: Option<&Path>, request: Duration) -> Result<Self, String> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |redirect| {
            let mut client = reqwest::Client::builder()
                .connect_timeout(request.min(Duration::from_secs(10)))
                .timeout(request)
                .redirect(redirect)
                .no_proxy()
                .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")));
            if let Some(path) = ca_file {
                let bad = |problem: String| format!("ca_file: {}: {problem}", path.display());
                let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
                let roots =
                    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
                if roots.is_empty() {
                    return Err(bad("holds no certificate in PEM form".to_owned()));
                }
                client = client.tls_certs_merge(roots);
            }
            client.build().map_err(|error| error.to_string())
        };
        Ok(Self {
            client: build(reqwest::redirect::Policy::none())?,
            files: build(reqwest::redirect::Policy::limited(3))?,
        })
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    pub fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }

    pub fn request(&self, method: reqwest::Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Fetches a file, which may lie elsewhere than where it is asked for. Credentials do not go elsewhere.
    pub fn file(&self, url: &str) -> RequestBuilder {
        self.files.get(url)
    }
}

/// Makes a request and reads at most `most` octets.
///
/// # Errors
/// See [`Failure`].
pub async fn call(request: RequestBuilder, most: usize) -> Result<Answer, Failure> {
    let mut answer = request.send().await.map_err(|error| match error.is_connect() {
        true => Failure::Unreachable,
        false => Failure::NoAnswer,
    })?;
    let text = |name| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
    let retry_after = text(header::RETRY_AFTER)
        .and_then(|text| text.trim().parse().ok())
        .filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
        .map(|seconds| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())));
    let mime = text(header::CONTENT_TYPE);
    let status = answer.status().as_u16();
    let mut octets = Vec::new();
    let mut whole = true;
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if octets.len() + chunk.len() <= most => octets.extend_from_slice(&chunk),
            Ok(None) => break,
            Ok(Some(_)) | Err(_) => {
                whole = false;
                break;
            }
        }
    }
    Ok(Answer {
        status,
        retry_after,
        mime,
        octets,
        whole,
    })
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `None` when it is none, or not the whole of it.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.octets).ok().filter(|_| self.whole)
    }

    /// What a status says of a message that was to be sent, where it says something by itself; `Ok` leaves it to the provider's own code.
    ///
    /// # Errors
    /// The fate of the message.
    pub fn verdict(&self) -> Result<(), SendError> {
        match self.status {
            429 => Err(self.slower()),
            401 => Err(later(
                AWAY,
                "the provider refuses the account's credentials",
                false,
            )),
            // Whoever answers so may stand before or behind what has the message by now.
            500.. => Err(unknown(&format!("the provider failed with {}", self.status))),
            300..=399 => Err(rejected(
                Reason::NetworkRefused,
                "the provider's address has moved: correct the connector's url",
            )),
            _ => Ok(()),
        }
    }

    /// It was too many at once.
    pub fn slower(&self) -> SendError {
        later(
            self.retry_after.unwrap_or(SLOWER),
            "the provider takes no more messages just now",
            false,
        )
    }
}

/// What the fate of a message is that no answer came to.
pub fn fate(failure: Failure) -> SendError {
    match failure {
        Failure::Unreachable => later(AWAY, "the provider cannot be reached", false),
        Failure::NoAnswer => unknown("the provider did not say whether it has the message"),
    }
}

pub fn rejected(reason: Reason, detail: &str) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.to_owned(),
    }
}

pub fn later(delay: Duration, detail: &str, counts: bool) -> SendError {
    SendError::RetryAfter {
        delay,
        detail: detail.to_owned(),
        counts,
    }
}

pub fn unknown(detail: &str) -> SendError {
    SendError::Unknown {
        detail: detail.to_owned(),
    }
}
