//! A persistent ordered map of entries: a B+ tree whose nodes are shared between versions and copied when written.
//!
//! A version is a clone of the root. An insert copies the nodes on its path that another version still shares, and
//! writes the others in place, so a batch copies each node at most once. There is no removal: a deleted key is an entry
//! that says so, and the whole map goes when the B-tree of the store has taken it over.

use std::cmp::Ordering;
use std::ops::Bound;
use std::slice;
use std::sync::Arc;

use super::arena::Arena;
use crate::Direction;
use crate::keyspace::KeyRange;

/// Entries in a leaf, at most: 16 bytes each, so that copying one is copying some cache lines.
const LEAF_MAX: usize = 32;

/// Children of a branch, at most. Copying a branch touches the count of each, so there are fewer.
const BRANCH_MAX: usize = 16;

/// The newest write to a key: where its bytes are. The value follows the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The buffer, by number.
    pub(super) buffer: u32,
    /// Where the key begins in it. With the buffer it also orders the writes of a layer in time.
    pub(super) offset: u32,
    /// Length of the value, or [`DELETED`].
    pub(super) value_bytes: u32,
    /// Length of the key.
    pub(super) key_bytes: u16,
}

/// The length that stands for a delete. Values are far shorter.
pub(super) const DELETED: u32 = u32::MAX;

impl Entry {
    pub(super) fn key(self, arena: &Arena) -> &[u8] {
        let start = self.offset as usize;
        &arena.buffer(self.buffer)[start..start + usize::from(self.key_bytes)]
    }

    /// The value, or `None` for a delete.
    pub(super) fn value(self, arena: &Arena) -> Option<&[u8]> {
        if self.value_bytes == DELETED {
            return None;
        }
        let start = self.offset as usize + usize::from(self.key_bytes);
        Some(&arena.buffer(self.buffer)[start..start + self.value_bytes as usize])
    }
}

/// One version of the map.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    root: Option<Arc<Node>>,
}

#[derive(Debug)]
enum Node {
    Leaf(Vec<Entry>),
    Branch(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// An entry whose key is a lower bound of those below, except in the first child of the leftmost branches.
    first: Entry,
    node: Arc<Node>,
}

/// With room for the insert that a copy is made for.
impl Clone for Node {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(entries) => {
                let mut copy = Vec::with_capacity(LEAF_MAX + 1);
                copy.extend_from_slice(entries);
                Self::Leaf(copy)
            }
            Self::Branch(children) => {
                let mut copy = Vec::with_capacity(BRANCH_MAX + 1);
                copy.extend_from_slice(children);
                Self::Branch(copy)
            }
        }
    }
}

impl Entries {
    /// Sets the entry of `key`, which is the entry's own key.
    pub(super) fn insert(&mut self, arena: &Arena, key: &[u8], entry: Entry) {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(vec![entry])));
            return;
        };
        if let Some(right) = insert(root, arena, key, entry) {
            let left = Child {
                // The first child is chosen for any key below the second, so its bound is never looked at.
                first: right.first,
                node: Arc::clone(root),
            };
            *root = Arc::new(Node::Branch(vec![left, right]));
        }
    }

    pub(super) fn get(&self, arena: &Arena, key: &[u8]) -> Option<Entry> {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Branch(children) => node = &children[child_of(children, arena, key)].node,
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|entry| entry.key(arena).cmp(key));
                    return found.ok().map(|index| entries[index]);
                }
            }
        }
    }

    /// The entries of a range, in either direction.
    pub(super) fn range<'a, 'r>(
        &'a self,
        arena: &'a Arena,
        range: KeyRange<'r>,
        direction: Direction,
    ) -> Range<'a, 'r> {
        let mut cursor = Range {
            arena,
            branches: Vec::new(),
            leaf: [].iter(),
            end: match direction {
                Direction::Forward => range.1,
                Direction::Backward => range.0,
            },
            direction,
        };
        if let Some(root) = &self.root {
            cursor.seek(root, range);
        }
        cursor
    }
}

/// The child that holds `key` if any does.
fn child_of(children: &[Child], arena: &Arena, key: &[u8]) -> usize {
    let after_first = &children[1..];
    after_first.partition_point(|child| child.first.key(arena) <= key)
}

/// Inserts below a node, and returns the right half if it had to be split.
fn insert(node: &mut Arc<Node>, arena: &Arena, key: &[u8], entry: Entry) -> Option<Child> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let index = match entries.binary_search_by(|entry| entry.key(arena).cmp(key)) {
                Ok(index) => {
                    entries[index] = entry;
                    return None;
                }
                Err(index) => index,
            };
            entries.insert(index, entry);
            let right = split(entries, index, LEAF_MAX)?;
            Some(Child {
                first: right[0],
                node: Arc::new(Node::Leaf(right)),
            })
        }
        Node::Branch(children) => {
            let index = child_of(children, arena, key);
            let split_off = insert(&mut children[index].node, arena, key, entry)?;
            children.insert(index + 1, split_off);
            let right = split(children, index + 1, BRANCH_MAX)?;
            Some(Child {
                first: right[0].first,
                node: Arc::new(Node::Branch(right)),
            })
        }
    }
}

/// Splits a node that has outgrown `max`: in the middle, or before the last item if that is the one just inserted, so
/// that ascending keys leave full nodes behind.
fn split<T>(items: &mut Vec<T>, inserted: usize, max: usize) -> Option<Vec<T>> {
    if items.len() <= max {
        return None;
    }
    let last = items.len() - 1;
    let at = if inserted == last {
        last
    } else {
        last.div_ceil(2)
    };
    let mut right = Vec::with_capacity(max + 1);
    right.extend(items.drain(at..));
    Some(right)
}

/// A walk over the entries of a range.
pub(super) struct Range<'a, 'r> {
    arena: &'a Arena,
    /// What is still to be visited of the branches above the leaf, the lowest last.
    branches: Vec<slice::Iter<'a, Child>>,
    leaf: slice::Iter<'a, Entry>,
    /// The bound that ends the walk.
    end: Bound<&'r [u8]>,
    direction: Direction,
}

impl<'a> Range<'a, '_> {
    /// Goes to where the range begins.
    fn seek(&mut self, root: &'a Node, range: KeyRange<'_>) {
        let mut node = root;
        loop {
            match (node, self.direction) {
                (Node::Branch(children), Direction::Forward) => {
                    let index = match range.0 {
                        Bound::Included(key) | Bound::Excluded(key) => {
                            child_of(children, self.arena, key)
                        }
                        Bound::Unbounded => 0,
                    };
                    self.branches.push(children[index + 1..].iter());
                    node = &children[index].node;
                }
                (Node::Branch(children), Direction::Backward) => {
                    let index = match range.1 {
                        Bound::Included(key) | Bound::Excluded(key) => {
                            child_of(children, self.arena, key)
                        }
                        Bound::Unbounded => children.len() - 1,
                    };
                    self.branches.push(children[..index].iter());
                    node = &children[index].node;
                }
                (Node::Leaf(entries), Direction::Forward) => {
                    let start = entries
                        .partition_point(|entry| before_start(entry.key(self.arena), range.0));
                    self.leaf = entries[start..].iter();
                    return;
                }
                (Node::Leaf(entries), Direction::Backward) => {
                    let end =
                        entries.partition_point(|entry| !after_end(entry.key(self.arena), range.1));
                    self.leaf = entries[..end].iter();
                    return;
                }
            }
        }
    }

    fn step(&mut self) -> Option<Entry> {
        loop {
            let entry = match self.direction {
                Direction::Forward => self.leaf.next(),
                Direction::Backward => self.leaf.next_back(),
            };
            if let Some(entry) = entry {
                return Some(*entry);
            }
            let branch = self.branches.last_mut()?;
            let child = match self.direction {
                Direction::Forward => branch.next(),
                Direction::Backward => branch.next_back(),
            };
            match child.map(|child| &*child.node) {
                None => {
                    self.branches.pop();
                }
                Some(Node::Leaf(entries)) => self.leaf = entries.iter(),
                Some(Node::Branch(children)) => self.branches.push(children.iter()),
            }
        }
    }
}

impl<'a> Iterator for Range<'a, '_> {
    /// The key, and its entry.
    type Item = (&'a [u8], Entry);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.step()?;
        let key = entry.key(self.arena);
        let beyond = match self.direction {
            Direction::Forward => after_end(key, self.end),
            Direction::Backward => before_start(key, self.end),
        };
        (!beyond).then_some((key, entry))
    }
}

fn before_start(key: &[u8], start: Bound<&[u8]>) -> bool {
    match start {
        Bound::Included(start) => key.cmp(start) == Ordering::Less,
        Bound::Excluded(start) => key.cmp(start) != Ordering::Greater,
        Bound::Unbounded => false,
    }
}

fn after_end(key: &[u8], end: Bound<&[u8]>) -> bool {
    match end {
        Bound::Included(end) => key.cmp(end) == Ordering::Greater,
        Bound::Excluded(end) => key.cmp(end) != Ordering::Less,
        Bound::Unbounded => false,
    }
}
