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

/// A set.
#[derive(Debug, Default)]
pub(crate) enum SmallSet<T> {
    #[default]
    None,
    One(T),
    Many(Box<FxHashSet<T>>),
}

impl<T: Copy + Eq + Hash> SmallSet<T> {
    pub(crate) fn insert(&mut self, member: T) {
        match self {
            SmallSet::None => *self = SmallSet::One(member),
            SmallSet::One(one) if *one == member => {}
            SmallSet::One(one) => {
                *self = SmallSet::Many(Box::new([*one, member].into_iter().collect()));
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
            SmallSet::Many(many) => many.iter().copied().for_each(visit),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            SmallSet::None => 0,
            SmallSet::One(_) => 1,
            SmallSet::Many(many) => many.len(),
        }
    }
}
