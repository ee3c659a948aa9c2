//! The phone with the SMS Gateway app, as the app's own makers' client sees it.

use axum::extract::Json;
use axum::routing::post;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use swingbridge_lab::peers;
use swingbridge_lab::sms_gateway::{PASSWORD, Phone, USER, forms};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

#[tokio::test]
async fn the_makers_client_understands_it() {
    let Some(python) = peers::sms_gateway_python() else {
        return;
    };
    let phone = Phone::start(1_800_000_000).await.unwrap();
    phone.receives("+447700900124", "hi");
    phone.receives_mms("+447700900124", "look", &[("a.png", "image/png", &[1, 2, 3])]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sms_gateway.py");
    let output = Command::new(python)
        .arg(script)
        .args([&phone.url(), USER, PASSWORD])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "health": "pass",
        "sent": "Pending",
        "state": "Pending",
        "again": 409,
        "hook": ["h", "sms:received"],
        "hooks": 1,
        "hooks_left": 0,
        "inbox": [["MMS_DOWNLOADED", "+447700900124", "look"], ["SMS", "+447700900124", "hi"]],
        "attachment": "010203",
        "devices": ["phone"],
        "wrong_password": 401,
    });
    assert_eq!(said, expected);
    assert_eq!(phone.sent()[0].text, "hello");
}

/// What comes by webhooks.
async fn listen() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (told, heard) = mpsc::unbounded_channel();
    let hear = post(async move |Json(event): Json<Value>| {
        let _ = told.send(event);
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/", hear);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, heard)
}

#[tokio::test]
async fn what_it_answers_and_tells_is_as_the_openapi_file_has_it() {
    let phone = Phone::start(1_800_000_000).await.unwrap();
    let (hook, mut heard) = listen().await;
    let client = reqwest::Client::new();
    let ask = async |method: &str, path: &str, body: Value| -> (u16, Value) {
        let answer = client
            .request(method.parse().unwrap(), phone.url() + path)
            .basic_auth(USER, Some(PASSWORD))
            .json(&body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    };
    let is = |value: &Value, form: &forms::Form| assert_eq!(forms::fault(value, &[form]), None, "{value}");
    let events = [
        "sms:received",
        "mms:downloaded",
        "sms:sent",
        "sms:delivered",
        "sms:failed",
        "sms:cancelled",
    ];
    for event in events {
        let (status, shown) = ask("POST", "/webhooks", json!({ "url": hook, "event": event })).await;
        assert_eq!(status, 201);
        is(&shown, &forms::WEBHOOK);
    }
    let to = json!(["+447700900124"]);
    let file = json!({ "contentType": "image/png", "name": "a.png", "data": "AQID" });
    for content in [
        json!({ "id": "one", "phoneNumbers": to, "textMessage": { "text": "hi" } }),
        json!({ "id": "two", "phoneNumbers": to, "mmsMessage": { "text": "look", "attachments": [file] } }),
    ] {
        let (status, state) = ask("POST", "/messages", content).await;
        assert_eq!(status, 202);
        is(&state, &forms::STATE);
    }
    phone.receives("+447700900124", "hi");
    phone.receives_mms("+447700900124", "look", &[("a.png", "image/png", &[1, 2, 3])]);
    let (status, state) = ask("DELETE", "/messages/two", Value::Null).await;
    assert_eq!((status, state["state"].as_str()), (200, Some("Cancelled")));
    is(&state, &forms::STATE);
    for (id, status) in [("two", 400), ("nothing", 404)] {
        assert_eq!(
            ask("DELETE", &format!("/messages/{id}"), Value::Null).await.0,
            status
        );
    }
    for (id, state) in [("one", "Sent"), ("one", "Delivered"), ("one", "Failed")] {
        phone.reaches(id, state);
        is(
            &ask("GET", &format!("/messages/{id}"), Value::Null).await.1,
            &forms::STATE,
        );
    }
    for (path, form) in [
        ("/messages", &forms::STATE),
        ("/inbox?includeAttachments=true", &forms::INCOMING),
        ("/webhooks", &forms::WEBHOOK),
        ("/devices", &forms::DEVICE),
    ] {
        let (_, listed) = ask("GET", path, Value::Null).await;
        let listed = listed.as_array().unwrap();
        assert!(!listed.is_empty(), "{path}");
        listed.iter().for_each(|one| is(one, form));
    }
    is(&ask("GET", "/health", Value::Null).await.1, &forms::HEALTH);
    let mut told: Vec<String> = Vec::new();
    for _ in events {
        let event = tokio::time::timeout(Duration::from_secs(10), heard.recv())
            .await
            .unwrap()
            .unwrap();
        is(&event, &forms::EVENT);
        let kind = event["event"].as_str().unwrap();
        let own = forms::payload(kind).unwrap();
        assert_eq!(
            forms::fault(&event["payload"], &[&forms::ABOUT_A_MESSAGE, &own]),
            None,
            "{event}"
        );
        told.push(kind.to_owned());
    }
    told.sort();
    let mut wanted = events.map(str::to_owned);
    wanted.sort();
    assert_eq!(told, wanted);
    // What is not in the file is refused.
    for wrong in [
        json!({ "phoneNumbers": [], "textMessage": { "text": "hi" } }),
        json!({ "phoneNumbers": to, "text": "hi" }),
        json!({ "phoneNumbers": to, "textMessage": { "text": "hi" }, "simNumber": 4 }),
        json!({ "phoneNumbers": to, "textMessage": { "text": "hi" }, "validUntil": "tomorrow" }),
    ] {
        assert_eq!(ask("POST", "/messages", wrong).await.0, 400);
    }
}
