//! Binding.

use super::{Io, Limits, Session};
use crate::smpp::metrics::Meters;
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_wire::smpp::{Body, CommandStatus, FrameError, Framer, Pdu, decode};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A bound session, to be run.
pub struct Opened {
    /// To submit with; nothing leaves before [`Session::run`].
    pub session: Session,
    /// For [`Session::run`]; may hold PDUs that came in the same segment as the answer to the bind.
    pub io: Io,
    /// What the SMSC calls itself; may be empty.
    pub system_id: String,
    /// The version that it says it speaks.
    pub version: Option<u8>,
}

/// Why a bind did not succeed. All may pass by themselves, except that a refusal is rarely so.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The SMSC refuses the bind.
    #[error("the SMSC refuses the bind: {} {}", .0.sentence(), .0)]
    Refused(CommandStatus),
    /// It did not answer in time.
    #[error("the SMSC did not answer the bind in time")]
    TimedOut,
    /// It closed the connection instead.
    #[error("the SMSC closed the connection instead of answering the bind")]
    Closed,
    /// What it sends is not SMPP.
    #[error("the SMSC sends what is not SMPP: {0}")]
    Framing(#[from] FrameError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// Sends `bind` (one of the three bind requests) and waits up to `patience` for its answer.
///
/// # Errors
/// See [`OpenError`]; the connection is then to be dropped.
pub async fn open(
    io: Io,
    bind: Body,
    patience: Duration,
    limits: Limits,
    meters: Arc<Meters>,
) -> Result<Opened, OpenError> {
    timeout(patience, handshake(io, bind, limits, meters))
        .await
        .unwrap_or(Err(OpenError::TimedOut))
}

async fn handshake(mut io: Io, bind: Body, limits: Limits, meters: Arc<Meters>) -> Result<Opened, OpenError> {
    const SEQUENCE: u32 = 1;
    send(&mut io, &meters, &Pdu::new(SEQUENCE, bind)).await?;
    loop {
        while let Some(frame) = Framer::default().next_frame(&mut io.buffer)? {
            let pdu = match decode(&frame) {
                Ok(pdu) => pdu,
                Err(error) => {
                    tracing::debug!(%error, "before the answer to the bind");
                    continue;
                }
            };
            meters.received(pdu.body.command_id());
            match pdu.body {
                // Some answer every kind of bind with the same kind of response.
                Body::BindTransmitterResp(resp)
                | Body::BindReceiverResp(resp)
                | Body::BindTransceiverResp(resp) => {
                    if !pdu.status.is_ok() {
                        return Err(OpenError::Refused(pdu.status));
                    }
                    return Ok(Opened {
                        system_id: resp.system_id.text().into_owned(),
                        version: resp.tlvs.sc_interface_version(),
                        session: Session::new(limits, meters, SEQUENCE),
                        io,
                    });
                }
                Body::GenericNack => return Err(OpenError::Refused(pdu.status)),
                Body::EnquireLink => {
                    send(&mut io, &meters, &Pdu::new(pdu.sequence, Body::EnquireLinkResp)).await?;
                }
                other => {
                    let refused = CommandStatus::RINVBNDSTS;
                    if let Some(refusal) = Pdu::refusal(other.command_id(), pdu.sequence, refused) {
                        send(&mut io, &meters, &refusal).await?;
                    }
                }
            }
        }
        if io.reader.read_buf(&mut io.buffer).await? == 0 {
            return Err(OpenError::Closed);
        }
    }
}

async fn send(io: &mut Io, meters: &Meters, pdu: &Pdu) -> Result<(), OpenError> {
    let mut out = BytesMut::new();
    // The settings were checked, so what is written here always encodes.
    pdu.encode(&mut out)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
    meters.sent(pdu.body.command_id());
    io.writer.write_all(&out).await?;
    io.writer.flush().await?;
    Ok(())
}
