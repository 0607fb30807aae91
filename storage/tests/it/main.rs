//! The conformance suite on every backend, and what only the embedded one must survive.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helper functions too"
)]

mod child;
mod crash;
mod embedded;
mod exhaustion;
mod properties;
