//! Where a session's keys and rooms lie: in a store of its own for each device of the account, since the keys in it are that device's alone.
//! When the homeserver has ended a session, the next one begins with a new store, and takes the account's identity over from the old.

use super::OpenError;
use data_encoding::HEXLOWER;
use matrix_sdk_crypto::OlmMachine;
use matrix_sdk_crypto::store::CryptoStore;
use matrix_sdk_crypto::types::SecretsBundle;
use matrix_sdk_sqlite::SqliteCryptoStore;
use ruma::UserId as MatrixUserId;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What earlier sessions of the same account left.
#[derive(Default)]
pub(super) struct Earlier {
    /// Their stores, which nobody needs once the new session is established.
    pub stores: Vec<PathBuf>,
    /// The account's identity, and the key of its backup.
    pub identity: Option<SecretsBundle>,
}

/// The folder of the store of `device`. Its name says nothing of the device, whose id may be any text.
pub(super) fn place(folder: &Path, name: &str, device: &str) -> PathBuf {
    let digest = Sha256::digest(device.as_bytes());
    let digest = digest.get(..8).unwrap_or_default();
    folder.join(format!("{name}-{}", HEXLOWER.encode(digest)))
}

/// Looks for stores of earlier devices beside that of `device`.
pub(super) async fn earlier(
    folder: &Path,
    name: &str,
    (user, device): (&MatrixUserId, &str),
    key: &[u8; 32],
) -> Result<Earlier, OpenError> {
    let mut earlier = Earlier::default();
    let unusable = |error: std::io::Error| OpenError::Folder(folder.to_owned(), error.to_string());
    let now = place(folder, name, device);
    let prefix = format!("{name}-");
    for entry in std::fs::read_dir(folder).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        let named = path.file_name().and_then(|name| name.to_str());
        if path != now && path.is_dir() && named.is_some_and(|named| named.starts_with(&prefix)) {
            earlier.stores.push(path);
        }
    }
    for store in &earlier.stores {
        match identity(store, user, key).await {
            Ok(Some(bundle)) => earlier.identity = Some(bundle),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the store of an earlier session cannot be read; the recovery key takes its place");
            }
        }
    }
    Ok(earlier)
}

/// The identity in a store, where all of it is there.
async fn identity(
    folder: &Path,
    user: &MatrixUserId,
    key: &[u8; 32],
) -> Result<Option<SecretsBundle>, Box<dyn std::error::Error + Send + Sync>> {
    let store = SqliteCryptoStore::open_with_key(folder, Some(key)).await?;
    let Some(account) = store.load_account().await? else {
        return Ok(None);
    };
    if account.user_id() != user {
        return Ok(None);
    }
    let (user, device) = (account.user_id().to_owned(), account.device_id().to_owned());
    let machine = OlmMachine::with_store(&user, &device, store, None).await?;
    Ok(machine.store().export_secrets_bundle().await.ok())
}
