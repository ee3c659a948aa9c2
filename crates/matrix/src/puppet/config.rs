//! What the person sets, the folder, and the HTTP client that follows from it.

use super::OpenError;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;
use url::Url;

/// The puppet's configuration. The binary fills it from its own file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the homeserver's client API is: `https://matrix.example.org`. No path.
    pub homeserver: Url,
    /// Whom the device bridges for: `@alice:example.org`.
    pub owner: UserId,
    /// Where keys and state are; a folder of our own on a disk of this machine. It is made, for its user alone (0700).
    pub folder: PathBuf,
    /// Certificates (PEM) of authorities to trust for the homeserver.
    pub roots: Option<Vec<u8>>,
    /// Trust these authorities alone, and not the system's besides.
    pub only_these_roots: bool,
    /// Certificate chain and private key (PEM, in one) that we show where the site asks for mutual TLS.
    pub client_identity: Option<Secret>,
    /// What people see in their list of sessions.
    pub device_name: String,
    /// Share keys only with devices that their owner has signed. Clients without cross-signing then read nothing.
    pub only_signed_devices: bool,
    /// The largest file that is brought to this machine, in octets.
    pub media_limit: u64,
    /// Events of one room in one answer of the homeserver. Those that are left out are asked for.
    pub sync_limit: u32,
    pub connect_timeout: Duration,
    /// For one request, answer included.
    pub request_timeout: Duration,
}

impl Config {
    /// A configuration with the usual limits and times; the caller changes what differs.
    pub fn new(homeserver: Url, owner: UserId, folder: PathBuf) -> Self {
        Self {
            homeserver,
            owner,
            folder,
            roots: None,
            only_these_roots: false,
            client_identity: None,
            device_name: "Swingbridge".to_owned(),
            only_signed_devices: false,
            media_limit: 100 * 1024 * 1024,
            sync_limit: 500,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
        }
    }

    pub(super) fn http(&self) -> Result<reqwest::Client, OpenError> {
        let url = &self.homeserver;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(OpenError::Config(format!(
                "homeserver: {url} is not an http or https URL"
            )));
        }
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(30))
            .no_proxy()
            .user_agent(concat!("swingbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &self.roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| OpenError::Config(format!("roots: {error}")))?;
            if roots.is_empty() {
                return Err(OpenError::Config("roots: no certificate is in them".to_owned()));
            }
            client = match self.only_these_roots {
                true => client.tls_certs_only(roots),
                false => client.tls_certs_merge(roots),
            };
        }
        if let Some(pem) = &self.client_identity {
            let identity = reqwest::Identity::from_pem(pem.expose().as_bytes()).map_err(|_| {
                OpenError::Config(
                    "client_identity: it must hold a certificate and its private key, both as PEM".to_owned(),
                )
            })?;
            client = client.identity(identity);
        }
        client
            .build()
            .map_err(|error| OpenError::Config(format!("the HTTP client cannot be built: {error}")))
    }
}

/// Makes the folder where it is not there, closes it to everybody else, and takes it: two programs with the same keys would ruin them.
pub(super) fn take_folder(folder: &Path) -> Result<File, OpenError> {
    let cannot = |error: std::io::Error| OpenError::Folder(folder.to_owned(), error.to_string());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(cannot)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    let lock = File::create(folder.join(".lock")).map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(OpenError::Busy(folder.to_owned())),
    }
}
