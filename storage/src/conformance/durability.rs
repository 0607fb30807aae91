//! What a persistent store keeps when it is closed. A store that keeps nothing passes by being empty.

use super::Fixture;
use super::script::{batch_after, commit, contents, delete, head, open, put};
use crate::{Batch, CommitError};

pub(super) fn what_was_committed_is_there_after_reopening(fixture: &mut dyn Fixture) {
    for round in 0..5_u8 {
        let backend = fixture.backend();
        commit(
            backend.as_ref(),
            (0..200_u8)
                .map(|key| put([key], vec![round; 300]))
                .collect(),
        );
        let committed = commit(
            backend.as_ref(),
            vec![delete([round]), put([b'r', round], [round])],
        );
        let before = contents(backend.as_ref());
        drop(backend);
        let persistent = fixture.reopen();
        let backend = fixture.backend();
        if persistent {
            assert_eq!(open(backend.as_ref()).head(), Some(committed));
            assert!(
                contents(backend.as_ref()) == before,
                "reopening changed the store"
            );
        } else {
            assert_eq!(open(backend.as_ref()).head(), None);
            assert_eq!(contents(backend.as_ref()), []);
        }
    }
}

pub(super) fn fencing_survives_reopening(fixture: &mut dyn Fixture) {
    let first = commit(fixture.backend().as_ref(), vec![put("a", "1")]);
    let second = commit(fixture.backend().as_ref(), vec![put("a", "2")]);
    let stored = fixture.reopen().then_some(second);
    let backend = fixture.backend();
    for expected in [None, Some(first), Some(second), Some(head(3, 3))] {
        if expected == stored {
            continue;
        }
        let batch = Batch {
            expected,
            head: head(7, 7),
            writes: vec![put("a", "3")],
        };
        match backend.commit(&batch) {
            Err(CommitError::Fenced { found }) => assert_eq!(found, stored),
            other => panic!("a batch on {expected:?} over {stored:?} gave {other:?}"),
        }
    }
    assert!(
        backend
            .commit(&batch_after(stored, vec![put("a", "3")]))
            .is_ok()
    );
}
