//! What readers see: one value, replaced whole.

use super::log::Position;
use super::overlay::Layer;
use crate::Head;

/// A state of the store: the tree anywhere between `base` and `last`, and the layers over it.
///
/// The layers set every key that a batch after `base` wrote, so whichever of these states the tree is in, it makes the
/// state at `last` under them.
#[derive(Debug)]
pub(super) struct Published {
    base: u64,
    last: u64,
    head: Option<Head>,
    layers: Vec<Layer>,
}

/// Where the tree of a reader is, seen from a published state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// The layers fit the tree.
    Fits,
    /// The tree has moved on since: take what is published now.
    Outdated,
    /// The tree lacks batches that the layers do not have either.
    Behind,
}

impl Published {
    /// The state at `last` with `head`: `layers`, newest first, over the tree at `base` or later.
    pub(super) fn new(
        base: Position,
        last: Position,
        head: Option<Head>,
        layers: Vec<Layer>,
    ) -> Self {
        Self {
            base: base.sequence,
            last: last.sequence,
            head,
            layers,
        }
    }

    pub(super) fn head(&self) -> Option<Head> {
        self.head
    }

    /// Newest first.
    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Compares the state with a tree at `applied`.
    pub(super) fn match_tree(&self, applied: u64) -> Match {
        if applied > self.last {
            Match::Outdated
        } else if applied < self.base {
            Match::Behind
        } else {
            Match::Fits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_fit_a_tree_between_their_base_and_their_last_batch() {
        let at = |sequence| Position {
            sequence,
            ..Position::default()
        };
        for (base, last) in [(5, 8), (5, 5), (0, 3)] {
            let published = Published::new(at(base), at(last), None, Vec::new());
            for applied in 0..10 {
                let expected = match applied {
                    _ if applied < base => Match::Behind,
                    _ if applied > last => Match::Outdated,
                    _ => Match::Fits,
                };
                assert_eq!(
                    published.match_tree(applied),
                    expected,
                    "a tree at {applied}, from {base} to {last}"
                );
            }
        }
    }
}
