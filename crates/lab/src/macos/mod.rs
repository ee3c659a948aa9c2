//! A Mac with Messages: its database, and an `osascript` that plays scenarios.

pub mod typedstream;
