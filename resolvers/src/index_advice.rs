//! Which index would spare a find from looking at every document.

use thalweg_engine::{
    Collection, Comparison, FieldRef, Find, IndexDefinition, IndexField, ListItems, Predicate, Test,
};
use thalweg_model::write_json_string;

/// Whether the collection has such an index, be it unique or not.
pub(crate) fn is_declared(collection: &Collection, index: &IndexDefinition) -> bool {
    let mut indexes = collection.indexes.iter();
    indexes.any(|found| found.definition.fields == index.fields)
}

/// An index with which the find would not look at every document: what must be equal first, then the order or, where
/// there is none, a field that is compared.
pub(crate) fn fitting_index(find: &Find) -> Option<IndexDefinition> {
    let mut fields = Vec::new();
    let mut compared = Vec::new();
    conjuncts(&find.filter, &mut fields, &mut compared);
    let order = find.order.iter().map(|key| IndexField {
        field: key.field.clone(),
        items: None,
        descending: key.descending,
        instant: key.instant && matches!(key.field, FieldRef::Path(_)),
    });
    let rest: Vec<IndexField> = if find.order.is_empty() {
        compared.into_iter().take(1).collect()
    } else {
        order.collect()
    };
    for field in rest {
        let is_there = |other: &IndexField| other.field == field.field;
        if !fields.iter().any(is_there) && field.field != FieldRef::Id {
            fields.push(field);
        }
    }
    let definition = IndexDefinition {
        fields,
        unique: false,
    };
    definition.check().is_ok().then_some(definition)
}

/// The fields that every document of the result has equal to something, and those that are compared.
fn conjuncts(predicate: &Predicate, equal: &mut Vec<IndexField>, compared: &mut Vec<IndexField>) {
    match predicate {
        Predicate::And(all) => {
            for one in all {
                conjuncts(one, equal, compared);
            }
        }
        Predicate::Field(field, test) => tests(field, None, test, equal, compared),
        _ => {}
    }
}

fn tests(
    field: &FieldRef,
    items: Option<&ListItems>,
    test: &Test,
    equal: &mut Vec<IndexField>,
    compared: &mut Vec<IndexField>,
) {
    let mut add = |to_equal: bool, instant: bool| {
        let list = if to_equal {
            &mut *equal
        } else {
            &mut *compared
        };
        let has_items = |other: &IndexField| other.items.is_some();
        let is_there = list.iter().any(|other| other.field == *field);
        // An index goes through one list at most.
        let is_second_list = items.is_some() && list.iter().any(has_items);
        if !is_there && !is_second_list {
            list.push(IndexField {
                field: field.clone(),
                items: items.cloned(),
                descending: false,
                instant: instant && matches!(field, FieldRef::Path(_)),
            });
        }
    };
    match test {
        Test::Eq(_) | Test::In(_) | Test::IsNull(true) => add(true, false),
        Test::Instant(Comparison::Equal, _) => add(true, true),
        Test::Instant(Comparison::NotEqual, _) => {}
        Test::Instant(..) => add(false, true),
        Test::Compare(Comparison::NotEqual, _) => {}
        Test::Compare(..) | Test::StartsWith(_) => add(false, false),
        Test::AllOf(all) => {
            for one in all {
                tests(field, items, one, equal, compared);
            }
        }
        Test::ItemSome(test) if items.is_none() => {
            tests(field, Some(&ListItems::Whole), test, equal, compared);
        }
        Test::Some(predicate) if items.is_none() => {
            let (mut equal_inside, mut compared_inside) = (Vec::new(), Vec::new());
            conjuncts(predicate, &mut equal_inside, &mut compared_inside);
            let inside = |found: &IndexField| match &found.field {
                FieldRef::Path(path) if found.items.is_none() => Some(IndexField {
                    field: field.clone(),
                    items: Some(ListItems::Field(path.clone())),
                    ..found.clone()
                }),
                _ => None,
            };
            let first = equal_inside.iter().find_map(inside);
            match first {
                Some(first) if !equal.iter().any(|other| other.items.is_some()) => {
                    equal.push(first);
                }
                _ => compared.extend(compared_inside.iter().find_map(inside)),
            }
        }
        _ => {}
    }
}

/// The fields of an index as `@index` takes them.
pub(crate) fn quoted(index: &IndexDefinition) -> String {
    let mut out = Vec::new();
    for (position, field) in index.field_texts().iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_json_string(field, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}
