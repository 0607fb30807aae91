//! The order of shapes: does everything that one has seen fit what the other describes?

use super::node::{Counter, ListNode, Node, ObjectNode};

fn node_fits(inner: &Node, outer: &Node) -> bool {
    scalars_fit(inner, outer)
        && containers_fit(inner, outer)
        && inner.object.as_ref().is_none_or(|object| {
            outer.get(Counter::Opaque) > 0
                || outer
                    .object
                    .as_ref()
                    .is_some_and(|other| object_fits(object, other))
        })
        && inner.list.as_ref().is_none_or(|list| {
            outer.get(Counter::Opaque) > 0
                || outer
                    .list
                    .as_ref()
                    .is_some_and(|other| list_fits(list, other))
        })
}

fn scalars_fit(inner: &Node, outer: &Node) -> bool {
    // Each counter with the counters that take its values as well, itself first.
    const WIDER: &[(Counter, &[Counter])] = &[
        (Counter::Null, &[Counter::Null]),
        (Counter::Boolean, &[Counter::Boolean]),
        (
            Counter::Int32,
            &[
                Counter::Int32,
                Counter::Int53,
                Counter::IntBeyond,
                Counter::Float,
            ],
        ),
        (
            Counter::Int53,
            &[Counter::Int53, Counter::IntBeyond, Counter::Float],
        ),
        (Counter::IntBeyond, &[Counter::IntBeyond, Counter::Float]),
        (Counter::Float, &[Counter::Float]),
        (Counter::String, &[Counter::String]),
    ];
    WIDER.iter().all(|(counter, wider)| {
        inner.get(*counter) == 0 || wider.iter().any(|counter| outer.get(*counter) > 0)
    }) && string_formats_fit(inner, outer)
}

/// Where every string of the outer shape has a format, those of the inner one need it too.
fn string_formats_fit(inner: &Node, outer: &Node) -> bool {
    [Counter::DateTime, Counter::Date]
        .into_iter()
        .all(|format| {
            let is_uniform = |node: &Node| node.get(format) == node.get(Counter::String);
            is_uniform(inner) || !is_uniform(outer)
        })
}

fn containers_fit(inner: &Node, outer: &Node) -> bool {
    inner.get(Counter::Opaque) == 0 || outer.get(Counter::Opaque) > 0
}

fn list_fits(inner: &ListNode, outer: &ListNode) -> bool {
    node_fits(&inner.item, &outer.item)
}

/// An object with members that are not tracked describes any names, with the values that it has
/// under all of its own.
pub(super) fn object_fits(inner: &ObjectNode, outer: &ObjectNode) -> bool {
    let mut members = inner.record.iter();
    if outer.overflow.is_none() {
        return inner.overflow.is_none()
            && members.all(|member| {
                outer
                    .record
                    .get(&member.name)
                    .is_some_and(|other| node_fits(&member.node, other))
            });
    }
    let values = outer.values();
    members.all(|member| node_fits(&member.node, &values))
        && inner
            .overflow
            .as_ref()
            .is_none_or(|overflow| node_fits(overflow, &values))
}
