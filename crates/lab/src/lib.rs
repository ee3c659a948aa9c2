//! The fake outside: an SMSC with web phones, a strict stub homeserver, seeded faults.
