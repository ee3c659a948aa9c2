//! The carrier's page and its API.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use swingbridge_lab::smsc::{self, Account, Config, Handle};

const PHONE: &str = "447700900456";

async fn start() -> (Handle, String) {
    // The client wants a provider for TLS even where it speaks plain HTTP; another test may have set it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let account = Account {
        numbers: vec!["+44 7700 900000".to_owned()],
        ..Account::new("swingbridge", "secret")
    };
    let carrier = smsc::start(Config {
        http: Some(([127, 0, 0, 1], 0).into()),
        accounts: vec![account],
        phones: vec![(format!("+{PHONE}"), Some("Ada Byron".to_owned()))],
        ..Config::default()
    })
    .await
    .unwrap();
    let page = format!("http://{}", carrier.page().unwrap());
    (carrier, page)
}

async fn get(url: String) -> Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

async fn post(url: String, body: Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let (_carrier, page) = start().await;
    let answer = reqwest::get(format!("{page}/")).await.unwrap();
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = answer.text().await.unwrap();
    assert!(
        !text.contains("https://") && !text.contains("src=\"http"),
        "an address outside of the page"
    );
}

#[tokio::test]
async fn phones_are_listed_and_added() {
    let (_carrier, page) = start().await;
    let phones = format!("{page}/api/phones");
    assert_eq!(
        get(phones.clone()).await,
        json!([{ "number": PHONE, "name": "Ada Byron", "reach": "on" }])
    );
    let (status, added) = post(phones.clone(), json!({ "number": "+44 7700 900789" })).await;
    assert_eq!((status, &added["number"]), (200, &json!("447700900789")));
    assert_eq!(get(phones.clone()).await.as_array().unwrap().len(), 2);
    for number in ["", "12", "not a number", "12345678901234567"] {
        assert_eq!(
            post(phones.clone(), json!({ "number": number })).await.0,
            400,
            "{number:?}"
        );
    }
    assert_eq!(
        get(format!("{page}/api/status")).await["lines"],
        json!(["447700900000"])
    );
}

#[tokio::test]
async fn a_text_written_by_the_api_stands_on_its_phone() {
    let (carrier, page) = start().await;
    let send = format!("{page}/api/phones/%2B{PHONE}/send");
    let (status, sent) = post(send.clone(), json!({ "to": "+447700900000", "text": "Hi 👋" })).await;
    assert_eq!((status, sent), (200, json!({ "id": 1 })));
    let messages = get(format!("{page}/api/messages?phone=%2B{PHONE}")).await;
    assert_eq!(messages[0]["text"], "Hi 👋");
    assert_eq!(
        (&messages[0]["peer"], &messages[0]["progress"]),
        (&json!("447700900000"), &json!("waiting"))
    );
    assert_eq!(get(format!("{page}/api/messages?phone=1")).await, json!([]));
    assert_eq!(carrier.messages()[0].segments, 1);
    for bad in [json!({ "to": "", "text": "x" }), json!({ "to": "1", "text": "" })] {
        assert_eq!(post(send.clone(), bad).await.0, 400);
    }
    let endless = "я".repeat(67 * 255 + 1);
    assert_eq!(post(send, json!({ "to": "123", "text": endless })).await.0, 400);
}

#[tokio::test]
async fn events_tell_of_messages_and_phones() {
    let (carrier, page) = start().await;
    let mut events = reqwest::get(format!("{page}/api/events"))
        .await
        .unwrap()
        .bytes_stream();
    let mut told = String::new();
    let mut until = async |wanted: &str| {
        while !told.contains(wanted) {
            let chunk = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
            told.push_str(&String::from_utf8_lossy(
                &chunk.expect("an event in time").unwrap().unwrap(),
            ));
        }
    };
    // Told at once, so that the page knows where it stands.
    until("event: bound\ndata: 0").await;
    carrier.write(PHONE, "447700900000", "live").unwrap();
    until("\"text\":\"live\"").await;
    let reach = format!("{page}/api/phones/{PHONE}/reach");
    assert_eq!(post(reach, json!({ "reach": "off" })).await.0, 204);
    until("\"reach\":\"off\"").await;
}
