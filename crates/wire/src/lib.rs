//! Bytes and structs that no library has: SMPP, GSM text, segments, receipts.

pub mod smpp;
