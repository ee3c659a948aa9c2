//! TLS to an SMSC: whom to trust, pins, and our own certificate.

use super::config::{Tls, Trust};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// A setting of TLS that cannot be used. A person must act.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no such thing.
    #[error("{path}: {problem}")]
    File {
        /// As configured.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A pin is no SHA-256 digest.
    #[error("tls.pins: a pin is 64 hex digits, or 44 characters of base64")]
    Pin,
    /// The server name is no host name.
    #[error("tls.server_name: {0} is no host name")]
    ServerName(String),
    /// The certificates do not fit together.
    #[error("{0}")]
    Rustls(#[from] Error),
}

/// The certificate bears a key that is not pinned.
#[derive(Debug, Error)]
#[error("the certificate's public key matches no pin; its pin is {seen}")]
pub struct PinMismatch {
    /// The pin of the key that was seen, in hex.
    pub seen: String,
}

/// The client's side of TLS, and the name that the SMSC's certificate must bear.
///
/// # Errors
/// See [`TlsError`].
pub fn client(tls: &Tls, host: &str) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let provider = Arc::new(ring::default_provider());
    let pins = tls
        .pins
        .iter()
        .map(|pin| read_pin(pin))
        .collect::<Result<Vec<_>, _>>()?;
    let authorities = match (&tls.ca_file, tls.trust) {
        (Some(path), _) => Some(from_file(path)?),
        (None, Trust::Mozilla) => Some(RootCertStore::from_iter(
            webpki_roots::TLS_SERVER_ROOTS.iter().cloned(),
        )),
        (None, Trust::System) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Some(store)
        }
        (None, Trust::Pins) => None,
    };
    let chain = match authorities {
        Some(store) => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?,
        ),
        None => None,
    };
    let verifier = Arc::new(Verifier {
        chain,
        pins,
        provider: provider.clone(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&tls.client_cert_file, &tls.client_key_file) {
        (Some(certificate), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
            config.with_client_auth_cert(certificates(certificate)?, key_der)?
        }
        _ => config.with_no_client_auth(),
    };
    Ok((Arc::new(config), name))
}

fn bad(path: &Path, problem: impl ToString) -> TlsError {
    TlsError::File {
        path: path.display().to_string(),
        problem: problem.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error))?;
    let certificates = read
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(path, error))?;
    if certificates.is_empty() {
        return Err(bad(path, "holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn from_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| bad(path, error))?;
    }
    Ok(store)
}

fn read_pin(text: &str) -> Result<[u8; 32], TlsError> {
    let text = text.trim();
    let text = text.strip_prefix("sha256//").unwrap_or(text);
    let octets = match text.len() {
        64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        _ => BASE64.decode(text.as_bytes()),
    };
    octets
        .ok()
        .and_then(|octets| octets.try_into().ok())
        .ok_or(TlsError::Pin)
}

/// Asks the authorities, if any, and then the pins, if any.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        if self.chain.is_none() || !self.pins.is_empty() {
            let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
            let digest: [u8; 32] = Sha256::digest(&key).into();
            if !self.pins.contains(&digest) {
                let mismatch = PinMismatch {
                    seen: HEXLOWER_PERMISSIVE.encode(&digest),
                };
                return Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_in_each_form() {
        let digest = [0xA5; 32];
        for text in [HEXLOWER_PERMISSIVE.encode(&digest), BASE64.encode(&digest)] {
            assert_eq!(read_pin(&text).unwrap(), digest);
            assert_eq!(read_pin(&format!("sha256//{text}")).unwrap(), digest);
            assert_eq!(read_pin(&format!(" {text}\n")).unwrap(), digest);
        }
        for wrong in ["", "abcd", "zz"] {
            assert!(read_pin(wrong).is_err(), "{wrong}");
        }
    }
}
