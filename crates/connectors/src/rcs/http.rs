//! Requests to a service, and what may come back.

use crate::sms_gateway::time;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// The wait between two tries that a service may ask for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// An answer, whole.
pub struct Answer {
    pub status: u16,
    /// When the service wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The service's clock.
    pub date: Option<Timestamp>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// There is no answer, or no whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request certainly did not arrive.
    Unreachable,
    /// It may have arrived.
    Lost,
    /// The answer is larger than it may be.
    TooLarge,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A client that follows nobody elsewhere. Blocks on the disk when there is a `ca_file`.
///
/// # Errors
/// In words; a person must act.
pub fn client(request: Duration, ca_file: Option<&Path>) -> Result<reqwest::Client, String> {
    // Whoever came first may have installed one; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = reqwest::Client::builder()
        .connect_timeout(request.min(Duration::from_secs(10)))
        .timeout(request)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        let bad = |problem: String| format!("ca_file: {}: {problem}", path.display());
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(error.to_string()))?;
        if roots.is_empty() {
            return Err(bad("holds no certificate in PEM form".to_owned()));
        }
        client = client.tls_certs_merge(roots);
    }
    client.build().map_err(|error| error.to_string())
}

/// Sends a request and reads what comes back, `most` octets at most.
///
/// # Errors
/// See [`NoAnswer`].
pub async fn ask(request: reqwest::RequestBuilder, most: usize) -> Result<Answer, NoAnswer> {
    let mut answer = request.send().await.map_err(|error| match error.is_connect() {
        true => NoAnswer::Unreachable,
        false => NoAnswer::Lost,
    })?;
    let status = answer.status().as_u16();
    let success = answer.status().is_success();
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| http_date(date.to_str().ok()?));
    let retry_after = wait(answer.headers(), date);
    let content_type = answer
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(NoAnswer::TooLarge),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // A refusal stands, however much of its words is lost.
            Err(_) if !success => {
                body.clear();
                break;
            }
            Err(_) => return Err(NoAnswer::Lost),
        }
    }
    Ok(Answer {
        status,
        retry_after,
        date,
        content_type,
        body,
    })
}

/// RFC 9110 section 10.2.3: seconds, or a date.
fn wait(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
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

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_wait_is_read_in_both_forms_and_kept_in_bounds() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(now.unwrap().to_string(), "1994-11-06T08:49:37Z");
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            wait(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("0"), Some(1));
        assert_eq!(read("999999999"), Some(3600));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1990 08:50:37 GMT"), Some(1));
        assert_eq!(read("soon"), None);
    }
}
