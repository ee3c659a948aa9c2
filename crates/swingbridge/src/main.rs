//! The Swingbridge program.
fn main() {}
