use super::CommandStatus;
use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Octets of a PDU's header: length, command id, status, sequence number.
pub const HEADER_LEN: usize = 16;
/// The longest frame taken by default: the longest `message_payload` and room for the rest.
pub const DEFAULT_MAX_FRAME: usize = 128 * 1024;

/// Cuts a byte stream into frames, each one PDU with its header.
#[derive(Debug, Clone, Copy)]
pub struct Framer {
    max: usize,
}

impl Default for Framer {
    fn default() -> Framer {
        Framer::new(DEFAULT_MAX_FRAME)
    }
}

impl Framer {
    /// A framer that takes frames of up to `max` octets, header included.
    pub fn new(max: usize) -> Framer {
        Framer {
            max: max.max(HEADER_LEN),
        }
    }

    /// Takes the next whole frame off the front of `buffer`; none while more octets are needed. Room for the
    /// rest of the frame is then reserved.
    ///
    /// # Errors
    /// The stream cannot be followed further: answer with [`FrameError::sequence`] and close the connection.
    pub fn next_frame(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length < HEADER_LEN || length > self.max {
            // The sequence number cannot be trusted, but it is the best guess at what is refused.
            let sequence = match buffer.get(12..16) {
                Some(mut octets) => octets.get_u32(),
                None => 0,
            };
            return Err(FrameError { length, sequence });
        }
        if buffer.len() < length {
            buffer.reserve(length - buffer.len());
            return Ok(None);
        }
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

/// A length that no PDU can have: the stream is not SMPP, or is out of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame gives its length as {length} octets")]
pub struct FrameError {
    /// The length given.
    pub length: usize,
    /// The sequence number that followed, or zero when it had not come yet.
    pub sequence: u32,
}

impl FrameError {
    /// The status to answer with before closing.
    pub const STATUS: CommandStatus = CommandStatus::RINVCMDLEN;
}
