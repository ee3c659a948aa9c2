//! The program with accounts at providers, all of them the lab's (*emulated*), and a real Synapse.

mod accounts;
mod check;
mod doors;
mod house;
mod kills;
mod rcs;
mod swap;
mod texts;
