//! A result of a live query, as it is kept and shared by all who are told of it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use thalweg_model::CommitTs;

use crate::patch::patch;
use crate::runner::Evaluation;

/// A result from a timestamp on. Two of one live query with one timestamp are the same.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The first state that is known to have it.
    pub(crate) ts: CommitTs,
    pub(crate) result: Box<[u8]>,
    /// Where the data begins; past the end where there is none that can be patched.
    data_from: usize,
    /// The result before it.
    prior_ts: Option<CommitTs>,
    /// How it follows from that, made for the first who asks.
    patch: OnceLock<Box<Bytes>>,
    fingerprint: OnceLock<u64>,
}

/// Nobody can choose results that have one fingerprint.
static FINGERPRINTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Outcome {
    pub(crate) fn new(ts: CommitTs, evaluation: &Evaluation, prior: Option<CommitTs>) -> Outcome {
        Outcome {
            ts,
            // The buffer that it was written to may be much longer.
            result: evaluation.result.as_ref().into(),
            data_from: evaluation.data_from.unwrap_or(usize::MAX),
            prior_ts: prior,
            patch: OnceLock::new(),
            fingerprint: OnceLock::new(),
        }
    }

    /// Results of one fingerprint are the same, but for a chance of one in 2^64.
    pub(crate) fn fingerprint(&self) -> u64 {
        *self
            .fingerprint
            .get_or_init(|| FINGERPRINTS.hash_one(&self.result))
    }

    /// The data; `None` where the result has errors.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        self.result.get(self.data_from..)
    }

    /// The result, which shares it.
    pub(crate) fn shared(self: Arc<Outcome>) -> Bytes {
        struct Whole(Arc<Outcome>);

        impl AsRef<[u8]> for Whole {
            fn as_ref(&self) -> &[u8] {
                &self.0.result
            }
        }

        Bytes::from_owner(Whole(self))
    }

    /// How its data follows from that of an earlier result; `None` where one of the two has errors.
    pub(crate) fn patch_from(&self, base: &Outcome) -> Option<Bytes> {
        let (old, new) = (base.data()?, self.data()?);
        if self.prior_ts == Some(base.ts) {
            if let Some(made) = self.patch.get() {
                return Some(Bytes::clone(made));
            }
            let made = Box::new(Bytes::from(patch(old, new).ok()?));
            return Some(Bytes::clone(self.patch.get_or_init(|| made)));
        }
        patch(old, new).ok().map(Bytes::from)
    }
}
