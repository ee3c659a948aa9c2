//! What the device keeps to itself: its session, and the keys of its stores.

use super::passphrase::Passphrase;
use super::seal::{Under, Vault, VaultError};
use crate::config::device::Device;
use crate::config::environment::Variables;
use std::path::PathBuf;
use std::sync::Arc;
use swingbridge_domain::clock::Entropy;
use swingbridge_matrix::puppet::Session;

const SESSION: &str = "session";
/// A session of the owner's own account, by which what they say on the phone appears as theirs.
const OWNER: &str = "owner_session";
/// Opens the client's stores.
const STORE_KEY: &str = "store_key";
/// Seals what waits, and makes pseudonyms.
const SITE_KEY: &str = "site_key";

/// The file that a login writes.
pub fn session_file(device: &Device) -> PathBuf {
    folder(device).join(format!("{SESSION}.sealed"))
}

fn folder(device: &Device) -> PathBuf {
    device.folder.join("secrets")
}

pub struct Secrets {
    vault: Vault,
    entropy: Arc<dyn Entropy>,
}

impl Secrets {
    /// Opens the vault in the device's folder, and makes it when there is none. Blocks, perhaps on a person.
    ///
    /// # Errors
    /// [`VaultError`]
    pub fn open(
        device: &Device,
        variables: &Variables,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let passphrase = Passphrase::choose(device.passphrase_file.clone(), variables);
        let vault = Vault::open(&folder(device), &passphrase, device.keychain, entropy.clone())?;
        Ok(Self { vault, entropy })
    }

    /// What protects them, in words.
    pub fn protected_by(&self) -> &'static str {
        match self.vault.under() {
            Under::Keychain => "the system's keychain",
            Under::Passphrase => "a passphrase",
        }
    }

    pub fn session(&self) -> Result<Option<Session>, VaultError> {
        self.read_session(SESSION)
    }

    pub fn owner_session(&self) -> Result<Option<Session>, VaultError> {
        self.read_session(OWNER)
    }

    pub fn keep_session(&self, session: &Session) -> Result<(), VaultError> {
        self.write_session(SESSION, session)
    }

    pub fn keep_owner_session(&self, session: &Session) -> Result<(), VaultError> {
        self.write_session(OWNER, session)
    }

    /// Forgets the sessions. The keys stay: what is sealed with them does, too.
    pub fn forget_sessions(&self) -> Result<(), VaultError> {
        self.vault.remove(SESSION)?;
        self.vault.remove(OWNER)
    }

    pub fn store_key(&self) -> Result<[u8; 32], VaultError> {
        self.key(STORE_KEY)
    }

    pub fn site_key(&self) -> Result<[u8; 32], VaultError> {
        self.key(SITE_KEY)
    }

    fn read_session(&self, name: &str) -> Result<Option<Session>, VaultError> {
        let Some(bytes) = self.vault.load(name)? else {
            return Ok(None);
        };
        let session = serde_json::from_slice(&bytes);
        session.map(Some).map_err(|_| {
            VaultError::Unfit(format!(
                "the {name} kept here is not what this version writes: log in again"
            ))
        })
    }

    fn write_session(&self, name: &str, session: &Session) -> Result<(), VaultError> {
        let bytes = serde_json::to_vec(session).map_err(|error| VaultError::Unfit(error.to_string()))?;
        self.vault.save(name, &bytes)
    }

    /// A key of the device's own, drawn when it is first asked for.
    fn key(&self, name: &str) -> Result<[u8; 32], VaultError> {
        if let Some(bytes) = self.vault.load(name)? {
            let key = bytes.as_slice().try_into();
            return key.map_err(|_| VaultError::Unfit(format!("the {name} kept here has another length")));
        }
        let mut key = [0; 32];
        self.entropy.fill(&mut key);
        self.vault.save(name, &key)?;
        Ok(key)
    }
}
