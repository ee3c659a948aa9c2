//! Who comes in by the webhooks' listener, and who does not.

use super::accounts::{self, now};
use super::house::{House, PATIENCE, Plan, is_ghost};
use crate::program::client;
use data_encoding::BASE64;
use futures_util::stream;
use serde_json::json;
use std::sync::Arc;
use swingbridge_lab::maap::{self, Maap};
use swingbridge_lab::rbm::{self, Rbm};
use swingbridge_lab::smsc::SystemClock;
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};
use swingbridge_lab::webhook_http::{self, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FRIEND: &str = "+447700900456";
const ACME: &str = "+447700900007";
/// A word that stands in every text here and nowhere else.
const WORD: &str = "curlew";
const ALL: [&str; 5] = ["twilio", "telnyx", "google", "platform", "acme"];

/// One request as a provider makes it.
#[derive(Clone)]
struct Call {
    http: reqwest::Client,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    /// A text of the friend's, signed at `at` as the provider signs.
    fn of(http: &reqwest::Client, name: &str, url: &str, text: &str, at: i64) -> Self {
        let json = || ("content-type", "application/json".to_owned());
        let (headers, body) = match name {
            "twilio" => {
                let pairs = [
                    ("MessageSid", format!("SM{:032x}", text.len())),
                    ("SmsStatus", "received".to_owned()),
                    ("NumMedia", "0".to_owned()),
                    ("From", FRIEND.to_owned()),
                    ("To", twilio::NUMBER.to_owned()),
                    ("Body", text.to_owned()),
                ];
                let pairs: Vec<(String, String)> = pairs.map(|(name, value)| (name.to_owned(), value)).into();
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                let body = form.extend_pairs(&pairs).finish();
                let mime = ("content-type", "application/x-www-form-urlencoded".to_owned());
                (
                    vec![mime, ("x-twilio-signature", twilio::signature(url, &pairs))],
                    body,
                )
            }
            "telnyx" => {
                let payload = json!({
                    "id": format!("id of {text}"), "text": text, "from": { "phone_number": FRIEND },
                    "to": [{ "phone_number": telnyx::NUMBER }], "media": [], "direction": "inbound", "type": "SMS",
                });
                let body =
                    json!({ "data": { "event_type": "message.received", "payload": payload } }).to_string();
                let signed = telnyx::sign(&body, at);
                let headers = vec![
                    json(),
                    ("telnyx-timestamp", signed.timestamp),
                    ("telnyx-signature-ed25519", signed.signature),
                ];
                (headers, body)
            }
            "google" => {
                let data = json!({
                    "senderPhoneNumber": FRIEND, "messageId": format!("id of {text}"), "text": text, "agentId": rbm::AGENT,
                    "sendTime": "2027-01-15T08:00:00Z",
                })
                .to_string();
                let body = json!({ "message": { "data": BASE64.encode(data.as_bytes()) } }).to_string();
                (
                    vec![json(), ("x-goog-signature", rbm::signature(data.as_bytes()))],
                    body,
                )
            }
            "platform" => {
                let body = json!({
                    "event": "message", "messageContact": { "userContact": FRIEND },
                    "RCSMessage": { "msgId": format!("id of {text}"), "textMessage": text, "timestamp": "2027-01-15T08:00:00.000Z" },
                });
                (
                    vec![
                        json(),
                        ("authorization", format!("Bearer {}", maap::WEBHOOK_TOKEN)),
                    ],
                    body.to_string(),
                )
            }
            _ => {
                let event = webhook_http::message(&format!("id of {text}"), FRIEND, text);
                let body = json!({ "events": [event] }).to_string();
                let mut headers = webhook_http::signature(&body, at);
                headers.push(json());
                (headers, body)
            }
        };
        Self {
            http: http.clone(),
            url: url.to_owned(),
            headers,
            body,
        }
    }

    /// The same, with a signature of something else.
    fn forged(mut self) -> Self {
        for (name, value) in &mut self.headers {
            match *name {
                "telnyx-signature-ed25519" => *value = telnyx::sign("something else", now()).signature,
                "x-twilio-signature" => *value = twilio::signature("something else", &[]),
                "x-goog-signature" => *value = rbm::signature(b"something else"),
                "x-signature" => *value = webhook_http::signature("something else", now())[1].1.clone(),
                "authorization" => "Bearer something else".clone_into(value),
                _ => {}
            }
        }
        self
    }

    fn unsigned(mut self) -> Self {
        let plain = ["content-type", "telnyx-timestamp", "x-timestamp"];
        self.headers.retain(|(name, _)| plain.contains(name));
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let mut request = self.http.post(&self.url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    /// What is answered.
    async fn made(&self) -> u16 {
        let answer = self.request().body(self.body.clone()).send().await.unwrap();
        answer.status().as_u16()
    }

    /// The same, in pieces whose sum nobody tells beforehand.
    async fn made_in_pieces(&self) -> u16 {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = self
            .body
            .as_bytes()
            .chunks(10_000)
            .map(|piece| Ok(piece.to_vec()))
            .collect();
        let body = reqwest::Body::wrap_stream(stream::iter(pieces));
        let answer = self.request().body(body).send().await.unwrap();
        answer.status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_provider_comes_in_and_nothing_of_others_is_read() {
    let (twilio, telnyx) = (
        Twilio::start(now()).await.unwrap(),
        Telnyx::start(now()).await.unwrap(),
    );
    let google = Rbm::start(Arc::new(SystemClock)).await.unwrap();
    let (platform, acme) = (
        Maap::start().await.unwrap(),
        Provider::start(now()).await.unwrap(),
    );
    let in_britain = || json!({ "region": "GB" });
    let plan = Plan::default()
        .connector("twilio", accounts::twilio(&twilio))
        .connector("telnyx", accounts::telnyx(&telnyx))
        .connector("google", accounts::rbm(&google, &google.url()))
        .connector("platform", accounts::maap(&platform))
        .connector("acme", accounts::acme(&acme))
        .line("by-twilio", "twilio", twilio::NUMBER, in_britain())
        .line("by-telnyx", "telnyx", telnyx::NUMBER, in_britain())
        .line("by-google", "google", "Lab Agent", in_britain())
        .line("by-platform", "platform", "Lab Bot", in_britain())
        .line("by-acme", "acme", ACME, in_britain())
        .set("WEBHOOKS__ALLOW__ACME", "198.51.100.0/24,2001:db8::7")
        .set("WEBHOOKS__PROXIES", "203.0.113.0/24");
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    let urls = ALL.map(|name| house.webhook(name));
    let http = strangers();
    let text = |name: &str, case: &str| format!("a {WORD} {case} by {name}");
    // Acme's are let in from its own networks alone: from there, by our proxy.
    let of = |name: &str, url: &str, case: &str, at: i64| {
        let call = Call::of(&http, name, url, &text(name, case), at);
        match name {
            "acme" => call.with("x-forwarded-for", "198.51.100.7"),
            _ => call,
        }
    };
    let all = || ALL.into_iter().zip(urls.iter());

    for (name, url) in all() {
        let other = &urls[usize::from(name == ALL[0])];
        nobody_is_there(&house, url, other, of(name, url, "at a wrong place", now())).await;
        assert_eq!(
            http.get(url)
                .header("x-forwarded-for", "198.51.100.7")
                .send()
                .await
                .unwrap()
                .status(),
            405,
            "{name}"
        );
        let refused: &[u16] = &[401, 403];
        let forged = of(name, url, "with a wrong signature", now()).forged();
        assert!(refused.contains(&forged.made().await), "{name}");
        let unsigned = of(name, url, "without a signature", now()).unsigned();
        assert!(refused.contains(&unsigned.made().await), "{name}");
        // What cannot be read is not looked at before it is known whose it is. Google's signature is over what stands inside.
        if name != "google" {
            let junk = Call {
                body: format!("{{ a {WORD} that is no JSON"),
                ..forged.clone()
            };
            assert!(refused.contains(&junk.made().await), "{name}");
        }
        let most = match name {
            "twilio" | "telnyx" => 256 << 10,
            // It stands there in base64.
            "google" => (1 << 20) / 4 * 3,
            _ => 1 << 20,
        };
        let large = of(name, url, &"x".repeat(most), now());
        assert_eq!(large.made().await, 413, "{name}");
        assert_eq!(large.made_in_pieces().await, 413, "{name}");
    }
    // What was signed long ago is not taken a second time.
    for name in ["telnyx", "acme"] {
        let url = &urls[ALL.iter().position(|known| *known == name).unwrap()];
        assert_eq!(
            of(name, url, "of an hour ago", now() - 3600).made().await,
            401,
            "{name}"
        );
    }
    only_its_networks_come_in(&http, &urls[4]).await;

    // And all that is right comes in.
    let mut expected = vec![
        text("acme", "over a proxy of ours"),
        text("acme", "from another of its networks"),
    ];
    for (name, url) in all() {
        assert_eq!(
            of(name, url, "as it should be", now()).made().await,
            200,
            "{name}"
        );
        expected.push(text(name, "as it should be"));
    }
    for text in &expected {
        house.reads(text).await;
    }
    let seen = house.alice.seen().await;
    let mut shown: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.is_message() && is_ghost(seen.sender()))
        .map(|seen| seen.body())
        .collect();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    house.stop().await;
    let secrets = urls.each_ref().map(|url| url.rsplit('/').next().unwrap());
    house.is_discreet(&secrets);
    house.is_discreet(&[WORD, &FRIEND[1..], maap::WEBHOOK_TOKEN, webhook_http::SIGNING_KEY]);
}

/// Each request comes by a connection of its own: the listener ends one whose rest it has not read.
fn strangers() -> reqwest::Client {
    // It has seen to the provider of cryptography.
    drop(client());
    let builder = reqwest::Client::builder().no_proxy();
    builder.pool_max_idle_per_host(0).build().unwrap()
}

/// Only who was told the whole address finds something there.
async fn nobody_is_there(house: &House, url: &str, other: &str, call: Call) {
    let (before, secret) = url.rsplit_once('/').unwrap();
    let last = if secret.ends_with('a') { 'b' } else { 'a' };
    let near = format!("{before}/{}{last}", &secret[..secret.len() - 1]);
    let others = format!("{before}/{}", other.rsplit('/').next().unwrap());
    let hooks = house.hooks;
    let elsewhere = [
        near,
        others,
        before.to_owned(),
        format!("{before}/"),
        format!("{url}/more"),
        format!("http://{hooks}/"),
        format!("http://{hooks}/metrics"),
        format!("http://{hooks}/_matrix/app/v1/ping"),
    ];
    for url in elsewhere {
        let call = Call { url, ..call.clone() };
        assert_eq!(call.made().await, 404, "{before}");
    }
}

/// By proxies that we know, and by nobody else's word.
async fn only_its_networks_come_in(http: &reqwest::Client, url: &str) {
    let call = |case: &str| Call::of(http, "acme", url, &format!("a {WORD} {case} by acme"), now());
    let strange = call("from elsewhere");
    assert_eq!(strange.made().await, 403, "from this machine itself");
    for from in [
        "192.0.2.1",
        "nonsense",
        // What a stranger wrote before a proxy told who the stranger is.
        "198.51.100.7, 192.0.2.1",
        "198.51.100.7, 192.0.2.1, 203.0.113.9",
        "2001:db8::8",
    ] {
        let call = strange.clone().with("x-forwarded-for", from);
        assert_eq!(call.made().await, 403, "{from}");
    }
    // Who may not come in is told so before they have brought anything.
    let hooks = url::Url::parse(url).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 100000000\r\n\r\n",
        hooks.path()
    );
    let address = (hooks.host_str().unwrap().to_owned(), hooks.port().unwrap());
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stranger.read_exact(&mut answer)).await;
    read.expect("it waits for what the stranger brings").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    let over_ours =
        call("over a proxy of ours").with("x-forwarded-for", "192.0.2.1, 198.51.100.7, 203.0.113.9");
    assert_eq!(over_ours.made().await, 200);
    let another = call("from another of its networks").with("x-forwarded-for", "2001:db8::7");
    assert_eq!(another.made().await, 200);
}
