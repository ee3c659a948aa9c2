//! How the device gets its session.

use super::house::PASSWORD;
use crate::bridge::Dice;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;
use swingbridge_matrix::puppet::login::{self, LoginError, Standing};
use swingbridge_matrix::puppet::{Config, OpenError};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

fn config(url: &str, folder: &TempDir) -> Config {
    let url = Url::parse(url).unwrap();
    Config::new(url, UserId::new("@alice:localhost"), folder.path().join("puppet"))
}

#[tokio::test]
async fn a_password_or_a_token_lets_the_device_in() {
    let settings = json!({ "login_via_existing_session": { "enabled": true, "require_ui_auth": false } });
    let options = swingbridge_lab::synapse::Options {
        settings,
        ..Default::default()
    };
    let Some(synapse) = swingbridge_lab::synapse::Synapse::for_test(options).await else {
        return;
    };
    let outside = synapse.user("phone-alice", PASSWORD).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = config(synapse.url(), &folder);
    let methods = login::methods(&config).await.unwrap();
    assert_eq!(
        (methods.password, methods.token, methods.device_code),
        (true, true, false)
    );
    let session = login::with_password(&config, "phone-alice", &Secret::new(PASSWORD), None)
        .await
        .unwrap();
    assert_eq!(session.user.as_str(), "@phone-alice:localhost");
    assert!(!format!("{session:?}").contains(session.token.expose()));
    let again = login::with_password(
        &config,
        "phone-alice",
        &Secret::new(PASSWORD),
        Some(&session.device),
    )
    .await
    .unwrap();
    assert_eq!(again.device, session.device);
    let given = outside
        .post(&["_matrix", "client", "v1", "login", "get_token"], json!({}))
        .await
        .unwrap();
    let token = Secret::new(given["login_token"].as_str().unwrap());
    let session = login::with_token(&config, &token, None).await.unwrap();
    assert_eq!(session.user.as_str(), "@phone-alice:localhost");

    let standing = async || login::standing(&config, &session).await.unwrap();
    assert_eq!(standing().await, Standing::Good);
    login::log_out(&config, &session).await.unwrap();
    assert_eq!(standing().await, Standing::Ended);
    // It is safe to repeat.
    login::log_out(&config, &session).await.unwrap();

    let wrong = login::with_password(&config, "phone-alice", &Secret::new("wrong"), None).await;
    assert!(
        matches!(&wrong, Err(LoginError::Homeserver(failure)) if failure.code() == Some("M_FORBIDDEN")),
        "{wrong:?}"
    );
    let code = login::with_device_code(&config, &Dice, |_| {}).await;
    assert!(matches!(code, Err(LoginError::NotOffered(_))), "{code:?}");
}

/// An authorization server as RFC 8628 and RFC 7591 describe it.
#[derive(Default)]
struct Authority {
    url: String,
    asked: Mutex<Vec<String>>,
    /// What the token endpoint says, one after the other.
    answers: Mutex<Vec<(u16, Value)>>,
}

async fn authority(answers: Vec<(u16, Value)>) -> Arc<Authority> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let authority = Arc::new(Authority {
        url: format!("http://{}", listener.local_addr().unwrap()),
        asked: Mutex::default(),
        answers: Mutex::new(answers),
    });
    let routes = Router::new()
        .route(
            "/_matrix/client/versions",
            get(async || Json(json!({ "versions": ["v1.11", "v1.15"] }))),
        )
        .route(
            "/_matrix/client/v3/login",
            get(async || (StatusCode::NOT_FOUND, Json(json!({ "errcode": "M_UNRECOGNIZED", "error": "" })))),
        )
        .route(
            "/_matrix/client/v1/auth_metadata",
            get(async |State(it): State<Arc<Authority>>| {
                Json(json!({
                    "issuer": format!("{}/", it.url),
                    "token_endpoint": format!("{}/token", it.url),
                    "registration_endpoint": format!("{}/register", it.url),
                    "device_authorization_endpoint": format!("{}/device", it.url),
                    "revocation_endpoint": format!("{}/revoke", it.url),
                    "grant_types_supported": ["refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
                }))
            }),
        )
        .route(
            "/register",
            post(async |Json(client): Json<Value>| {
                assert_eq!(client["token_endpoint_auth_method"], "none");
                assert_eq!(client["grant_types"][0], "urn:ietf:params:oauth:grant-type:device_code");
                (StatusCode::CREATED, Json(json!({ "client_id": "client-1" })))
            }),
        )
        .route(
            "/device",
            post(async |State(it): State<Arc<Authority>>, body: String| {
                it.asked.lock().unwrap().push(body);
                Json(json!({
                    "device_code": "secret-code", "user_code": "ABCD-EFGH", "verification_uri": format!("{}/link", it.url),
                    "verification_uri_complete": format!("{}/link?code=ABCD-EFGH", it.url), "expires_in": 30, "interval": 0,
                }))
            }),
        )
        .route(
            "/revoke",
            post(async |State(it): State<Arc<Authority>>, body: String| {
                it.asked.lock().unwrap().push(body);
            }),
        )
        .route(
            "/token",
            post(async |State(it): State<Arc<Authority>>, body: String| {
                it.asked.lock().unwrap().push(body);
                let (status, answer) = it.answers.lock().unwrap().remove(0);
                (StatusCode::from_u16(status).unwrap(), Json(answer))
            }),
        )
        .route(
            "/_matrix/client/v3/account/whoami",
            get(async |headers: HeaderMap| {
                assert_eq!(headers["authorization"], "Bearer access-1");
                Json(json!({ "user_id": "@phone-alice:localhost", "device_id": "DEVICE1" }))
            }),
        )
        .with_state(authority.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    authority
}

#[tokio::test]
async fn a_code_that_the_person_confirms_elsewhere_lets_the_device_in() {
    let pending = || (400, json!({ "error": "authorization_pending" }));
    let granted = json!({ "access_token": "access-1", "refresh_token": "refresh-1", "token_type": "Bearer", "expires_in": 300 });
    let authority = authority(vec![pending(), (503, json!({})), pending(), (200, granted)]).await;
    let folder = TempDir::new().unwrap();
    let config = config(&authority.url, &folder);
    let methods = login::methods(&config).await.unwrap();
    assert_eq!(
        (methods.password, methods.token, methods.device_code),
        (false, false, true)
    );
    let mut shown = None;
    let session = login::with_device_code(&config, &Dice, |code| shown = Some(code.clone()))
        .await
        .unwrap();
    let shown = shown.unwrap();
    assert_eq!((shown.code.as_str(), shown.page.path()), ("ABCD-EFGH", "/link"));
    assert!(shown.page_with_code.unwrap().query().unwrap().contains("ABCD"));
    assert_eq!(session.user.as_str(), "@phone-alice:localhost");
    assert_eq!(session.device, "DEVICE1");
    assert_eq!(session.refresh, Some(Secret::new("refresh-1")));
    assert_eq!(session.oauth_client.as_deref(), Some("client-1"));
    login::log_out(&config, &session).await.unwrap();
    let asked = authority.asked.lock().unwrap();
    let last = asked.last().unwrap();
    assert!(
        last.contains("token=access-1") && last.contains("client_id=client-1"),
        "{asked:?}"
    );
    assert!(
        asked[0].contains("client_id=client-1") && asked[0].contains("device%3A"),
        "{asked:?}"
    );
    assert!(asked[1].contains("device_code=secret-code"), "{asked:?}");
}

#[tokio::test]
async fn a_code_that_the_person_refuses_lets_nobody_in() {
    let authority = authority(vec![(400, json!({ "error": "access_denied" }))]).await;
    let folder = TempDir::new().unwrap();
    let refused = login::with_device_code(&config(&authority.url, &folder), &Dice, |_| {}).await;
    assert!(matches!(refused, Err(LoginError::NotConfirmed(_))), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_asked() {
    let folder = TempDir::new().unwrap();
    let mut config = config("ftp://example.org", &folder);
    let said = |answer: Result<login::Methods, LoginError>| match answer {
        Err(LoginError::Config(OpenError::Config(text))) => text,
        other => panic!("{other:?}"),
    };
    assert!(said(login::methods(&config).await).starts_with("homeserver:"));
    config.homeserver = Url::parse("https://example.org").unwrap();
    config.roots = Some(b"no certificate".to_vec());
    assert!(said(login::methods(&config).await).starts_with("roots:"));
    config.roots = None;
    config.client_identity = Some(Secret::new("no key"));
    assert!(said(login::methods(&config).await).starts_with("client_identity:"));
}
