//! Checks against implementations written by others that need another program to run.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

mod gsm_perl;
