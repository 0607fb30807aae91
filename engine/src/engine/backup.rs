//! Backups of a store that this engine uses, and what it holds back meanwhile.

use std::io::Write;

use super::{Engine, Shared};
use crate::backup::{self, BackupError, BackupSummary};
use crate::pin::{Pin, Pins};

impl Engine {
    /// Writes the state of now, with the history that it has, as a backup that [`ProvedBackup`](crate::ProvedBackup) reads. Goes on
    /// while others read and write: what they do meanwhile is not in it. Holds back the erasing of what is no longer kept
    /// until it is done, though no longer than [`EngineOptions::pin_max`](crate::EngineOptions::pin_max). Blocks.
    ///
    /// Fails with [`BackupError::Overtaken`] where a collection is emptied at once meanwhile, or where it takes too long.
    pub fn backup(&self, sink: &mut dyn Write) -> Result<BackupSummary, BackupError> {
        let Shared {
            backend, published, ..
        } = &*self.shared;
        if let Some(error) = published.failure() {
            return Err(error.into());
        }
        if backend.is_shared() {
            // The server that erases may be another one, so what is read is held by the reader.
            return backup::write_stored(&**backend, sink);
        }
        let pin = self.pin().ok_or(BackupError::Overtaken {
            reason: "what was being erased when it began took too long",
        })?;
        backup::write_running(&**backend, &pin, sink)
    }

    pub(crate) fn pin(&self) -> Option<Pin> {
        Pins::pin(&self.shared.published.pins, &self.shared.clock)
    }

    /// Whether erasing is held back now.
    pub(crate) fn holds_back(&self) -> bool {
        let Shared {
            clock,
            published,
            options,
            ..
        } = &*self.shared;
        published.pins.is_held(clock, options.pin_max)
    }
}
