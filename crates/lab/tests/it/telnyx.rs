//! Telnyx of the lab, as Telnyx's own SDK sees it.

use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};
use swingbridge_lab::peers;
use swingbridge_lab::telnyx::{API_KEY, NUMBER, Telnyx, public_key};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/telnyx_sdk.py")
}

#[tokio::test]
async fn telnyxs_own_sdk_understands_it() {
    let Some(python) = peers::telnyx_python() else {
        return;
    };
    let telnyx = Telnyx::start(1_800_000_000).await.unwrap();
    let output = Command::new(python)
        .arg(script())
        .args(["client", &telnyx.url(), API_KEY])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "sent": ["outbound", "MMS", "+13125550102", "queued", NUMBER, 1],
        "again_is_the_same": true,
        "other_body": [422, "10015"],
        "group": ["MMS", ["+13125550102", "+13125550103"]],
        "fetched": "hello",
        "no_number": [400, "40310"],
        "no_sender": [400, "40305"],
        "profiles": ["lab"],
        "wrong_key": [401, "10009"],
    });
    assert_eq!(said, expected);
    assert_eq!(telnyx.sent().len(), 2);
}

/// A webhook of a group, as it goes over the wire now: the SDK knows its own clock only.
#[tokio::test]
async fn telnyxs_own_sdk_verifies_its_webhooks() {
    let Some(python) = peers::telnyx_python() else {
        return;
    };
    #[allow(clippy::disallowed_methods, reason = "the SDK asks the system's clock, too")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let telnyx = Telnyx::start(i64::try_from(now).unwrap()).await.unwrap();
    let (tell, mut told) = mpsc::channel::<(HeaderMap, String)>(1);
    let door =
        async |State(tell): State<mpsc::Sender<(HeaderMap, String)>>, headers: HeaderMap, body: String| {
            tell.send((headers, body)).await.unwrap();
        };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    telnyx.webhook(&format!("http://{}/", listener.local_addr().unwrap()));
    let app = axum::Router::new().fallback(door).with_state(tell);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    telnyx.receives_group("+13125550102", &["+13125550103"], "hi ✓");
    let (headers, body) = told.recv().await.unwrap();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let asked = json!({ "body": body, "timestamp": header("telnyx-timestamp"), "signature": header("telnyx-signature-ed25519") });
    let mut child = Command::new(python)
        .arg(script())
        .args(["webhook", &public_key()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(asked.to_string().as_bytes())
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "verified": true, "altered": false, "kind": "message.received", "from": "+13125550102", "to": [NUMBER],
        "cc": ["+13125550103"], "text": "hi ✓", "media": [],
    });
    assert_eq!(said, expected);
}
