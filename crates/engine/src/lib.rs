//! Verbs of Swingbridge: step, route, delivery, policy.
