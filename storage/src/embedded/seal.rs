//! The seal that is set when nothing more may be written.
//!
//! After a failed sync the kernel may have dropped the pages that it could not write, while calling them clean. What is
//! on the disk is then only known after reading it back, so a sealed store writes nothing until it is opened again. The
//! same holds when the applier has died, for without it the log would only grow.

use std::fmt::Display;
use std::sync::OnceLock;

use crate::StorageError;

/// Open until the first failure that writing must not survive; shared by the log and the tree.
#[derive(Debug, Default)]
pub(super) struct Seal(OnceLock<String>);

impl Seal {
    /// Stops all writing after a failed sync. The first reason stands.
    pub(super) fn set(&self, error: &dyn Display) {
        self.stop(&format_args!("after a failed sync ({error})"));
    }

    /// Stops all writing. The first reason stands.
    pub(super) fn stop(&self, when: &dyn Display) {
        self.0
            .get_or_init(|| format!("writing stopped {when}; close the store and open it again"));
    }

    /// Fails once the seal is set.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(StorageError::Unavailable {
                reason: reason.clone(),
            }),
        }
    }
}
