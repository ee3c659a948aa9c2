//! Against the lab's strict stub, which has the habits of several homeservers.
