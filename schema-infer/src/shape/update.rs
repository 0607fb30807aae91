//! What a document, or another shape, does to the tree of counts.
//!
//! `add` and `subtract` run for every document that is written. For a document whose fields are all
//! known they allocate nothing.

use std::sync::Arc;

use thalweg_model::{Kind, ValueRef, is_date, parse_rfc3339};

use super::node::{Counter, ListNode, Members, Node, ObjectNode, Record};
use super::{DEPTH_MAX, MEMBERS_MAX};

/// After so many halvings no nested object keeps its members apart.
pub(super) const COARSENESS_MAX: u8 = 10;

/// Integers of larger magnitude are not all exact as doubles.
const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// The limits that hold during an update, and what it did to the number of nodes.
pub(super) struct Update<'a> {
    coarseness: u8,
    nodes: &'a mut usize,
    /// Set when nodes were merged or dropped in a way that `nodes` does not follow.
    pub(super) recount: bool,
}

impl<'a> Update<'a> {
    pub(super) fn new(coarseness: u8, nodes: &'a mut usize) -> Update<'a> {
        Update {
            coarseness,
            nodes,
            recount: false,
        }
    }

    fn members_max(&self, depth: usize) -> usize {
        if depth == 0 {
            MEMBERS_MAX
        } else {
            MEMBERS_MAX >> self.coarseness
        }
    }
}

impl Node {
    fn add(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        match value.kind() {
            Kind::List | Kind::Object if depth > DEPTH_MAX => self.increase(Counter::Opaque),
            Kind::List => {
                let list = self.list.get_or_insert_with(|| {
                    *update.nodes += 1;
                    Box::default()
                });
                list.add(value, depth, update);
            }
            Kind::Object => self
                .object
                .get_or_insert_default()
                .add(value, depth, update),
            _ => for_each_counter(value, |counter| self.increase(counter)),
        }
    }

    fn subtract(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        match value.kind() {
            Kind::List | Kind::Object if depth > DEPTH_MAX => self.decrease(Counter::Opaque),
            Kind::List => {
                if let Some(list) = &mut self.list {
                    list.subtract(value, depth, update);
                    if list.count == 0 {
                        self.list = None;
                        update.recount = true;
                    }
                }
            }
            Kind::Object => {
                if let Some(object) = &mut self.object {
                    object.subtract(value, depth, update);
                    if object.count == 0 {
                        self.object = None;
                        update.recount = true;
                    }
                }
            }
            _ => for_each_counter(value, |counter| self.decrease(counter)),
        }
    }

    /// All the values of several nodes together.
    pub(crate) fn merged<'n>(nodes: impl Iterator<Item = &'n Node>) -> Node {
        // The nodes come from one shape, whose limits they have met; the node count is not wanted.
        let mut count = 0;
        let mut update = Update::new(0, &mut count);
        let mut merged = Node::default();
        for node in nodes {
            merged.merge(node, 1, &mut update);
        }
        merged
    }

    fn merge(&mut self, other: &Node, depth: usize, update: &mut Update<'_>) {
        for (count, more) in self.counts_mut().iter_mut().zip(other.counts()) {
            *count = count.saturating_add(*more);
        }
        if let Some(others) = &other.list {
            let list = self.list.get_or_insert_default();
            list.count = list.count.saturating_add(others.count);
            list.empty = list.empty.saturating_add(others.empty);
            list.item.merge(&others.item, depth + 1, update);
        }
        if let Some(others) = &other.object {
            self.object
                .get_or_insert_default()
                .merge(others, depth, update);
        }
    }

    fn enforce_limits(&mut self, depth: usize, update: &mut Update<'_>) {
        if let Some(list) = &mut self.list {
            list.item.enforce_limits(depth + 1, update);
        }
        if let Some(object) = &mut self.object {
            object.enforce_limits(depth, update);
        }
    }
}

impl ListNode {
    fn add(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        self.count = self.count.saturating_add(1);
        let mut is_empty = true;
        for item in value.items() {
            is_empty = false;
            self.item.add(item, depth + 1, update);
        }
        self.empty = self.empty.saturating_add(u64::from(is_empty));
    }

    fn subtract(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        self.count = self.count.saturating_sub(1);
        let mut is_empty = true;
        for item in value.items() {
            is_empty = false;
            self.item.subtract(item, depth + 1, update);
        }
        self.empty = self.empty.saturating_sub(u64::from(is_empty));
    }
}

impl ObjectNode {
    pub(super) fn add(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        self.count = self.count.saturating_add(1);
        let mut is_empty = true;
        let mut cursor = 0;
        for (name, member) in value.members() {
            is_empty = false;
            match &mut self.members {
                Members::Collapsed(node) => node.add(member, depth + 1, update),
                Members::Record(record) => {
                    if let Some(node) = record.find(&name, &mut cursor) {
                        node.add(member, depth + 1, update);
                        continue;
                    }
                    let mut node = Node::default();
                    node.add(member, depth + 1, update);
                    record.insert(Arc::from(name.as_ref()), node);
                    cursor = record.len();
                    *update.nodes += 1;
                    self.collapse_if_wide(depth, update);
                }
            }
        }
        self.empty = self.empty.saturating_add(u64::from(is_empty));
    }

    pub(super) fn subtract(&mut self, value: ValueRef<'_>, depth: usize, update: &mut Update<'_>) {
        self.count = self.count.saturating_sub(1);
        let mut is_empty = true;
        let mut cursor = 0;
        let mut emptied = false;
        for (name, member) in value.members() {
            is_empty = false;
            match &mut self.members {
                Members::Collapsed(node) => node.subtract(member, depth + 1, update),
                Members::Record(record) => {
                    if let Some(node) = record.find(&name, &mut cursor) {
                        node.subtract(member, depth + 1, update);
                        emptied |= node.is_empty();
                    }
                }
            }
        }
        self.empty = self.empty.saturating_sub(u64::from(is_empty));
        if emptied && let Members::Record(record) = &mut self.members {
            *update.nodes = update.nodes.saturating_sub(record.remove_empty());
        }
    }

    pub(super) fn merge(&mut self, other: &ObjectNode, depth: usize, update: &mut Update<'_>) {
        self.count = self.count.saturating_add(other.count);
        self.empty = self.empty.saturating_add(other.empty);
        match &other.members {
            Members::Collapsed(others) => {
                self.collapse(depth, update)
                    .merge(others, depth + 1, update);
            }
            Members::Record(others) => {
                let mut cursor = 0;
                for member in others.iter() {
                    match &mut self.members {
                        Members::Collapsed(node) => node.merge(&member.node, depth + 1, update),
                        Members::Record(record) => match record.find(&member.name, &mut cursor) {
                            Some(node) => node.merge(&member.node, depth + 1, update),
                            None => {
                                record.insert(Arc::clone(&member.name), member.node.clone());
                                cursor = record.len();
                                self.collapse_if_wide(depth, update);
                            }
                        },
                    }
                }
            }
        }
    }

    /// Collapses what has more members than may be kept apart, here and below.
    pub(super) fn enforce_limits(&mut self, depth: usize, update: &mut Update<'_>) {
        self.collapse_if_wide(depth, update);
        match &mut self.members {
            Members::Collapsed(node) => node.enforce_limits(depth + 1, update),
            Members::Record(record) => {
                for member in record.iter_mut() {
                    member.node.enforce_limits(depth + 1, update);
                }
            }
        }
    }

    fn collapse_if_wide(&mut self, depth: usize, update: &mut Update<'_>) {
        if let Members::Record(record) = &self.members
            && record.len() > update.members_max(depth)
        {
            self.collapse(depth, update);
        }
    }

    /// Puts the values of all members together. Exact in counts, and not to be undone.
    fn collapse(&mut self, depth: usize, update: &mut Update<'_>) -> &mut Node {
        update.recount = true;
        if let Members::Record(record) = &mut self.members {
            let record: Record = std::mem::take(record);
            let mut merged = Box::<Node>::default();
            for node in record.into_nodes() {
                merged.merge(&node, depth + 1, update);
            }
            self.members = Members::Collapsed(merged);
        }
        match &mut self.members {
            Members::Collapsed(node) => node,
            Members::Record(_) => unreachable!("replaced just above"),
        }
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
