//! Google's sign-in: a claim, signed with the service account's key, for a token (RFC 7523).

use super::state::Shared;
use super::{EMAIL, KEY};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

const SCOPE: &str = "https://www.googleapis.com/auth/rcsbusinessmessaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long a token is good for, in seconds.
const LIFE: u64 = 3599;
/// How far a claim's time may be from ours, in seconds.
const TOLERATED: i64 = 300;

pub async fn token(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let now = shared.now();
    let trouble = shared.troubles.meets();
    if trouble.hangs {
        std::future::pending::<()>().await;
    }
    if trouble.outage {
        return dated(now, (StatusCode::SERVICE_UNAVAILABLE, "").into_response());
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let wanted = format!("{}/token", shared.base);
    let refused = |error: &str, description: &str| {
        let body = json!({ "error": error, "error_description": description });
        dated(now, (StatusCode::BAD_REQUEST, Json(body)).into_response())
    };
    if form.get("grant_type").map(String::as_str) != Some(GRANT) {
        return refused("unsupported_grant_type", "Invalid grant_type");
    }
    let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
    match claims(assertion).and_then(|claims| judge(&claims, &wanted, now)) {
        Err(description) => refused("invalid_grant", description),
        Ok(()) => {
            let mut world = shared.world();
            world.issued += 1;
            let token = world.id("ya29.lab");
            world
                .tokens
                .insert(token.clone(), now + Duration::from_secs(LIFE));
            let body = json!({ "access_token": token, "expires_in": LIFE, "token_type": "Bearer" });
            dated(now, Json(body).into_response())
        }
    }
}

/// What is claimed, when the account's key signed it.
fn claims(assertion: &str) -> Result<Value, &'static str> {
    let malformed = "Bad Request";
    let (signed, signature) = assertion.rsplit_once('.').ok_or(malformed)?;
    let (head, claims) = signed.split_once('.').ok_or(malformed)?;
    let part = |text: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()
    };
    let (head, claims) = (part(head).ok_or(malformed)?, part(claims).ok_or(malformed)?);
    if head["alg"] != "RS256" || head["typ"] != "JWT" {
        return Err("Invalid JWT header");
    }
    let signature = BASE64URL_NOPAD
        .decode(signature.as_bytes())
        .map_err(|_| malformed)?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).map_err(|_| "no key")?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| "no key")?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "Invalid JWT Signature.")?;
    Ok(claims)
}

fn judge(claims: &Value, wanted: &str, now: Timestamp) -> Result<(), &'static str> {
    if claims["iss"] != EMAIL {
        return Err("Invalid grant: account not found");
    }
    if claims["aud"] != wanted {
        return Err("Invalid JWT: Failed audience check.");
    }
    if !claims["scope"]
        .as_str()
        .is_some_and(|scopes| scopes.split(' ').any(|scope| scope == SCOPE))
    {
        return Err("Invalid OAuth scope or ID token audience provided.");
    }
    let (issued, ends) = (
        claims["iat"].as_i64().unwrap_or(0),
        claims["exp"].as_i64().unwrap_or(0),
    );
    let now = now.millis() / 1000;
    let fits = ends > issued && ends - issued <= 3600 && (issued - now).abs() <= TOLERATED && ends > now;
    match fits {
        true => Ok(()),
        false => Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
        ),
    }
}

/// With Google's clock in it.
pub fn dated(now: Timestamp, mut response: Response) -> Response {
    if let Ok(value) = http_date(now).parse() {
        response.headers_mut().insert(header::DATE, value);
    }
    response
}

/// RFC 9110 section 5.6.7. The name of the day is of no use to anybody, and is always the same.
fn http_date(now: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = now.to_string();
    let month = text[5..7].parse::<usize>().unwrap_or(1);
    format!(
        "Mon, {} {} {} {} GMT",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}
