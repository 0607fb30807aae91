//! What a document, or another shape, does to the tree of counts.
//!
//! `add` and `subtract` run for every document that is written. For a document whose fields are all
//! known they allocate nothing. Why `subtract` is exact is said in the module above.

use std::sync::Arc;

use thalweg_model::{Kind, ValueRef, is_date, parse_rfc3339};

use super::limits::{Limits, Room};
use super::node::{Counter, ListNode, Node, ObjectNode};

/// Integers of larger magnitude are not all exact as doubles.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

impl Node {
    fn add(&mut self, value: ValueRef<'_>, depth: usize, room: &mut Room<'_>) {
        match value.kind() {
            Kind::List => match self.open_list(depth, room) {
                Some(list) => list.add(value, depth, room),
                None => self.increase(Counter::Opaque, 1),
            },
            Kind::Object => match self.open_object(depth, room) {
                Some(object) => object.add(value, depth, room),
                None => self.increase(Counter::Opaque, 1),
            },
            _ => for_each_counter(value, |counter| self.increase(counter, 1)),
        }
    }

    fn subtract(&mut self, value: ValueRef<'_>, room: &mut Room<'_>) {
        match value.kind() {
            Kind::List => match &mut self.list {
                Some(list) => {
                    list.subtract(value, room);
                    if list.count == 0 {
                        room.give_back(1 + list.item.nodes());
                        self.list = None;
                    }
                }
                None => self.decrease(Counter::Opaque),
            },
            Kind::Object => match &mut self.object {
                Some(object) => {
                    object.subtract(value, room);
                    if object.count == 0 {
                        room.give_back(1 + object.nodes());
                        self.object = None;
                    }
                }
                None => self.decrease(Counter::Opaque),
            },
            _ => for_each_counter(value, |counter| self.decrease(counter)),
        }
    }

    /// Where the lists of this position are counted. `None`: as opaque. That all of them are in the
    /// one place or all in the other is what `subtract` relies on.
    fn open_list(&mut self, depth: usize, room: &mut Room<'_>) -> Option<&mut ListNode> {
        if self.list.is_none() {
            if self.get(Counter::Opaque) > 0 || !room.for_container(depth) {
                return None;
            }
            room.take(1);
        }
        Some(self.list.get_or_insert_default())
    }

    /// Likewise for objects.
    fn open_object(&mut self, depth: usize, room: &mut Room<'_>) -> Option<&mut ObjectNode> {
        if self.object.is_none() {
            if self.get(Counter::Opaque) > 0 || !room.for_container(depth) {
                return None;
            }
            room.take(1);
        }
        Some(self.object.get_or_insert_default())
    }

    /// All the values of several nodes together.
    pub(crate) fn merged<'n>(nodes: impl Iterator<Item = &'n Node>) -> Node {
        // The nodes come from one shape, which is within its bounds, and together they are smaller.
        let mut count = 0;
        let mut room = Room::new(Limits::default(), &mut count);
        let mut merged = Node::default();
        for node in nodes {
            merged.merge(node, 1, &mut room);
        }
        merged
    }

    fn merge(&mut self, other: &Node, depth: usize, room: &mut Room<'_>) {
        if let Some(others) = &other.list {
            match self.open_list(depth, room) {
                Some(list) => list.merge(others, depth, room),
                None => self.increase(Counter::Opaque, others.count),
            }
        }
        if let Some(others) = &other.object {
            match self.open_object(depth, room) {
                Some(object) => object.merge(others, depth, room),
                None => self.increase(Counter::Opaque, others.count),
            }
        }
        for (count, more) in self.counts_mut().iter_mut().zip(other.counts()) {
            *count = count.saturating_add(*more);
        }
    }
}

impl ListNode {
    fn add(&mut self, value: ValueRef<'_>, depth: usize, room: &mut Room<'_>) {
        self.count = self.count.saturating_add(1);
        let mut is_empty = true;
        for item in value.items() {
            is_empty = false;
            self.item.add(item, depth + 1, room);
        }
        self.empty = self.empty.saturating_add(u64::from(is_empty));
    }

    fn subtract(&mut self, value: ValueRef<'_>, room: &mut Room<'_>) {
        self.count = self.count.saturating_sub(1);
        let mut is_empty = true;
        for item in value.items() {
            is_empty = false;
            self.item.subtract(item, room);
        }
        self.empty = self.empty.saturating_sub(u64::from(is_empty));
    }

    fn merge(&mut self, other: &ListNode, depth: usize, room: &mut Room<'_>) {
        self.count = self.count.saturating_add(other.count);
        self.empty = self.empty.saturating_add(other.empty);
        self.item.merge(&other.item, depth + 1, room);
    }
}

impl ObjectNode {
    pub(super) fn add(&mut self, value: ValueRef<'_>, depth: usize, room: &mut Room<'_>) {
        self.count = self.count.saturating_add(1);
        let mut is_empty = true;
        let mut cursor = 0;
        for (label, member) in value.labelled_members() {
            is_empty = false;
            let node = match self.record.expected(label, &mut cursor) {
                Some(position) => self.record.node_mut(position),
                None => match label.name() {
                    Some(name) => self.member(&name, &mut cursor, depth, room),
                    None => break,
                },
            };
            node.add(member, depth + 1, room);
        }
        self.empty = self.empty.saturating_add(u64::from(is_empty));
    }

    pub(super) fn subtract(&mut self, value: ValueRef<'_>, room: &mut Room<'_>) {
        self.count = self.count.saturating_sub(1);
        let mut is_empty = true;
        let mut cursor = 0;
        let mut emptied = false;
        for (label, member) in value.labelled_members() {
            is_empty = false;
            let position = match self.record.expected(label, &mut cursor) {
                Some(position) => Some(position),
                None => match label.name() {
                    Some(name) => self.record.position(&name, &mut cursor),
                    None => break,
                },
            };
            if let Some(position) = position {
                let node = self.record.node_mut(position);
                node.subtract(member, room);
                emptied |= node.is_empty();
            } else if let Some(overflow) = &mut self.overflow {
                overflow.subtract(member, room);
                if overflow.is_empty() {
                    self.overflow = None;
                }
            }
        }
        self.empty = self.empty.saturating_sub(u64::from(is_empty));
        if emptied {
            room.give_back(self.record.remove_empty());
        }
    }

    pub(super) fn merge(&mut self, other: &ObjectNode, depth: usize, room: &mut Room<'_>) {
        self.count = self.count.saturating_add(other.count);
        self.empty = self.empty.saturating_add(other.empty);
        let mut cursor = 0;
        for member in other.record.iter() {
            self.member(&member.name, &mut cursor, depth, room).merge(
                &member.node,
                depth + 1,
                room,
            );
        }
        if let Some(others) = &other.overflow {
            self.overflow
                .get_or_insert_default()
                .merge(others, depth + 1, room);
        }
    }

    /// Where the values under a name are counted: by themselves, or in the overflow.
    fn member(
        &mut self,
        name: &str,
        cursor: &mut usize,
        depth: usize,
        room: &mut Room<'_>,
    ) -> &mut Node {
        if let Some(position) = self.record.position(name, cursor) {
            return self.record.node_mut(position);
        }
        let tracked = self.record.len();
        if self.overflow.is_some() || !room.for_name(depth, tracked) {
            return self.overflow.get_or_insert_default();
        }
        room.take(1);
        self.record.insert(Arc::from(name), Node::default());
        *cursor = tracked + 1;
        self.record.node_mut(tracked)
    }
}

/// Calls with every counter that a scalar counts under.
fn for_each_counter(value: ValueRef<'_>, mut count: impl FnMut(Counter)) {
    match value.kind() {
        Kind::Null => count(Counter::Null),
        Kind::Boolean => count(Counter::Boolean),
        Kind::Int => count(integer_width(value)),
        Kind::Float => count(Counter::Float),
        Kind::String => {
            count(Counter::String);
            if let Some(format) = string_format(value.json()) {
                count(format);
            }
        }
        Kind::List | Kind::Object => {}
    }
}

fn integer_width(value: ValueRef<'_>) -> Counter {
    // Nine digits, or eight and a sign, are always within 32 bits.
    if value.json().len() <= 9 {
        return Counter::Int32;
    }
    match value.as_i64() {
        Some(number) if i32::try_from(number).is_ok() => Counter::Int32,
        Some(number) if number.unsigned_abs() <= EXACT_IN_DOUBLE => Counter::Int53,
        _ => Counter::IntBeyond,
    }
}

/// The format of a string, from its JSON text. No date has characters that JSON escapes, so the
/// text between the quotes is the string.
fn string_format(json: &[u8]) -> Option<Counter> {
    let text = json.get(1..json.len().checked_sub(1)?)?;
    if text.len() < "2000-01-01".len() || text[4] != b'-' || !text[0].is_ascii_digit() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if text.len() == "2000-01-01".len() {
        is_date(text).then_some(Counter::Date)
    } else {
        parse_rfc3339(text).map(|_| Counter::DateTime)
    }
}
