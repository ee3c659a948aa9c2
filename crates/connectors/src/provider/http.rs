//! One request to a provider, and what is certain of its fate.

use crate::sms_gateway::time;
use reqwest::{RequestBuilder, header};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;

/// The most octets of an answer that is no file.
pub const ANSWER: usize = 8 << 20;
/// The wait that the engine is asked for while the provider is away.
pub const AWAY: Duration = Duration::from_secs(15);
/// The wait after a refusal for too many requests that names none.
const SLOWER: Duration = Duration::from_secs(5);
/// The shortest and the longest wait that a provider may ask for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A client that follows nothing, and one that follows a link to a file.
#[derive(Clone, Debug)]
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
    /// The provider's clock.
    pub date: Option<Timestamp>,
    pub mime: Option<String>,
    pub octets: Vec<u8>,
    /// It was neither cut off nor longer than allowed.
    pub whole: bool,
    pub too_large: bool,
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
    /// `request`: how long one request may take. `idle`: how long a connection is kept that nothing passes.
    ///
    /// # Errors
    /// In words; a person must act.
    pub fn new(ca_file: Option<&Path>, request: Duration, idle: Duration) -> Result<Self, String> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |redirect| {
            let mut client = reqwest::Client::builder()
                .connect_timeout(request.min(Duration::from_secs(10)))
                .timeout(request)
                .pool_idle_timeout(idle)
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
    let date = text(header::DATE).and_then(|text| http_date(&text));
    let retry_after = text(header::RETRY_AFTER).and_then(|text| wait(text.trim(), date));
    let mime = text(header::CONTENT_TYPE);
    let status = answer.status().as_u16();
    let mut octets = Vec::new();
    let (whole, too_large) = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if octets.len() + chunk.len() <= most => octets.extend_from_slice(&chunk),
            Ok(Some(_)) => break (false, true),
            Ok(None) => break (true, false),
            Err(_) => break (false, false),
        }
    };
    Ok(Answer {
        status,
        retry_after,
        date,
        mime,
        octets,
        whole,
        too_large,
    })
}

/// RFC 9110 section 10.2.3: seconds, or a date.
fn wait(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => http_date(text)?.since(now?),
    };
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// RFC 9110 section 5.6.7, in the form that is to be written: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_whitespace().skip(1);
    let (day, month, year, clock) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    time::read(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// `text` as a part of a path or a value of a query.
pub fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
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
            500.. => Err(unknown(format!("the provider failed with {}", self.status))),
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

pub fn rejected(reason: Reason, detail: impl Into<String>) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.into(),
    }
}

pub fn later(delay: Duration, detail: impl Into<String>, counts: bool) -> SendError {
    SendError::RetryAfter {
        delay,
        detail: detail.into(),
        counts,
    }
}

pub fn unknown(detail: impl Into<String>) -> SendError {
    SendError::Unknown {
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_both_forms_and_kept_in_bounds() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(now.unwrap().to_string(), "1994-11-06T08:49:37Z");
        let read = |text| wait(text, now).map(|wait| wait.as_secs());
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("0"), Some(1));
        assert_eq!(read("999999999"), Some(3600));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1990 08:50:37 GMT"), Some(1));
        for odd in ["soon", "-1", "nan"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
