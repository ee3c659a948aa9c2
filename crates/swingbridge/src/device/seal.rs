//! Where the secrets of the device's Matrix session lie: a folder of sealed files.
//!
//! Each secret is a file under XChaCha20-Poly1305 with the vault's key. The key lies in the system's keychain where there is one;
//! else it lies beside the files, itself sealed under a passphrase by Argon2id (RFC 9106). What the folder holds is of no use
//! without the one or the other. It is not protected from somebody who can put a whole older state of the folder back.

use super::files::{private, read, strict, sync, write};
use super::keychain::Keychain;
use super::passphrase::Passphrase;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use swingbridge_domain::clock::Entropy;
use zeroize::Zeroizing;

/// Says where the key is.
const HEADER: &str = "vault.json";
/// Held while a vault is made, so that two programs do not make two keys.
const LOCK: &str = "vault.lock";
const VERSION: u32 = 1;
const NONCE: usize = 24;

/// An open vault. Dropping it wipes the key.
pub struct Vault {
    folder: PathBuf,
    id: String,
    cipher: XChaCha20Poly1305,
    under: Under,
    entropy: Arc<dyn Entropy>,
    /// One writer at a time: they share the names of their temporary files.
    writing: Mutex<()>,
}

/// What protects the vault's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    Keychain,
    Passphrase,
}

/// Why a vault does not do what it was asked. Unless said otherwise, trying again helps only after a person changed something.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no passphrase that could be tried.
    #[error("the passphrase of the device's secrets: {0}")]
    Passphrase(String),
    /// The passphrase does not fit.
    #[error(
        "the passphrase does not open the secrets in {0}: it is another one, or vault.json was altered. Try again; if it is lost, \
         move the folder away and log in anew"
    )]
    Wrong(PathBuf),
    /// The keychain does not answer, or has lost the key.
    #[error("the key to the secrets in {folder} is in the system's keychain, but {why}")]
    Keychain { folder: PathBuf, why: String },
    /// A file was altered, cut short, or put in another's place.
    #[error(
        "{0} was altered or is damaged, and is not used. Put it back from a backup of the whole folder, or remove it and log in anew"
    )]
    Altered(PathBuf),
    /// Others can read what they should not.
    #[error("{} can be used by others (mode {mode:04o}): `chmod {} {}`", path.display(), if path.is_dir() { "700" } else { "600" }, path.display())]
    Loose { path: PathBuf, mode: u32 },
    /// The disk or its permissions. Safe to repeat.
    #[error("{path} cannot be {what}: {error}")]
    File {
        path: PathBuf,
        what: &'static str,
        error: std::io::Error,
    },
    /// The vault is of a newer version, or the program asks for an impossible name.
    #[error("{0}")]
    Unfit(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    id: String,
    key: Protection,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Protection {
    /// In the system's keychain, under the vault's id.
    Keychain,
    Passphrase(Locked),
}

/// The vault's key under a passphrase.
#[derive(Serialize, Deserialize)]
struct Locked {
    #[serde(flatten)]
    cost: Cost,
    salt: String,
    sealed: String,
}

/// What Argon2id costs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// RFC 9106, section 4, the second recommended option: 64 MiB, which a phone has for the moment that it takes.
const COST: Cost = Cost {
    memory_kib: 64 << 10,
    passes: 3,
    lanes: 4,
};

impl Vault {
    /// Opens the vault in `folder`, and makes it when there is none.
    ///
    /// A new one puts its key into the system's keychain if `keychain` says so and there is one that works; else it asks for a
    /// passphrase. One that exists stays as it was made, whatever `keychain` says. Blocks: on Argon2id, on the disk, and on a person
    /// where the keychain or the terminal asks one.
    ///
    /// # Errors
    /// See [`VaultError`]. Nothing is changed by a vault that does not open.
    pub fn open(
        folder: &Path,
        passphrase: &Passphrase,
        keychain: bool,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let chain = || match keychain {
            true => Keychain::of_system(),
            false => Err("the configuration says to use none".into()),
        };
        Self::open_with(folder, passphrase, &chain, entropy, COST)
    }

    fn open_with(
        folder: &Path,
        passphrase: &Passphrase,
        keychain: &dyn Fn() -> Result<Keychain, String>,
        entropy: Arc<dyn Entropy>,
        cost: Cost,
    ) -> Result<Self, VaultError> {
        let failed = |what| {
            move |error| VaultError::File {
                path: folder.to_owned(),
                what,
                error,
            }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("made"))?;
        // Others may not put files in; that they can list it does no harm.
        strict(folder, &fs::metadata(folder).map_err(failed("read"))?, 0o022)?;
        let lock = private(&folder.join(LOCK)).map_err(failed("locked"))?;
        lock.lock().map_err(failed("locked"))?;
        let (header, key) = match read(&folder.join(HEADER))? {
            Some(bytes) => unlock(folder, &bytes, passphrase, keychain)?,
            None => make(folder, passphrase, keychain, &*entropy, cost)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            id: header.id,
            cipher: XChaCha20Poly1305::new(Key::from_slice(&*key)),
            under: match header.key {
                Protection::Keychain => Under::Keychain,
                Protection::Passphrase(_) => Under::Passphrase,
            },
            entropy,
            writing: Mutex::new(()),
        })
    }

    /// What protects its key, for the person to be told.
    pub fn under(&self) -> Under {
        self.under
    }

    /// Keeps a secret under a name (small letters, digits, `-` and `_`), in place of the one before: all at once, so that
    /// after a crash there is either the old or the new one.
    ///
    /// # Errors
    /// When it cannot be written. Safe to repeat; the old one is still there.
    pub fn save(&self, name: &str, secret: &[u8]) -> Result<(), VaultError> {
        let path = self.path(name)?;
        let nonce: [u8; NONCE] = drawn(&*self.entropy);
        let mut sealed = nonce.to_vec();
        sealed.extend(seal(&self.cipher, &nonce, secret, &self.bound(name))?);
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        write(&path, &sealed)
    }

    /// The secret of that name, or nothing when there is none.
    ///
    /// # Errors
    /// When the file was altered, can be read by others, or cannot be read.
    pub fn load(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let path = self.path(name)?;
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        match open(&self.cipher, &bytes, &self.bound(name)) {
            Some(secret) => Ok(Some(secret)),
            None => Err(VaultError::Altered(path)),
        }
    }

    /// Removes the secret of that name; one that is not there is no error.
    ///
    /// # Errors
    /// When the file cannot be removed. Safe to repeat.
    pub fn remove(&self, name: &str) -> Result<(), VaultError> {
        let path = self.path(name)?;
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_file(&path) {
            Ok(()) => sync(&self.folder),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(VaultError::File {
                path,
                what: "removed",
                error,
            }),
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf, VaultError> {
        let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fit) {
            return Err(VaultError::Unfit(format!("{name:?} is no name for a secret")));
        }
        Ok(self.folder.join(format!("{name}.sealed")))
    }

    /// What a file is bound to, so that it cannot take the place of another.
    fn bound(&self, name: &str) -> Vec<u8> {
        format!("swingbridge vault {VERSION}\0{}\0{name}", self.id).into_bytes()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("folder", &self.folder)
            .field("under", &self.under)
            .finish_non_exhaustive()
    }
}

type VaultKey = Zeroizing<[u8; 32]>;

fn make(
    folder: &Path,
    passphrase: &Passphrase,
    keychain: &dyn Fn() -> Result<Keychain, String>,
    entropy: &dyn Entropy,
    cost: Cost,
) -> Result<(Header, VaultKey), VaultError> {
    // Sealed files without a header: a new key would leave them unreadable for ever, and the old one may come back.
    let orphan = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        (path.extension()? == "sealed").then_some(path)
    };
    let listed = fs::read_dir(folder);
    let listed = listed.map_err(|error| VaultError::File {
        path: folder.to_owned(),
        what: "read",
        error,
    })?;
    if let Some(path) = listed.into_iter().find_map(orphan) {
        return Err(VaultError::Unfit(format!(
            "{} is there, but vault.json, which says how to open it, is not: put it back, or move the folder away and log in anew",
            path.display()
        )));
    }
    let key: VaultKey = Zeroizing::new(drawn(entropy));
    let id = data_encoding::HEXLOWER.encode(&drawn::<16>(entropy));
    let kept = keychain().and_then(|chain| chain.keep(&id, &*key));
    let protection = match kept {
        Ok(()) => Protection::Keychain,
        Err(why) => {
            let text = passphrase.obtain(true).map_err(|error| match error {
                VaultError::Passphrase(text) => {
                    VaultError::Passphrase(format!("{text} (no keychain of the system: {why})"))
                }
                other => other,
            })?;
            Protection::Passphrase(lock(&text, &key, &id, entropy, cost)?)
        }
    };
    let header = Header {
        version: VERSION,
        id,
        key: protection,
    };
    let text = serde_json::to_vec_pretty(&header).map_err(|error| VaultError::Unfit(error.to_string()))?;
    write(&folder.join(HEADER), &text)?;
    Ok((header, key))
}

fn unlock(
    folder: &Path,
    bytes: &[u8],
    passphrase: &Passphrase,
    keychain: &dyn Fn() -> Result<Keychain, String>,
) -> Result<(Header, VaultKey), VaultError> {
    let altered = || VaultError::Altered(folder.join(HEADER));
    let header: Header = serde_json::from_slice(bytes).map_err(|_| altered())?;
    if header.version != VERSION {
        return Err(VaultError::Unfit(format!(
            "{} is of version {}, this program knows version {VERSION}: use a newer one",
            folder.join(HEADER).display(),
            header.version
        )));
    }
    let key = match &header.key {
        Protection::Keychain => {
            let lost = |why| VaultError::Keychain {
                folder: folder.to_owned(),
                why,
            };
            let chain = keychain().map_err(|why| {
                lost(format!(
                    "{why}. Start from the person's own session, where it is unlocked"
                ))
            })?;
            let key = chain.key(&header.id).map_err(lost)?.ok_or_else(|| {
                lost("it has no such entry: a folder that came from another machine or account cannot be opened here. Move it away and log in anew".into())
            })?;
            <[u8; 32]>::try_from(&key[..])
                .map(Zeroizing::new)
                .map_err(|_| lost("what it gave is no key of ours".into()))?
        }
        Protection::Passphrase(locked) => {
            let derived = derive(
                &passphrase.obtain(false)?,
                &decoded(&locked.salt).ok_or_else(altered)?,
                locked.cost,
            )
            .ok_or_else(altered)?;
            let sealed = decoded(&locked.sealed).ok_or_else(altered)?;
            let cipher = XChaCha20Poly1305::new(Key::from_slice(&*derived));
            let key = open(&cipher, &sealed, &lock_bound(&header.id))
                .ok_or_else(|| VaultError::Wrong(folder.to_owned()))?;
            <[u8; 32]>::try_from(&key[..])
                .map(Zeroizing::new)
                .map_err(|_| altered())?
        }
    };
    Ok((header, key))
}

fn lock(
    passphrase: &str,
    key: &VaultKey,
    id: &str,
    entropy: &dyn Entropy,
    cost: Cost,
) -> Result<Locked, VaultError> {
    let salt: [u8; 16] = drawn(entropy);
    let derived = derive(passphrase, &salt, cost)
        .ok_or_else(|| VaultError::Unfit("there is no memory to derive a key from the passphrase".into()))?;
    let nonce: [u8; NONCE] = drawn(entropy);
    let mut sealed = nonce.to_vec();
    let cipher = XChaCha20Poly1305::new(Key::from_slice(&*derived));
    sealed.extend(seal(&cipher, &nonce, &**key, &lock_bound(id))?);
    Ok(Locked {
        cost,
        salt: data_encoding::BASE64.encode(&salt),
        sealed: data_encoding::BASE64.encode(&sealed),
    })
}

fn lock_bound(id: &str) -> Vec<u8> {
    format!("swingbridge vault {VERSION} key\0{id}").into_bytes()
}

/// Argon2id; nothing when the costs are out of all proportion, which only an altered header asks for.
fn derive(passphrase: &str, salt: &[u8], cost: Cost) -> Option<VaultKey> {
    if cost.memory_kib > 1 << 20 || cost.passes > 64 || cost.lanes > 16 {
        return None;
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .ok()?;
    Some(key)
}

fn seal(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8; NONCE],
    msg: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, VaultError> {
    cipher
        .encrypt(XNonce::from_slice(nonce), Payload { msg, aad })
        .map_err(|_| VaultError::Unfit("the secret is too large to be sealed".into()))
}

fn open(cipher: &XChaCha20Poly1305, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, msg) = sealed.split_at_checked(NONCE)?;
    let opened = cipher.decrypt(XNonce::from_slice(nonce), Payload { msg, aad });
    opened.ok().map(Zeroizing::new)
}

fn drawn<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
