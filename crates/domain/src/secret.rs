//! Secrets that do not print, the site's keys, sealing and pseudonyms.

use crate::clock::Entropy;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret text: never printed, wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Call it where the secret is used, not where it is passed on.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The keys of a site, all derived from one site key of 32 bytes.
#[derive(Clone)]
pub struct Keys {
    index: Hmac<Sha256>,
    ghost: Hmac<Sha256>,
    seal: XChaCha20Poly1305,
    audit: Hmac<Sha256>,
    check: [u8; 8],
    entropy: Arc<dyn Entropy>,
}

/// A sealed text could not be opened: another key sealed it, or it was altered. Not worth a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealed value cannot be opened with this site key: the key is another one, or the value was altered"
)]
pub struct Unsealable;

impl Keys {
    pub fn derive(site_key: &[u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        let site = keyed(site_key);
        let sub = |label: &str| mac(&site, &[label.as_bytes()]);
        let check = sub("swingbridge check v1");
        Self {
            index: keyed(&sub("swingbridge blind index v1")),
            ghost: keyed(&sub("swingbridge ghost pseudonym v1")),
            seal: XChaCha20Poly1305::new(Key::from_slice(&sub("swingbridge seal v1"))),
            audit: keyed(&sub("swingbridge audit log v1")),
            check: [
                check[0], check[1], check[2], check[3], check[4], check[5], check[6], check[7],
            ],
            entropy,
        }
    }

    /// Tells two site keys apart without giving either away. Kept in the database to refuse a wrong key at start.
    pub fn check_value(&self) -> [u8; 8] {
        self.check
    }

    /// A blind index: equal for equal input, meaningless without the key. `kind` keeps different uses apart.
    pub fn index(&self, kind: &str, value: &str) -> [u8; 32] {
        mac(&self.index, &[kind.as_bytes(), &[0], value.as_bytes()])
    }

    /// The pseudonym of a canonical address or other name: 24 characters of `a-z2-7` (120 bits of an HMAC-SHA-256).
    /// Stable, and not reversible without the key.
    pub fn pseudonym(&self, kind: &str, value: &str) -> String {
        let digest = mac(&self.ghost, &[kind.as_bytes(), &[0], value.as_bytes()]);
        data_encoding::BASE32_NOPAD
            .encode(&digest[..15])
            .to_ascii_lowercase()
    }

    /// Binds what stands in the audit log. The parts must not be told apart by their lengths alone.
    pub(crate) fn audit_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.audit, parts)
    }

    /// Seals `plain` (XChaCha20-Poly1305, random nonce in front). `context` must be given again to open it.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0u8; 24];
        self.entropy.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        let sealed = self
            .seal
            .encrypt(XNonce::from_slice(&nonce), payload)
            .expect("a message under 256 GiB always seals");
        let mut out = Vec::with_capacity(24 + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    /// Opens what [`Keys::seal`] sealed under the same `context`.
    ///
    /// # Errors
    /// [`Unsealable`]; final.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (nonce, body) = sealed.split_at_checked(24).ok_or(Unsealable)?;
        let payload = Payload {
            msg: body,
            aad: context.as_bytes(),
        };
        self.seal
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| Unsealable)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[site keys]")
    }
}

/// Half of the work for a short value lies in the key, so it is done once for each.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn mac(keyed: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn keys(seed: u8) -> Keys {
        Keys::derive(&[seed; 32], Arc::new(Counting(0.into())))
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
        assert_eq!(format!("{:?}", keys(1)), "[site keys]");
    }

    #[test]
    fn sealed_text_opens_only_with_its_key_and_context() {
        let sealed = keys(1).seal("outbox", b"hello");
        assert_eq!(keys(1).open("outbox", &sealed).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(keys(1).open("inbox", &sealed), Err(Unsealable));
        assert_eq!(keys(2).open("outbox", &sealed), Err(Unsealable));
        let mut altered = sealed.clone();
        altered[30] ^= 1;
        assert_eq!(keys(1).open("outbox", &altered), Err(Unsealable));
        assert_eq!(keys(1).open("outbox", &[]), Err(Unsealable));
    }

    #[test]
    fn what_databases_hold_is_found_again() {
        let index = keys(1).index("event", "$one");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&index),
            "19d6add79aa8413a279bbcce869bb2d45e1d8281b8885c4b630e81a96e2dea47"
        );
    }

    #[test]
    fn pseudonyms_are_stable_and_keyed() {
        let one = keys(1).pseudonym("ghost", "tel:+447700900456");
        assert_eq!(one, keys(1).pseudonym("ghost", "tel:+447700900456"));
        assert_ne!(one, keys(2).pseudonym("ghost", "tel:+447700900456"));
        assert_ne!(one, keys(1).pseudonym("ghost", "tel:+447700900457"));
        assert_eq!(one.len(), 24);
        assert!(
            one.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')),
            "{one}"
        );
    }
}
