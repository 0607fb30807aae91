//! Every key lies in a keyspace.

use std::ops::{Bound, ControlFlow};

use thalweg_model::prefix_end;
use thalweg_storage::Direction;

use super::{FindingKind, Store, name};
use crate::error::EngineError;
use crate::keyspace::Keyspace;

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    // What lies between the keyspaces, so that nothing is read that is read again.
    let mut from = Vec::new();
    for keyspace in Keyspace::ALL {
        let prefix = keyspace.prefix();
        check_gap(store, &from, Bound::Excluded(&prefix))?;
        from = prefix_end(&prefix).expect("a prefix does not consist of 0xff bytes");
    }
    check_gap(store, &from, Bound::Unbounded)
}

fn check_gap(store: &mut Store<'_>, from: &[u8], to: Bound<&[u8]>) -> Result<(), EngineError> {
    let reader = store.reader;
    reader.scan(
        Bound::Included(from),
        to,
        Direction::Forward,
        &mut |key, _| {
            store.find(FindingKind::Key, name(key), "it lies in no keyspace");
            ControlFlow::Continue(())
        },
    )?;
    Ok(())
}
