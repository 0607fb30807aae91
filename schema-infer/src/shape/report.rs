//! The evidence for people: a shape as JSON, as the API's `collections { shape }` shows it.
//!
//! `{"documents": 3, "fields": {"year": {"count": 3, "int": 2, "null": 1}, …}}`; objects have
//! `fields`, and `otherFields` where there are more names than are tracked; lists have `items`.

use thalweg_model::write_json_string;

use super::Shape;
use super::node::{Counter, Node, ObjectNode};

const SCALARS: &[(&str, Counter)] = &[
    ("null", Counter::Null),
    ("boolean", Counter::Boolean),
    ("int", Counter::Int32),
    ("bigInt", Counter::Int53),
    ("hugeInt", Counter::IntBeyond),
    ("float", Counter::Float),
    ("string", Counter::String),
    ("dateTime", Counter::DateTime),
    ("date", Counter::Date),
    ("deep", Counter::Opaque),
];

impl Shape {
    /// The shape as JSON text: for every field how many values of which kind there are. `dateTime`
    /// and `date` are among `string`; `deep` are lists and objects that are not looked into.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(b'{');
        write_member("documents", self.root.count, &mut out);
        write_members(&self.root, &mut out);
        out.push(b'}');
        out
    }
}

fn write_node(node: &Node, out: &mut Vec<u8>) {
    out.push(b'{');
    write_member("count", node.total(), out);
    for (name, counter) in SCALARS {
        let count = node.get(*counter);
        if count > 0 {
            out.push(b',');
            write_member(name, count, out);
        }
    }
    if let Some(list) = &node.list {
        out.push(b',');
        write_member("list", list.count, out);
        out.push(b',');
        write_member("emptyList", list.empty, out);
        out.extend_from_slice(b",\"items\":");
        write_node(&list.item, out);
    }
    if let Some(object) = &node.object {
        out.push(b',');
        write_member("object", object.count, out);
        out.push(b',');
        write_member("emptyObject", object.empty, out);
        write_members(object, out);
    }
    out.push(b'}');
}

fn write_members(object: &ObjectNode, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"fields\":{");
    for (index, member) in object.record.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_string(&member.name, out);
        out.push(b':');
        write_node(&member.node, out);
    }
    out.push(b'}');
    if let Some(overflow) = &object.overflow {
        out.extend_from_slice(b",\"otherFields\":");
        write_node(overflow, out);
    }
}

fn write_member(name: &str, count: u64, out: &mut Vec<u8>) {
    write_json_string(name, out);
    out.push(b':');
    out.extend_from_slice(count.to_string().as_bytes());
}
