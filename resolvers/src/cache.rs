//! A bounded map that forgets what has not been used for long.
//!
//! Two generations: entries are born young; when the young are too many they become the old, and what was old and
//! not asked for since is dropped. Every operation is one or two look-ups; there is no list to maintain.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

/// A concurrent cache bounded by the *weight* of what it holds (here: bytes of text).
pub(crate) struct GenerationCache<K, V> {
    generations: Mutex<Generations<K, V>>,
    weight_max: usize,
}

struct Generations<K, V> {
    young: HashMap<K, Entry<V>>,
    young_weight: usize,
    old: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    value: V,
    weight: usize,
}

impl<K: Hash + Eq, V: Clone> GenerationCache<K, V> {
    /// A cache of at most about twice `weight_max`.
    pub(crate) fn new(weight_max: usize) -> Self {
        GenerationCache {
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                young_weight: 0,
                old: HashMap::new(),
            }),
            weight_max,
        }
    }

    /// The value of a key. An old entry that is asked for becomes young again.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.generations.lock();
        if let Some(entry) = generations.young.get(key) {
            return Some(entry.value.clone());
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        let value = entry.value.clone();
        generations.insert(key, entry, self.weight_max);
        Some(value)
    }

    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        self.generations
            .lock()
            .insert(key, Entry { value, weight }, self.weight_max);
    }
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// What is heavier than the bound alone is not kept.
    fn insert(&mut self, key: K, entry: Entry<V>, weight_max: usize) {
        if entry.weight > weight_max {
            return;
        }
        if self.young_weight + entry.weight > weight_max {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
        self.old.remove(&key);
        self.young_weight += entry.weight;
        if let Some(replaced) = self.young.insert(key, entry) {
            self.young_weight -= replaced.weight;
        }
    }
}

#[cfg(test)]
mod tests;
