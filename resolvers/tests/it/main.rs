//! Operations against a real engine on the memory backend.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod chunks;
mod cost;
mod declared;
mod documentation;
mod errors;
mod explain;
mod filters;
mod fixture;
mod history;
mod incremental;
mod limits;
mod live;
mod movies;
mod mutations;
mod nested;
mod pages;
mod related_model;
mod relations;
mod transcripts;
