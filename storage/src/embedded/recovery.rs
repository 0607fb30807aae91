//! What opening a store had to do: a report for the operator.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What was read back from the log when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Batches that were in the log and not yet in the B-tree. None after a clean close.
    pub batches: u64,
    /// Bytes of these batches in memory.
    pub bytes: u64,
    /// How long reading them took.
    pub elapsed: Duration,
    /// A record that a crash had left unfinished, and that was cut. Its commit had not been acknowledged.
    pub torn: Option<TornTail>,
}

/// Where the log was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the unfinished record begins.
    pub offset: u64,
}

impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} batches ({} kB) read back from the log in {} ms",
            self.batches,
            self.bytes.div_ceil(1000),
            self.elapsed.as_millis()
        )?;
        if let Some(TornTail { file, offset }) = &self.torn {
            let file = file.display();
            write!(
                formatter,
                "; an unfinished batch was cut from {file} at byte {offset}"
            )?;
        }
        Ok(())
    }
}
