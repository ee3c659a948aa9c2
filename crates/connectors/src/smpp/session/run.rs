//! Reading, writing and the clock of a session.

use super::{Answer, Delivery, End, Inner, Io, Pending, Session, SubmitError};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use swingbridge_wire::smpp::{Body, CommandStatus, FrameError, Framer, MessageResp, Pdu, command, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Read at once.
const READ: usize = 16 * 1024;
/// Submits in a row without an answer, after which the connection is given up.
const UNANSWERED: u32 = 3;
/// How long the SMSC's unbind waits for the answers to what is in flight, and how long answers are still
/// read after the connection broke for writing.
const GRACE: Duration = Duration::from_secs(1);
/// Answers that the SMSC does not read; more are not kept for it.
const MOST_QUEUED: usize = 8 * 1024 * 1024;

impl Session {
    /// Carries the session until its end. What the SMSC delivers goes to `deliveries`, to be answered by
    /// [`Session::answer`]; when that is full the SMSC is told to come again later, so that a slow store never
    /// holds up the answers to submits.
    pub async fn run(&self, io: Io, deliveries: mpsc::Sender<Delivery>) -> End {
        let inner = &self.0;
        let Io {
            reader,
            writer,
            buffer,
        } = io;
        {
            let writing = write(inner, writer);
            let reading = read(inner, reader, buffer, deliveries);
            tokio::pin!(writing, reading);
            // Both on one task: they wait most of the time, and neither may outlive this call.
            tokio::select! {
                () = &mut reading => {
                    // What is queued, such as an unbind_resp, still goes out if the SMSC takes it.
                    let _ = timeout(GRACE, writing).await;
                }
                () = &mut writing => {
                    // Answers may still be on their way in.
                    let _ = timeout(GRACE, reading).await;
                }
            }
        }
        inner.close()
    }
}

impl Inner {
    /// Reports every submit without an answer.
    fn close(&self) -> End {
        let mut state = self.state();
        let end = state.end.clone().unwrap_or(End::Closed);
        let (taken, pending) = (state.taken, std::mem::take(&mut state.pending));
        drop(state);
        for pending in pending.into_values() {
            let error = match pending.start < taken {
                true => SubmitError::Lost(end.clone()),
                false => SubmitError::NotSent(end.clone()),
            };
            let _ = pending.reply.send(Err(error));
        }
        self.progress.notify_waiters();
        end
    }

    fn complete(&self, answers: &mut Vec<(u32, Answer)>) {
        if answers.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut found: Vec<(oneshot::Sender<_>, Answer, Instant)> = Vec::with_capacity(answers.len());
        let mut state = self.state();
        state.unanswered = 0;
        state.of_use = true;
        for (sequence, answer) in answers.drain(..) {
            match state.pending.remove(&sequence) {
                Some(Pending { reply, queued, .. }) => found.push((reply, answer, queued)),
                None => tracing::debug!(sequence, status = %answer.status, "an answer to nothing that waits"),
            }
        }
        drop(state);
        self.slots.add_permits(found.len());
        for (reply, answer, queued) in found {
            self.meters.latency.record((now - queued).as_secs_f64());
            let _ = reply.send(Ok(answer));
        }
        self.progress.notify_waiters();
    }

    /// Gives up submits whose answer is overdue.
    fn expire(&self, now: Instant) {
        let mut overdue = Vec::new();
        let mut state = self.state();
        let (taken, response) = (state.taken, self.limits.response);
        // One that has not left the buffer is not overdue: the writer is, and sees to that itself.
        let late =
            |pending: &Pending| pending.start < taken && now.duration_since(pending.queued) >= response;
        let sequences: Vec<u32> = state
            .pending
            .iter()
            .filter(|(_, pending)| late(pending))
            .map(|(sequence, _)| *sequence)
            .collect();
        overdue.extend(
            sequences
                .iter()
                .filter_map(|sequence| state.pending.remove(sequence)),
        );
        if overdue.is_empty() {
            return;
        }
        state.unanswered += overdue.len() as u32;
        let dead = state.unanswered >= UNANSWERED;
        drop(state);
        self.slots.add_permits(overdue.len());
        for pending in overdue {
            let _ = pending.reply.send(Err(SubmitError::TimedOut));
        }
        self.progress.notify_waiters();
        if dead {
            self.finish(End::Unanswered);
        }
    }
}

/// Writes what is queued, all at once, until the end.
async fn write(inner: &Inner, mut writer: Box<dyn AsyncWrite + Send + Unpin>) {
    let mut batch = BytesMut::new();
    loop {
        let over = {
            let mut state = inner.state();
            batch.clear();
            std::mem::swap(&mut batch, &mut state.out);
            state.taken += batch.len() as u64;
            state.end.is_some()
        };
        if batch.is_empty() {
            if over {
                let _ = writer.shutdown().await;
                return;
            }
            inner.flush.notified().await;
            // Those who were woken by the same read get to queue theirs first: one write instead of many.
            tokio::task::yield_now().await;
            continue;
        }
        let written = timeout(inner.limits.response, async {
            writer.write_all(&batch).await?;
            writer.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return inner.finish(End::Broken(error.kind())),
            Err(_) => return inner.finish(End::Stalled),
        }
    }
}

/// What the reader keeps between reads.
struct Reading<'a> {
    inner: &'a Inner,
    deliveries: mpsc::Sender<Delivery>,
    answers: Vec<(u32, Answer)>,
    heard: Instant,
    /// enquire_links sent since the SMSC was last heard.
    asked: u32,
    /// The SMSC's unbind, and until when its answer may wait.
    leaving: Option<(u32, Instant)>,
}

async fn read(
    inner: &Inner,
    mut reader: Box<dyn AsyncRead + Send + Unpin>,
    mut buffer: BytesMut,
    deliveries: mpsc::Sender<Delivery>,
) {
    let tick = (inner.limits.response.min(inner.limits.enquire_link) / 8)
        .clamp(Duration::from_millis(10), Duration::from_secs(1));
    let mut clock = interval(tick);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reading = Reading {
        inner,
        deliveries,
        answers: Vec::new(),
        heard: Instant::now(),
        asked: 0,
        leaving: None,
    };
    loop {
        if let Err(error) = reading.frames(&mut buffer) {
            let nack = Pdu::generic_nack(error.sequence, FrameError::STATUS);
            inner.queue_answer(&mut inner.state(), &nack);
            return inner.finish(End::Framing(error));
        }
        if reading.left() {
            return;
        }
        buffer.reserve(READ);
        tokio::select! {
            read = reader.read_buf(&mut buffer) => match read {
                Ok(0) => return inner.finish(End::Closed),
                Ok(_) => (reading.heard, reading.asked) = (Instant::now(), 0),
                Err(error) => return inner.finish(End::Broken(error.kind())),
            },
            _ = clock.tick() => reading.tick(Instant::now()),
            // Ours to obey only when it was us who ended it; a broken writer lets the last answers be read.
            () = inner.over.notified() => {
                if !matches!(inner.state().end, Some(End::Broken(_) | End::Stalled)) {
                    return;
                }
            }
        }
    }
}

impl Reading<'_> {
    fn frames(&mut self, buffer: &mut BytesMut) -> Result<(), FrameError> {
        let framed = loop {
            match Framer::default().next_frame(buffer) {
                Ok(Some(frame)) => self.frame(&frame),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.inner.complete(&mut self.answers);
        framed
    }

    fn frame(&mut self, frame: &Bytes) {
        let inner = self.inner;
        let pdu = match decode(frame) {
            Ok(pdu) => pdu,
            Err(error) => {
                tracing::warn!(%error, "the SMSC sent a PDU that cannot be read");
                inner.meters.received(error.command_id);
                // A delivery that cannot be read now will not be later: refused for good, or it comes for ever.
                let status = match error.command_id {
                    command::DELIVER_SM | command::DATA_SM => {
                        inner.meters.delivered("unreadable", 1);
                        CommandStatus::RX_P_APPN
                    }
                    _ => error.status,
                };
                return self.refuse(error.command_id, error.sequence, status);
            }
        };
        let Pdu {
            status,
            sequence,
            body,
        } = pdu;
        inner.meters.received(body.command_id());
        match body {
            Body::SubmitSmResp(resp) => {
                let congestion = resp.tlvs.congestion_state();
                self.answers.push((
                    sequence,
                    Answer {
                        status,
                        message_id: resp.message_id,
                        congestion,
                    },
                ));
            }
            Body::GenericNack => {
                tracing::debug!(%status, sequence, "the SMSC sent generic_nack");
                // One with status zero still says that the submit was not taken.
                let status = if status.is_ok() {
                    CommandStatus::RUNKNOWNERR
                } else {
                    status
                };
                self.answers.push((
                    sequence,
                    Answer {
                        status,
                        message_id: Default::default(),
                        congestion: None,
                    },
                ));
            }
            Body::DeliverSm(_) | Body::DataSm(_) => self.deliver(sequence, body),
            Body::EnquireLink => self.reply(Pdu::new(sequence, Body::EnquireLinkResp)),
            Body::EnquireLinkResp => {}
            Body::Unbind => self.leaving = Some((sequence, Instant::now() + GRACE)),
            Body::UnbindResp => {
                inner.state().unbind_answered = true;
                inner.progress.notify_waiters();
            }
            Body::AlertNotification(_) => tracing::debug!("the SMSC says that a phone is reachable again"),
            Body::Outbind(_) => tracing::warn!("the SMSC sent outbind on a bound connection; it is ignored"),
            other if other.is_response() => {
                tracing::debug!(
                    command = other.name(),
                    sequence,
                    "a response to nothing that was asked"
                );
            }
            other => {
                tracing::debug!(command = other.name(), "a command that is not served here");
                self.refuse(other.command_id(), sequence, CommandStatus::RINVCMDID);
            }
        }
    }

    fn deliver(&mut self, sequence: u32, body: Body) {
        let id = body.command_id();
        self.inner.state().delivering += 1;
        if self.deliveries.try_send(Delivery { sequence, body }).is_err() {
            self.inner.state().delivering -= 1;
            self.inner.meters.delivered("later", 1);
            self.refuse(id, sequence, CommandStatus::RX_T_APPN);
        }
    }

    fn refuse(&mut self, command_id: u32, sequence: u32, status: CommandStatus) {
        if let Some(refusal) = Pdu::refusal(command_id, sequence, status) {
            self.reply(refusal);
        }
    }

    fn reply(&mut self, pdu: Pdu) {
        let mut state = self.inner.state();
        self.inner.queue_answer(&mut state, &pdu);
        let flooded = state.out.len() > MOST_QUEUED;
        drop(state);
        if flooded {
            self.inner.finish(End::Stalled);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.inner.expire(now);
        let silence = now.duration_since(self.heard);
        if silence < self.inner.limits.enquire_link * (self.asked + 1) {
            return;
        }
        if self.asked == 2 {
            return self.inner.finish(End::Silent);
        }
        self.asked += 1;
        let mut state = self.inner.state();
        let sequence = state.next_sequence();
        self.inner
            .queue_answer(&mut state, &Pdu::new(sequence, Body::EnquireLink));
    }

    /// Whether the SMSC has unbound: its unbind is answered once nothing is in flight, or after a while.
    fn left(&mut self) -> bool {
        let Some((sequence, until)) = self.leaving else {
            return false;
        };
        let inner = self.inner;
        inner.slots.close();
        let mut state = inner.state();
        if !(state.pending.is_empty() && state.delivering == 0) && Instant::now() < until {
            return false;
        }
        inner.queue_answer(&mut state, &Pdu::new(sequence, Body::UnbindResp));
        drop(state);
        inner.finish(End::PeerUnbound);
        true
    }
}

/// The answer to a delivery.
pub fn answer_to(delivery: &Delivery, status: CommandStatus) -> Pdu {
    let body = match delivery.body {
        Body::DataSm(_) => Body::DataSmResp(MessageResp::default()),
        _ => Body::DeliverSmResp(MessageResp::default()),
    };
    Pdu::with_status(delivery.sequence, status, body)
}
