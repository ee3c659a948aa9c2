//! One bound connection to an SMSC: a window of submits, and what the SMSC sends.
//!
//! [`open`] connects nothing itself: it binds over a stream that is there. [`Session::run`] then reads and
//! writes until the end. Everybody who submits encodes into one buffer, which the writer takes whole: submits
//! made at the same time leave in one write, without a task for each.
//!
//! Architecture Invariant: a submit is reported as *not sent* only while none of its octets was given to the
//! stream. From then on, and until its answer, its fate is unknown.

mod open;
mod run;

pub use open::{OpenError, Opened, open};
pub use run::answer_to;

use super::metrics::Meters;
use bytes::BytesMut;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_wire::smpp::{Body, CommandStatus, EncodeError, FrameError, MAX_SEQUENCE, Octets, Pdu, Sm};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};

/// What a session keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Submits that may wait for their answer.
    pub window: u16,
    /// For the answer to a submit.
    pub response: Duration,
    /// Silence after which the SMSC is asked whether it is there.
    pub enquire_link: Duration,
}

/// Both halves of a connection, and what was read beyond the last whole PDU.
pub struct Io {
    /// From the SMSC.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// To the SMSC.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Read, and not taken apart yet.
    pub buffer: BytesMut,
}

impl Io {
    /// The halves of a connection that nothing was read from yet.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Io {
        Io {
            reader: Box::new(reader),
            writer: Box::new(writer),
            buffer: BytesMut::new(),
        }
    }
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum End {
    /// It closed the connection.
    #[error("the SMSC closed the connection")]
    Closed,
    /// It sent unbind.
    #[error("the SMSC unbound")]
    PeerUnbound,
    /// We did.
    #[error("we unbound")]
    Unbound,
    /// It answers no enquire_link.
    #[error("the SMSC answers no enquire_link")]
    Silent,
    /// It answers enquire_link, and no submits.
    #[error("the SMSC answers no submits")]
    Unanswered,
    /// It takes nothing from the connection.
    #[error("the SMSC reads nothing")]
    Stalled,
    /// What it sends is not SMPP.
    #[error("the SMSC sends what is not SMPP: {0}")]
    Framing(FrameError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(std::io::ErrorKind),
}

/// Why a submit has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// It was certainly not sent; safe to send again elsewhere.
    #[error("not sent: {0}")]
    NotSent(End),
    /// It may have been sent; never send it again by itself.
    #[error("no answer: {0}")]
    Lost(End),
    /// It may have been sent, and no answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// It cannot be written; sending it again is of no use.
    #[error("cannot be written: {0}")]
    Invalid(#[from] EncodeError),
}

/// What the SMSC answered to a submit: submit_sm_resp or generic_nack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Accepted when `ROK`.
    pub status: CommandStatus,
    /// The SMSC's id of the message; may be empty.
    pub message_id: Octets,
    /// How busy it says it is, 0 to 100 (SMPP 5.0).
    pub congestion: Option<u8>,
}

/// deliver_sm or data_sm, to be answered by [`Session::answer`] with this sequence number.
#[derive(Debug)]
pub struct Delivery {
    /// Of the request.
    pub sequence: u32,
    /// [`Body::DeliverSm`] or [`Body::DataSm`].
    pub body: Body,
}

/// A session in use; clones are the same session.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    limits: Limits,
    meters: Arc<Meters>,
    slots: Semaphore,
    state: Mutex<State>,
    /// Wakes the writer: there is something to write, or the end has come.
    flush: Notify,
    /// Wakes the reader: the end has come.
    over: Notify,
    /// Wakes who waits for the session to be idle, or for the answer to our unbind.
    progress: Notify,
}

struct State {
    sequence: u32,
    pending: HashMap<u32, Pending>,
    /// Encoded and not yet given to the stream.
    out: BytesMut,
    /// How many octets were given to the stream, or are about to be.
    taken: u64,
    /// Deliveries handed in and not answered yet.
    delivering: usize,
    unbind_answered: bool,
    /// Something was submitted or delivered over it, and answered.
    of_use: bool,
    /// Submits in a row that timed out.
    unanswered: u32,
    end: Option<End>,
}

struct Pending {
    reply: oneshot::Sender<Result<Answer, SubmitError>>,
    /// Where in the stream it begins.
    start: u64,
    queued: Instant,
}

/// A submit that is on its way.
pub struct Ticket(oneshot::Receiver<Result<Answer, SubmitError>>);

impl Ticket {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`SubmitError`] says whether the submit may be repeated.
    pub async fn answer(self) -> Result<Answer, SubmitError> {
        // The sender is only dropped unused when the whole program ends.
        self.0.await.unwrap_or(Err(SubmitError::Lost(End::Closed)))
    }
}

/// A free place in the window.
pub struct Slot<'a> {
    session: &'a Session,
    permit: SemaphorePermit<'a>,
}

impl Slot<'_> {
    /// Queues the submit; it leaves with the next write.
    ///
    /// # Errors
    /// The session is over, or the PDU is not valid; it was not sent.
    pub fn submit(self, sm: Sm) -> Result<Ticket, SubmitError> {
        let inner = &self.session.0;
        let (reply, receiver) = oneshot::channel();
        let mut state = inner.state();
        if let Some(end) = &state.end {
            return Err(SubmitError::NotSent(end.clone()));
        }
        let sequence = state.next_sequence();
        let start = state.taken + state.out.len() as u64;
        inner.queue(&mut state, &Pdu::new(sequence, Body::SubmitSm(sm)))?;
        state.pending.insert(
            sequence,
            Pending {
                reply,
                start,
                queued: Instant::now(),
            },
        );
        // The place is free again when the entry is taken out.
        self.permit.forget();
        Ok(Ticket(receiver))
    }
}

impl Session {
    fn new(limits: Limits, meters: Arc<Meters>, sequence: u32) -> Session {
        Session(Arc::new(Inner {
            limits,
            meters,
            slots: Semaphore::new(usize::from(limits.window)),
            state: Mutex::new(State {
                sequence,
                pending: HashMap::with_capacity(usize::from(limits.window)),
                out: BytesMut::new(),
                taken: 0,
                delivering: 0,
                unbind_answered: false,
                of_use: false,
                unanswered: 0,
                end: None,
            }),
            flush: Notify::new(),
            over: Notify::new(),
            progress: Notify::new(),
        }))
    }

    /// Waits for a place in the window.
    ///
    /// # Errors
    /// The session is over.
    pub async fn slot(&self) -> Result<Slot<'_>, SubmitError> {
        match self.0.slots.acquire().await {
            Ok(permit) => Ok(Slot {
                session: self,
                permit,
            }),
            Err(_) => Err(SubmitError::NotSent(
                self.0.state().end.clone().unwrap_or(End::Unbound),
            )),
        }
    }

    /// Waits for a place, submits, and waits for the answer.
    ///
    /// # Errors
    /// [`SubmitError`] says whether the submit may be repeated.
    pub async fn submit(&self, sm: Sm) -> Result<Answer, SubmitError> {
        self.slot().await?.submit(sm)?.answer().await
    }

    /// How many submits wait for their answer.
    pub fn in_flight(&self) -> usize {
        self.0.state().pending.len()
    }

    /// Whether it takes submits: it does not from the moment when either side begins to unbind.
    pub fn is_open(&self) -> bool {
        !self.0.slots.is_closed()
    }

    /// Whether anything was submitted or delivered over it, and answered.
    pub fn was_of_use(&self) -> bool {
        self.0.state().of_use
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        self.0.until(|_| false).await;
    }

    /// Answers deliveries. After the end the answers go nowhere, and the SMSC will deliver again.
    pub fn answer(&self, answers: impl IntoIterator<Item = Pdu>) {
        let mut state = self.0.state();
        for answer in answers {
            state.delivering = state.delivering.saturating_sub(1);
            state.of_use = true;
            self.0.queue_answer(&mut state, &answer);
        }
        drop(state);
        self.0.progress.notify_waiters();
    }

    /// Ends the session in order: takes no more submits, waits up to `patience` for the answers to those in
    /// flight and for deliveries to be answered, unbinds, and waits up to a second for the answer to that.
    pub async fn unbind(&self, patience: Duration) {
        self.0.slots.close();
        let idle = self
            .0
            .until(|state| state.pending.is_empty() && state.delivering == 0);
        // Whatever is still in flight then is reported as lost.
        let _ = timeout(patience, idle).await;
        {
            let mut state = self.0.state();
            let sequence = state.next_sequence();
            self.0.queue_answer(&mut state, &Pdu::new(sequence, Body::Unbind));
        }
        let _ = timeout(
            Duration::from_secs(2),
            self.0.until(|state| state.unbind_answered),
        )
        .await;
        self.0.finish(End::Unbound);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, state: &mut State, pdu: &Pdu) -> Result<(), EncodeError> {
        let idle = state.out.is_empty();
        pdu.encode(&mut state.out)?;
        self.meters.sent(pdu.body.command_id());
        if idle {
            self.flush.notify_one();
        }
        Ok(())
    }

    /// Queues a PDU of our own making, which always encodes.
    fn queue_answer(&self, state: &mut State, pdu: &Pdu) {
        if let Err(error) = self.queue(state, pdu) {
            tracing::error!(command = pdu.body.name(), %error, "an answer could not be written");
        }
    }

    /// Waits until `holds`, or until the end.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // Registered before looking, so that no change in between is missed.
            progress.as_mut().enable();
            {
                let state = self.state();
                if state.end.is_some() || holds(&state) {
                    return;
                }
            }
            progress.await;
        }
    }

    /// Ends the session: no more submits; what is queued is still written. The first cause counts.
    fn finish(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.slots.close();
        self.flush.notify_one();
        self.over.notify_one();
        self.progress.notify_waiters();
    }
}

impl State {
    fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = if self.sequence >= MAX_SEQUENCE {
                1
            } else {
                self.sequence + 1
            };
            if !self.pending.contains_key(&self.sequence) {
                return self.sequence;
            }
        }
    }
}
