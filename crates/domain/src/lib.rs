//! Nouns and ports of Swingbridge: no I/O.
