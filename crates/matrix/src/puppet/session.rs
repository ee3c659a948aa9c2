//! A login that lasts: what must be kept of it, and the client that comes of it.

use super::{Config, OpenError, stores};
use futures_util::FutureExt;
use matrix_sdk::authentication::matrix::MatrixSession;
use matrix_sdk::authentication::oauth::{ClientId, OAuthSession, UserSession};
use matrix_sdk::config::RequestConfig;
use matrix_sdk::encryption::{BackupDownloadStrategy, EncryptionSettings};
use matrix_sdk::{AuthSession, Client, SessionMeta, SessionTokens, SqliteStoreConfig};
use matrix_sdk_crypto::CollectStrategy;
use ruma::UserId as MatrixUserId;
use serde::{Deserialize, Serialize};
use std::path::Path;
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;

/// A login. Whoever has it can act as the account: it is to be sealed where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user: UserId,
    pub device: String,
    pub token: Secret,
    /// Renews the token, where tokens expire. A renewed pair is kept in the encrypted store and goes before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Secret>,
    /// The name that an OAuth 2.0 server knows this program by; `None` for logins by the Matrix API itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_client: Option<String>,
}

/// Under which the newest tokens stand in the client's store.
const RENEWED: &[u8] = b"dev.swingbridge.session";

/// A client without a session, for what is asked before there is one.
pub(super) async fn nobody(config: &Config) -> Result<Client, OpenError> {
    builder(config)?
        .build()
        .await
        .map_err(|error| OpenError::Config(format!("the client cannot be built: {error}")))
}

fn builder(config: &Config) -> Result<matrix_sdk::ClientBuilder, OpenError> {
    // Whoever asks tries again; requests that repeat themselves would hide how things stand.
    let requests = RequestConfig::new()
        .disable_retry()
        .timeout(config.request_timeout);
    Ok(Client::builder()
        .homeserver_url(&config.homeserver)
        .http_client(config.http()?)
        .respect_login_well_known(false)
        .handle_refresh_tokens()
        .request_config(requests))
}

/// Opens the store of the session's device in the folder, and the session on it.
pub(super) async fn restore(
    config: &Config,
    session: &Session,
    name: &str,
    key: &[u8; 32],
) -> Result<Client, OpenError> {
    let folder = stores::place(&config.folder, name, &session.device);
    let broken = |error: &dyn std::fmt::Display| OpenError::Store(folder.clone(), error.to_string());
    let store = SqliteStoreConfig::with_low_memory_config(&folder).key(Some(key));
    let strategy = match config.only_signed_devices {
        true => CollectStrategy::IdentityBasedStrategy,
        false => CollectStrategy::default(),
    };
    let settings = EncryptionSettings {
        auto_enable_cross_signing: false,
        auto_enable_backups: false,
        backup_download_strategy: BackupDownloadStrategy::AfterDecryptionFailure,
    };
    let client = builder(config)?
        .sqlite_store_with_config_and_cache_path(store, None::<&Path>)
        .with_encryption_settings(settings)
        .with_room_key_recipient_strategy(strategy)
        .build()
        .await
        .map_err(|error| broken(&error))?;
    let renewed = client.state_store().get_custom_value(RENEWED).await;
    let renewed = renewed.map_err(|error| broken(&error))?;
    let renewed: Option<Session> = renewed.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let newest = match &renewed {
        // Another login since then has tokens of its own.
        Some(renewed) if renewed.device == session.device && session.refresh.is_some() => renewed,
        _ => session,
    };
    client
        .restore_session(auth(newest)?)
        .boxed()
        .await
        .map_err(|error| OpenError::Session(error.to_string()))?;
    keep_renewed(&client, newest.clone())?;
    Ok(client)
}

fn auth(session: &Session) -> Result<AuthSession, OpenError> {
    let user_id = MatrixUserId::parse(session.user.as_str())
        .map_err(|_| OpenError::Session("it names no Matrix user".to_owned()))?;
    let meta = SessionMeta {
        user_id,
        device_id: session.device.as_str().into(),
    };
    let tokens = SessionTokens {
        access_token: session.token.expose().to_owned(),
        refresh_token: session.refresh.as_ref().map(|token| token.expose().to_owned()),
    };
    Ok(match &session.oauth_client {
        Some(client) => AuthSession::OAuth(Box::new(OAuthSession {
            client_id: ClientId::new(client.clone()),
            user: UserSession { meta, tokens },
        })),
        None => MatrixSession { meta, tokens }.into(),
    })
}

/// Has renewed tokens written down.
fn keep_renewed(client: &Client, session: Session) -> Result<(), OpenError> {
    let save = move |client: Client| {
        let Some(tokens) = client.session_tokens() else {
            return Ok(());
        };
        let mut session = session.clone();
        session.token = Secret::new(tokens.access_token);
        session.refresh = tokens.refresh_token.map(Secret::new).or(session.refresh);
        let bytes = serde_json::to_vec(&session)?;
        tokio::spawn(async move {
            let kept = client
                .state_store()
                .set_custom_value_no_read(RENEWED, bytes)
                .await;
            if let Err(error) = kept {
                tracing::error!(%error, "renewed tokens cannot be kept: log in again after the next start");
            }
        });
        Ok(())
    };
    let reload = |_| Err("one program has these tokens, and it has the newest".into());
    client
        .set_session_callbacks(Box::new(reload), Box::new(save))
        .map_err(|error| OpenError::Session(error.to_string()))
}
