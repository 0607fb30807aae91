//! Sets that mostly have one member, so one member takes no memory of its own.

use std::hash::Hash;

use rustc_hash::FxHashSet;

use crate::index::LiveId;

/// One of the reads of a live query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) live: LiveId,
    /// Its place in the dependency set.
    pub(crate) read: u32,
}

/// The reads that are filed in one place.
pub(crate) type Entries = SmallSet<Entry>;

/// So many members are looked through one by one.
const FEW_MAX: usize = 8;

/// A set.
#[derive(Debug, Default)]
pub(crate) enum SmallSet<T> {
    #[default]
    None,
    One(T),
    Few(Box<[T]>),
    Many(Box<FxHashSet<T>>),
}

impl<T: Copy + Eq + Hash> SmallSet<T> {
    pub(crate) fn insert(&mut self, member: T) {
        match self {
            SmallSet::None => *self = SmallSet::One(member),
            SmallSet::One(one) if *one == member => {}
            SmallSet::One(one) => *self = SmallSet::Few([*one, member].into()),
            SmallSet::Few(few) if few.contains(&member) => {}
            SmallSet::Few(few) => {
                let more = few.iter().copied().chain([member]);
                *self = match few.len() < FEW_MAX {
                    true => SmallSet::Few(more.collect()),
                    false => SmallSet::Many(Box::new(more.collect())),
                };
            }
            SmallSet::Many(many) => {
                many.insert(member);
            }
        }
    }

    /// Returns whether none is left.
    pub(crate) fn remove(&mut self, member: T) -> bool {
        match self {
            SmallSet::One(one) if *one == member => *self = SmallSet::None,
            SmallSet::Few(few) => {
                let mut others = few.iter().copied().filter(|other| *other != member);
                *self = match (others.next(), others.next()) {
                    (None, _) => SmallSet::None,
                    (Some(one), None) => SmallSet::One(one),
                    (Some(one), Some(two)) => {
                        SmallSet::Few([one, two].into_iter().chain(others).collect())
                    }
                };
            }
            SmallSet::Many(many) => {
                many.remove(&member);
                if many.is_empty() {
                    *self = SmallSet::None;
                }
            }
            SmallSet::None | SmallSet::One(_) => {}
        }
        matches!(self, SmallSet::None)
    }

    pub(crate) fn each(&self, visit: &mut impl FnMut(T)) {
        match self {
            SmallSet::None => {}
            SmallSet::One(one) => visit(*one),
            SmallSet::Few(few) => few.iter().copied().for_each(visit),
            SmallSet::Many(many) => many.iter().copied().for_each(visit),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            SmallSet::None => 0,
            SmallSet::One(_) => 1,
            SmallSet::Few(few) => few.len(),
            SmallSet::Many(many) => many.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_small_set_is_a_set(
            steps in prop::collection::vec((prop::bool::weighted(0.6), 0_u8..14), 0..60),
        ) {
            let (mut small, mut set) = (SmallSet::None, BTreeSet::new());
            for (inserts, member) in steps {
                if inserts {
                    small.insert(member);
                    set.insert(member);
                } else {
                    set.remove(&member);
                    prop_assert_eq!(small.remove(member), set.is_empty());
                }
                let mut members = Vec::new();
                small.each(&mut |member| members.push(member));
                members.sort_unstable();
                prop_assert_eq!(&members, &set.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(small.len(), set.len());
            }
        }
    }
}
