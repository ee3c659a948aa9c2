//! What the homeserver may ask of us, asked by hand.
