//! Which keys and values exist: limits, the reserved prefix, and scan bounds clipped to the keys of users.
//!
//! Keys that begin with [`RESERVED_PREFIX`] belong to the backend ([`HEAD_KEY`](crate::HEAD_KEY), format markers).
//! They sort after every other key, so hiding them costs one upper bound and no prefix on anybody's key.

use std::ops::Bound;

use crate::error::LimitError;

/// Longest key, in bytes. The shortest has one byte.
pub const KEY_BYTES_MAX: usize = 480;

/// Longest value, in bytes. Values may be empty.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// First byte of the keys that a backend keeps for itself.
///
/// Such a key is refused in a batch, absent to `get` and unseen by `scan`.
pub const RESERVED_PREFIX: u8 = 0xFF;

const RESERVED_START: &[u8] = &[RESERVED_PREFIX];

/// Whether a key may be written.
pub(crate) fn check_key(key: &[u8]) -> Result<(), LimitError> {
    match key {
        [] => Err(LimitError::EmptyKey),
        [RESERVED_PREFIX, ..] => Err(LimitError::ReservedKey),
        _ if key.len() > KEY_BYTES_MAX => Err(LimitError::KeyTooLong { bytes: key.len() }),
        _ => Ok(()),
    }
}

/// Whether a value may be written.
pub(crate) fn check_value(value: &[u8]) -> Result<(), LimitError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(LimitError::ValueTooLong { bytes: value.len() });
    }
    Ok(())
}

/// A key range that holds no reserved key, whose bounds are legal keys and in order. What the backends scan.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The range of writable keys that lie between two arbitrary bounds; `None` if there can be none.
///
/// A bound longer than a key can be is replaced by its longest legal prefix `p`: no key lies strictly between `p` and
/// the bound (it would have to extend `p`), so the keys beyond the bound are exactly those beyond `p`.
pub fn clip<'a>(from: Bound<&'a [u8]>, to: Bound<&'a [u8]>) -> Option<KeyRange<'a>> {
    let from = match from {
        Bound::Included([]) | Bound::Excluded([]) | Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_BYTES_MAX => {
            Bound::Excluded(&key[..KEY_BYTES_MAX])
        }
        legal => legal,
    };
    let to = match to {
        Bound::Included(key) | Bound::Excluded(key) if key >= RESERVED_START => {
            Bound::Excluded(RESERVED_START)
        }
        Bound::Unbounded => Bound::Excluded(RESERVED_START),
        Bound::Included(key) | Bound::Excluded(key) if key.len() > KEY_BYTES_MAX => {
            Bound::Included(&key[..KEY_BYTES_MAX])
        }
        legal => legal,
    };
    let may_hold_keys = match (from, to) {
        (_, Bound::Included([]) | Bound::Excluded([])) => false,
        (Bound::Included(from), Bound::Included(to)) => from <= to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from < to,
        _ => true,
    };
    may_hold_keys.then_some((from, to))
}

/// The half-open range of a range delete, clipped as [`clip`] does.
pub fn clip_half_open<'a>(from: &'a [u8], to: &'a [u8]) -> Option<KeyRange<'a>> {
    clip(Bound::Included(from), Bound::Excluded(to))
}

#[cfg(test)]
mod tests;
