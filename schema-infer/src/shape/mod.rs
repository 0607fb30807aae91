//! What the documents of a collection look like, counted.
//!
//! A [`Shape`] says, for every position in the documents, how many values of each kind are there. It
//! is a statistic: [`add`](Shape::add) and [`subtract`](Shape::subtract) a document, and the counts
//! are exact, so a shape is never stale and deletes narrow it again.
//!
//! # Bounds
//!
//! - An object tracks at most [`MEMBERS_MAX`] names. The values under all others are counted together,
//!   in its *overflow*.
//! - When there are nearly [`NODES_MAX`] positions, objects inside documents track fewer names, in the
//!   end no new ones, and lists and objects where there were none before are counted, not looked into
//!   (they are *opaque*). Documents themselves, and the lists and objects that are their fields, are
//!   exempt: a collection's fields do not depend on what is inside others.
//! - Lists and objects deeper than [`DEPTH_MAX`] are opaque.
//!
//! # Why `subtract` undoes `add`, beyond the bounds too
//!
//! A name is tracked from its first sight unless its object is *frozen*: it has an overflow, or there
//! is no room for one more name. A tracked name is dropped with its last value, the overflow with its
//! last. What has to hold is that all values under a name that are counted at a time are counted in
//! one place, and that `subtract` looks in that place:
//!
//! - A name with values in the overflow is not tracked: to become so it would have to be seen while
//!   there is no overflow, but its values are in it.
//! - A tracked name has no values in the overflow: while any document has it, it stays tracked, and
//!   what is tracked never goes to the overflow.
//!
//! So a name that is tracked has all its values there, and one that is not has all of them in the
//! overflow. This does not depend on why an object froze, so the room may be judged by anything. The
//! same holds for lists at one position: either they are looked into or all are opaque, since a
//! position that has opaque values does not begin to look into anything. Likewise for objects.
//!
//! # Order
//!
//! Within the bounds nothing depends on the order in which documents came, but for the order in which
//! fields were first seen, which equality leaves out; [`merge`](Shape::merge) is adding, and
//! commutative and associative. Beyond them it does depend on it which names are tracked: those that
//! came first. An object stays frozen until the last document with a value in its overflow is gone, so
//! names that came after those of a wide document are not tracked by that document's leaving alone;
//! counting all documents anew tracks them. And a name may be tracked by one of two merged shapes and
//! in the overflow of the other; then `merge` is exact in sums but not subtractable name by name.
//!
//! `node` has the data structure, `limits` its bounds, `update` what a document does to it, `lattice`
//! the order of shapes, `codec` the stored form, `report` the evidence for people.

mod codec;
mod lattice;
mod limits;
mod node;
mod report;
#[cfg(test)]
mod tests;
mod update;

use thalweg_model::{Kind, ValueRef};

use limits::{Limits, Room};
pub(crate) use node::{Counter, Node, ObjectNode, Record};

/// How many names an object may have that are tracked.
pub const MEMBERS_MAX: usize = 1_000;
/// How many positions (members, list items, objects) a shape may have. The fields of documents
/// themselves, and one list and one object in each, are not refused beyond it.
pub const NODES_MAX: usize = 10_000;
/// How many lists and objects may be nested in a document before they are only counted.
pub const DEPTH_MAX: usize = 32;

/// A counted, mergeable and subtractable statistic over documents.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    root: ObjectNode,
    /// How many nodes there are below `root`.
    nodes: usize,
    limits: Limits,
}

impl Shape {
    /// The shape of no documents.
    pub fn new() -> Shape {
        Shape::default()
    }

    /// How many documents are counted.
    pub fn documents(&self) -> u64 {
        self.root.count
    }

    /// Counts a document in. A root that is not an object counts as one without members.
    pub fn add(&mut self, document: ValueRef<'_>) {
        if document.kind() == Kind::Object {
            let mut room = Room::new(self.limits, &mut self.nodes);
            self.root.add(document, 0, &mut room);
        } else {
            self.root.count = self.root.count.saturating_add(1);
            self.root.empty = self.root.empty.saturating_add(1);
        }
    }

    /// Counts a document out that was counted in. (One that was not is taken as far as it goes:
    /// no count falls below zero.)
    pub fn subtract(&mut self, document: ValueRef<'_>) {
        if document.kind() == Kind::Object {
            let mut room = Room::new(self.limits, &mut self.nodes);
            self.root.subtract(document, &mut room);
        } else {
            self.root.count = self.root.count.saturating_sub(1);
            self.root.empty = self.root.empty.saturating_sub(1);
        }
        if self.root.count == 0 {
            self.root = ObjectNode::default();
            self.nodes = 0;
        }
    }

    /// Counts in all that the other shape counts: the union of the names as far as the bounds allow,
    /// the rest to the overflow. Beyond the bounds it matters which shape is merged into which.
    pub fn merge(&mut self, other: &Shape) {
        let mut room = Room::new(self.limits, &mut self.nodes);
        self.root.merge(&other.root, 0, &mut room);
    }

    /// True if every value that this shape has seen fits what the other one describes: the kinds are
    /// among the other's (an integer fits a wider one and a float, a date fits a string), and so for
    /// everything inside. A member that is missing fits.
    pub fn is_subtype_of(&self, other: &Shape) -> bool {
        lattice::object_fits(&self.root, &other.root)
    }

    /// Whether every value is counted under its own name, so that counting the same documents in any order gives an
    /// equal shape. Beyond the bounds it depends on the order which names are.
    pub fn is_exact(&self) -> bool {
        self.root.is_exact()
    }

    /// Whether some document has a member of that name; true as well where that is not counted.
    pub fn may_have(&self, name: &str) -> bool {
        self.root.overflow.is_some() || self.root.record.get(name).is_some()
    }

    pub(crate) fn root(&self) -> &ObjectNode {
        &self.root
    }
}

impl PartialEq for Shape {
    /// Equal counts at every position; the order of first sight does not matter.
    fn eq(&self, other: &Shape) -> bool {
        self.root == other.root
    }
}

impl Eq for Shape {}
