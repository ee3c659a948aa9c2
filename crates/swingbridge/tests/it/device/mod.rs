//! The program on a device: a real Synapse, a phone or Mac of the lab's, and the owner at a client that encrypts.

mod handset;
mod house;
mod kills;
pub mod login;
mod mirror;
mod owner;
mod selftest;
