//! The stub's own tests. That it answers as Synapse does is tested in `tests/it/homeserver.rs`.

mod pushing;
mod rules;

use super::*;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);
const TOKEN: &str = "the-as-token";
const BOT: &str = "@sms_bot:localhost";

/// What an application service was sent.
#[derive(Clone, Debug)]
struct Pushed {
    uri: String,
    bearer: Option<String>,
    body: Value,
}

impl Pushed {
    fn is_transaction(&self) -> bool {
        self.uri.contains("transactions/")
    }

    fn id(&self) -> String {
        let rest = self.uri.split("transactions/").nth(1).unwrap_or_default();
        rest.split('?').next().unwrap_or_default().to_owned()
    }

    fn bodies(&self) -> Vec<String> {
        let events = self.body["events"].as_array().into_iter().flatten();
        events
            .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
            .collect()
    }

    fn events(&self) -> Vec<String> {
        let events = self.body["events"].as_array().into_iter().flatten();
        events
            .filter_map(|event| event["event_id"].as_str().map(str::to_owned))
            .collect()
    }
}

/// An application service that keeps what it is sent and fails when it is told to.
struct Service {
    url: String,
    seen: watch::Sender<Vec<Pushed>>,
    /// How many more requests fail.
    failing: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = watch::Sender::new(Vec::new());
        let failing = Arc::new(Mutex::new(0));
        let (keep, fail) = (seen.clone(), failing.clone());
        let answer = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let bearer = headers
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned());
            let body = serde_json::from_slice(&body).unwrap_or_default();
            keep.send_modify(|seen| {
                seen.push(Pushed {
                    uri: uri.to_string(),
                    bearer,
                    body,
                })
            });
            let mut fail = fail.lock().unwrap();
            let status = if *fail > 0 {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::OK
            };
            *fail = usize::saturating_sub(*fail, 1);
            (status, axum::Json(json!({})))
        };
        let app = axum::Router::new().fallback(answer);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            seen,
            failing,
            task,
        }
    }

    fn fail(&self, times: usize) {
        *self.failing.lock().unwrap() = times;
    }

    async fn wait(&self, mut until: impl FnMut(&[Pushed]) -> bool) -> Vec<Pushed> {
        let mut seen = self.seen.subscribe();
        let found = tokio::time::timeout(LIMIT, seen.wait_for(|seen| until(seen))).await;
        found.expect("what was awaited was not pushed").unwrap().clone()
    }

    fn transactions(&self) -> Vec<Pushed> {
        self.seen
            .borrow()
            .iter()
            .filter(|pushed| pushed.is_transaction())
            .cloned()
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn registration(url: Option<&str>) -> Registration {
    let url = url.map_or_else(|| "null".to_owned(), |url| format!("\"{url}\""));
    Registration::from_yaml(&format!(
        "{{id: sms, url: {url}, as_token: {TOKEN}, hs_token: the-hs-token, sender_localpart: rndq, receive_ephemeral: true, \
         namespaces: {{users: [{{regex: '^@sms_.*:localhost$', exclusive: true}}], \
         aliases: [{{regex: '^#sms_.*:localhost$', exclusive: true}}], rooms: []}}, protocols: [sms]}}"
    ))
    .unwrap()
}

async fn stub(service: Option<&Service>, change: impl FnOnce(&mut Config)) -> Stub {
    let mut config = Config::new(registration(service.map(|service| service.url.as_str())));
    change(&mut config);
    Stub::start(config).await.unwrap()
}

/// Asks as the application service, as `user` with `more` in the query; the status and body of the answer.
async fn ask(
    stub: &Stub,
    method: &str,
    path: &str,
    user: &str,
    more: &str,
    body: Value,
) -> reqwest::Result<(u16, Value)> {
    let url = format!("{}/_matrix/client/v3/{path}?user_id={user}{more}", stub.url());
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = reqwest::Client::new().request(method, url).bearer_auth(TOKEN);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok((status, answer.json().await.unwrap_or_default()))
}

async fn register(stub: &Stub, name: &str) {
    let body = json!({"type": "m.login.application_service", "username": name, "inhibit_login": true});
    let (status, answer) = ask(stub, "POST", "register", "", "", body).await.unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// A room of the bot that Alice is in.
async fn room(stub: &Stub) -> String {
    let alice = stub.user("alice");
    let (status, made) = ask(
        stub,
        "POST",
        "createRoom",
        BOT,
        "",
        json!({"invite": [alice.id()]}),
    )
    .await
    .unwrap();
    assert_eq!(status, 200, "{made}");
    let room = made["room_id"].as_str().unwrap().to_owned();
    alice.join(&room).unwrap();
    room
}
