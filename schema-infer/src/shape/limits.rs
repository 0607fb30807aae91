//! The bounds on a shape's memory, and how much room they leave.

use super::{DEPTH_MAX, MEMBERS_MAX, NODES_MAX};

/// A new name is tracked if its object has fewer names than this part of the room that is left, so
/// that one wide object cannot take the room of all that come after it.
const SHARE: usize = 5;

/// The bounds that hold for a shape. Parameters for the sake of tests alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) members: usize,
    pub(super) nodes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            members: MEMBERS_MAX,
            nodes: NODES_MAX,
        }
    }
}

/// The limits during an update, and the number of nodes that it keeps.
pub(super) struct Room<'a> {
    limits: Limits,
    nodes: &'a mut usize,
}

impl<'a> Room<'a> {
    pub(super) fn new(limits: Limits, nodes: &'a mut usize) -> Room<'a> {
        Room { limits, nodes }
    }

    /// Whether an object at this depth that tracks so many names may track one more. Documents
    /// themselves have their names whatever is in them.
    pub(super) fn for_name(&self, depth: usize, tracked: usize) -> bool {
        let left = self.limits.nodes.saturating_sub(*self.nodes);
        tracked < self.limits.members && (depth == 0 || tracked < left.div_ceil(SHARE))
    }

    /// Whether a position at this depth may have the first list, or the first object, that is looked
    /// into. The fields of documents themselves always may.
    pub(super) fn for_container(&self, depth: usize) -> bool {
        depth <= 1 || (depth <= DEPTH_MAX && *self.nodes < self.limits.nodes)
    }

    pub(super) fn take(&mut self, nodes: usize) {
        *self.nodes += nodes;
    }

    pub(super) fn give_back(&mut self, nodes: usize) {
        *self.nodes = self.nodes.saturating_sub(nodes);
    }
}
