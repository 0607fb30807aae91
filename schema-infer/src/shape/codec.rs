//! The stored form of a [`Shape`]: compact, versioned, and safe to decode from corrupt bytes.
//!
//! A version byte, then the root object. An object is its count, its count of empty ones, the number
//! of its tracked members, name and node of each in order of first sight, and the node of its
//! overflow, which has nothing if there is none. A node is a bit set of what it has, then only the
//! counts that are not zero, the list and the object.

use std::sync::Arc;

use super::limits::Limits;
use super::node::{Counter, ListNode, Node, ObjectNode, Record};
use super::{DEPTH_MAX, MEMBERS_MAX, Shape};
use crate::error::CorruptShape;
use crate::wire::{Reader, WireError, write_number, write_text};

const VERSION: u8 = 2;
const HAS_LIST: u64 = 1 << Counter::COUNT;
const HAS_OBJECT: u64 = HAS_LIST << 1;

impl Shape {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write_object(&self.root, &mut out);
        out
    }

    /// Reads what [`Shape::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Shape, CorruptShape> {
        decode(&mut Reader::new(bytes)).map_err(|error| CorruptShape {
            offset: error.offset,
            reason: error.reason,
        })
    }
}

fn decode(reader: &mut Reader<'_>) -> Result<Shape, WireError> {
    if reader.byte()? != VERSION {
        return Err(reader.error("unknown version"));
    }
    let root = read_object(reader, 0)?;
    reader.finish()?;
    Ok(Shape {
        nodes: root.nodes(),
        root,
        limits: Limits::default(),
    })
}

fn write_object(object: &ObjectNode, out: &mut Vec<u8>) {
    write_number(object.count, out);
    write_number(object.empty, out);
    write_number(object.record.len() as u64, out);
    for member in object.record.iter() {
        write_text(&member.name, out);
        write_node(&member.node, out);
    }
    match &object.overflow {
        Some(value) => write_node(value, out),
        None => write_number(0, out),
    }
}

fn read_object(reader: &mut Reader<'_>, depth: usize) -> Result<ObjectNode, WireError> {
    let count = reader.number()?;
    let empty = reader.number()?;
    if empty > count {
        return Err(reader.error("more empty objects than objects"));
    }
    let length = reader.number()?;
    if length > MEMBERS_MAX as u64 {
        return Err(reader.error("more members than are tracked"));
    }
    let mut record = Record::default();
    for _ in 0..length {
        let name = Arc::from(reader.text()?);
        let node = read_node(reader, depth + 1)?;
        if !record.insert(name, node) {
            return Err(reader.error("a member counted twice"));
        }
    }
    let overflow = read_node(reader, depth + 1)?;
    Ok(ObjectNode {
        count,
        empty,
        record,
        overflow: (!overflow.is_empty()).then(|| Box::new(overflow)),
    })
}

fn write_node(node: &Node, out: &mut Vec<u8>) {
    let mut present = 0;
    for (bit, count) in node.counts().iter().enumerate() {
        present |= u64::from(*count > 0) << bit;
    }
    if node.list.is_some() {
        present |= HAS_LIST;
    }
    if node.object.is_some() {
        present |= HAS_OBJECT;
    }
    write_number(present, out);
    for count in node.counts().iter().filter(|count| **count > 0) {
        write_number(*count, out);
    }
    if let Some(list) = &node.list {
        write_number(list.count, out);
        write_number(list.empty, out);
        write_node(&list.item, out);
    }
    if let Some(object) = &node.object {
        write_object(object, out);
    }
}

fn read_node(reader: &mut Reader<'_>, depth: usize) -> Result<Node, WireError> {
    // Containers are looked into down to DEPTH_MAX; scalars lie one deeper.
    if depth > DEPTH_MAX + 1 {
        return Err(reader.error("nested too deep"));
    }
    let present = reader.number()?;
    if present >= HAS_OBJECT << 1 {
        return Err(reader.error("unknown counters"));
    }
    let mut node = Node::default();
    for (bit, count) in node.counts_mut().iter_mut().enumerate() {
        if present & (1 << bit) != 0 {
            *count = reader.number()?;
        }
    }
    if present & HAS_LIST != 0 {
        let count = reader.number()?;
        let empty = reader.number()?;
        if empty > count {
            return Err(reader.error("more empty lists than lists"));
        }
        node.list = Some(Box::new(ListNode {
            count,
            empty,
            item: read_node(reader, depth + 1)?,
        }));
    }
    if present & HAS_OBJECT != 0 {
        node.object = Some(Box::new(read_object(reader, depth)?));
    }
    Ok(node)
}
