//! Transactions under an idempotency key: committed once, however often they are sent.

use super::{Engine, Place, committed, erase};
use crate::clock;
use crate::committer::Verdict;
use crate::error::{EngineError, TransactionError};
use crate::idempotency::{self, FirstAnswer, IdempotencyKey};
use crate::transaction::{Committed, Once, Transaction};

impl Engine {
    /// Runs a transaction that is committed once, however often it is sent under this key: a repetition gets the first
    /// answer. `answer` makes that of what the transaction did; it runs before the transaction is durable, where the
    /// order is made, so it should be short. An answer that could not be made is empty.
    pub async fn transact_once<T: Send + 'static>(
        &self,
        place: Place,
        key: IdempotencyKey,
        code: impl Fn(&mut Transaction<'_>) -> Result<T, TransactionError> + Send + Sync + 'static,
        answer: impl Fn(Committed<T>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<FirstAnswer, TransactionError> {
        if let Some(first) = self.first_answer(&key)? {
            return Ok(first);
        }
        let once = Once {
            key,
            answer: Box::new(move |value, ordered| answer(committed(value, ordered))),
        };
        let code = self.code(erase(code), Some(once));
        match self.transact_erased(place, code).await? {
            Verdict::Answered(first) => Ok(FirstAnswer::clone(&first)),
            Verdict::Committed(..) | Verdict::Conflict => {
                unreachable!("a transaction with a key ends with an answer")
            }
        }
    }

    /// What was answered under a key, if that is known already. Refuses a key that was used for another request.
    pub fn first_answer(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Option<FirstAnswer>, TransactionError> {
        let horizon = clock::ago(&self.shared.clock, self.shared.options.answers_kept);
        let reader = self.shared.backend.snapshot().map_err(EngineError::from)?;
        let first = idempotency::read(&*reader, key.text(), horizon)?;
        first.as_ref().map_or(Ok(()), |first| first.check(key))?;
        Ok(first)
    }
}
