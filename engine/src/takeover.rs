//! Becoming the one who writes.
//!
//! A head of a higher epoch is committed before anything is read, so that no batch of a former writer, one that is still on
//! its way included, can land afterwards.

use thalweg_model::CommitTs;
use thalweg_storage::{Backend, Batch, CommitError, Head};

use crate::error::EngineError;
use crate::format;

/// How often somebody else may write in between, or an attempt may end in doubt, before it is given up.
const ATTEMPTS_MAX: u32 = 16;

/// Commits a head of a higher epoch, and returns it.
///
/// An attempt in doubt is settled by the next one, with an epoch above that of the first: if the first has landed, or lands
/// meanwhile, the next one is built on it or fenced by it, and looks again.
pub(crate) fn take_over(backend: &dyn Backend) -> Result<Head, EngineError> {
    let mut epoch = 0;
    let mut attempt = 1;
    loop {
        let reader = backend.snapshot()?;
        format::check(&*reader)?;
        let found = reader.head();
        epoch = found.map_or(0, |head| head.epoch).max(epoch) + 1;
        let mut batch = raise(found, epoch);
        batch.writes.extend(format::put_newer(&*reader)?);
        drop(reader);
        let error = match backend.commit(&batch) {
            Ok(()) => return Ok(batch.head),
            Err(CommitError::NotCommitted(error)) => return Err(error.into()),
            Err(CommitError::Fenced { .. }) => EngineError::Deposed,
            Err(CommitError::Indeterminate(error)) => EngineError::Indeterminate {
                reason: error.to_string(),
            },
        };
        if attempt == ATTEMPTS_MAX {
            return Err(error);
        }
        attempt += 1;
    }
}

/// A batch that changes nothing but the epoch.
fn raise(found: Option<Head>, epoch: u64) -> Batch {
    let head = match found {
        None => Head {
            epoch,
            commit_ts: CommitTs::ZERO,
            batch: 0,
        },
        Some(head) => Head {
            epoch,
            batch: head.batch + 1,
            ..head
        },
    };
    Batch {
        expected: found,
        head,
        writes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use parking_lot::Mutex;
    use thalweg_storage::{MemoryBackend, Snapshot, StorageError, Usage};

    use super::*;

    /// What becomes of a commit.
    #[derive(Clone, Copy)]
    enum Fate {
        Commit,
        Refuse,
        /// The answer is lost, and the batch with it.
        Lose,
        /// The answer is lost, and the batch is there.
        Land,
        /// The answer is lost, and the batch lands only just before the next one.
        LandLate,
        /// Another server takes over first.
        Rival,
    }

    struct Scripted {
        inner: MemoryBackend,
        fates: Mutex<VecDeque<Fate>>,
        late: Mutex<Option<Batch>>,
    }

    fn lost() -> StorageError {
        StorageError::Unavailable {
            reason: "says the test".to_owned(),
        }
    }

    impl Backend for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
            self.inner.snapshot()
        }

        fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
            if let Some(late) = self.late.lock().take() {
                self.inner.commit(&late)?;
            }
            match self.fates.lock().pop_front().unwrap_or(Fate::Commit) {
                Fate::Commit => return self.inner.commit(batch),
                Fate::Refuse => return Err(CommitError::NotCommitted(lost())),
                Fate::Lose => {}
                Fate::Land => self.inner.commit(batch)?,
                Fate::LandLate => *self.late.lock() = Some(batch.clone()),
                Fate::Rival => {
                    take_over(&self.inner).unwrap();
                    return self.inner.commit(batch);
                }
            }
            Err(CommitError::Indeterminate(lost()))
        }

        fn usage(&self) -> Result<Usage, StorageError> {
            self.inner.usage()
        }
    }

    fn scripted(fates: &[Fate]) -> Scripted {
        Scripted {
            inner: MemoryBackend::new(),
            fates: Mutex::new(fates.iter().copied().collect()),
            late: Mutex::default(),
        }
    }

    #[test]
    fn it_ends_with_the_stored_head_and_an_epoch_above_all_before_it() {
        use Fate::{Commit, Land, LandLate, Lose, Rival};
        for (fates, epoch) in [
            (&[Commit][..], 1),
            (&[Lose], 2),
            (&[Land], 2),
            (&[LandLate], 3),
            (&[Rival], 2),
            (&[Lose, Land, LandLate, Rival, Lose], 6),
        ] {
            let backend = scripted(fates);
            let head = take_over(&backend).unwrap();
            assert_eq!(head.epoch, epoch);
            assert_eq!(backend.snapshot().unwrap().head(), Some(head));
            assert!(backend.late.lock().is_none(), "nothing can land any more");
            assert_eq!(take_over(&backend).unwrap().epoch, epoch + 1);
        }
    }

    #[test]
    fn it_gives_up_on_a_refusal_and_on_doubt_without_end() {
        let refused = take_over(&scripted(&[Fate::Refuse])).unwrap_err();
        assert!(matches!(refused, EngineError::Storage(_)), "{refused:?}");
        let doubtful = take_over(&scripted(&[Fate::Land; 64])).unwrap_err();
        assert!(
            matches!(doubtful, EngineError::Indeterminate { .. }),
            "{doubtful:?}"
        );
        let overtaken = take_over(&scripted(&[Fate::Rival; 64])).unwrap_err();
        assert!(matches!(overtaken, EngineError::Deposed), "{overtaken:?}");
    }
}
