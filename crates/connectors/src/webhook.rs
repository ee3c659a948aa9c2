//! Requests that a service makes to us. A connector owns no HTTP server: the program mounts each [`Webhook`] at an address that
//! only the service knows, and hands over what comes.

use async_trait::async_trait;
use std::borrow::Cow;
use std::fmt;

/// What takes the requests of one service.
#[async_trait]
pub trait Webhook: Send + Sync {
    /// Answers one request. The program calls it concurrently, with the whole body, and passes the answer on.
    ///
    /// What the request brings is committed when this answers with success, and not before: a service that gets another answer
    /// comes again.
    async fn receive(&self, request: Request) -> Response;

    /// The most octets that a body may have; the program refuses more with 413 before it reads on.
    fn largest_body(&self) -> usize {
        1 << 20
    }
}

/// A request, as it came. `Debug` shows neither headers nor body.
#[derive(Clone, Default)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// What stands behind the `?`, as it came; empty without one.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
}

impl Request {
    /// The first header of this name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} octets)", self.method, self.body.len())
    }
}

/// What is answered: a status, and words for the service's own log or what its contract asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    /// Holds nothing of the request, other than what the service wants echoed.
    pub body: Cow<'static, str>,
}

impl Response {
    /// All that came is committed.
    pub const TAKEN: Self = Self::new(200, "ok");

    pub const fn new(status: u16, body: &'static str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: Cow::Borrowed(body),
        }
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
