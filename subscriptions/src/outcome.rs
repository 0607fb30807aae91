//! A result of a live query, as it is kept and shared by all who are told of it.

use std::sync::OnceLock;

use bytes::Bytes;
use thalweg_model::CommitTs;

use crate::patch::patch;
use crate::runner::Evaluation;

/// A result from a timestamp on. Two of one live query are the same exactly if their timestamps are.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The first state that is known to have it.
    pub(crate) ts: CommitTs,
    pub(crate) result: Bytes,
    data_from: Option<usize>,
    /// The result before it.
    prior_ts: Option<CommitTs>,
    /// How it follows from that, made for the first who asks.
    patch: OnceLock<Bytes>,
}

impl Outcome {
    pub(crate) fn new(ts: CommitTs, evaluation: &Evaluation, prior: Option<CommitTs>) -> Outcome {
        Outcome {
            ts,
            // The buffer that it was written to may be much longer.
            result: Bytes::copy_from_slice(&evaluation.result),
            data_from: evaluation.data_from,
            prior_ts: prior,
            patch: OnceLock::new(),
        }
    }

    /// The data; `None` where the result has errors.
    pub(crate) fn data(&self) -> Option<&[u8]> {
        self.data_from.map(|from| &self.result[from..])
    }

    /// How its data follows from that of an earlier result; `None` where one of the two has errors.
    pub(crate) fn patch_from(&self, base: &Outcome) -> Option<Bytes> {
        let (old, new) = (base.data()?, self.data()?);
        if self.prior_ts == Some(base.ts) {
            if let Some(made) = self.patch.get() {
                return Some(made.clone());
            }
            let made = Bytes::from(patch(old, new).ok()?);
            return Some(self.patch.get_or_init(|| made).clone());
        }
        patch(old, new).ok().map(Bytes::from)
    }
}
