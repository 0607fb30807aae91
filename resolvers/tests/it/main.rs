//! Operations against a real engine on the memory backend.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod errors;
mod filters;
mod fixture;
mod limits;
mod live;
mod movies;
mod mutations;
mod pages;
mod transcripts;
