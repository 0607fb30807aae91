//! The head: the one value that every batch overwrites, and that fences every batch.
//!
//! A batch names the head it was built on and the head it leaves behind. The backend compares the first with what
//! is stored, inside its own transaction, so batch n+1 never lands without batch n and a deposed leader, whose
//! epoch has been overtaken, can write nothing more.

use thalweg_model::CommitTs;

use crate::StorageError;
use crate::keyspace::RESERVED_PREFIX;

/// Where a backend keeps the encoded [`Head`]. Reserved: no scan shows it and no batch may name it.
pub const HEAD_KEY: &[u8] = &[RESERVED_PREFIX, b'h', b'e', b'a', b'd'];

/// The identity of one state of the store.
///
/// Heads are ordered as their states are: first by epoch, then by commit timestamp, then by batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head {
    /// Number of the leadership that wrote it. A take-over raises it before anything else.
    pub epoch: u64,
    /// Timestamp of the last commit that the state contains.
    pub commit_ts: CommitTs,
    /// Number of the batch that produced the state.
    pub batch: u64,
}

impl Head {
    /// Length of the encoded form: three big-endian 64-bit integers (epoch, microseconds, batch).
    pub const ENCODED_BYTES: usize = 24;

    /// The stored form.
    pub fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let mut encoded = [0; Self::ENCODED_BYTES];
        encoded[..8].copy_from_slice(&self.epoch.to_be_bytes());
        encoded[8..16].copy_from_slice(&self.commit_ts.as_micros().to_be_bytes());
        encoded[16..].copy_from_slice(&self.batch.to_be_bytes());
        encoded
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`StorageError::Corrupt`] when the length is wrong.
    pub fn decode(encoded: &[u8]) -> Result<Self, StorageError> {
        let (words, rest) = encoded.as_chunks::<8>();
        match (words, rest) {
            ([epoch, commit_ts, batch], []) => Ok(Self {
                epoch: u64::from_be_bytes(*epoch),
                commit_ts: CommitTs::from_micros(u64::from_be_bytes(*commit_ts)),
                batch: u64::from_be_bytes(*batch),
            }),
            _ => Err(StorageError::Corrupt {
                detail: format!(
                    "the stored head has {} bytes instead of {}",
                    encoded.len(),
                    Self::ENCODED_BYTES
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_returns_what_it_was_given_and_sorts_as_heads_do() {
        let head = |epoch, micros, batch| Head {
            epoch,
            commit_ts: CommitTs::from_micros(micros),
            batch,
        };
        let ascending = [
            head(0, 0, 0),
            head(0, 0, 1),
            head(0, 7, 0),
            head(1, 0, u64::MAX),
            head(2, u64::MAX, 3),
            head(u64::MAX, u64::MAX, u64::MAX),
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].encode() < pair[1].encode());
        }
        for head in ascending {
            assert_eq!(Head::decode(&head.encode()).unwrap(), head);
        }
    }

    #[test]
    fn a_wrong_length_is_corruption() {
        for length in [0, 1, 23, 25, 32] {
            let error = Head::decode(&vec![0; length]).unwrap_err();
            assert!(
                matches!(error, StorageError::Corrupt { .. }),
                "{length}: {error}"
            );
        }
    }
}
