//! The carrier behind TLS with a certificate of its own.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use swingbridge_lab::smsc::{self, Config};
use swingbridge_wire::smpp::{Bind, Body, Pdu};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn a_bind_through_tls_is_answered() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["smsc.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let carrier = smsc::start(Config {
        tls: Some(Arc::new(server)),
        ..Config::default()
    })
    .await
    .unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(carrier.address()).await.unwrap();
    let name = ServerName::try_from("smsc.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap();
    let bind = Bind {
        system_id: "swingbridge".into(),
        password: "secret".into(),
        ..Bind::default()
    };
    stream
        .write_all(&Pdu::new(1, Body::BindTransceiver(bind)).to_bytes().unwrap())
        .await
        .unwrap();
    let mut header = [0; 16];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[4..12], [0x80, 0, 0, 9, 0, 0, 0, 0]);
    assert_eq!(carrier.sessions().len(), 1);
}
