//! `X-Twilio-Signature`: an HMAC over the address and the sorted parameters of a form, or, for other bodies, over the address alone,
//! which then has the body's digest in its query (`bodySHA256`). Twilio names no time in it: a message that is told twice is known by its
//! SID.

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use subtle::{Choice, ConstantTimeEq};
use url::Url;

/// The digest that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// With the account's auth token.
    Sha1,
    /// With a SharedKey, where `X-Twilio-Webhooks-Signature-Settings` says so.
    Sha256,
}

impl Algorithm {
    /// What that header says; `None` is an algorithm that nobody knows.
    pub fn of_settings(header: Option<&str>) -> Option<Self> {
        let named = header.unwrap_or_default().split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim() == "algorithm").then(|| value.trim())
        });
        match named {
            None | Some("" | "HMAC_SHA1") => Some(Self::Sha1),
            Some("HMAC_SHA256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }
}

/// The signature of a request to `url` with the parameters of a form; none for another body.
pub fn sign(key: &str, algorithm: Algorithm, url: &str, parameters: &[(String, String)]) -> String {
    // Each pair once, by name and then by value.
    let sorted: BTreeSet<_> = parameters.iter().collect();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let octets = match algorithm {
        Algorithm::Sha1 => mac::<Hmac<Sha1>>(key, &text),
        Algorithm::Sha256 => mac::<Hmac<Sha256>>(key, &text),
    };
    data_encoding::BASE64.encode(&octets)
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &str, text: &str) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Whether `signature` is that of the request. The port may or may not have been signed with the address: Twilio does both.
pub fn verify(
    key: &str,
    algorithm: Algorithm,
    url: &str,
    parameters: &[(String, String)],
    signature: &str,
) -> bool {
    let mut good = Choice::from(0);
    for url in spellings(url) {
        let ours = sign(key, algorithm, &url, parameters);
        good |= ours.as_bytes().ct_eq(signature.trim().as_bytes());
    }
    good.into()
}

/// Whether the query's `bodySHA256` is that of `body`.
pub fn body_matches(query: &str, body: &[u8]) -> bool {
    let told = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "bodySHA256")
        .map(|(_, value)| value.to_lowercase());
    let ours = data_encoding::HEXLOWER.encode(&Sha256::digest(body));
    told.is_some_and(|told| bool::from(told.as_bytes().ct_eq(ours.as_bytes())))
}

/// The address as it is written, with its port, and without.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    let Ok(parsed) = Url::parse(url) else {
        return all;
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return all;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    };
    if let Some(port) = parsed.port_or_known_default() {
        all.push(format!("{scheme}://{host}:{port}{tail}"));
    }
    all.push(format!("{scheme}://{host}{tail}"));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// The example of Twilio's own libraries' tests.
    #[test]
    fn twilios_own_example_verifies() {
        let parameters = pairs(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
            ("Caller", "+14158675309"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert_eq!(sign("12345", Algorithm::Sha1, url, &parameters), signature);
        assert!(verify("12345", Algorithm::Sha1, url, &parameters, signature));
        let with_port = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
        assert!(verify(
            "12345",
            Algorithm::Sha1,
            with_port,
            &parameters,
            signature
        ));
        for (key, url) in [
            ("12346", url),
            ("12345", "https://mycompany.com/myapp.php?foo=1&bar=3"),
        ] {
            assert!(!verify(key, Algorithm::Sha1, url, &parameters, signature));
        }
        assert!(!verify(
            "12345",
            Algorithm::Sha1,
            url,
            &parameters[1..],
            signature
        ));
        assert!(!verify("12345", Algorithm::Sha1, url, &parameters, ""));
    }

    #[test]
    fn a_body_that_was_changed_is_noticed() {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(b"{}"));
        assert!(body_matches(&format!("a=1&bodySHA256={digest}"), b"{}"));
        assert!(!body_matches(&format!("a=1&bodySHA256={digest}"), b"{ }"));
        assert!(!body_matches("a=1", b"{}"));
    }

    #[test]
    fn an_algorithm_that_nobody_knows_is_none() {
        assert_eq!(Algorithm::of_settings(None), Some(Algorithm::Sha1));
        assert_eq!(
            Algorithm::of_settings(Some("key=x, algorithm=HMAC_SHA256")),
            Some(Algorithm::Sha256)
        );
        assert_eq!(Algorithm::of_settings(Some("key=x,algorithm=HMAC_MD5")), None);
    }
}
