//! Operating Swingbridge: metrics, health, checks.
