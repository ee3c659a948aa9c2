//! One contract, held by every engine.

mod inbox;
mod support;
