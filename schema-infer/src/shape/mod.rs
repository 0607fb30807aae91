//! What the documents of a collection look like, counted.
//!
//! A [`Shape`] says, for every position in the documents, how many values of each kind are there. It
//! is a statistic: [`add`](Shape::add) and [`subtract`](Shape::subtract) a document, or
//! [`merge`](Shape::merge) two shapes, and the counts are exact, so a shape is never stale and deletes
//! narrow it again. Nothing in it depends on the order in which documents came, but for the order in
//! which fields were first seen, which equality leaves out.
//!
//! Memory is bounded, by three steps that lose detail. They depend on the set of documents alone
//! (as long as only adding and merging happens), so shapes stay associative and commutative:
//!
//! - An object with more than [`MEMBERS_MAX`] distinct names becomes a *map*: one node for all values.
//!   Counts stay exact, but it stays a map until no such object is left: this is the one step that
//!   `subtract` does not undo.
//! - If there are more than [`NODES_MAX`] positions in all, that limit is halved for all objects but
//!   the document itself, as often as it takes. Likewise not undone.
//! - Lists and objects deeper than [`DEPTH_MAX`] are counted, not looked into.
//!
//! `node` has the data structure, `update` what a document does to it, `lattice` the order of
//! shapes, `codec` the stored form, `report` the evidence for people.

mod codec;
mod lattice;
mod node;
mod report;
#[cfg(test)]
mod tests;
mod update;

use thalweg_model::{Kind, ValueRef};

pub(crate) use node::{Counter, Members, Node, ObjectNode, Record};
use update::Update;

/// How many distinct names an object may have before it is a map.
pub const MEMBERS_MAX: usize = 1_000;
/// How many positions (members, list items, map values) a shape may have.
pub const NODES_MAX: usize = 10_000;
/// How many lists and objects may be nested in a document before they are only counted.
pub const DEPTH_MAX: usize = 32;

/// A counted, mergeable and subtractable statistic over documents.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    root: ObjectNode,
    /// How many nodes there are below `root`.
    nodes: usize,
    /// How often the limit on the members of nested objects was halved. Grows, until the shape is
    /// empty again.
    coarseness: u8,
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
        let mut update = Update::new(self.coarseness, &mut self.nodes);
        if document.kind() == Kind::Object {
            self.root.add(document, 0, &mut update);
        } else {
            self.root.count = self.root.count.saturating_add(1);
            self.root.empty = self.root.empty.saturating_add(1);
        }
        let recount = update.recount;
        self.settle(recount);
    }

    /// Counts a document out that was counted in. (One that was not is taken as far as it goes:
    /// no count falls below zero.)
    pub fn subtract(&mut self, document: ValueRef<'_>) {
        let mut update = Update::new(self.coarseness, &mut self.nodes);
        if document.kind() == Kind::Object {
            self.root.subtract(document, 0, &mut update);
        } else {
            self.root.count = self.root.count.saturating_sub(1);
            self.root.empty = self.root.empty.saturating_sub(1);
        }
        let recount = update.recount;
        if self.root.count == 0 {
            *self = Shape::new();
        } else {
            self.settle(recount);
        }
    }

    /// Counts in all that the other shape counts.
    pub fn merge(&mut self, other: &Shape) {
        let finer = self.coarseness < other.coarseness;
        self.coarseness = self.coarseness.max(other.coarseness);
        let mut update = Update::new(self.coarseness, &mut self.nodes);
        if finer {
            self.root.enforce_limits(0, &mut update);
        }
        self.root.merge(&other.root, 0, &mut update);
        if !finer && self.coarseness > other.coarseness {
            self.root.enforce_limits(0, &mut update);
        }
        self.settle(true);
    }

    /// True if every value that this shape has seen fits what the other one describes: the kinds are
    /// among the other's (an integer fits a wider one and a float, a date fits a string), and so for
    /// everything inside. A member that is missing fits.
    pub fn is_subtype_of(&self, other: &Shape) -> bool {
        lattice::object_fits(&self.root, &other.root)
    }

    pub(crate) fn root(&self) -> &ObjectNode {
        &self.root
    }

    /// Brings the number of nodes back under its bound.
    fn settle(&mut self, recount: bool) {
        if recount {
            self.nodes = self.root.nodes();
        }
        while self.nodes > NODES_MAX && self.coarseness < update::COARSENESS_MAX {
            self.coarseness += 1;
            let mut update = Update::new(self.coarseness, &mut self.nodes);
            self.root.enforce_limits(0, &mut update);
            self.nodes = self.root.nodes();
        }
    }
}

impl PartialEq for Shape {
    /// Equal counts at every position; the order of first sight does not matter.
    fn eq(&self, other: &Shape) -> bool {
        self.root == other.root && self.coarseness == other.coarseness
    }
}

impl Eq for Shape {}
