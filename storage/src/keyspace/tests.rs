//! Clipping keeps exactly the writable keys between two bounds.

use std::ops::{Bound, RangeBounds};

use super::*;

fn contains(range: &KeyRange<'_>, key: &[u8]) -> bool {
    RangeBounds::<[u8]>::contains(range, key)
}

#[test]
fn keys_are_refused_for_the_reason_that_applies() {
    assert_eq!(check_key(b""), Err(LimitError::EmptyKey));
    assert_eq!(check_key(&[RESERVED_PREFIX]), Err(LimitError::ReservedKey));
    assert_eq!(check_key(crate::HEAD_KEY), Err(LimitError::ReservedKey));
    assert_eq!(check_key(&[0; KEY_BYTES_MAX]), Ok(()));
    assert_eq!(
        check_key(&[0; KEY_BYTES_MAX + 1]),
        Err(LimitError::KeyTooLong {
            bytes: KEY_BYTES_MAX + 1
        })
    );
    assert_eq!(check_value(&vec![0; VALUE_BYTES_MAX]), Ok(()));
    assert_eq!(
        check_value(&vec![0; VALUE_BYTES_MAX + 1]),
        Err(LimitError::ValueTooLong {
            bytes: VALUE_BYTES_MAX + 1
        })
    );
}

#[test]
fn clipping_keeps_exactly_the_writable_keys_between_the_bounds() {
    let longest = vec![7; KEY_BYTES_MAX];
    let longer = vec![7; KEY_BYTES_MAX + 1];
    let much_longer = [vec![7; KEY_BYTES_MAX], vec![0, 1, 2]].concat();
    let keys: Vec<&[u8]> = vec![
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"a\xFF",
        b"b",
        &longest,
        &[7; 479],
        b"\x07\x08",
        b"\xFE\xFF\xFF",
    ];
    let edges: Vec<&[u8]> = vec![
        b"",
        b"\0",
        b"a",
        b"a\0",
        b"b",
        &longest,
        &longer,
        &much_longer,
        b"\xFE\xFF\xFF",
        b"\xFF",
        crate::HEAD_KEY,
        b"\xFF\xFF\xFF",
    ];
    let mut bounds = vec![Bound::Unbounded];
    for &edge in &edges {
        bounds.extend([Bound::Included(edge), Bound::Excluded(edge)]);
    }
    for &from in &bounds {
        for &to in &bounds {
            let clipped = clip(from, to);
            for &key in &keys {
                let expected = contains(&(from, to), key);
                let actual = clipped.is_some_and(|range| contains(&range, key));
                assert_eq!(
                    actual, expected,
                    "{key:?} in {from:?} .. {to:?} clipped to {clipped:?}"
                );
            }
            if let Some(range) = clipped {
                assert!(
                    !contains(&range, crate::HEAD_KEY),
                    "{range:?} shows a reserved key"
                );
                for edge in [range.0, range.1] {
                    if let Bound::Included(edge) | Bound::Excluded(edge) = edge {
                        assert!((1..=KEY_BYTES_MAX).contains(&edge.len()));
                    }
                }
            }
        }
    }
}
