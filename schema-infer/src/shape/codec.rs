//! The stored form of a [`Shape`]: compact, versioned, and safe to decode from corrupt bytes.
//!
//! A version byte, the coarseness, then the root object. An object is its count, its count of empty
//! ones, and its members: 0 and a node, or their number plus one and name and node of each, in order
//! of first sight. A node is a bit set of what it has, then only the counts that are not zero, the
//! list and the object.

use std::sync::Arc;

use super::node::{Counter, ListNode, Members, Node, ObjectNode, Record};
use super::{DEPTH_MAX, MEMBERS_MAX, Shape, update};
use crate::error::CorruptShape;
use crate::wire::{Reader, WireError, write_number, write_text};

const VERSION: u8 = 1;
const HAS_LIST: u64 = 1 << Counter::COUNT;
const HAS_OBJECT: u64 = HAS_LIST << 1;

impl Shape {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.coarseness];
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
    let coarseness = reader.byte()?;
    if coarseness > update::COARSENESS_MAX {
        return Err(reader.error("unknown coarseness"));
    }
    let root = read_object(reader, 0)?;
    reader.finish()?;
    Ok(Shape {
        nodes: root.nodes(),
        root,
        coarseness,
    })
}

fn write_object(object: &ObjectNode, out: &mut Vec<u8>) {
    write_number(object.count, out);
    write_number(object.empty, out);
    match &object.members {
        Members::Collapsed(value) => {
            write_number(0, out);
            write_node(value, out);
        }
        Members::Record(record) => {
            write_number(record.len() as u64 + 1, out);
            for member in record.iter() {
                write_text(&member.name, out);
                write_node(&member.node, out);
            }
        }
    }
}

fn read_object(reader: &mut Reader<'_>, depth: usize) -> Result<ObjectNode, WireError> {
    let count = reader.number()?;
    let empty = reader.number()?;
    if empty > count {
        return Err(reader.error("more empty objects than objects"));
    }
    let members = match reader.number()? {
        0 => Members::Collapsed(Box::new(read_node(reader, depth + 1)?)),
        length if length > MEMBERS_MAX as u64 + 1 => {
            return Err(reader.error("more members than are kept"));
        }
        length => {
            let mut record = Record::default();
            for _ in 1..length {
                let name = Arc::from(reader.text()?);
                let node = read_node(reader, depth + 1)?;
                if !record.insert(name, node) {
                    return Err(reader.error("a member counted twice"));
                }
            }
            Members::Record(record)
        }
    };
    Ok(ObjectNode {
        count,
        empty,
        members,
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
