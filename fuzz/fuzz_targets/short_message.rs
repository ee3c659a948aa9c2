//! The body of a short message: its header, its text in every alphabet, and a receipt in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swingbridge_wire::receipts;
use swingbridge_wire::segments::{self, Options, segment};
use swingbridge_wire::smpp::Tlvs;
use swingbridge_wire::text::{self, CodingRules};

fuzz_target!(|input: (u8, bool, Vec<u8>, Vec<u8>)| {
    let (data_coding, has_header, octets, parameter) = input;
    let alphabet = text::classify(data_coding, CodingRules::default()).alphabet;
    let (header, body) = segments::read(&octets, has_header, alphabet);
    let _ = (header.concatenation(), header.ports());
    if let Some(shown) = text::decode(&body.octets, body.alphabet, body.shifts) {
        // What a phone wrote can be sent to another one, and be read there.
        if let Ok(cut) = segment(&shown, &Options::default()) {
            let bodies: Vec<_> = cut
                .parts(7)
                .map(|part| segments::read(&part.octets, part.has_header, cut.alphabet).1)
                .collect();
            assert_eq!(segments::join(&bodies).as_deref(), Some(shown.as_str()));
        }
    }
    let tlvs = Tlvs::new()
        .with(0x001E, parameter.clone())
        .with(0x0427, parameter.clone());
    let read = receipts::parse(
        receipts::Tlvs {
            receipted_message_id: Some(&parameter),
            message_state: tlvs.message_state(),
            network_error_code: Some(&parameter),
        },
        &octets,
    );
    let _ = format!("{read:?}");
});
