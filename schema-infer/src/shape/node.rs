//! The tree of counts.

use std::sync::Arc;

use thalweg_model::{FieldName, Label};

/// What a [`Node`] counts. `DateTime` and `Date` values are counted under `String` as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Null,
    Boolean,
    /// Integers within 32 bits.
    Int32,
    /// Integers beyond 32 bits that a double holds exactly.
    Int53,
    /// Integers beyond those.
    IntBeyond,
    /// Numbers with a fraction or an exponent.
    Float,
    /// All strings.
    String,
    /// Strings that are RFC 3339 date-times.
    DateTime,
    /// Strings that are calendar dates.
    Date,
    /// Lists and objects that are not looked into: too deep, or there was no room.
    Opaque,
}

impl Counter {
    pub(super) const COUNT: usize = 10;
}

/// One position in the documents: all values found there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    counts: [u64; Counter::COUNT],
    pub(crate) list: Option<Box<ListNode>>,
    pub(crate) object: Option<Box<ObjectNode>>,
}

/// The lists at a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListNode {
    pub(crate) count: u64,
    /// How many of them have no items.
    pub(crate) empty: u64,
    /// The items of all of them.
    pub(crate) item: Node,
}

/// The objects at a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectNode {
    pub(crate) count: u64,
    /// How many of them have no members.
    pub(crate) empty: u64,
    /// The members whose names are tracked, each by itself.
    pub(crate) record: Record,
    /// All other members together, whatever their names. Never empty: none is left, and then the
    /// object tracks new names again.
    pub(crate) overflow: Option<Box<Node>>,
}

/// Members by name: in order of first sight, with a sorted index over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    entries: Vec<Member>,
    /// Positions in `entries`, sorted by name.
    sorted: Vec<u32>,
}

/// A member of the objects at a position. It is present as often as its node counts values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    /// The name as it stands in stored documents, which is compared without decoding it.
    label: Box<[u8]>,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    pub(super) fn counts(&self) -> &[u64; Counter::COUNT] {
        &self.counts
    }

    pub(super) fn counts_mut(&mut self) -> &mut [u64; Counter::COUNT] {
        &mut self.counts
    }

    pub(super) fn increase(&mut self, counter: Counter, by: u64) {
        let count = &mut self.counts[counter as usize];
        *count = count.saturating_add(by);
    }

    pub(super) fn decrease(&mut self, counter: Counter) {
        let count = &mut self.counts[counter as usize];
        *count = count.saturating_sub(1);
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> u64 {
        let scalars = [
            Counter::Null,
            Counter::Boolean,
            Counter::Int32,
            Counter::Int53,
            Counter::IntBeyond,
            Counter::Float,
            Counter::String,
            Counter::Opaque,
        ];
        let lists = self.list.as_ref().map_or(0, |list| list.count);
        let objects = self.object.as_ref().map_or(0, |object| object.count);
        scalars
            .into_iter()
            .map(|counter| self.get(counter))
            .fold(lists.saturating_add(objects), u64::saturating_add)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_none() && self.object.is_none() && self.counts == [0; Counter::COUNT]
    }

    /// How many nodes there are below this one: the items of its lists, and one for its objects,
    /// which pays for their overflow beforehand.
    pub(super) fn nodes(&self) -> usize {
        self.list.as_ref().map_or(0, |list| 1 + list.item.nodes())
            + self.object.as_ref().map_or(0, |object| 1 + object.nodes())
    }

    fn is_exact(&self) -> bool {
        self.get(Counter::Opaque) == 0
            && self.list.as_ref().is_none_or(|list| list.item.is_exact())
            && self.object.as_ref().is_none_or(|object| object.is_exact())
    }
}

impl ObjectNode {
    /// How many nodes there are below this one.
    pub(super) fn nodes(&self) -> usize {
        let tracked: usize = self
            .record
            .iter()
            .map(|member| 1 + member.node.nodes())
            .sum();
        tracked + self.overflow.as_ref().map_or(0, |value| value.nodes())
    }

    /// Whether nothing below is in an overflow or opaque.
    pub(super) fn is_exact(&self) -> bool {
        self.overflow.is_none() && self.record.iter().all(|member| member.node.is_exact())
    }

    /// The values under all names together, tracked or not.
    pub(crate) fn values(&self) -> Node {
        let tracked = self.record.iter().map(|member| &member.node);
        Node::merged(tracked.chain(self.overflow.as_deref()))
    }
}

impl Record {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// In order of first sight.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Member> + Clone {
        self.entries.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let index = self.search(name).ok()?;
        Some(&self.entries[self.sorted[index] as usize].node)
    }

    /// The same as [`position`](Record::position), for a name as it stands in a stored document; `None` where the member
    /// at the cursor has another.
    #[inline]
    pub(super) fn expected(&self, label: Label<'_>, cursor: &mut usize) -> Option<usize> {
        let position = *cursor;
        let member = self.entries.get(position)?;
        if *member.label != *label.as_bytes() {
            return None;
        }
        *cursor = position + 1;
        Some(position)
    }

    /// The position of the member with this name. `cursor` is where the caller expects it and moves
    /// past it: members mostly come in the order in which they were first seen, and then one
    /// comparison finds each.
    pub(super) fn position(&self, name: &str, cursor: &mut usize) -> Option<usize> {
        let position = if self
            .entries
            .get(*cursor)
            .is_some_and(|member| *member.name == *name)
        {
            *cursor
        } else {
            self.sorted[self.search(name).ok()?] as usize
        };
        *cursor = position + 1;
        Some(position)
    }

    /// The node of the member at a position that [`position`](Record::position) gave.
    pub(super) fn node_mut(&mut self, position: usize) -> &mut Node {
        &mut self.entries[position].node
    }

    /// Adds a member; false, and nothing changes, if there is one with this name.
    pub(super) fn insert(&mut self, name: Arc<str>, node: Node) -> bool {
        let Err(index) = self.search(&name) else {
            return false;
        };
        self.sorted.insert(index, self.entries.len() as u32);
        let label = FieldName::new(&name).label().into();
        self.entries.push(Member { name, label, node });
        true
    }

    /// Drops the members that count nothing any more, and says how many there were.
    pub(super) fn remove_empty(&mut self) -> usize {
        let before = self.entries.len();
        self.entries.retain(|member| !member.node.is_empty());
        let entries = &self.entries;
        self.sorted.clear();
        self.sorted.extend((0..).take(entries.len()));
        self.sorted
            .sort_by(|a, b| entries[*a as usize].name.cmp(&entries[*b as usize].name));
        before - self.entries.len()
    }

    fn search(&self, name: &str) -> Result<usize, usize> {
        self.sorted
            .binary_search_by(|&position| (*self.entries[position as usize].name).cmp(name))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.sorted.len() == other.sorted.len()
            && self.sorted.iter().zip(&other.sorted).all(|(mine, others)| {
                self.entries[*mine as usize] == other.entries[*others as usize]
            })
    }
}

impl Eq for Record {}
