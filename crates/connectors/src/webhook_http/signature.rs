//! What proves who sent a request, both ways: an HMAC over what is sent, or a secret that only the two know.

use hmac::{Hmac, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::secret::Secret;

/// How a request is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signature {
    /// `hmac_sha256` (over what `signed` says), or `shared_secret` (the header holds the secret itself).
    pub scheme: Scheme,
    /// The key, or the shared secret.
    #[schemars(with = "String")]
    pub secret: Secret,
    /// The header that holds the signature.
    pub header: String,
    /// What stands before it there, such as `sha256=` or `Bearer `.
    pub prefix: String,
    /// `hex` or `base64`.
    pub encoding: Encoding,
    /// The header with the time, in seconds (or milliseconds) since 1970. Absent: no time is signed, and a request can be sent again by whoever
    /// saw it; a message is then still known by its id.
    pub timestamp_header: Option<String>,
    /// What is signed: `{body}` and `{timestamp}` with what stands between them, such as `{timestamp}.{body}`. Absent: these two with a dot when
    /// there is a `timestamp_header`, and the body when there is none.
    pub signed: Option<String>,
    /// How old a signed request may be, and how far the clocks may be apart, in seconds.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub window: Duration,
}

impl Default for Signature {
    fn default() -> Self {
        Self {
            scheme: Scheme::HmacSha256,
            secret: Secret::default(),
            header: String::new(),
            prefix: String::new(),
            encoding: Encoding::Hex,
            timestamp_header: None,
            signed: None,
            window: Duration::from_secs(300),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    #[default]
    HmacSha256,
    SharedSecret,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

impl Signature {
    /// Whether it can prove anything.
    pub fn is_usable(&self) -> bool {
        let header = |name: &str| reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let signed = self.signed();
        !self.secret.is_empty()
            && header(&self.header)
            && self.timestamp_header.as_deref().is_none_or(header)
            && signed.matches("{body}").count() == 1
            && signed.contains("{timestamp}") == self.timestamp_header.is_some()
            && self.prefix.chars().all(|c| (' '..='~').contains(&c))
            && !self.window.is_zero()
    }

    /// The headers of a request of ours with this body.
    pub fn sign(&self, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
        let stamp = (now.millis() / 1000).to_string();
        let mut headers = Vec::new();
        let value = match self.scheme {
            Scheme::SharedSecret => self.secret.expose().to_owned(),
            Scheme::HmacSha256 => {
                let octets = self.mac(body, &stamp).finalize().into_bytes();
                match self.encoding {
                    Encoding::Hex => data_encoding::HEXLOWER.encode(&octets),
                    Encoding::Base64 => data_encoding::BASE64.encode(&octets),
                }
            }
        };
        headers.push((self.header.clone(), format!("{}{value}", self.prefix)));
        if let Some(name) = &self.timestamp_header {
            headers.push((name.clone(), stamp));
        }
        headers
    }

    /// Checks a request; `header` gives a header by its name in lower case.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of the request.
    pub fn verify<'a>(
        &self,
        body: &[u8],
        header: impl Fn(&str) -> Option<&'a str>,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let given = header(&self.header.to_lowercase()).ok_or("it is not signed")?;
        let given = given
            .strip_prefix(self.prefix.as_str())
            .ok_or("its signature does not begin as it should")?
            .trim();
        const WRONG: &str = "its signature is wrong: compare the secrets";
        if self.scheme == Scheme::SharedSecret {
            // Of digests, so that not even the length is told.
            let (ours, theirs) = (Sha256::digest(self.secret.expose()), Sha256::digest(given));
            return match bool::from(ours.ct_eq(&theirs)) {
                true => Ok(()),
                false => Err(WRONG),
            };
        }
        let octets = match self.encoding {
            Encoding::Hex => data_encoding::HEXLOWER_PERMISSIVE.decode(given.as_bytes()),
            Encoding::Base64 => data_encoding::BASE64.decode(given.as_bytes()),
        };
        let octets = octets.map_err(|_| "its signature is not in the encoding that is configured")?;
        let stamp = match &self.timestamp_header {
            Some(name) => header(&name.to_lowercase()).ok_or("its timestamp is missing")?,
            None => "",
        };
        self.mac(body, stamp).verify_slice(&octets).map_err(|_| WRONG)?;
        if self.timestamp_header.is_none() {
            return Ok(());
        }
        let theirs: i64 = stamp.trim().parse().map_err(|_| "its timestamp is no number")?;
        // Milliseconds since 1970 have more digits than seconds will have for long.
        let theirs = if theirs > 100_000_000_000 {
            theirs
        } else {
            theirs.saturating_mul(1000)
        };
        match theirs.abs_diff(now.millis()) <= u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX) {
            true => Ok(()),
            false => Err("it was signed at another time: compare the clocks"),
        }
    }

    fn signed(&self) -> &str {
        match (&self.signed, &self.timestamp_header) {
            (Some(signed), _) => signed,
            (None, Some(_)) => "{timestamp}.{body}",
            (None, None) => "{body}",
        }
    }

    fn mac(&self, body: &[u8], stamp: &str) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(self.secret.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        let (before, after) = self.signed().split_once("{body}").unwrap_or_default();
        mac.update(before.replace("{timestamp}", stamp).as_bytes());
        mac.update(body);
        mac.update(after.replace("{timestamp}", stamp).as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn check(
        signature: &Signature,
        headers: &[(String, String)],
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let header = |name: &str| {
            headers
                .iter()
                .find(|(known, _)| known.to_lowercase() == name)
                .map(|(_, value)| value.as_str())
        };
        signature.verify(body, header, now)
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        for (prefix, encoding, timestamp, signed) in [
            ("", Encoding::Hex, None, None),
            ("sha256=", Encoding::Base64, Some("X-Time"), None),
            ("v1,", Encoding::Hex, Some("x-time"), Some("{body}|{timestamp}")),
        ] {
            let signature = Signature {
                secret: Secret::new("key"),
                header: "X-Signature".into(),
                prefix: prefix.into(),
                encoding,
                timestamp_header: timestamp.map(str::to_owned),
                signed: signed.map(str::to_owned),
                ..Signature::default()
            };
            assert!(signature.is_usable());
            let headers = signature.sign(b"hello", NOW);
            assert_eq!(check(&signature, &headers, b"hello", NOW), Ok(()));
            assert!(check(&signature, &headers, b"hellO", NOW).is_err());
            assert!(check(&signature, &[], b"hello", NOW).is_err());
            let later = Timestamp(NOW.millis() + 301_000);
            assert_eq!(
                check(&signature, &headers, b"hello", later).is_ok(),
                timestamp.is_none()
            );
            let other = Signature {
                secret: Secret::new("other"),
                ..signature
            };
            assert!(check(&other, &headers, b"hello", NOW).is_err());
        }
    }

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_the_hmac_that_others_know() {
        let signature = Signature {
            secret: Secret::new("Jefe"),
            header: "x".into(),
            ..Signature::default()
        };
        assert_eq!(
            signature.sign(b"what do ya want for nothing?", NOW)[0].1,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_shared_secret_is_compared_whole() {
        let signature = Signature {
            scheme: Scheme::SharedSecret,
            secret: Secret::new("s3cret"),
            header: "authorization".into(),
            prefix: "Bearer ".into(),
            ..Signature::default()
        };
        let with = |value: &str| vec![("authorization".to_owned(), value.to_owned())];
        assert_eq!(check(&signature, &with("Bearer s3cret"), b"", NOW), Ok(()));
        for wrong in ["Bearer s3cre", "Bearer s3crett", "s3cret", "Bearer "] {
            assert!(check(&signature, &with(wrong), b"", NOW).is_err(), "{wrong}");
        }
    }
}
