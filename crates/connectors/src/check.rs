//! What an operator wants to know before the first message: whether the service is there, and takes the account.

use async_trait::async_trait;
use reqwest::RequestBuilder;
use std::error::Error;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::id::ConnectorId;

/// A connector that can be tried.
#[async_trait]
pub trait Check: Send + Sync {
    /// Asks the service once. Nothing reaches a phone by it, and nothing that phones sent is taken. It may be called beside a running
    /// connector of the same account, and without one.
    ///
    /// Answers what was found, in words for the operator.
    ///
    /// # Errors
    /// With the cause, and the cure. Safe to repeat.
    async fn check(&self) -> Result<String, ConnectorError>;
}

/// An answer that was not expected: `service` says what to `status`.
pub(crate) fn odd(id: &ConnectorId, service: &str, status: u16) -> ConnectorError {
    let cure = match status {
        300..=399 => "the address has moved: correct the connector's address of the API",
        404 => "compare the connector's address of the API with what the provider tells",
        429 | 500.. => "it may pass: try again in a while, and look at the provider's own status page",
        _ => "compare the connector's settings with what the provider tells",
    };
    failed(id, format!("{service} answers {status}"), cure)
}

pub(crate) fn failed(id: &ConnectorId, cause: impl Into<String>, cure: impl Into<String>) -> ConnectorError {
    ConnectorError {
        connector: id.clone(),
        cause: cause.into(),
        cure: cure.into(),
    }
}

/// Makes a request and answers the status and the whole of what came back, `most` octets at most.
///
/// # Errors
/// `service` was not reached, or broke off: with the reason that the system gives. It holds nothing of the request.
pub(crate) async fn ask(
    id: &ConnectorId,
    service: &str,
    request: RequestBuilder,
    most: usize,
) -> Result<(u16, Vec<u8>), ConnectorError> {
    let mut answer = request.send().await.map_err(|error| away(id, service, &error))?;
    let status = answer.status().as_u16();
    let mut octets = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| away(id, service, &error))? {
        if octets.len() + chunk.len() > most {
            break;
        }
        octets.extend_from_slice(&chunk);
    }
    Ok((status, octets))
}

/// What the system said, without what stands around it: that names the whole address, which may hold more than a host.
pub fn reason(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => reason(source),
        None => error.to_string(),
    }
}

/// Why a service is away, and what to do.
fn away(id: &ConnectorId, service: &str, error: &reqwest::Error) -> ConnectorError {
    let said = reason(error);
    if error.is_timeout() {
        return failed(
            id,
            format!("{service} did not answer in time"),
            "look at the network between, at its firewalls, and at the connector's address of the API",
        );
    }
    if said.contains("certificate") {
        return failed(
            id,
            format!("the certificate of {service} is not trusted: {said}"),
            "set this machine's clock; name an authority of the site's own in ca_file; compare the connector's address of the API",
        );
    }
    let cause = match error.is_connect() {
        true => format!("{service} cannot be reached: {said}"),
        false => format!("{service} breaks off: {said}"),
    };
    failed(
        id,
        cause,
        "compare the connector's address of the API, and look at the network, its firewalls and its DNS",
    )
}

/// Knocks at the host of `url`: any answer is one.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn knock(
    id: &ConnectorId,
    service: &str,
    client: &reqwest::Client,
    url: &str,
) -> Result<(), ConnectorError> {
    let root = url::Url::parse(url).and_then(|url| url.join("/"));
    let Ok(root) = root else {
        let cure = "give the whole address, beginning with https://";
        return Err(failed(id, format!("the address of {service} is none"), cure));
    };
    // Nothing is asked for there: where a request sends a message, this does not.
    ask(id, service, client.head(root), 0).await.map(drop)
}

/// The host of an address, as people are told of it.
pub(crate) fn host(url: &str) -> String {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "the service".to_owned())
}
