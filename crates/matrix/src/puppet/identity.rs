//! Who the puppet is to other clients: its cross-signing identity, and the backup of its keys.

use super::{Puppet, failure};
use crate::failure::Failure;
use futures_util::FutureExt;
use matrix_sdk::Client;
use matrix_sdk::encryption::BundleImportError;
use matrix_sdk::encryption::identities::UserIdentity;
use matrix_sdk::encryption::recovery::RecoveryError;
use matrix_sdk_crypto::types::SecretsBundle;
use matrix_sdk_crypto::vodozemac::Ed25519SecretKey;
use ruma::api::client::uiaa::{AuthData, MatrixUserIdentifier, Password, UserIdentifier};
use swingbridge_domain::secret::Secret;

/// How the account's identity is to come about.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A new account: an identity is made, unless there is one and we have it. The password, where the homeserver asks for it.
    New { password: Option<Secret> },
    /// The account has an identity from an earlier device; its recovery key opens it.
    Recover { key: Secret },
    /// The account's identity is given up and a new one made. Whoever verified it must do so again.
    Reset { password: Option<Secret> },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// Opens identity and keys from another device, when this one is lost. It is shown once and kept nowhere.
    pub recovery_key: Option<Secret>,
}

impl Puppet {
    /// Gives the account its identity, which other clients check, and backs its keys up. Called after the first login, and safe to call
    /// again: what is there is left as it is. What an earlier session here knew of the identity is taken over.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat. `M_UNAUTHORIZED`: the homeserver asks for the password. `DEV.SWINGBRIDGE_NO_IDENTITY`: the account has
    /// an identity that this device cannot use; recover or reset it.
    pub async fn establish(&self, identity: &Identity) -> Result<Established, Failure> {
        let mut earlier = self.earlier.lock().await;
        let established = establish(&self.client, identity, earlier.identity.as_ref()).await?;
        // What they held is held here now, or given up by the owner's word.
        let earlier = std::mem::take(&mut *earlier);
        for store in earlier.stores {
            if let Err(error) = tokio::fs::remove_dir_all(&store).await {
                tracing::warn!(%error, "the store of an earlier session cannot be removed");
            }
        }
        Ok(established)
    }

    /// The same for the owner's second session, as long as it is the owner's word: it recovers, and makes and resets nothing.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn recover_owner(&self, key: &Secret) -> Result<(), Failure> {
        match &self.double {
            Some(client) => recover(client, key).await,
            None => Ok(()),
        }
    }

    /// Makes another recovery key, when the first was lost. That one opens nothing any more.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn renew_recovery_key(&self) -> Result<Secret, Failure> {
        let encryption = self.client.encryption();
        encryption.wait_for_e2ee_initialization_tasks().boxed().await;
        let key = encryption.recovery().reset_key().await.map_err(recovery)?;
        Ok(Secret::new(key))
    }

    /// Waits until all keys are in the backup: before a device is given up.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn backed_up(&self) -> Result<(), Failure> {
        let backups = self.client.encryption().backups();
        let done = backups.wait_for_steady_state().await;
        done.map_err(|error| Failure::away(format!("the backup of keys: {error}")))
    }

    /// Whether this device is signed by its account's identity, so that other clients warn of nothing.
    pub async fn is_signed(&self) -> bool {
        match self.client.encryption().get_own_device().await {
            Ok(Some(device)) => device.is_cross_signed_by_owner(),
            _ => false,
        }
    }

    /// Whether we verified the owner, and so would notice devices that somebody else slips in.
    pub async fn owner_is_verified(&self) -> bool {
        match self.client.encryption().get_user_identity(&self.owner).await {
            Ok(Some(identity)) => identity.is_verified(),
            _ => false,
        }
    }
}

async fn establish(
    client: &Client,
    identity: &Identity,
    earlier: Option<&SecretsBundle>,
) -> Result<Established, Failure> {
    let encryption = client.encryption();
    encryption.wait_for_e2ee_initialization_tasks().boxed().await;
    let me = client
        .user_id()
        .ok_or_else(|| Failure::away("there is no session"))?;
    match identity {
        Identity::Recover { key } => {
            recover(client, key).await?;
            return Ok(Established { recovery_key: None });
        }
        Identity::New { password } => {
            let known = encryption
                .request_user_identity(me)
                .boxed()
                .await
                .map_err(failure::any)?;
            match (known, has_private_keys(client).await) {
                (Some(_), true) => {}
                (Some(known), false) if earlier.is_some_and(|earlier| is_of(earlier, &known)) => {
                    take_over(client, earlier).await?;
                }
                (Some(_), false) => {
                    return Err(Failure::Refused {
                        status: 409,
                        code: "DEV.SWINGBRIDGE_NO_IDENTITY".to_owned(),
                        detail: "the account has an identity from another device: give its recovery key, or reset it".to_owned(),
                    });
                }
                (None, _) => bootstrap(client, password.as_ref()).await?,
            }
        }
        Identity::Reset { password } => {
            reset(client, password.as_ref()).await?;
            look_again(client).await?;
        }
    }
    back_up(client).await
}

/// An identity that somebody has reset since is another one.
fn is_of(earlier: &SecretsBundle, known: &UserIdentity) -> bool {
    let Ok(seed) = Ed25519SecretKey::from_base64(&earlier.cross_signing.master_key) else {
        return false;
    };
    known.master_key().get_first_key() == Some(seed.public_key())
}

/// Goes on as who the account was in its earlier session.
async fn take_over(client: &Client, earlier: Option<&SecretsBundle>) -> Result<(), Failure> {
    let Some(earlier) = earlier else {
        return Ok(());
    };
    let taken = client.encryption().import_secrets_bundle(earlier).boxed().await;
    taken.map_err(|error| match error {
        BundleImportError::DeviceKeys(error) => failure::any(error),
        BundleImportError::SecretImport(error) => {
            Failure::away(format!("the earlier session's keys: {error}"))
        }
    })?;
    // Where the backup is, and how it is opened, stands in the account's data.
    super::sync::sync_keys(client, std::time::Duration::ZERO).await?;
    look_again(client).await
}

async fn has_private_keys(client: &Client) -> bool {
    let status = client.encryption().cross_signing_status().await;
    status.is_some_and(|status| status.is_complete())
}

async fn bootstrap(client: &Client, password: Option<&Secret>) -> Result<(), Failure> {
    let encryption = client.encryption();
    let Err(error) = encryption.bootstrap_cross_signing(None).boxed().await else {
        return Ok(());
    };
    match (error.as_uiaa_response(), password) {
        (Some(asks), Some(password)) => {
            let auth = confirmation(client, password, asks.session.clone());
            encryption
                .bootstrap_cross_signing(Some(auth))
                .boxed()
                .await
                .map_err(failure::any)
        }
        _ => Err(failure::any(error)),
    }
}

async fn reset(client: &Client, password: Option<&Secret>) -> Result<(), Failure> {
    use matrix_sdk::encryption::CrossSigningResetAuthType as Asks;
    let handle = client.encryption().recovery().reset_identity().boxed().await;
    let Some(handle) = handle.map_err(recovery)? else {
        return Ok(());
    };
    let auth = match (handle.auth_type(), password) {
        (Asks::Uiaa(asks), Some(password)) => confirmation(client, password, asks.session.clone()),
        (Asks::Uiaa(_), None) => {
            return Err(Failure::Refused {
                status: 401,
                code: "M_UNAUTHORIZED".to_owned(),
                detail: "the homeserver asks for the account's password".to_owned(),
            });
        }
        (Asks::OAuth(asks), _) => {
            return Err(Failure::Refused {
                status: 401,
                code: "M_UNAUTHORIZED".to_owned(),
                detail: format!("confirm the reset at {}, then reset again", asks.approval_url),
            });
        }
    };
    handle.reset(Some(auth)).boxed().await.map_err(recovery)
}

fn confirmation(client: &Client, password: &Secret, session: Option<String>) -> AuthData {
    let user = client.user_id().map(|user| user.to_string()).unwrap_or_default();
    let user = UserIdentifier::Matrix(MatrixUserIdentifier::new(user));
    let mut auth = Password::new(user, password.expose().to_owned());
    auth.session = session;
    AuthData::Password(auth)
}

async fn recover(client: &Client, key: &Secret) -> Result<(), Failure> {
    let encryption = client.encryption();
    // A device must be known before it can be signed; it makes itself known when it first asks for news.
    super::sync::sync_keys(client, std::time::Duration::ZERO).await?;
    let recovered = encryption
        .recovery()
        .recover_and_fix_backup(key.expose().trim())
        .boxed()
        .await;
    recovered.map_err(recovery)?;
    look_again(client).await
}

/// What was signed is known here once the homeserver was asked for it.
async fn look_again(client: &Client) -> Result<(), Failure> {
    if let Some(me) = client.user_id() {
        let asked = client.encryption().request_user_identity(me).boxed().await;
        asked.map_err(failure::any)?;
    }
    Ok(())
}

/// Makes a backup and the key to it, unless both are there.
async fn back_up(client: &Client) -> Result<Established, Failure> {
    use matrix_sdk::encryption::recovery::RecoveryState;
    let key = client.encryption().recovery();
    match key.state() {
        RecoveryState::Enabled => return Ok(Established { recovery_key: None }),
        // Another key would take the place of one that somebody may have written down.
        RecoveryState::Unknown => {
            return Err(Failure::away(
                "it is not known yet whether the keys are backed up",
            ));
        }
        RecoveryState::Disabled | RecoveryState::Incomplete => {}
    }
    Ok(Established {
        recovery_key: Some(Secret::new(key.enable().await.map_err(recovery)?)),
    })
}

fn recovery(error: RecoveryError) -> Failure {
    match error {
        RecoveryError::Sdk(error) => failure::any(error),
        RecoveryError::SecretStorage(_) => Failure::Refused {
            status: 400,
            code: "DEV.SWINGBRIDGE_WRONG_KEY".to_owned(),
            detail: "the recovery key does not open the account's secrets".to_owned(),
        },
        RecoveryError::BackupExistsOnServer => Failure::Refused {
            status: 409,
            code: "DEV.SWINGBRIDGE_NO_IDENTITY".to_owned(),
            detail:
                "the account has a backup of keys from another device: give its recovery key, or reset it"
                    .to_owned(),
        },
    }
}
