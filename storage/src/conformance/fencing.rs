//! Heads: a batch lands only on the state it was made for.

use std::sync::Barrier;
use std::thread;

use thalweg_model::CommitTs;

use super::Fixture;
use super::script::{batch_after, commit, contents, head, open, put, rows};
use crate::{Batch, CommitError, StorageError};

pub(super) fn a_wrong_expectation_is_fenced(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let refuse = |expected, next, stored| {
        let batch = Batch {
            expected,
            head: next,
            writes: vec![put("b", "intruder")],
        };
        match backend.commit(&batch) {
            Err(CommitError::Fenced { found }) => assert_eq!(found, stored, "on {expected:?}"),
            other => panic!("a batch on {expected:?} over {stored:?} gave {other:?}"),
        }
        assert_eq!(open(backend.as_ref()).head(), stored);
    };

    refuse(Some(head(1, 1)), head(1, 2), None);
    assert_eq!(contents(backend.as_ref()), []);

    commit(backend.as_ref(), vec![put("a", "1")]);
    let stored = commit(backend.as_ref(), vec![put("a", "2")]);
    refuse(None, head(9, 9), Some(stored));
    refuse(Some(head(1, 1)), head(9, 9), Some(stored));
    refuse(Some(head(1, 3)), head(9, 9), Some(stored));
    for part in 0..3 {
        let mut near = stored;
        match part {
            0 => near.epoch += 1,
            1 => near.commit_ts = CommitTs::from_micros(near.commit_ts.as_micros() + 1),
            _ => near.batch += 1,
        };
        refuse(Some(near), head(9, 9), Some(stored));
    }
    assert_eq!(contents(backend.as_ref()), rows(&[(b"a", b"2")]));
    commit(backend.as_ref(), vec![put("a", "3")]);
}

pub(super) fn a_head_must_follow_its_predecessor(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    commit(backend.as_ref(), vec![put("a", "1")]);
    let stored = commit(backend.as_ref(), vec![put("a", "2")]);
    for head in [stored, head(1, 1), head(0, 100)] {
        let result = backend.commit(&Batch {
            expected: Some(stored),
            head,
            writes: vec![put("a", "3")],
        });
        let refused = matches!(
            result,
            Err(CommitError::NotCommitted(
                StorageError::HeadOutOfOrder { .. }
            ))
        );
        assert!(refused, "head {head:?} after {stored:?} gave {result:?}");
        assert_eq!(contents(backend.as_ref()), rows(&[(b"a", b"2")]));
    }
}

pub(super) fn a_higher_epoch_deposes_the_writer(fixture: &mut dyn Fixture) {
    let backend = fixture.backend();
    let old = commit(backend.as_ref(), vec![put("a", "1")]);
    let mut raised = old;
    raised.epoch += 1;
    let take_over = Batch {
        expected: Some(old),
        head: raised,
        writes: Vec::new(),
    };
    assert!(
        backend.commit(&take_over).is_ok(),
        "only the epoch changes in a take-over"
    );

    let late = batch_after(Some(old), vec![put("a", "late")]);
    let result = backend.commit(&late);
    let fenced =
        matches!(result, Err(CommitError::Fenced { found: Some(found) }) if found == raised);
    assert!(fenced, "the deposed writer got {result:?}");
    commit(backend.as_ref(), vec![put("b", "2")]);
    assert_eq!(
        contents(backend.as_ref()),
        rows(&[(b"a", b"1"), (b"b", b"2")])
    );
}

pub(super) fn one_of_many_rivals_wins(fixture: &mut dyn Fixture) {
    const RIVALS: u64 = 8;
    let backend = fixture.backend();
    for round in 0..20_u64 {
        let stored = open(backend.as_ref()).head();
        let start = Barrier::new(RIVALS as usize);
        let winners: Vec<u64> = thread::scope(|scope| {
            let rivals: Vec<_> = (0..RIVALS)
                .map(|rival| {
                    let (backend, start) = (&backend, &start);
                    scope.spawn(move || {
                        // Epochs differ between rivals, so each round begins above all before it.
                        let batch = Batch {
                            expected: stored,
                            head: head(1 + round * RIVALS + rival, round),
                            writes: vec![put("winner", [rival as u8])],
                        };
                        start.wait();
                        match backend.commit(&batch) {
                            Ok(()) => Some(rival),
                            Err(CommitError::Fenced { .. }) => None,
                            Err(error) => panic!("rival {rival} got {error:?}"),
                        }
                    })
                })
                .collect();
            rivals
                .into_iter()
                .filter_map(|rival| rival.join().expect("a rival panicked"))
                .collect()
        });
        assert_eq!(winners.len(), 1, "round {round}: winners {winners:?}");
        assert_eq!(
            contents(backend.as_ref()),
            rows(&[(b"winner", &[winners[0] as u8])])
        );
    }
}
