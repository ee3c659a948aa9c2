//! An SMSC may send anything: a stream of frames decodes or is refused, and what decodes within the limits
//! of the specification is written back to mean the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use swingbridge_wire::smpp::{Framer, decode};

fuzz_target!(|stream: &[u8]| {
    let mut buffer = BytesMut::from(stream);
    while let Ok(Some(frame)) = Framer::default().next_frame(&mut buffer) {
        let pdu = match decode(&frame) {
            Ok(pdu) => pdu,
            Err(error) => {
                assert_eq!(error.sequence.to_be_bytes(), frame[12..16]);
                continue;
            }
        };
        let _ = format!("{pdu:?}");
        // Encoding is strict, so not all that was read may be written.
        if let Ok(written) = pdu.to_bytes() {
            assert_eq!(decode(&written), Ok(pdu));
        }
    }
});
