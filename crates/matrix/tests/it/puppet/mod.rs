//! The device's own client, on a real Synapse, with clients of its owner that others wrote.

mod chats;
mod edge;
mod files;
mod house;
mod login;
mod owner;
mod reading;
mod session;
mod trust;
