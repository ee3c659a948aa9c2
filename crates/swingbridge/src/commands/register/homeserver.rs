//! The homeserver, asked in plain JSON: the admin APIs are none of the Matrix specification's.

use crate::cli::Register;
use crate::exit::{Ends, Exit, Failure};
use reqwest::{Certificate, Identity, Method};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::{Host, Url};
use zeroize::Zeroizing;

/// No answer to our questions is larger.
const LARGEST: usize = 1 << 20;

pub struct Homeserver {
    client: reqwest::Client,
    base: Url,
}

/// What the homeserver answered.
pub struct Answer {
    pub status: u16,
    /// `Null` when it was no JSON.
    pub body: Value,
}

/// No answer.
pub enum Silence {
    /// The request did not leave.
    Unreached(String),
    /// It may have been carried out.
    Lost(String),
}

impl Homeserver {
    /// What is given is an address, or a server name whose address is looked up (Client-Server API, "Server discovery").
    pub async fn find(options: &Register) -> Result<Self, Failure> {
        let given = options.homeserver.as_str();
        let client = client(options)?;
        let base = match given.contains("://") {
            true => given.to_owned(),
            false => discovered(&client, given).await,
        };
        let base = Url::parse(&format!("{}/", base.trim_end_matches('/')))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::msg(
                    Exit::Config,
                    format!(
                        "--homeserver {given:?} is no address: give that of the client API, such as https://matrix.example.org"
                    ),
                )
            })?;
        if base.scheme() == "http" && !local(&base) {
            eprintln!(
                "swingbridge: {base} is not encrypted: the secrets can be read on the way. Use https:// if it offers it"
            );
        }
        Ok(Self { client, base })
    }

    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub async fn get(&self, path: &str, token: Option<&Secret>) -> Result<Answer, Silence> {
        self.ask(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Silence> {
        self.ask(Method::POST, path, None, Some(body)).await
    }

    pub async fn put(&self, path: &str, token: &Secret, body: &Value) -> Result<Answer, Silence> {
        self.ask(Method::PUT, path, Some(token), Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Answer, Silence> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(silence)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silence)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(Silence::Lost("its answer does not end".into()));
            }
        }
        Ok(Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }

    /// The failure that a silence is, where nothing can have been changed.
    pub fn unreached(&self, silence: Silence) -> Failure {
        let (Silence::Unreached(why) | Silence::Lost(why)) = silence;
        Failure::msg(
            Exit::Homeserver,
            format!(
                "{} cannot be reached: {why}. Is the address right, and does the homeserver run?",
                self.address()
            ),
        )
    }
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["errcode"].as_str().unwrap_or_default()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.body[key].as_str()
    }

    /// The status and the homeserver's own words, fit for a terminal.
    pub fn told(&self) -> String {
        let words = self.text("error").unwrap_or_default();
        let words: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
        match (self.code(), words.as_str()) {
            ("", "") => format!("HTTP {}", self.status),
            (code, words) => format!("HTTP {}, {} {words}", self.status, plain(code)),
        }
    }
}

fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_graphic).take(60).collect()
}

/// With the certificates that `homeserver` in device.yaml names for the relay.
fn client(options: &Register) -> Result<reqwest::Client, Failure> {
    // Whoever came first may have installed one; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        // A redirect would turn a POST into a GET, and carry secrets to who was not named.
        .redirect(reqwest::redirect::Policy::none());
    let read = |file: &Path, cure| std::fs::read(file).map_err(|error| unfit(file, &error.to_string(), cure));
    if let Some(file) = &options.ca_file {
        const CURE: &str = "give a file of certificates (PEM)";
        let roots = Certificate::from_pem_bundle(&read(file, CURE)?)
            .map_err(|error| unfit(file, &error.to_string(), CURE))?;
        if roots.is_empty() {
            return Err(unfit(file, "it holds no certificate", CURE));
        }
        builder = match options.only_this_ca {
            true => builder.tls_certs_only(roots),
            false => builder.tls_certs_merge(roots),
        };
    }
    if let (Some(certificate), Some(key)) = (&options.client_cert_file, &options.client_key_file) {
        const CURE: &str = "give a certificate in the one file and its private key in the other, both as PEM";
        let mut both = read(certificate, CURE)?;
        both.push(b'\n');
        both.extend(Zeroizing::new(read(key, CURE)?).iter());
        let both = Zeroizing::new(both);
        let identity = Identity::from_pem(&both)
            .map_err(|_| unfit(certificate, "it and the key make no identity", CURE))?;
        builder = builder.identity(identity);
    }
    builder.build().ends(Exit::Other)
}

fn unfit(file: &Path, why: &str, cure: &str) -> Failure {
    Failure::msg(Exit::File, format!("{}: {why}; {cure}", file.display()))
}

/// The address in the server's `.well-known`, or the name itself as an address.
async fn discovered(client: &reqwest::Client, name: &str) -> String {
    let page = format!("https://{name}/.well-known/matrix/client");
    let found = async {
        let response = client.get(page).send().await.ok()?.error_for_status().ok()?;
        let body: Value = response.json().await.ok()?;
        body["m.homeserver"]["base_url"].as_str().map(str::to_owned)
    };
    found.await.unwrap_or_else(|| format!("https://{name}"))
}

fn local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn silence(error: reqwest::Error) -> Silence {
    // The address is told by who asks; what is left is the cause.
    let error = error.without_url();
    let never_left = error.is_connect() || error.is_builder();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    match never_left {
        true => Silence::Unreached(text),
        false => Silence::Lost(text),
    }
}
