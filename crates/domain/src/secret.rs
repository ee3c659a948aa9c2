//! Secrets that do not print, the site's keys, sealing and pseudonyms.

use crate::clock::Entropy;
use chacha20::cipher::consts::U10;
use chacha20::hchacha;
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

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
    seal: Zeroizing<[u8; 32]>,
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
            seal: Zeroizing::new(sub("swingbridge seal v1")),
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

    /// Seals `plain` (XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03, random nonce in front). `context` must be given again to open it.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0u8; NONCE];
        self.entropy.fill(&mut nonce);
        let mut out = Vec::with_capacity(NONCE + plain.len() + CHACHA20_POLY1305.tag_len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let (key, nonce) = under(&self.seal, &nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(context), &mut out[NONCE..])
            .expect("a message under 256 GiB always seals");
        out.extend_from_slice(tag.as_ref());
        out
    }

    /// Opens what [`Keys::seal`] sealed under the same `context`.
    ///
    /// # Errors
    /// [`Unsealable`]; final.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (nonce, body) = sealed.split_first_chunk().ok_or(Unsealable)?;
        let (key, nonce) = under(&self.seal, nonce);
        let mut body = body.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::from(context), &mut body)
            .map_err(|_| Unsealable)?;
        let length = plain.len();
        body.truncate(length);
        Ok(body)
    }
}

/// Octets of an XChaCha20 nonce.
const NONCE: usize = 24;

/// The key and the nonce of the ChaCha20-Poly1305 (RFC 8439) that an XChaCha20-Poly1305 is, by section 2.3 of its draft: so the library
/// with the quick one can do it, in a fifth of the time.
fn under(key: &[u8; 32], nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
    let (of_key, rest) = nonce.split_at(16);
    let key = Zeroizing::new(<[u8; 32]>::from(hchacha::<U10>(key.into(), of_key.into())));
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).expect("the key has its length");
    let mut short = [0; 12];
    short[4..].copy_from_slice(rest);
    (LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
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
    fn another_library_opens_what_was_sealed_and_seals_what_is_opened() {
        use chacha20poly1305::XChaCha20Poly1305;
        use chacha20poly1305::aead::{Aead, KeyInit, Payload};
        let keys = keys(1);
        let other = XChaCha20Poly1305::new((&*keys.seal).into());
        for length in [0, 1, 15, 16, 17, 63, 64, 65, 300, 5000] {
            let plain: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let sealed = keys.seal("outbox", &plain);
            let (nonce, body) = sealed.split_at(NONCE);
            let payload = |msg| Payload { msg, aad: b"outbox" };
            assert_eq!(
                other.decrypt(nonce.into(), payload(body)),
                Ok(plain.clone()),
                "{length}"
            );
            let theirs = [nonce, &other.encrypt(nonce.into(), payload(&plain)).unwrap()].concat();
            assert_eq!(keys.open("outbox", &theirs), Ok(plain), "{length}");
        }
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
