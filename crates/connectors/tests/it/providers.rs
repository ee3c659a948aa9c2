//! One suite for all connectors of providers: what is certain of a message when the provider or its interface fails, and that what comes
//! arrives once.
//!
//! A connector is added by a file that implements [`Provider`], and a line in `suite!`.

mod checks;
mod maap;
mod oracle;
mod rbm;
mod telnyx;
mod twilio;
mod twilio_cards;
mod twilio_groups;
mod webhook_http;

use crate::device::{Device, clock};
use crate::harness::Recorder;
use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Connector, ConnectorError};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::Inbound;
use swingbridge_lab::trouble::{Trouble, Troubles};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How a connector is started.
pub struct Setting {
    /// Where the API is.
    pub url: String,
    /// Where it is told.
    pub webhook: String,
    pub folder: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// How much faster than by itself it waits; `None`: it asks every moment.
    pub pace: Option<u32>,
}

impl Setting {
    /// A wait that is `usual` by itself.
    pub fn wait(&self, usual: Duration, moment: u64) -> Duration {
        match self.pace {
            Some(pace) => usual / pace,
            None => Duration::from_millis(moment),
        }
    }
}

/// Somebody to whom nothing was written before.
pub const CAROL: &str = "+447700900124";

/// The longest that a connector waits for an answer here.
pub const REQUEST: Duration = Duration::from_millis(700);

/// A provider of the lab, and the connector of it.
#[async_trait]
pub trait Provider: Sized + Send + Sync {
    type Connector: Connector + Webhook + 'static;

    /// Whether a send of unknown fate may be repeated.
    const IDEMPOTENT: bool;
    /// Whether what no webhook told is read.
    const READS_GAPS: bool = false;
    /// Two states that it tells of a message, in order; and one of a message that does not arrive.
    const TELLS: [Outcome; 3] = [Outcome::Sent, Outcome::Delivered, Outcome::Rejected];
    /// Whether its webhooks are signed, and not only brought by somebody who knows a secret.
    const SIGNS: bool = true;
    /// Whether the time of a webhook is signed.
    const TIMED: bool = false;

    /// Starts one that tells `webhook`.
    async fn start(webhook: &str, clock: Arc<dyn Clock>) -> Self;

    fn url(&self) -> String;

    /// A connector of it.
    fn connector(&self, setting: &Setting) -> Result<Self::Connector, ConnectorError>;

    fn troubles(&self) -> &Troubles;

    /// How many messages it took to be sent.
    fn taken(&self) -> usize;

    /// A phone texts; gives the id.
    fn receives(&self, from: &str, text: &str) -> String;

    /// The network says what became of a message of ours: one of [`Self::TELLS`].
    fn reaches(&self, id: &str, outcome: Outcome);

    /// Changes what goes wrong.
    fn plays(&self, change: impl FnOnce(&mut Trouble)) {
        self.troubles().change(change);
    }

    /// Sets its clock, where it has not the one that it was started with.
    fn is_at(&self, _now: Timestamp) {}

    /// The body of a webhook with another text.
    fn altered(body: &str, text: &str, other: &str) -> String {
        body.replace(text, other)
    }
}

type Mounted = Arc<Mutex<(Option<Arc<dyn Webhook>>, Vec<Request>)>>;

/// A provider, a connector's inbox, and the door by which the provider comes in.
pub struct House<P> {
    pub provider: P,
    pub inbox: Arc<Recorder>,
    pub hook: String,
    pub folder: TempDir,
    clock: Arc<dyn Clock>,
    mounted: Mounted,
}

async fn door(
    State(mounted): State<Mounted>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let request = Request {
        method: method.as_str().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    };
    let connector = {
        let mut mounted = mounted.lock().unwrap();
        mounted.1.push(request.clone());
        mounted.0.clone()
    };
    let Some(connector) = connector else {
        return (StatusCode::BAD_GATEWAY, "nobody is there".to_owned());
    };
    let response = connector.receive(request).await;
    (
        StatusCode::from_u16(response.status).unwrap(),
        response.body.into_owned(),
    )
}

impl<P: Provider> House<P> {
    pub async fn new() -> Self {
        Self::by(clock()).await
    }

    /// In which this clock is right.
    pub async fn by(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let hook = format!("http://{}/hook", listener.local_addr().unwrap());
        let mounted = Mounted::default();
        let app = axum::Router::new().fallback(door).with_state(mounted.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            provider: P::start(&hook, clock.clone()).await,
            inbox: Arc::new(Recorder::new()),
            hook,
            folder: tempfile::tempdir().unwrap(),
            clock,
            mounted,
        }
    }

    pub fn start(&self) -> Device<P::Connector> {
        self.start_with(|_| {})
    }

    pub fn start_at(&self, url: &str) -> Device<P::Connector> {
        self.start_with(|setting| url.clone_into(&mut setting.url))
    }

    pub fn start_with(&self, change: impl FnOnce(&mut Setting)) -> Device<P::Connector> {
        let mut setting = Setting {
            url: self.provider.url(),
            webhook: self.hook.clone(),
            folder: self.folder.path().join("state"),
            clock: self.clock.clone(),
            pace: None,
        };
        change(&mut setting);
        self.run(self.provider.connector(&setting).unwrap())
    }

    pub fn run(&self, connector: P::Connector) -> Device<P::Connector> {
        let device = Device::run(connector, self.inbox.clone());
        self.mounted.lock().unwrap().0 = Some(device.connector.clone());
        device
    }

    /// Nobody is at the door.
    pub fn closes(&self) {
        self.mounted.lock().unwrap().0 = None;
    }

    /// The requests that came in, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.mounted.lock().unwrap().1.clone()
    }

    /// Waits until so many requests came in.
    pub async fn until_requests(&self, many: usize) -> Vec<Request> {
        for _ in 0..2000 {
            let requests = self.requests();
            if requests.len() >= many {
                return requests;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("only {} requests came", self.requests().len());
    }

    pub fn receipts(&self) -> Vec<(String, Outcome)> {
        let receipt = |inbound| match inbound {
            Inbound::Receipt(receipt) => Some((receipt.network_ids[0].0.clone(), receipt.outcome)),
            _ => None,
        };
        self.inbox.inbound().into_iter().filter_map(receipt).collect()
    }
}

/// The suite, once for each.
macro_rules! suite {
    ($($name:ident: $provider:ty),+ $(,)?) => {
        mod suite {
            use super::checks;
            $(mod $name {
                use super::checks;
                type P = $provider;
                suite!(@ P: a_message_goes_once_and_its_states_come_back, too_many_at_once_is_tried_again_when_told,
                    a_failing_provider_leaves_the_fate_unknown, an_answer_that_never_comes_leaves_the_fate_unknown,
                    an_answer_that_is_cut_off_is_no_refusal, expired_credentials_are_said_and_nothing_is_lost,
                    a_provider_that_cannot_be_reached_certainly_has_nothing, what_is_told_twice_arrives_once,
                    states_are_taken_in_whatever_order, a_webhook_is_answered_after_the_commit,
                    what_is_forged_or_altered_is_refused, what_is_over_does_not_leave, no_error_holds_an_address_or_a_body,
                    after_an_outage_all_arrives_once, an_outage_of_an_hour_loses_nothing_and_doubles_nothing,
                    a_clock_that_is_off_loses_nothing);
            })+
        }
    };
    (@ $provider:ty: $($check:ident),+) => {
        $(#[tokio::test]
        async fn $check() {
            checks::$check::<$provider>().await;
        })+
    };
}

suite! {
    rbm: crate::providers::rbm::RbmHouse,
    maap: crate::providers::maap::MaapHouse,
    twilio: crate::providers::twilio::TwilioHouse,
    telnyx: crate::providers::telnyx::TelnyxHouse,
    webhook_http: crate::providers::webhook_http::HttpHouse,
}
