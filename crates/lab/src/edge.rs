//! The TLS edge of a site, before its homeserver: a certificate of the site's own authority, and, where it is so strict, only clients whose
//! certificate that authority has signed. What passes it goes on unread.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The edge cannot be built or opened.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("whom to let in: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub certificate: String,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// A new one, that nobody trusts yet.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self, EdgeError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Signs an identity for `name`: a server's address or a client's name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn signs(&self, name: &str) -> Result<Identity, EdgeError> {
        self.sign(CertificateParams::new(vec![name.to_owned()])?)
    }

    /// The same with an identity that was good until the end of 2020.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn signed_once(&self, name: &str) -> Result<Identity, EdgeError> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Identity, EdgeError> {
        let key = KeyPair::generate()?;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// An open edge on 127.0.0.1. Dropping it closes it.
pub struct Edge {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Edge {
    /// Passes what comes by TLS on to the server at `inner` (an address, or its `http://` URL). `clients`: whose signature a client must
    /// show; without it everybody is let in.
    ///
    /// # Errors
    /// When a certificate makes no sense, or there is no port.
    pub async fn open(
        inner: &str,
        identity: &Identity,
        clients: Option<&Authority>,
    ) -> Result<Self, EdgeError> {
        let inner = inner
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes())?)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let config = builder.with_single_cert(
            vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?,
        )?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(acceptor.clone(), stream, inner.clone()));
            }
        });
        Ok(Self { address, task })
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(acceptor: TlsAcceptor, stream: TcpStream, inner: String) {
    match acceptor.accept(stream).into_fallible().await {
        Ok(mut outside) => {
            if let Ok(mut inside) = TcpStream::connect(inner).await {
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            }
        }
        // The reason was sent. Who closes while the other still speaks resets the connection, and the reason is lost with it.
        Err((_, mut stream)) => {
            let _ = stream.shutdown().await;
            let mut rest = [0; 1024];
            let drain = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
        }
    }
}
