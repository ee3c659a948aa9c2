//! A homeserver behind TLS with a certificate of the site's own authority.

use crate::bridge::{Now, Plan};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use swingbridge_domain::secret::Keys;
use swingbridge_lab::homeserver::Quirks;
use swingbridge_matrix::{BuildError, Matrix};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Passes connections on to `inner`, with TLS for 127.0.0.1; gives the address and the authority's certificate.
async fn behind_tls(inner: String) -> (String, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.clone());
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else {
                    return;
                };
                let mut inside = TcpStream::connect(inner).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (address, authority.pem().into_bytes())
}

#[tokio::test]
async fn a_homeserver_of_a_private_authority_is_trusted_only_when_told_so() {
    let plan = Plan::new().await;
    let (stub, bridge) = plan.on_stub(Quirks::synapse()).await;
    let (address, authority) = behind_tls(stub.url().replace("http://", "")).await;
    let mut config = bridge.config.clone();
    config.homeserver = url::Url::parse(&address).unwrap();
    let build = |config| Matrix::new(config, bridge.keys.clone(), Arc::new(Now));
    let stranger = build(config.clone()).unwrap().probe().await;
    let fault = stranger[0].result.clone().unwrap_err();
    assert!(fault.may_pass && fault.cause.contains("certificate"), "{fault}");
    config.roots = Some(authority);
    let friend = build(config.clone()).unwrap().probe().await;
    assert!(friend.iter().all(|finding| finding.result.is_ok()), "{friend:?}");
    config.roots = Some(b"no certificate".to_vec());
    assert!(matches!(build(config), Err(BuildError::Roots(_))));
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_once() {
    let config = Plan::new().await.config;
    let keys = Keys::derive(&[1; 32], Arc::new(crate::bridge::Dice));
    let build = |config| Matrix::new(config, keys.clone(), Arc::new(Now));
    assert!(build(config.clone()).is_ok());
    let mut wrong = config.clone();
    wrong.homeserver = url::Url::parse("ftp://example.org").unwrap();
    assert!(matches!(build(wrong), Err(BuildError::Address(_))));
    let mut wrong = config.clone();
    wrong.server_name = "not a server".into();
    assert!(matches!(
        build(wrong),
        Err(BuildError::Name {
            what: "server_name",
            ..
        })
    ));
    for bot in ["", "SmsBot", "sms bot", "sms:bot"] {
        let mut wrong = config.clone();
        wrong.bot = bot.into();
        assert!(
            matches!(build(wrong), Err(BuildError::Name { what: "bot", .. })),
            "{bot}"
        );
    }
}
