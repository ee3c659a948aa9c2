//! A listener that hands requests to a connector, as the program does.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::sync::{Arc, Mutex};
use swingbridge_connectors::webhook::{Request, Webhook};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub struct Door<C> {
    pub url: String,
    answers: Arc<Mutex<Vec<u16>>>,
    task: JoinHandle<()>,
    _connector: Arc<C>,
}

type Behind<C> = (Arc<C>, Arc<Mutex<Vec<u16>>>);

impl<C: Webhook + 'static> Door<C> {
    pub async fn open(connector: Arc<C>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook/secret", listener.local_addr().unwrap());
        let answers = Arc::<Mutex<Vec<u16>>>::default();
        let behind = (connector.clone(), answers.clone());
        let app = axum::Router::new().fallback(door::<C>).with_state(behind);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            answers,
            task,
            _connector: connector,
        }
    }

    /// The statuses of all answers so far.
    pub fn answers(&self) -> Vec<u16> {
        self.answers.lock().unwrap().clone()
    }
}

impl<C> Drop for Door<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn door<C: Webhook>(
    State((connector, answers)): State<Behind<C>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let response = connector
        .receive(Request {
            method: method.as_str().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body,
        })
        .await;
    answers.lock().unwrap().push(response.status);
    (
        StatusCode::from_u16(response.status).unwrap(),
        response.body.into_owned(),
    )
}
