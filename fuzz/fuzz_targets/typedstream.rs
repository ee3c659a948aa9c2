//! A contact may send anything: an attributed body is read or refused, and what its runs say of the text can be looked up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swingbridge_wire::typedstream::Attributed;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = Attributed::decode(bytes) {
        let mut end = 0;
        for run in &read.runs {
            assert!(run.range.start >= end);
            end = run.range.end;
            let _ = &read.text[run.range.clone()];
        }
        let _ = format!("{read:?}");
    }
});
