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
use super::hints::Hints;
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

#[derive(Clone, Debug)]
enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

#[derive(Debug)]
struct Leaf {
    hints: Hints,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Branch {
    /// Of all children but the first, which is chosen for any key below the second.
    hints: Hints,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
struct Child {
    /// An entry whose key is a lower bound of those below. Not looked at in the first child of a branch.
    first: Entry,
    node: Arc<Node>,
}

/// With room for the insert that a copy is made for.
impl Clone for Leaf {
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(LEAF_MAX + 1);
        entries.extend_from_slice(&self.entries);
        Self {
            hints: self.hints.clone(),
            entries,
        }
    }
}

/// With room for the insert that a copy is made for.
impl Clone for Branch {
    fn clone(&self) -> Self {
        let mut children = Vec::with_capacity(BRANCH_MAX + 1);
        children.extend_from_slice(&self.children);
        Self {
            hints: self.hints.clone(),
            children,
        }
    }
}

impl Leaf {
    fn new(arena: &Arena, entries: Vec<Entry>) -> Self {
        let hints = Hints::of(entries.len(), |index| entries[index].key(arena));
        Self { hints, entries }
    }

    fn position(&self, arena: &Arena, key: &[u8]) -> Result<usize, usize> {
        let key_at = |index: usize| self.entries[index].key(arena);
        self.hints.position(key, key_at)
    }
}

impl Branch {
    fn new(arena: &Arena, children: Vec<Child>) -> Self {
        let hints = Hints::of(children.len() - 1, |index| {
            children[index + 1].first.key(arena)
        });
        Self { hints, children }
    }

    /// The child that holds `key` if any does.
    fn child_of(&self, arena: &Arena, key: &[u8]) -> usize {
        let key_at = |index: usize| self.children[index + 1].first.key(arena);
        match self.hints.position(key, key_at) {
            Ok(index) => index + 1,
            Err(index) => index,
        }
    }
}

impl Entries {
    /// Sets the entry of `key`, which is the entry's own key.
    pub(super) fn insert(&mut self, arena: &Arena, key: &[u8], entry: Entry) {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(Leaf::new(arena, vec![entry]))));
            return;
        };
        if let Some(right) = insert(root, arena, key, entry) {
            let left = Child {
                first: right.first,
                node: Arc::clone(root),
            };
            *root = Arc::new(Node::Branch(Branch::new(arena, vec![left, right])));
        }
    }

    /// The map of entries in the order of their keys, each of which is another one.
    pub(super) fn of_sorted(arena: &Arena, entries: &[Entry]) -> Self {
        let mut level: Vec<Child> = entries
            .chunks(LEAF_MAX)
            .map(|entries| Child {
                first: entries[0],
                node: Arc::new(Node::Leaf(Leaf::new(arena, entries.to_vec()))),
            })
            .collect();
        while level.len() > 1 {
            level = level
                .chunks(BRANCH_MAX)
                .map(|children| Child {
                    first: children[0].first,
                    node: Arc::new(Node::Branch(Branch::new(arena, children.to_vec()))),
                })
                .collect();
        }
        Self {
            root: level.pop().map(|child| child.node),
        }
    }

    pub(super) fn get(&self, arena: &Arena, key: &[u8]) -> Option<Entry> {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Branch(branch) => {
                    node = &branch.children[branch.child_of(arena, key)].node;
                }
                Node::Leaf(leaf) => {
                    let found = leaf.position(arena, key);
                    return found.ok().map(|index| leaf.entries[index]);
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

/// Inserts below a node, and returns the right half if it had to be split.
fn insert(node: &mut Arc<Node>, arena: &Arena, key: &[u8], entry: Entry) -> Option<Child> {
    match Arc::make_mut(node) {
        Node::Leaf(leaf) => {
            let index = match leaf.position(arena, key) {
                Ok(index) => {
                    leaf.entries[index] = entry;
                    return None;
                }
                Err(index) => index,
            };
            leaf.entries.insert(index, entry);
            let Some(right) = split(&mut leaf.entries, index, LEAF_MAX) else {
                let entries = &leaf.entries;
                leaf.hints.insert(index, |index| entries[index].key(arena));
                return None;
            };
            *leaf = Leaf::new(arena, std::mem::take(&mut leaf.entries));
            Some(Child {
                first: right[0],
                node: Arc::new(Node::Leaf(Leaf::new(arena, right))),
            })
        }
        Node::Branch(branch) => {
            let index = branch.child_of(arena, key);
            let split_off = insert(&mut branch.children[index].node, arena, key, entry)?;
            branch.children.insert(index + 1, split_off);
            let Some(right) = split(&mut branch.children, index + 1, BRANCH_MAX) else {
                let children = &branch.children;
                let key_at = |index: usize| children[index + 1].first.key(arena);
                branch.hints.insert(index, key_at);
                return None;
            };
            *branch = Branch::new(arena, std::mem::take(&mut branch.children));
            Some(Child {
                first: right[0].first,
                node: Arc::new(Node::Branch(Branch::new(arena, right))),
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
                (Node::Branch(branch), Direction::Forward) => {
                    let index = match range.0 {
                        Bound::Included(key) | Bound::Excluded(key) => {
                            branch.child_of(self.arena, key)
                        }
                        Bound::Unbounded => 0,
                    };
                    self.branches.push(branch.children[index + 1..].iter());
                    node = &branch.children[index].node;
                }
                (Node::Branch(branch), Direction::Backward) => {
                    let index = match range.1 {
                        Bound::Included(key) | Bound::Excluded(key) => {
                            branch.child_of(self.arena, key)
                        }
                        Bound::Unbounded => branch.children.len() - 1,
                    };
                    self.branches.push(branch.children[..index].iter());
                    node = &branch.children[index].node;
                }
                (Node::Leaf(leaf), Direction::Forward) => {
                    let start = leaf
                        .entries
                        .partition_point(|entry| before_start(entry.key(self.arena), range.0));
                    self.leaf = leaf.entries[start..].iter();
                    return;
                }
                (Node::Leaf(leaf), Direction::Backward) => {
                    let end = leaf
                        .entries
                        .partition_point(|entry| !after_end(entry.key(self.arena), range.1));
                    self.leaf = leaf.entries[..end].iter();
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
                Some(Node::Leaf(leaf)) => self.leaf = leaf.entries.iter(),
                Some(Node::Branch(branch)) => self.branches.push(branch.children.iter()),
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
