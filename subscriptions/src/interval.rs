//! Intervals of keys, found by the keys that lie in them.
//!
//! A treap ordered by the start of the intervals, in which every node knows the end that reaches furthest below it, so
//! that finding the `k` intervals around a key among `n` takes time of the order of `log n + k`. Equal intervals share a node.

use thalweg_engine::KeyInterval;

use crate::entries::{Entries, Entry};

type Link = Option<u32>;

struct Node {
    interval: KeyInterval,
    entries: Entries,
    /// No node has a greater one than what is below it hangs on: which makes the tree flat, whatever the order in
    /// which intervals come.
    priority: u64,
    left: Link,
    right: Link,
    /// The node whose interval reaches furthest, of this and those below it.
    furthest: u32,
}

/// Who waits for keys in which interval.
#[derive(Default)]
pub(crate) struct Intervals {
    nodes: Vec<Node>,
    free: Vec<u32>,
    root: Link,
    seed: u64,
}

impl Intervals {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(crate) fn insert(&mut self, interval: &KeyInterval, entry: Entry) {
        if let Some(node) = self.find(interval) {
            self.nodes[index(node)].entries.insert(entry);
            return;
        }
        let priority = self.next_priority();
        let made = Node {
            interval: interval.clone(),
            entries: Entries::One(entry),
            priority,
            left: None,
            right: None,
            furthest: 0,
        };
        let node = match self.free.pop() {
            Some(node) => {
                self.nodes[index(node)] = made;
                node
            }
            None => {
                let node = u32::try_from(self.nodes.len()).expect("fewer than 2^32 intervals");
                self.nodes.push(made);
                node
            }
        };
        self.settle(node);
        let (left, right) = self.split(self.root, interval);
        let left = self.merge(left, Some(node));
        self.root = self.merge(left, right);
    }

    pub(crate) fn remove(&mut self, interval: &KeyInterval, entry: Entry) {
        let Some(node) = self.find(interval) else {
            return;
        };
        let entries = &mut self.nodes[index(node)].entries;
        if !entries.remove(entry) {
            return;
        }
        self.root = self.cut(self.root, node);
        // What it took is given back at once; the node itself when another interval needs one.
        let gone = &mut self.nodes[index(node)];
        gone.interval.from = Vec::new();
        gone.interval.to = None;
        gone.entries = Entries::None;
        self.free.push(node);
    }

    /// Visits the entries of each interval that a key lies in.
    pub(crate) fn around(&self, key: &[u8], visit: &mut impl FnMut(&Entries)) {
        let mut pending: Vec<u32> = self.root.into_iter().collect();
        while let Some(node) = pending.pop() {
            let Node {
                interval,
                entries,
                left,
                right,
                furthest,
                ..
            } = &self.nodes[index(node)];
            if ends_before(&self.nodes[index(*furthest)].interval, key) {
                continue;
            }
            pending.extend(left);
            if *interval.from <= *key {
                if !ends_before(interval, key) {
                    visit(entries);
                }
                pending.extend(right);
            }
        }
    }

    /// Visits the entries of all intervals.
    pub(crate) fn all(&self, visit: &mut impl FnMut(&Entries)) {
        // Nodes that are free have no entries.
        for node in &self.nodes {
            visit(&node.entries);
        }
    }

    fn find(&self, interval: &KeyInterval) -> Link {
        let mut link = self.root;
        while let Some(node) = link {
            let Node {
                interval: here,
                left,
                right,
                ..
            } = &self.nodes[index(node)];
            link = match interval.cmp(here) {
                std::cmp::Ordering::Equal => return Some(node),
                std::cmp::Ordering::Less => *left,
                std::cmp::Ordering::Greater => *right,
            };
        }
        None
    }

    /// xorshift64*: it need not be unpredictable to those who subscribe, since what they choose are the intervals.
    fn next_priority(&mut self) -> u64 {
        if self.seed == 0 {
            self.seed = 0x9e37_79b9_7f4a_7c15;
        }
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The tree in two: what comes before an interval that is not in it, and what comes after.
    fn split(&mut self, root: Link, at: &KeyInterval) -> (Link, Link) {
        let Some(node) = root else {
            return (None, None);
        };
        let parts = if self.nodes[index(node)].interval < *at {
            let (before, after) = self.split(self.nodes[index(node)].right, at);
            self.nodes[index(node)].right = before;
            (Some(node), after)
        } else {
            let (before, after) = self.split(self.nodes[index(node)].left, at);
            self.nodes[index(node)].left = after;
            (before, Some(node))
        };
        self.settle(node);
        parts
    }

    /// One tree of two, of which the first has what comes before.
    fn merge(&mut self, before: Link, after: Link) -> Link {
        let (Some(one), Some(two)) = (before, after) else {
            return before.or(after);
        };
        if self.nodes[index(one)].priority > self.nodes[index(two)].priority {
            let right = self.merge(self.nodes[index(one)].right, after);
            self.nodes[index(one)].right = right;
            self.settle(one);
            Some(one)
        } else {
            let left = self.merge(before, self.nodes[index(two)].left);
            self.nodes[index(two)].left = left;
            self.settle(two);
            Some(two)
        }
    }

    /// The tree without a node that is in it.
    fn cut(&mut self, root: Link, node: u32) -> Link {
        let here = root?;
        let Node { left, right, .. } = self.nodes[index(here)];
        if here == node {
            return self.merge(left, right);
        }
        if self.nodes[index(node)].interval < self.nodes[index(here)].interval {
            let left = self.cut(left, node);
            self.nodes[index(here)].left = left;
        } else {
            let right = self.cut(right, node);
            self.nodes[index(here)].right = right;
        }
        self.settle(here);
        root
    }

    /// Notes anew what reaches furthest, of a node whose children know it.
    fn settle(&mut self, node: u32) {
        let Node { left, right, .. } = self.nodes[index(node)];
        let mut furthest = node;
        for child in [left, right].into_iter().flatten() {
            let theirs = self.nodes[index(child)].furthest;
            if reaches_beyond(
                &self.nodes[index(theirs)].interval,
                &self.nodes[index(furthest)].interval,
            ) {
                furthest = theirs;
            }
        }
        self.nodes[index(node)].furthest = furthest;
    }
}

fn index(node: u32) -> usize {
    node as usize
}

fn ends_before(interval: &KeyInterval, key: &[u8]) -> bool {
    interval.to.as_ref().is_some_and(|to| **to <= *key)
}

fn reaches_beyond(one: &KeyInterval, two: &KeyInterval) -> bool {
    match (&one.to, &two.to) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(one), Some(two)) => one > two,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::index::live_id;

    fn entry(live: u64) -> Entry {
        Entry {
            live: live_id(live),
            read: 0,
        }
    }

    fn interval() -> impl Strategy<Value = KeyInterval> {
        let key = || prop::collection::vec(0_u8..4, 0..3);
        (key(), prop::option::of(key())).prop_map(|(from, to)| KeyInterval {
            from,
            to,
            is_point: false,
        })
    }

    fn depth(intervals: &Intervals, link: Link) -> usize {
        link.map_or(0, |node| {
            let Node { left, right, .. } = &intervals.nodes[index(node)];
            1 + depth(intervals, *left).max(depth(intervals, *right))
        })
    }

    proptest! {
        #[test]
        fn keys_find_the_intervals_that_a_search_of_all_finds(
            steps in prop::collection::vec((any::<bool>(), interval(), 0_u64..6), 0..80),
            keys in prop::collection::vec(prop::collection::vec(0_u8..5, 0..4), 1..10),
        ) {
            let mut intervals = Intervals::default();
            let mut all: BTreeSet<(KeyInterval, u64)> = BTreeSet::new();
            for (adds, interval, live) in steps {
                if adds {
                    intervals.insert(&interval, entry(live));
                    all.insert((interval, live));
                } else {
                    intervals.remove(&interval, entry(live));
                    all.remove(&(interval, live));
                }
                for key in &keys {
                    let expected: Vec<u64> = all
                        .iter()
                        .filter(|(it, _)| it.from <= *key && it.to.as_ref().is_none_or(|to| key < to))
                        .map(|(_, live)| *live)
                        .collect();
                    let mut found = Vec::new();
                    intervals.around(key, &mut |entries| entries.each(&mut |it| found.push(it.live)));
                    let mut expected: Vec<_> = expected.into_iter().map(live_id).collect();
                    expected.sort_unstable();
                    found.sort_unstable();
                    prop_assert_eq!(found, expected);
                }
                prop_assert_eq!(intervals.is_empty(), all.is_empty());
            }
        }
    }

    #[test]
    fn intervals_that_come_in_order_make_no_deep_tree() {
        let mut intervals = Intervals::default();
        for n in 0..10_000_u32 {
            let interval = KeyInterval {
                from: n.to_be_bytes().to_vec(),
                to: None,
                is_point: false,
            };
            intervals.insert(&interval, entry(u64::from(n)));
        }
        assert!(depth(&intervals, intervals.root) < 60);
    }
}
