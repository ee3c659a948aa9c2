//! What a failed TLS handshake means to the person who can mend it.

use rustls::{AlertDescription as Alert, CertificateError, Error};

/// In words, where `cause` is such a failure.
pub(crate) fn in_words(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let error = within(cause)?;
    Some(match error {
        Error::InvalidCertificate(theirs) => match theirs {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by an authority that is not trusted here: is it the site's own, and was it given?"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired, or the clock here is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or the clock here is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than the address has"
            }
            _ => "its certificate is not valid",
        },
        Error::AlertReceived(alert) => match alert {
            Alert::CertificateRequired => "it asks for a client certificate, and none was given",
            Alert::CertificateExpired => "our client certificate has expired",
            Alert::CertificateRevoked => "our client certificate was revoked",
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::AccessDenied
            | Alert::DecryptError => "it does not accept our client certificate",
            // Until TLS 1.2 this is all that is said where a certificate is missing.
            Alert::HandshakeFailure => {
                "it broke off the handshake: it may ask for a client certificate, and we may have shown none"
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// It comes wrapped by those who read from the connection, and each of them keeps it from `source`.
fn within<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    match cause.downcast_ref::<Error>() {
        Some(error) => Some(error),
        None => within(cause.downcast_ref::<std::io::Error>()?.get_ref()?),
    }
}
