//! The conformance suite on every backend, and what only one of them must survive.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helper functions too"
)]

mod child;
mod crash;
mod embedded;
mod exhaustion;
mod log;
#[cfg(feature = "postgres")]
mod postgres;
mod properties;
