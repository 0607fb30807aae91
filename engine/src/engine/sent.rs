//! Transactions that are sent without waiting for the ones before them.

use std::marker::PhantomData;

use tokio::sync::oneshot;

use super::{Engine, committed, erase};
use crate::committer::Verdict;
use crate::error::{EngineError, TransactionError};
use crate::transaction::{Committed, Transaction};

/// A transaction that is on its way. It is committed whether or not anybody waits for it.
pub struct Sent<T> {
    verdict: VerdictReceiver,
    returns: PhantomData<fn() -> T>,
}

pub(super) type VerdictReceiver = oneshot::Receiver<Result<Verdict, TransactionError>>;

impl Engine {
    /// Sends a transaction to be run and committed, and does not wait for that: those that are sent one after the other are
    /// committed in that order. It runs where the order is made, so its code should read little. Returns when it has its
    /// place in the queue.
    pub async fn send_transaction<T: Send + 'static>(
        &self,
        code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
    ) -> Result<Sent<T>, TransactionError> {
        let code = self.code(erase(code), None);
        Ok(Sent {
            verdict: self.send(&code, None).await?,
            returns: PhantomData,
        })
    }
}

impl<T: 'static> Sent<T> {
    /// Waits until it is durable, or refused.
    pub async fn committed(self) -> Result<Committed<T>, TransactionError> {
        match answered(self.verdict).await? {
            Verdict::Committed(value, ordered) => Ok(committed(value, ordered)),
            Verdict::Answered(_) | Verdict::Conflict => {
                unreachable!(
                    "a transaction without a key that is run in the line ends with its own result"
                )
            }
        }
    }
}

impl<T> std::fmt::Debug for Sent<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent").finish_non_exhaustive()
    }
}

pub(super) async fn answered(verdict: VerdictReceiver) -> Result<Verdict, TransactionError> {
    // Only a thread that panicked drops a request, and nobody knows how far it had come.
    verdict.await.map_err(|_| EngineError::Indeterminate {
        reason: "the server failed before it was answered".to_owned(),
    })?
}
