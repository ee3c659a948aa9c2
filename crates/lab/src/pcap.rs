//! Recorded octets as a capture file, so that tshark can judge them without the right to capture.
//!
//! Every chunk becomes one or more TCP segments of a connection between the carrier's port and a port of the
//! session's own, with sequence numbers that fit, so that PDUs that straddle chunks are put together again.

use std::collections::HashMap;

use crate::smsc::{Chunk, SessionId};

/// The port of the carrier in the capture: the one that tshark takes for SMPP by itself.
pub const PORT: u16 = 2775;

/// Raw IP packets; see the registry of link types of tcpdump.
const LINK_TYPE: u32 = 101;
const LARGEST_SEGMENT: usize = 1400;
const CARRIER: [u8; 4] = [127, 0, 0, 1];
const CUSTOMER: [u8; 4] = [127, 0, 0, 2];
const PUSH_AND_ACK: u8 = 0x18;

/// The chunks as a pcap file (version 2.4, microseconds, big-endian).
#[must_use]
pub fn file(chunks: &[Chunk]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4, 0x0002_0004, 0, 0, 65_535, LINK_TYPE] {
        file.extend_from_slice(&u32::to_be_bytes(word));
    }
    // The next sequence number of each side.
    let mut next: HashMap<SessionId, [u32; 2]> = HashMap::new();
    for chunk in chunks {
        let numbers = next.entry(chunk.session).or_insert([1, 1]);
        for octets in chunk.octets.chunks(LARGEST_SEGMENT) {
            let packet = packet(chunk, *numbers, octets);
            let length = packet.len() as u32;
            for word in [
                chunk.at.as_secs() as u32,
                chunk.at.subsec_micros(),
                length,
                length,
            ] {
                file.extend_from_slice(&word.to_be_bytes());
            }
            file.extend_from_slice(&packet);
            let own = &mut numbers[usize::from(chunk.from_carrier)];
            *own = own.wrapping_add(octets.len() as u32);
        }
    }
    file
}

/// An IPv4 packet with a TCP segment. Checksums stay zero, as a network card that computes them leaves them.
fn packet(chunk: &Chunk, numbers: [u32; 2], octets: &[u8]) -> Vec<u8> {
    let customer_port = 20_000 + (chunk.session.0 % 40_000) as u16;
    let (source, destination) = if chunk.from_carrier {
        (CARRIER, CUSTOMER)
    } else {
        (CUSTOMER, CARRIER)
    };
    let (source_port, destination_port) = if chunk.from_carrier {
        (PORT, customer_port)
    } else {
        (customer_port, PORT)
    };
    let own = usize::from(chunk.from_carrier);
    let length = (40 + octets.len()) as u16;

    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    packet.extend_from_slice(&source_port.to_be_bytes());
    packet.extend_from_slice(&destination_port.to_be_bytes());
    packet.extend_from_slice(&numbers[own].to_be_bytes());
    packet.extend_from_slice(&numbers[1 - own].to_be_bytes());
    packet.extend_from_slice(&[0x50, PUSH_AND_ACK, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend_from_slice(octets);
    packet
}
