//! Filters over related documents: semi-joins.
//!
//! A [`Predicate::Related`] holds of a document that some document of another collection is related to. Before anything is
//! found, the documents of the other collection that satisfy the inner filter are, and their keys take its place: a set
//! that is tested like any other value, through an index where there is one. So the inner find is a dependency like the
//! outer one, and no predicate that is evaluated has a relation in it.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use thalweg_model::{CollectionId, DocumentId, Kind, Value, ValueRef, encode_value};

use crate::dependency::DependencySet;
use crate::error::EngineError;
use crate::field::{FieldMask, FieldRef, FieldValue, Image};
use crate::find::{self as finding, Choice, Deleted, Find, View};
use crate::predicate::{Predicate, Test};

/// How many keys a filter over related documents may come to.
pub const JOIN_KEYS_MAX: usize = 100_000;

/// So few values are tested one by one.
const LISTED_MAX: usize = 16;

/// The documents of another collection that satisfy a filter, and how they are related.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The collection of the others.
    pub collection: CollectionId,
    /// What they satisfy.
    pub filter: Arc<Predicate>,
    /// The field of them that names the document, or by which it names them.
    pub key: FieldRef,
    /// The field of the document that names them, or by which they name it.
    pub field: FieldRef,
    /// Whether that holds a list.
    pub is_list: bool,
    /// What their number has to pass, none included. Without it there has to be one at least.
    pub number: Option<Test>,
}

/// Values that a test looks a value up in.
#[derive(Clone, Debug)]
pub struct ValueSet {
    values: Vec<Value>,
    encoded: FxHashSet<Box<[u8]>>,
}

impl PartialEq for ValueSet {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl ValueSet {
    /// The values, each once.
    pub fn new(values: impl IntoIterator<Item = Value>) -> ValueSet {
        let mut set = ValueSet {
            values: Vec::new(),
            encoded: FxHashSet::default(),
        };
        for value in values {
            set.add(value);
        }
        set
    }

    fn add(&mut self, value: Value) {
        let mut encoded = Vec::new();
        encode_value(value.as_ref(), &mut encoded);
        if self.encoded.insert(encoded.into()) {
            self.values.push(value);
        }
    }

    /// The values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub(crate) fn contains(&self, value: FieldValue<'_>) -> bool {
        let mut encoded = Vec::new();
        match value {
            FieldValue::Absent => return false,
            FieldValue::Stored(value) => encode_value(value, &mut encoded),
            other => encode_value(other.to_value().as_ref(), &mut encoded),
        }
        self.encoded.contains(&*encoded)
    }
}

/// A find whose filter has no relations in it any more, and what finding those depended on; `None` where it had none.
pub(crate) fn resolved(
    view: View<'_>,
    find: &Find,
) -> Result<Option<(Find, Resolved)>, EngineError> {
    if !has_relations(&find.filter) {
        return Ok(None);
    }
    let mut done = Resolved::default();
    let filter = resolve(view, &find.filter, &mut done)?;
    let find = Find {
        filter: Arc::new(filter),
        ..find.clone()
    };
    Ok(Some((find, done)))
}

/// What it took to find related documents.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) dependencies: DependencySet,
    pub(crate) rows_read: u64,
}

/// The collections whose documents a filter asks about, beside those that it is asked of.
pub(crate) fn collections(predicate: &Predicate, add: &mut dyn FnMut(CollectionId)) {
    match predicate {
        Predicate::True | Predicate::Field(..) | Predicate::Item(_) => {}
        Predicate::Related(join) => {
            add(join.collection);
            collections(&join.filter, add);
        }
        Predicate::And(all) | Predicate::Or(all) => {
            all.iter().for_each(|it| collections(it, add));
        }
        Predicate::Not(predicate) => collections(predicate, add),
    }
}

/// The filter as if no document were related to any, to estimate what is cheap to find at least: what it comes to is
/// counted while it is found.
pub(crate) fn unrelated(predicate: &Predicate) -> Predicate {
    match predicate {
        Predicate::Related(join) => Predicate::Field(join.field.clone(), Test::In(Vec::new())),
        Predicate::And(all) => Predicate::And(all.iter().map(unrelated).collect()),
        Predicate::Or(any) => Predicate::Or(any.iter().map(unrelated).collect()),
        Predicate::Not(predicate) => Predicate::Not(Box::new(unrelated(predicate))),
        other => other.clone(),
    }
}

pub(crate) fn has_relations(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::True | Predicate::Field(..) | Predicate::Item(_) => false,
        Predicate::Related(_) => true,
        Predicate::And(all) | Predicate::Or(all) => all.iter().any(has_relations),
        Predicate::Not(predicate) => has_relations(predicate),
    }
}

fn resolve(
    view: View<'_>,
    predicate: &Predicate,
    done: &mut Resolved,
) -> Result<Predicate, EngineError> {
    let mut several = |all: &[Predicate]| -> Result<Vec<Predicate>, EngineError> {
        all.iter().map(|it| resolve(view, it, done)).collect()
    };
    Ok(match predicate {
        Predicate::True | Predicate::Field(..) | Predicate::Item(_) => predicate.clone(),
        Predicate::And(all) => Predicate::And(several(all)?),
        Predicate::Or(any) => Predicate::Or(several(any)?),
        Predicate::Not(predicate) => Predicate::Not(Box::new(resolve(view, predicate, done)?)),
        Predicate::Related(join) => {
            let keys = keys(view, join, done)?;
            match &join.number {
                None => keys.named_by(join),
                // Whom no key names has none of them: so if that passes, it does not hold of those whose number fails.
                Some(number) if number.passes(FieldValue::Integer(0)) => {
                    let others = keys.counted(|count| !number.passes(FieldValue::Integer(count)));
                    Predicate::Not(Box::new(others.named_by(join)))
                }
                Some(number) => keys
                    .counted(|count| number.passes(FieldValue::Integer(count)))
                    .named_by(join),
            }
        }
    })
}

/// Keys, and how many documents have each.
#[derive(Default)]
struct Keys {
    values: Vec<(Value, u64)>,
    places: FxHashMap<Box<[u8]>, usize>,
}

impl Keys {
    /// Notes the keys of one document, which may have one of them more than once.
    fn add(&mut self, keys: Vec<Value>) {
        let mut seen = FxHashSet::default();
        for key in keys {
            let mut encoded = Vec::new();
            encode_value(key.as_ref(), &mut encoded);
            let place = *self.places.entry(encoded.into()).or_insert_with(|| {
                self.values.push((key, 0));
                self.values.len() - 1
            });
            if seen.insert(place) {
                self.values[place].1 += 1;
            }
        }
    }

    /// Those that so many documents have.
    fn counted(self, passes: impl Fn(u64) -> bool) -> Keys {
        let mut kept = self;
        kept.values.retain(|(_, count)| passes(*count));
        kept
    }

    /// The documents that one of the keys names.
    fn named_by(self, join: &Join) -> Predicate {
        let values = self.values.into_iter().map(|(value, _)| value);
        let test = match values.len() {
            0..=LISTED_MAX => Test::In(values.collect()),
            _ => Test::Among(Arc::new(ValueSet::new(values))),
        };
        let test = match join.is_list {
            true => Test::ItemSome(Box::new(test)),
            false => test,
        };
        Predicate::Field(join.field.clone(), test)
    }
}

/// The keys of the related documents, as they stand in the field of the document.
fn keys(view: View<'_>, join: &Join, done: &mut Resolved) -> Result<Keys, EngineError> {
    let mut mask = FieldMask::none();
    mask.add(join.key.clone());
    let find = Find {
        collection: join.collection,
        filter: Arc::clone(&join.filter),
        deleted: Deleted::Exclude,
        order: Arc::from([]),
        after: None,
        before: None,
        offset: 0,
        limit: JOIN_KEYS_MAX + 1,
        from_end: false,
        count_total: false,
        read: mask,
    };
    let found = finding::find(view, &find, Choice::Any)?;
    done.rows_read += found.rows_read;
    done.dependencies.merge(found.dependencies);
    let mut keys = Keys::default();
    for record in &found.rows {
        let mut of_record = Vec::new();
        match Image::of(record).field(&join.key) {
            FieldValue::Text(id) => add_named(id, join, &mut of_record),
            FieldValue::Stored(value) if value.kind() == Kind::List => {
                value
                    .items()
                    .for_each(|item| add_key(item, join, &mut of_record));
            }
            FieldValue::Stored(value) => add_key(value, join, &mut of_record),
            _ => {}
        }
        keys.add(of_record);
        if keys.values.len() > JOIN_KEYS_MAX || found.rows.len() > JOIN_KEYS_MAX {
            return Err(EngineError::TooManyKeys {
                keys_max: JOIN_KEYS_MAX,
            });
        }
    }
    Ok(keys)
}

/// A document is named by its id as a text, or as the integer of that text.
fn add_named(id: &str, join: &Join, keys: &mut Vec<Value>) {
    keys.push(Value::string(id));
    if join.field != FieldRef::Id
        && let Some(integer) = integer_of(id)
    {
        keys.push(integer);
    }
}

/// A value that names a document: by its id where that is the field, else by value.
fn add_key(value: ValueRef<'_>, join: &Join, keys: &mut Vec<Value>) {
    if join.field == FieldRef::Id {
        if let Some(Ok(id)) = DocumentId::from_value(value) {
            keys.push(Value::string(id.as_str()));
        }
    } else if !matches!(value.kind(), Kind::Null | Kind::List | Kind::Object) {
        keys.push(value.to_value());
    }
}

/// The integer whose text an id is.
pub fn integer_of(id: &str) -> Option<Value> {
    let begins_so = id.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let value = Value::parse(id.as_bytes()).ok().filter(|_| begins_so)?;
    match DocumentId::from_value(value.as_ref()) {
        Some(Ok(same)) if same.as_str() == id && value.as_ref().kind() == Kind::Int => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_an_id_in_one_way() {
        let is_integer = |id: &str| integer_of(id).is_some();
        assert!(
            ["0", "7", "-7", "12345678901234567890123"]
                .into_iter()
                .all(is_integer)
        );
        assert!(
            !["", "-0", "007", "1.0", "1e3", " 7", "7 ", "x", "true"]
                .into_iter()
                .any(is_integer)
        );
    }

    #[test]
    fn a_set_has_its_values_by_value() {
        let parse = |text: &str| Value::parse(text.as_bytes()).expect("JSON");
        let set = ValueSet::new(["1", "\"a\"", "1.0"].map(parse));
        assert_eq!(set.values().len(), 2);
        for (text, expected) in [
            ("1", true),
            ("1e0", true),
            ("\"a\"", true),
            ("\"1\"", false),
            ("null", false),
        ] {
            let value = parse(text);
            assert_eq!(
                set.contains(FieldValue::Stored(value.as_ref())),
                expected,
                "{text}"
            );
        }
        assert!(set.contains(FieldValue::Text("a")));
        assert!(!set.contains(FieldValue::Absent));
    }
}
