//! What can go wrong here: only stored bytes that are not what was written.

use thalweg_model::ErrorClass;
use thiserror::Error;

/// Stored bytes do not decode to a shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored shape is corrupt at byte {offset}: {reason}")]
pub struct CorruptShape {
    /// Where decoding stopped, in bytes.
    pub offset: usize,
    /// What was wrong there.
    pub reason: &'static str,
}

/// Stored bytes do not decode to a name registry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored names are corrupt at byte {offset}: {reason}")]
pub struct CorruptNames {
    /// Where decoding stopped, in bytes.
    pub offset: usize,
    /// What was wrong there.
    pub reason: &'static str,
}

/// Stored bytes do not decode to published types.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stored types are corrupt at byte {offset}: {reason}")]
pub struct CorruptTypes {
    /// Where decoding stopped, in bytes.
    pub offset: usize,
    /// What was wrong there.
    pub reason: &'static str,
}

impl CorruptShape {
    /// Always [`ErrorClass::Corruption`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Corruption
    }
}

impl CorruptNames {
    /// Always [`ErrorClass::Corruption`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Corruption
    }
}

impl CorruptTypes {
    /// Always [`ErrorClass::Corruption`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Corruption
    }
}
