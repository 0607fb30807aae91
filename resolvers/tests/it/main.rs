//! Operations against a real engine on the memory backend.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod aggregates;
mod chunks;
mod cost;
mod declared;
mod declared_types;
mod documentation;
mod errors;
mod explain;
mod filter_conformance;
mod filters;
mod fixture;
mod history;
mod incremental;
mod limits;
mod live;
mod movies;
mod mutations;
mod names;
mod nested;
mod pages;
mod paging_under_writes;
mod queries_page;
mod related_model;
mod relations;
mod relay_ids;
mod scalars;
mod transcripts;
mod types;
