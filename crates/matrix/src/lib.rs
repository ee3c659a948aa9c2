//! The Matrix side: application service, rooms, media, rendering.
