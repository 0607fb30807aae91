//! Mutations under an idempotency key: however often one is sent, it is committed once and answered alike.
//!
//! The complete response is made where the order is made, and is stored in the very commit that it tells of; so a
//! client that never saw it, because a connection or the server broke, gets it byte for byte when it asks again. A
//! mutation that was refused has committed nothing, its response included, and runs anew.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_engine::IdempotencyKey;
use thalweg_model::ErrorCode;

use crate::failure::Failure;
use crate::operation::Operation;
use crate::request::Request;
use crate::resolvers::Resolvers;

impl Resolvers {
    /// The response to a repeated request, if the first one is committed and its answer is still kept.
    ///
    /// Looked up before the request is prepared: the first one may have changed the schema so that the same text is no
    /// longer valid. Refuses a key that was used for another request.
    pub fn first_answer(&self, key: &IdempotencyKey) -> Result<Option<Bytes>, Failure> {
        match self.engine().first_answer(key) {
            Ok(first) => first.map(|first| shown(first.answer)).transpose(),
            Err(error) => Err(Failure::new(error.code(), error.to_string())),
        }
    }

    /// Runs a mutation until it is committed and durable, unless one with this key is: then gives that one's response.
    pub async fn mutate_once(
        &self,
        operation: &Operation,
        key: IdempotencyKey,
    ) -> Result<Bytes, Failure> {
        let attempt = match self.attempt(operation) {
            Ok(attempt) => Arc::new(attempt),
            Err(refused) => return Ok(refused.body().clone()),
        };
        let answer = {
            let (resolvers, attempt) = (self.clone(), Arc::clone(&attempt));
            move |committed| {
                let evaluation = resolvers.render_mutation(&attempt, &committed);
                Vec::from(evaluation.into_parts().0)
            }
        };
        let place = attempt.place();
        let first = self
            .engine()
            .transact_once(place, key, attempt.code(), answer)
            .await;
        match first {
            Ok(first) => shown(first.answer),
            Err(error) => Ok(self.refuse_attempt(&attempt, &error).body().clone()),
        }
    }
}

/// The engine keeps an empty answer where none could be made.
fn shown(answer: Bytes) -> Result<Bytes, Failure> {
    if answer.is_empty() {
        let message = "the mutation is committed, but its response could not be made";
        return Err(Failure::new(ErrorCode::Internal, message));
    }
    Ok(answer)
}

impl Request {
    /// The request's identity under the key that a client gave it: the same key with another text, operation name or
    /// variables is another request, and is refused.
    ///
    /// Fails where the key is empty or longer than [`IdempotencyKey::BYTES_MAX`] bytes.
    pub fn idempotency_key(&self, key: &str) -> Result<IdempotencyKey, Failure> {
        let variables = self.variables.as_ref().map(|variables| variables.json());
        let parts = [
            self.query.as_ref().map(String::as_bytes),
            self.operation_name.as_ref().map(String::as_bytes),
            variables,
        ];
        IdempotencyKey::new(key, fingerprint(parts)).ok_or_else(|| {
            Failure::new(
                ErrorCode::BadRequest,
                format!(
                    "an idempotency key has 1 to {} bytes, this one has {}",
                    IdempotencyKey::BYTES_MAX,
                    key.len()
                ),
            )
        })
    }
}

/// FNV-1a over the parts with their lengths. It is stored, so it must never change. It need not withstand attacks: all
/// that somebody can gain with a collision is the answer to a request under a key that is known to them.
fn fingerprint<'p>(parts: impl IntoIterator<Item = Option<&'p [u8]>>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    parts.into_iter().fold(OFFSET, |hash, part| {
        let length = part.map_or(0, |part| part.len() as u64 + 1);
        let hash = length.to_be_bytes().iter().fold(hash, mix);
        part.unwrap_or_default().iter().fold(hash, mix)
    })
}
