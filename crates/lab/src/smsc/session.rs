//! One connection of an account: its bind, its submissions, and the answers to both.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use swingbridge_wire::smpp::{
    self, Bind, BindResp, Body, CommandStatus, Framer, MessageResp, Octets, Pdu, QuerySm, QuerySmResp, Sm,
    command, tag,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, interval_at, sleep};

use super::bound::{Bound, Kind, Outgoing};
use super::ledger::Outcome;
use super::state::Luck;
use super::{Carrier, SessionId, delivery};
use crate::faults::Fault;

struct Session {
    carrier: Arc<Carrier>,
    id: SessionId,
    out: UnboundedSender<Outgoing>,
    account: Option<(String, Kind)>,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Then {
    On,
    Close,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    carrier: Arc<Carrier>,
    id: SessionId,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
) {
    let (reader, writer) = tokio::io::split(stream);
    let (out, outgoing) = mpsc::unbounded_channel();
    let mut session = Session {
        carrier: Arc::clone(&carrier),
        id,
        out,
        account: None,
    };
    let writing = write(Arc::clone(&carrier), id, writer, outgoing);
    let end = tokio::select! {
        end = session.read(reader) => end,
        end = writing => end,
    };
    tracing::debug!(
        session = id.0,
        error = end.err().map(tracing::field::display),
        "connection ended"
    );
    carrier.with(|state| {
        state.bound.remove(&id);
        delivery::session_closed(state, id);
        state.events.push(super::Event::Bound(state.bound.len()));
    });
    carrier.work.notify_one();
}

async fn write(
    carrier: Arc<Carrier>,
    id: SessionId,
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: UnboundedReceiver<Outgoing>,
) -> io::Result<()> {
    let mut batch = BytesMut::new();
    let mut close = false;
    while !close && let Some(first) = outgoing.recv().await {
        // All that is ready goes out in one write.
        let mut next = Some(first);
        while let Some(outgoing_now) = next {
            match outgoing_now {
                Outgoing::Bytes(bytes) => batch.extend_from_slice(&bytes),
                Outgoing::Close => {
                    close = true;
                    break;
                }
            }
            next = outgoing.try_recv().ok();
        }
        carrier.record(id, true, &batch);
        writer.write_all(&batch).await?;
        batch.clear();
    }
    writer.shutdown().await
}

impl Session {
    async fn read(&mut self, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
        let framer = Framer::default();
        let mut buffer = BytesMut::with_capacity(4096);
        let every = self.carrier.config.enquire_link;
        let mut enquire = interval_at(Instant::now() + every, every);
        let mut heard = Instant::now();
        loop {
            loop {
                match framer.next_frame(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        if self.frame(&frame).await == Then::Close {
                            return self.flush().await;
                        }
                    }
                    Err(error) => {
                        self.send(&Pdu::generic_nack(error.sequence, CommandStatus::RINVCMDLEN));
                        return self.flush().await;
                    }
                }
            }
            let before = buffer.len();
            tokio::select! {
                read = reader.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.carrier.record(self.id, false, &buffer[before..]);
                    heard = Instant::now();
                }
                _ = enquire.tick() => {
                    if heard.elapsed() > every * 3 {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    let sequence = self.carrier.with(|state| Some(state.bound.get_mut(&self.id)?.next_sequence()));
                    if let Some(sequence) = sequence {
                        self.send(&Pdu::new(sequence, Body::EnquireLink));
                    }
                }
            }
        }
    }

    /// Lets the writer send what it has and end the connection; it ends us with it.
    async fn flush(&self) -> io::Result<()> {
        let _ = self.out.send(Outgoing::Close);
        sleep(Duration::from_secs(5)).await;
        Ok(())
    }

    async fn frame(&mut self, frame: &Bytes) -> Then {
        let pdu = match smpp::decode(frame) {
            Ok(pdu) => pdu,
            Err(error) => {
                if let Some(refusal) = Pdu::refusal(error.command_id, error.sequence, error.status) {
                    self.send(&refusal);
                }
                return Then::On;
            }
        };
        let Pdu {
            status,
            sequence,
            body,
        } = pdu;
        let command_id = body.command_id();
        match (body, self.account.clone()) {
            (Body::BindTransmitter(bind), account) => {
                self.bind(Kind::Transmitter, bind, account, sequence, command_id)
            }
            (Body::BindReceiver(bind), account) => {
                self.bind(Kind::Receiver, bind, account, sequence, command_id)
            }
            (Body::BindTransceiver(bind), account) => {
                self.bind(Kind::Transceiver, bind, account, sequence, command_id)
            }
            (Body::EnquireLink, _) => self.send(&Pdu::new(sequence, Body::EnquireLinkResp)),
            (Body::Unbind, _) => {
                self.send(&Pdu::new(sequence, Body::UnbindResp));
                return Then::Close;
            }
            (Body::SubmitSm(sm), Some((system_id, kind))) if kind.submits() => {
                return self.submit(system_id, sm, sequence, command_id).await;
            }
            (Body::DataSm(data), Some((system_id, kind))) if kind.submits() => {
                let sm = Sm {
                    service_type: data.service_type,
                    source: data.source,
                    destination: data.destination,
                    esm_class: data.esm_class,
                    registered_delivery: data.registered_delivery,
                    data_coding: data.data_coding,
                    tlvs: data.tlvs,
                    ..Sm::default()
                };
                return self.submit(system_id, sm, sequence, command_id).await;
            }
            (Body::QuerySm(query), Some((_, kind))) if kind.submits() => self.query(&query, sequence),
            (Body::DeliverSmResp(_) | Body::DataSmResp(_), Some(_)) => self.answered(sequence, status),
            // Some ESMEs refuse a deliver_sm in this way.
            (Body::GenericNack, Some(_)) => self.answered(sequence, CommandStatus::RSYSERR),
            (Body::UnbindResp, _) => return Then::Close,
            (body, _) if body.is_response() => {}
            (body, account) => {
                let status = match (body, account) {
                    (Body::CancelSm(_), Some(_)) => CommandStatus::RCANCELFAIL,
                    (Body::ReplaceSm(_), Some(_)) => CommandStatus::RREPLACEFAIL,
                    _ if Body::empty_response(command_id).is_none() => CommandStatus::RINVCMDID,
                    _ => CommandStatus::RINVBNDSTS,
                };
                if let Some(refusal) = Pdu::refusal(command_id, sequence, status) {
                    self.send(&refusal);
                }
            }
        }
        Then::On
    }

    fn bind(
        &mut self,
        kind: Kind,
        bind: Bind,
        bound: Option<(String, Kind)>,
        sequence: u32,
        command_id: u32,
    ) {
        let config = &self.carrier.config;
        let system_id = bind.system_id.text().into_owned();
        let account = config
            .accounts
            .iter()
            .find(|account| account.system_id == system_id);
        let status = match account {
            _ if bound.is_some() => CommandStatus::RALYBND,
            None => CommandStatus::RINVSYSID,
            Some(account) if *bind.password != *account.password.as_bytes() => CommandStatus::RINVPASWD,
            Some(account) => self.carrier.with(|state| {
                let binds = state
                    .bound
                    .values()
                    .filter(|bound| bound.system_id == system_id)
                    .count();
                if binds >= account.binds {
                    return CommandStatus::RALYBND;
                }
                let out = self.out.clone();
                let bound = Bound {
                    system_id: system_id.clone(),
                    kind,
                    unanswered: 0,
                    sequence: 0,
                    out,
                };
                // The response first: deliveries may go out as soon as the session stands in the table.
                let mut resp = BindResp {
                    system_id: config.system_id.as_str().into(),
                    ..BindResp::default()
                };
                if let Some(version) = config.interface_version {
                    resp.tlvs.push(tag::SC_INTERFACE_VERSION, [version]);
                }
                let body = match kind {
                    Kind::Transmitter => Body::BindTransmitterResp(resp),
                    Kind::Receiver => Body::BindReceiverResp(resp),
                    Kind::Transceiver => Body::BindTransceiverResp(resp),
                };
                self.send(&Pdu::new(sequence, body));
                state.bound.insert(self.id, bound);
                state.events.push(super::Event::Bound(state.bound.len()));
                CommandStatus::ROK
            }),
        };
        if status.is_ok() {
            self.account = Some((system_id, kind));
            self.carrier.work.notify_one();
        } else if let Some(refusal) = Pdu::refusal(command_id, sequence, status) {
            self.send(&refusal);
        }
    }

    async fn submit(&mut self, system_id: String, sm: Sm, sequence: u32, command_id: u32) -> Then {
        let faults = self.carrier.faults();
        let luck = Luck {
            lost: faults.strikes(Fault::DropBeforeTaking),
            refused: if faults.strikes(Fault::Throttle) {
                Some(CommandStatus::RTHROTTLED)
            } else {
                faults
                    .strikes(Fault::QueueFull)
                    .then_some(CommandStatus::RMSGQFUL)
            },
            receipt_first: faults.strikes(Fault::ReceiptFirst),
            receipt_elsewhere: faults.strikes(Fault::ReceiptElsewhere),
        };
        let carrier = &self.carrier;
        let now = (carrier.config.clock.now(), Instant::now());
        let (number, outcome, message_id) = carrier.with(|state| {
            let number = state.submit(&carrier.config, self.id, &system_id, sm, luck, now);
            let submission = &state.submissions[number as usize - 1];
            (number, submission.outcome, submission.message_id.clone())
        });
        carrier.work.notify_one();
        if outcome == Outcome::Lost || faults.strikes(Fault::DropBeforeResponse) {
            let _ = self.out.send(Outgoing::Close);
            return Then::Close;
        }
        let resp = MessageResp {
            message_id: message_id.into(),
            ..MessageResp::default()
        };
        let body = if command_id == command::DATA_SM {
            Body::DataSmResp(resp)
        } else {
            Body::SubmitSmResp(resp)
        };
        let pdu = match outcome {
            Outcome::Refused(status) => Pdu::refusal(command_id, sequence, status),
            _ => Some(Pdu::new(sequence, body)),
        };
        let Some(Ok(response)) = pdu.map(|pdu| pdu.to_bytes()) else {
            return Then::On;
        };
        let mut bytes = BytesMut::new();
        if faults.strikes(Fault::Sloppy) {
            put_sloppy(&mut bytes);
        }
        bytes.put(response);
        let close = faults.strikes(Fault::DropAfterResponse);
        let late = if luck.receipt_first {
            // Long enough that the receipt, which is due now, is on the wire before.
            Some(Duration::from_millis(20) + faults.delay(Fault::ReceiptFirst))
        } else {
            faults
                .strikes(Fault::LateResponse)
                .then(|| faults.delay(Fault::LateResponse))
        };
        let (carrier, out) = (Arc::clone(&self.carrier), self.out.clone());
        let answer = move || {
            let sent = out.send(Outgoing::Bytes(bytes.freeze())).is_ok();
            if close {
                let _ = out.send(Outgoing::Close);
            }
            carrier.with(|state| state.submissions[number as usize - 1].answered = sent);
        };
        match late {
            None => answer(),
            Some(delay) => {
                tokio::spawn(async move {
                    sleep(delay).await;
                    answer();
                });
            }
        }
        Then::On
    }

    fn query(&self, query: &QuerySm, sequence: u32) {
        let id = query.message_id.text();
        let found = self.carrier.with(|state| {
            let submission = state
                .submissions
                .iter()
                .find(|submission| submission.message_id == id)?;
            Some(submission.fate.map_or(1, |fate| fate.code()))
        });
        let pdu = match found {
            Some(message_state) => {
                let message_id: Octets = query.message_id.clone();
                let resp = QuerySmResp {
                    message_id,
                    message_state,
                    ..QuerySmResp::default()
                };
                Some(Pdu::new(sequence, Body::QuerySmResp(resp)))
            }
            None => Pdu::refusal(command::QUERY_SM, sequence, CommandStatus::RQUERYFAIL),
        };
        if let Some(pdu) = pdu {
            self.send(&pdu);
        }
    }

    fn answered(&self, sequence: u32, status: CommandStatus) {
        if delivery::answered(&self.carrier, self.id, sequence, status, Instant::now()) {
            self.carrier.work.notify_one();
        }
    }

    fn send(&self, pdu: &Pdu) {
        // What the carrier itself has made always encodes; a closed connection is noticed by the reader.
        if let Ok(bytes) = pdu.to_bytes() {
            let _ = self.out.send(Outgoing::Bytes(bytes));
        }
    }
}

/// An unknown command of a vendor with an unknown parameter, and an `enquire_link` with junk behind its end.
fn put_sloppy(out: &mut BytesMut) {
    out.put_slice(&[
        0, 0, 0, 22, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 77, 0x14, 0x01, 0, 2, 0xCA, 0xFE,
    ]);
    out.put_slice(&[
        0, 0, 0, 20, 0, 0, 0, 0x15, 0, 0, 0, 0, 0x7F, 0, 0, 1, 0xDE, 0xAD, 0xBE, 0xEF,
    ]);
}
