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
    let given_up = async {
        shutdown.requested().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = served => {
            if let Err(error) = ended {
                tracing::error!(%address, %error, "a listener ended");
            }
        }
        () = given_up => tracing::info!(%address, "requests are left unfinished"),
    }
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

/// What services bring to connectors. Who may not come in is told so before anything is read of what they bring.
pub fn webhooks(mounted: Vec<Mounted>) -> Router {
    let mut router = Router::new();
    for mounted in mounted {
        let path = mounted.path.clone();
        let mounted = Arc::new(mounted);
        let receive = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: axum::extract::Request| {
            let mounted = mounted.clone();
            async move { receive(&mounted, peer, request).await }
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

async fn receive(mounted: &Mounted, peer: SocketAddr, request: axum::extract::Request) -> Response {
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
    let answer = webhook.receive(request).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(CONTENT_TYPE, answer.content_type)],
        answer.body.into_owned(),
    )
        .into_response()
}
