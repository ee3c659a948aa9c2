//! The two listeners: one for the homeserver (and for people's clients and phones), one for the operator's tools.

use crate::config::webhooks::Doors;
use crate::exit::{Exit, Failure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::serve::ListenerExt;
use bytes::BytesMut;
use futures_util::StreamExt;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::connector::Shutdown;
use swingbridge_matrix::appservice::AppService;
use swingbridge_matrix::provisioning::Provisioning;
use swingbridge_matrix::{appservice, media, provisioning, unrecognized};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Takes an address. `setting` is named when it cannot be had.
pub async fn listen(setting: &str, host: &str, port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        let cure = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program, or another gateway, has it: stop that one, or choose another port"
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: choose 127.0.0.1 or another of its own"
            }
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
            _ => "choose another address",
        };
        Failure::msg(
            Exit::Listen,
            format!("{setting}: cannot listen on {host} port {port}: {error}\n    {cure}"),
        )
    })
}

/// Everything that is served on the homeserver's listener. `media` only where links are turned on.
pub fn matrix_side(service: AppService, provisioning: Option<Provisioning>, media: bool) -> Router {
    let matrix = service.matrix.clone();
    let mut router = appservice::router(service);
    if let Some(parts) = provisioning {
        router = router.merge(provisioning::router(parts));
    }
    if media {
        router = router.merge(media::router(matrix));
    }
    router.fallback(unrecognized)
}

/// How long requests that are under way may take to come to their end.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then lets what is under way come to its end, for a while.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let address = listener
        .local_addr()
        .map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |address| address);
    let listener = listener.tap_io(|stream| {
        // Answers are small; without this each waits for the peer's delayed acknowledgement. Nothing is lost without it.
        let _ = stream.set_nodelay(true);
    });
    let stopping = shutdown.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopping.requested().await })
        .into_future();
    tokio::select! {
        ended = served => {
            if let Err(error) = ended {
                tracing::error!(%address, %error, "a listener ended");
            }
        }
        () = drained(&shutdown) => tracing::info!(%address, "requests are left unfinished"),
    }
}

/// Returns when the time is over that requests have for their end.
async fn drained(shutdown: &Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(DRAIN).await;
}

/// Something that a service calls, at the address that only the service knows.
pub struct Mounted {
    /// The connector's.
    pub name: String,
    pub path: String,
    pub webhook: Arc<dyn Webhook>,
    pub doors: Doors,
}

/// How long a request may take to bring its body.
const BODY: Duration = Duration::from_secs(30);

/// Serves what services bring to connectors, like [`serve`]. What a service has brought whole is worked off also when it hangs up
/// before the answer, as those do that wait for a second or two; at the end it has as long as requests have.
pub async fn serve_webhooks(listener: TcpListener, mounted: Vec<Mounted>, shutdown: Shutdown) {
    let work = TaskTracker::new();
    let router = webhooks(mounted, &work);
    let done = async {
        serve(listener, router, shutdown.clone()).await;
        work.close();
        work.wait().await;
    };
    tokio::select! {
        () = done => {}
        () = drained(&shutdown) => {
            let left = work.len();
            if left > 0 {
                tracing::info!(left, "webhooks are left unfinished: their services bring them again");
            }
        }
    }
}

/// Who may not come in is told so before anything is read of what they bring.
fn webhooks(mounted: Vec<Mounted>, work: &TaskTracker) -> Router {
    let mut router = Router::new();
    for mounted in mounted {
        let path = mounted.path.clone();
        let (mounted, work) = (Arc::new(mounted), work.clone());
        let receive = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: axum::extract::Request| {
            let (mounted, work) = (mounted.clone(), work.clone());
            async move { receive(&mounted, &work, peer, request).await }
        };
        router = router.route(&path, any(receive));
    }
    router
}

/// A body of at most `most` octets.
///
/// Of one that is larger as much again is thrown away: a service that is still writing when the connection ends does not read the
/// answer that says why.
async fn whole(body: Body, most: usize) -> Result<Bytes, StatusCode> {
    let mut pieces = body.into_data_stream();
    let (mut kept, mut thrown) = (BytesMut::new(), 0);
    while let Some(piece) = pieces.next().await {
        // It broke off.
        let piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        if thrown > 0 || kept.len() + piece.len() > most {
            thrown += piece.len();
        } else {
            kept.extend_from_slice(&piece);
        }
        if thrown > most {
            break;
        }
    }
    if thrown > 0 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(kept.freeze())
}

async fn receive(
    mounted: &Mounted,
    work: &TaskTracker,
    peer: SocketAddr,
    request: axum::extract::Request,
) -> Response {
    let webhook = &mounted.webhook;
    let (method, headers) = (request.method().as_str().to_owned(), request.headers().clone());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let forwarded = headers.get_all("x-forwarded-for").into_iter();
    let forwarded: Vec<&str> = forwarded.filter_map(|value| value.to_str().ok()).collect();
    if !mounted.doors.admit(peer.ip(), &forwarded) {
        tracing::warn!(connector = %mounted.name, "a webhook from a network that is not allowed is refused");
        return StatusCode::FORBIDDEN.into_response();
    }
    let body = match tokio::time::timeout(BODY, whole(request.into_body(), webhook.largest_body())).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return refused.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let request = Request {
        method,
        query,
        headers: headers.collect(),
        body,
    };
    // Not here: who hangs up ends this handler, and would end the work before it is committed.
    let webhook = webhook.clone();
    let receiving = work.spawn(async move { webhook.receive(request).await });
    let Ok(answer) = receiving.await else {
        tracing::error!(connector = %mounted.name, "a webhook could not be worked off");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(CONTENT_TYPE, answer.content_type)],
        answer.body.into_owned(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicU32, Ordering};
    use swingbridge_connectors::webhook::Response;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    /// Takes a second for its work, as for a picture that it fetches.
    #[derive(Default)]
    struct Slow {
        begun: AtomicU32,
        done: AtomicU32,
        begins: Notify,
    }

    #[async_trait]
    impl Webhook for Slow {
        async fn receive(&self, _: Request) -> Response {
            self.begun.fetch_add(1, Ordering::SeqCst);
            self.begins.notify_one();
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.done.fetch_add(1, Ordering::SeqCst);
            Response::TAKEN
        }
    }

    #[tokio::test]
    async fn what_a_service_brought_is_worked_off_once_also_when_it_hangs_up() {
        let slow = Arc::new(Slow::default());
        let mounted = Mounted {
            name: "provider".into(),
            path: "/hook".into(),
            webhook: slow.clone(),
            doors: Doors::default(),
        };
        let listener = listen("webhooks.address", "127.0.0.1", 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = Shutdown::when(async move { drop(stopped.await) });
        let serving = tokio::spawn(serve_webhooks(listener, vec![mounted], shutdown));

        let mut service = TcpStream::connect(address).await.unwrap();
        let request = b"POST /hook HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
        service.write_all(request).await.unwrap();
        slow.begins.notified().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(service);
        // The program's end waits for it.
        stop.send(()).unwrap();
        tokio::time::timeout(DRAIN, serving).await.unwrap().unwrap();
        let count = |counter: &AtomicU32| counter.load(Ordering::SeqCst);
        assert_eq!((count(&slow.begun), count(&slow.done)), (1, 1));
    }
}
