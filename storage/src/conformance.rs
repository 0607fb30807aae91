//! The contract as executable properties, which every backend passes.
//!
//! A backend's tests implement [`Fixture`] and call [`run`], or walk [`PROPERTIES`] to get one test per property. Each
//! property gets a fresh, empty store, and panics with what it saw when the store breaks the contract.

mod concurrency;
mod durability;
mod fencing;
mod limits;
mod model;
#[cfg(unix)]
pub mod postgres_server;
mod reading;
mod script;
mod snapshots;
mod writing;

use std::sync::Arc;

use crate::Backend;

/// A store under test.
pub trait Fixture {
    /// The store as it is open now.
    fn backend(&self) -> Arc<dyn Backend>;

    /// Closes the store and opens it again on the same data; `false` from one that keeps nothing.
    ///
    /// The suite has dropped every snapshot and every clone of [`Fixture::backend`] when it calls this.
    fn reopen(&mut self) -> bool;
}

/// One thing that every backend must do.
pub struct Property {
    /// A short name, unique in the table.
    pub name: &'static str,
    /// What must hold.
    pub statement: &'static str,
    /// Panics if it does not hold in the given empty store.
    pub check: fn(&mut dyn Fixture),
}

/// Runs every property, each on a store of its own from `make`.
///
/// # Panics
///
/// When a property does not hold.
pub fn run(make: &dyn Fn() -> Box<dyn Fixture>) {
    for property in PROPERTIES {
        (property.check)(make().as_mut());
    }
}

/// Every property of the contract.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: "an_empty_store_has_nothing",
        statement: "a new store has no head and no key, in either direction and between any bounds",
        check: reading::an_empty_store_has_nothing,
    },
    Property {
        name: "a_put_is_read_back_until_it_is_deleted",
        statement: "get returns the last value put, and nothing before the first put or after a delete",
        check: reading::a_put_is_read_back_until_it_is_deleted,
    },
    Property {
        name: "many_keys_are_read_like_each_of_them",
        statement: "get_many returns what get does for each key, in their order",
        check: reading::many_keys_are_read_like_each_of_them,
    },
    Property {
        name: "scans_see_exactly_the_keys_between_their_bounds",
        statement: "for every kind of bound and either direction, in byte order, inverted ranges being empty",
        check: reading::scans_see_exactly_the_keys_between_their_bounds,
    },
    Property {
        name: "a_prefix_scan_sees_exactly_the_prefix",
        statement: "from a prefix up to its successor come the keys with that prefix, 0xFF bytes included",
        check: reading::a_prefix_scan_sees_exactly_the_prefix,
    },
    Property {
        name: "a_scan_stops_where_it_is_told",
        statement: "a visitor that breaks is not called again, and the snapshot remains usable",
        check: reading::a_scan_stops_where_it_is_told,
    },
    Property {
        name: "many_ranges_are_read_like_each_of_them",
        statement: "scan_many shows the first rows of each range that scan does, at most as many as are wanted",
        check: reading::many_ranges_are_read_like_each_of_them,
    },
    Property {
        name: "values_outlive_the_visit",
        statement: "values of a scan stay valid as long as the snapshot is borrowed, later commits notwithstanding",
        check: reading::values_outlive_the_visit,
    },
    Property {
        name: "later_writes_of_a_batch_win",
        statement: "put, delete, range delete and put again take effect in the order of the batch",
        check: writing::later_writes_of_a_batch_win,
    },
    Property {
        name: "a_range_delete_is_half_open",
        statement: "it removes its lower bound and not its upper, takes any bounds, and nothing when inverted",
        check: writing::a_range_delete_is_half_open,
    },
    Property {
        name: "deleting_what_is_absent_changes_nothing",
        statement: "deletes of absent keys and empty ranges succeed",
        check: writing::deleting_what_is_absent_changes_nothing,
    },
    Property {
        name: "a_batch_without_writes_moves_the_head",
        statement: "an empty batch commits its head and leaves every key",
        check: writing::a_batch_without_writes_moves_the_head,
    },
    Property {
        name: "large_batches_land_whole",
        statement: "a batch of many thousand writes and many megabytes is one commit",
        check: writing::large_batches_land_whole,
    },
    Property {
        name: "keys_and_values_up_to_the_limits_are_kept",
        statement: "keys of 1 to 480 bytes and values of 0 bytes to 1 MiB come back as they were",
        check: limits::keys_and_values_up_to_the_limits_are_kept,
    },
    Property {
        name: "what_exceeds_a_limit_is_refused_whole",
        statement: "a batch with an empty, too long or reserved key or too long a value writes nothing",
        check: limits::what_exceeds_a_limit_is_refused_whole,
    },
    Property {
        name: "reserved_keys_stay_hidden",
        statement: "neither get, nor scan, nor a range delete reaches the keys of the backend itself",
        check: limits::reserved_keys_stay_hidden,
    },
    Property {
        name: "bounds_of_any_length_are_honoured",
        statement: "scan and range delete take bounds longer than a key, get takes any key",
        check: limits::bounds_of_any_length_are_honoured,
    },
    Property {
        name: "a_wrong_expectation_is_fenced",
        statement: "a batch on any head but the stored one is refused with the stored one, and changes nothing",
        check: fencing::a_wrong_expectation_is_fenced,
    },
    Property {
        name: "a_head_must_follow_its_predecessor",
        statement: "a batch whose head is not greater than the expected one is refused",
        check: fencing::a_head_must_follow_its_predecessor,
    },
    Property {
        name: "a_higher_epoch_deposes_the_writer",
        statement: "after a take-over the former writer is fenced for good",
        check: fencing::a_higher_epoch_deposes_the_writer,
    },
    Property {
        name: "one_of_many_rivals_wins",
        statement: "of concurrent batches on one head exactly one commits and the others are fenced",
        check: fencing::one_of_many_rivals_wins,
    },
    Property {
        name: "a_snapshot_is_one_state_for_ever",
        statement: "old snapshots keep their keys, values and head while many batches follow",
        check: snapshots::a_snapshot_is_one_state_for_ever,
    },
    Property {
        name: "a_snapshot_sees_every_earlier_commit",
        statement: "a snapshot opened after a commit returned contains it",
        check: snapshots::a_snapshot_sees_every_earlier_commit,
    },
    Property {
        name: "a_snapshot_outlives_its_backend_handle",
        statement: "a snapshot can be moved to another thread and read after the backend was dropped",
        check: snapshots::a_snapshot_outlives_its_backend_handle,
    },
    Property {
        name: "usage_follows_the_data",
        statement: "live bytes grow with what is put and shrink with what is deleted; open snapshots are counted",
        check: snapshots::usage_follows_the_data,
    },
    Property {
        name: "random_batches_match_a_plain_map",
        statement: "random batches, reads, scans and reopenings agree with an ordered map at every step",
        check: model::random_batches_match_a_plain_map,
    },
    Property {
        name: "readers_see_whole_batches_during_commits",
        statement: "concurrent readers see states that some prefix of the batches produced, never going backwards",
        check: concurrency::readers_see_whole_batches_during_commits,
    },
    Property {
        name: "what_was_committed_is_there_after_reopening",
        statement: "a persistent store has every key and its head after it was closed and opened",
        check: durability::what_was_committed_is_there_after_reopening,
    },
    Property {
        name: "fencing_survives_reopening",
        statement: "a reopened persistent store still refuses batches on any other head",
        check: durability::fencing_survives_reopening,
    },
];
