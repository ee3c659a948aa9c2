use crate::harness::{config, connector, ids, outbound, run};
use crate::smsc::{Peer, Smsc, bind_ok};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use swingbridge_connectors::smpp::Config;
use swingbridge_connectors::smpp::config::{Tls, Trust};
use swingbridge_domain::connector::Link;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A private authority with a server's and a client's certificate, in files.
struct Authority {
    folder: TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            folder: TempDir::new().unwrap(),
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn file(&self, name: &str, text: String) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn ca_file(&self) -> PathBuf {
        self.file("ca.pem", self.certificate.pem())
    }

    /// A server with its own certificate, and the pin of its key.
    fn server(&self, ask_client: bool) -> (TlsAcceptor, String) {
        let (certificate, key) = self.issue("smsc.example");
        let pin = Sha256::digest(key.subject_public_key_info());
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if ask_client {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        (
            TlsAcceptor::from(Arc::new(server)),
            pin.iter().map(|octet| format!("{octet:02x}")).collect(),
        )
    }
}

fn with(port: u16, tls: Tls) -> Config {
    let tls = Tls {
        server_name: Some("smsc.example".into()),
        ..tls
    };
    Config {
        tls: Some(tls),
        ..config(port)
    }
}

/// Accepts one connection over TLS, binds it and takes one submit.
async fn serve(smsc: &Smsc, acceptor: &TlsAcceptor) {
    let stream = smsc.accept_stream().await;
    let mut peer = Peer::new(acceptor.accept(stream).await.unwrap());
    let (request, _) = peer.bind().await;
    peer.send(bind_ok(&request)).await;
    let (sequence, _) = peer.submit().await;
    peer.accept(sequence, "1").await;
}

async fn sends_over(settings: Config, smsc: &Smsc, acceptor: &TlsAcceptor) {
    let running = run(settings);
    let sending = async {
        running.until(Link::Connected).await;
        running.send(outbound("hi")).await.unwrap().unwrap()
    };
    let ((), accepted) = tokio::join!(serve(smsc, acceptor), sending);
    assert_eq!(ids(&accepted), ["1"]);
}

/// What a check against this server fails with: cause and cure.
async fn fails(settings: Config, smsc: &Smsc, acceptor: &TlsAcceptor) -> String {
    let checked = connector(settings).unwrap();
    let serving = async {
        let _ = acceptor.accept(smsc.accept_stream().await).await;
    };
    let (error, ()) = tokio::join!(checked.check(), serving);
    error.unwrap_err().to_string()
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_named_and_only_then() {
    let (smsc, authority) = (Smsc::start().await, Authority::new());
    let (acceptor, _) = authority.server(false);
    let named = Tls {
        ca_file: Some(authority.ca_file()),
        ..Tls::default()
    };
    sends_over(with(smsc.port(), named), &smsc, &acceptor).await;
    let error = fails(with(smsc.port(), Tls::default()), &smsc, &acceptor).await;
    assert!(error.contains("tls.ca_file"), "{error}");
    let other = Authority::new();
    let error = fails(
        with(
            smsc.port(),
            Tls {
                ca_file: Some(other.ca_file()),
                ..Tls::default()
            },
        ),
        &smsc,
        &acceptor,
    )
    .await;
    assert!(error.contains("tls.ca_file"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let (smsc, authority) = (Smsc::start().await, Authority::new());
    let (acceptor, _) = authority.server(false);
    let mut settings = with(
        smsc.port(),
        Tls {
            ca_file: Some(authority.ca_file()),
            ..Tls::default()
        },
    );
    settings.tls.as_mut().unwrap().server_name = Some("other.example".into());
    let error = fails(settings, &smsc, &acceptor).await;
    assert!(error.contains("tls.server_name"), "{error}");
}

#[tokio::test]
async fn a_pin_must_match_even_under_a_trusted_authority() {
    let (smsc, authority) = (Smsc::start().await, Authority::new());
    let (acceptor, pin) = authority.server(false);
    let pinned = |pins: Vec<String>| {
        with(
            smsc.port(),
            Tls {
                ca_file: Some(authority.ca_file()),
                pins,
                ..Tls::default()
            },
        )
    };
    sends_over(pinned(vec!["00".repeat(32), pin.clone()]), &smsc, &acceptor).await;
    let error = fails(pinned(vec!["00".repeat(32)]), &smsc, &acceptor).await;
    assert!(error.contains("tls.pins") && error.contains(&pin), "{error}");
}

#[tokio::test]
async fn a_pin_alone_is_enough_when_so_configured() {
    let (smsc, authority) = (Smsc::start().await, Authority::new());
    let (acceptor, pin) = authority.server(false);
    let alone = |pin| {
        with(
            smsc.port(),
            Tls {
                trust: Trust::Pins,
                pins: vec![pin],
                ..Tls::default()
            },
        )
    };
    sends_over(alone(pin), &smsc, &acceptor).await;
    let running = run(alone("11".repeat(32)));
    let _ = acceptor.accept(smsc.accept_stream().await).await;
    running.until_detail(Link::Refused, "matches no pin").await;
}

#[tokio::test]
async fn our_own_certificate_is_shown_when_asked_for() {
    let (smsc, authority) = (Smsc::start().await, Authority::new());
    let (acceptor, _) = authority.server(true);
    let (certificate, key) = authority.issue("esme.example");
    let shown = Tls {
        ca_file: Some(authority.ca_file()),
        client_cert_file: Some(authority.file("esme.pem", certificate.pem())),
        client_key_file: Some(authority.file("esme.key", key.serialize_pem())),
        ..Tls::default()
    };
    sends_over(with(smsc.port(), shown), &smsc, &acceptor).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let missing = Tls {
        ca_file: Some("no/such/ca.pem".into()),
        ..Tls::default()
    };
    let Err(error) = connector(with(1, missing)) else {
        panic!("it was taken")
    };
    assert!(error.to_string().contains("no/such/ca.pem"), "{error}");
    let authority = Authority::new();
    let empty = Tls {
        ca_file: Some(authority.file("empty.pem", String::new())),
        ..Tls::default()
    };
    let Err(error) = connector(with(1, empty)) else {
        panic!("it was taken")
    };
    assert!(error.to_string().contains("empty.pem"), "{error}");
}
