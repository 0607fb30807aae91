//! The difference of two results as a JSON Patch (RFC 6902).
//!
//! Members of objects are compared by name. Items of a list are recognised by the ids in them, so that a row that moves
//! is moved, one that comes or goes is added or removed, and the others stay; of a list without ids what lies between
//! the same beginning and the same end is written anew. What it makes is small, not smallest.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::{JsonError, Kind, Value, ValueRef, write_json_string};

/// The members that name an item, the first that it has. Of an edge of a connection its node is looked at, else its cursor.
const ID_MEMBERS: [&str; 4] = ["nodeId", "id", "rowId", "key"];
const NODE_MEMBER: &str = "node";
const CURSOR_MEMBER: &str = "cursor";

/// The operations that make `new` of `old`, as a JSON list. Where they would take more than `new` itself, they are one: to
/// replace the whole.
pub(crate) fn patch(old: &[u8], new: &[u8]) -> Result<Vec<u8>, JsonError> {
    let (old_value, new_value) = (Value::parse(old)?, Value::parse(new)?);
    let mut operations = Operations {
        out: b"[".to_vec(),
        path: Vec::new(),
        bytes_max: new.len(),
    };
    operations.value(old_value.as_ref(), new_value.as_ref());
    if operations.out.len() > operations.bytes_max {
        operations.out.truncate(1);
        operations.path.clear();
        operations.write("replace", None, Some(new_value.as_ref()));
    }
    operations.out.push(b']');
    Ok(operations.out)
}

struct Operations {
    out: Vec<u8>,
    /// The JSON Pointer to where the comparison is, already escaped for a JSON string.
    path: Vec<u8>,
    /// Past this nothing more is written: the patch will not be used.
    bytes_max: usize,
}

/// What names an item.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ItemId<'v>(&'static str, &'v [u8]);

impl Operations {
    fn value(&mut self, old: ValueRef<'_>, new: ValueRef<'_>) {
        if old.json() == new.json() || self.out.len() > self.bytes_max {
            return;
        }
        match (old.kind(), new.kind()) {
            (Kind::Object, Kind::Object) => self.object(old, new),
            (Kind::List, Kind::List) => self.list(old, new),
            _ => self.write("replace", None, Some(new)),
        }
    }

    fn object(&mut self, old: ValueRef<'_>, new: ValueRef<'_>) {
        for (name, _) in old.members() {
            if new.get(&name).is_none() {
                self.at_member(&name, |here| here.write("remove", None, None));
            }
        }
        for (name, value) in new.members() {
            self.at_member(&name, |here| match old.get(&name) {
                Some(old) => here.value(old, value),
                None => here.write("add", None, Some(value)),
            });
        }
    }

    fn list(&mut self, old: ValueRef<'_>, new: ValueRef<'_>) {
        let (old, new): (Vec<_>, Vec<_>) = (old.items().collect(), new.items().collect());
        match (ids(&old), ids(&new)) {
            (Some(old_ids), Some(new_ids)) => self.rows(&old, &old_ids, &new, &new_ids),
            _ => self.items(&old, &new),
        }
    }

    /// A list whose items have ids.
    fn rows<'v>(
        &mut self,
        old: &[ValueRef<'v>],
        old_ids: &[ItemId<'v>],
        new: &[ValueRef<'v>],
        new_ids: &[ItemId<'v>],
    ) {
        let old_places: FxHashMap<&ItemId<'_>, usize> = old_ids.iter().zip(0..).collect();
        let kept: FxHashSet<&ItemId<'_>> = new_ids.iter().collect();
        // As the list is while the operations so far are applied.
        let mut present: Vec<&ItemId<'_>> = Vec::with_capacity(old_ids.len());
        for (place, id) in old_ids.iter().enumerate().rev() {
            if kept.contains(id) {
                present.push(id);
            } else {
                self.at_item(place, |here| here.write("remove", None, None));
            }
        }
        present.reverse();
        let places: Vec<Option<usize>> = new_ids
            .iter()
            .map(|id| old_places.get(id).copied())
            .collect();
        let staying = longest_increasing(&places);
        for (place, id) in new_ids.iter().enumerate() {
            if self.out.len() > self.bytes_max {
                return;
            }
            if staying.contains(&place) {
                continue;
            }
            // Whoever stands before it in the new list stands right by now: it stayed, or came here before this one.
            let found = old_places.get(id).and_then(|_| {
                let from = present.iter().position(|it| *it == id)?;
                present.remove(from);
                Some(from)
            });
            let to = match place.checked_sub(1) {
                None => 0,
                Some(before) => {
                    let before = present.iter().position(|it| **it == new_ids[before]);
                    before.map_or(0, |before| before + 1)
                }
            };
            present.insert(to, id);
            match found {
                Some(from) if from == to => {}
                Some(from) => self.at_item(to, |here| here.write("move", Some(from), None)),
                None => self.at_item(to, |here| here.write("add", None, Some(new[place]))),
            }
        }
        for (place, (id, value)) in new_ids.iter().zip(new).enumerate() {
            if let Some(before) = old_places.get(id) {
                self.at_item(place, |here| here.value(old[*before], *value));
            }
        }
    }

    /// A list whose items have no ids.
    fn items(&mut self, old: &[ValueRef<'_>], new: &[ValueRef<'_>]) {
        let same = |(one, two): &(&ValueRef<'_>, &ValueRef<'_>)| one.json() == two.json();
        let start = old.iter().zip(new).take_while(same).count();
        let (old, new) = (&old[start..], &new[start..]);
        let end = old
            .iter()
            .rev()
            .zip(new.iter().rev())
            .take_while(same)
            .count();
        let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
        let both = old.len().min(new.len());
        for place in (both..old.len()).rev() {
            self.at_item(start + place, |here| here.write("remove", None, None));
        }
        for (place, (old, new)) in old.iter().zip(new).enumerate() {
            self.at_item(start + place, |here| here.value(*old, *new));
        }
        for (place, value) in new.iter().enumerate().skip(both) {
            self.at_item(start + place, |here| here.write("add", None, Some(*value)));
        }
    }

    fn at_member(&mut self, name: &str, run: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push(b'/');
        // RFC 6901: `~` and `/` have escapes of their own.
        let name: Cow<'_, str> = if name.contains(['~', '/']) {
            name.replace('~', "~0").replace('/', "~1").into()
        } else {
            name.into()
        };
        let mut quoted = Vec::with_capacity(name.len() + 2);
        write_json_string(&name, &mut quoted);
        self.path.extend_from_slice(&quoted[1..quoted.len() - 1]);
        run(self);
        self.path.truncate(length);
    }

    fn at_item(&mut self, place: usize, run: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(place.to_string().as_bytes());
        run(self);
        self.path.truncate(length);
    }

    /// Writes an operation on the place where the comparison is; `from` is another item of the same list.
    fn write(&mut self, operation: &str, from: Option<usize>, value: Option<ValueRef<'_>>) {
        if self.out.len() > self.bytes_max {
            return;
        }
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"op\":\"");
        self.out.extend_from_slice(operation.as_bytes());
        if let Some(from) = from {
            let list = self.path.iter().rposition(|byte| *byte == b'/');
            self.out.extend_from_slice(b"\",\"from\":\"");
            self.out
                .extend_from_slice(&self.path[..list.map_or(0, |slash| slash + 1)]);
            self.out.extend_from_slice(from.to_string().as_bytes());
        }
        self.out.extend_from_slice(b"\",\"path\":\"");
        self.out.extend_from_slice(&self.path);
        self.out.push(b'"');
        if let Some(value) = value {
            self.out.extend_from_slice(b",\"value\":");
            self.out.extend_from_slice(value.json());
        }
        self.out.push(b'}');
    }
}

/// What names each of the items; `None` where one has no name, or two have the same.
fn ids<'v>(items: &[ValueRef<'v>]) -> Option<Vec<ItemId<'v>>> {
    let ids: Option<Vec<_>> = items.iter().map(|item| id(*item, true)).collect();
    let ids = ids?;
    let distinct: FxHashSet<&ItemId<'_>> = ids.iter().collect();
    (distinct.len() == ids.len()).then_some(ids)
}

fn id(item: ValueRef<'_>, may_be_edge: bool) -> Option<ItemId<'_>> {
    if item.kind() != Kind::Object {
        return None;
    }
    let is_scalar =
        |value: &ValueRef<'_>| matches!(value.kind(), Kind::String | Kind::Int | Kind::Float);
    let own = ID_MEMBERS.iter().find_map(|name| {
        let value = item.get(name).filter(is_scalar)?;
        Some(ItemId(name, value.json()))
    });
    if own.is_some() || !may_be_edge {
        return own;
    }
    let of_node = item.get(NODE_MEMBER).and_then(|node| id(node, false));
    of_node.or_else(|| {
        let cursor = item.get(CURSOR_MEMBER).filter(is_scalar)?;
        Some(ItemId(CURSOR_MEMBER, cursor.json()))
    })
}

/// Which elements make a longest run of growing numbers, those without a number aside.
fn longest_increasing(numbers: &[Option<usize>]) -> FxHashSet<usize> {
    // For each length the element with the least number at which a run of that length can end.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    for (place, number) in numbers.iter().enumerate() {
        if number.is_none() {
            continue;
        }
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before[place] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut run = FxHashSet::default();
    let mut next = ends.last().copied();
    while let Some(place) = next {
        run.insert(place);
        next = before[place];
    }
    run
}

#[cfg(test)]
mod tests;
