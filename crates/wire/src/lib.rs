//! Bytes and structs that no library has: SMPP, GSM text, segments, receipts, typedstreams.

pub mod gsm;
pub mod receipts;
pub mod segments;
pub mod smpp;
pub mod text;
pub mod typedstream;
pub mod udh;
