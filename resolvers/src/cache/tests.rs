use super::*;

#[test]
fn what_is_used_stays_and_the_rest_goes() {
    let cache = GenerationCache::new(4);
    cache.insert("kept".to_owned(), 0, 1);
    for n in 1..100 {
        cache.insert(n.to_string(), n, 1);
        assert_eq!(cache.get("kept"), Some(0), "after {n}");
        let generations = cache.generations.lock();
        assert!(generations.young.len() + generations.old.len() <= 8);
    }
    assert_eq!(cache.get("1"), None);
    assert_eq!(cache.get("99"), Some(99));
}

#[test]
fn an_entry_heavier_than_the_bound_is_not_kept() {
    let cache = GenerationCache::new(4);
    cache.insert(2, 2, 1);
    cache.insert(1, 1, 5);
    assert_eq!(cache.get(&1), None);
    assert_eq!(cache.get(&2), Some(2));
    cache.insert(3, 3, 4);
    assert_eq!(cache.get(&3), Some(3));
}
