//! Filters and orders: the input types of `filter` and `orderBy`.
//!
//! A filter has the shape of what it filters. A scalar is filtered by an object of operators
//! (`StringFilter`), an object by a filter with its fields, a list by what holds for `some`, `every`
//! or `none` of its items. All keys of one filter object must hold.
//!
//! A keyed map is filtered by *key lookup*, `{entry: {key: "deu", value: {…}}}`, rather than like a
//! list of entries: it reads one path of the document, so that it means the same as a filter on a
//! field and can use an index like one. Several keys are combined with `and`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::bindings::{ListOperator, MapOperator, ScalarOperator, SystemField};
use super::ids::IdNames;
use super::relations;
use super::sdl::{Nested, NestedType, Related};
use super::writer::{Body, Writer};
use super::{has_order, is_orderable};
use crate::types::{CollectionSchema, FieldType, ObjectType};

/// The filters that collections share. Only those in use are part of the schema.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Scalars that have a filter.
    pub(super) scalars: BTreeSet<&'static str>,
    /// Filters of lists by name, with the filter of the items; none where they are not looked into.
    lists: BTreeMap<String, Option<String>>,
}

impl Shared {
    /// Adds what others refer to.
    pub(super) fn add(&mut self, others: &Shared) {
        self.scalars.extend(&others.scalars);
        for (name, item) in &others.lists {
            if !self.lists.contains_key(name) {
                self.lists.insert(name.clone(), item.clone());
            }
        }
    }

    /// The filter for values of a type.
    fn filter_of(&mut self, ty: &FieldType) -> String {
        let mut name = String::new();
        self.write_filter_of(ty, &mut name);
        name
    }

    fn write_filter_of(&mut self, ty: &FieldType, out: &mut String) {
        match ty {
            FieldType::Object(object) => out.push_str(&object.name),
            FieldType::Map { entry } => {
                out.push_str(&entry.name);
                out.push_str("Map");
            }
            FieldType::List(item, _) => match &**item {
                FieldType::Object(object) => {
                    out.push_str(&object.name);
                    out.push_str("List");
                }
                FieldType::Map { entry } => {
                    out.push_str(&entry.name);
                    out.push_str("MapList");
                }
                item => return self.write_list_filter_of(item, out),
            },
            scalar => {
                let scalar = scalar.scalar_name().unwrap_or_default();
                self.scalars.insert(scalar);
                out.push_str(scalar);
            }
        }
        out.push_str("Filter");
    }

    /// The filter for lists of scalars, and of lists.
    fn write_list_filter_of(&mut self, item: &FieldType, out: &mut String) {
        self.scalars.insert("Int");
        let (name, item) = match list_stem(item) {
            Some(stem) => (format!("{stem}ListFilter"), Some(self.filter_of(item))),
            None => ("NestedListFilter".to_owned(), None),
        };
        out.push_str(&name);
        self.lists.insert(name, item);
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        for scalar in &self.scalars {
            writer.block("", &["input ", scalar, "Filter"], |body| {
                write_operators(scalar, body);
            });
        }
        for (name, item) in &self.lists {
            write_list_filter(name, item.as_deref(), writer);
        }
    }
}

/// `Int` for a scalar, `IntList` for a list of it; none where there is no scalar at the bottom.
fn list_stem(ty: &FieldType) -> Option<String> {
    match ty {
        FieldType::List(item, _) => Some(format!("{}List", list_stem(item)?)),
        scalar => scalar.scalar_name().map(str::to_owned),
    }
}

/// Writes the filters and orders of a collection and of what is inside its documents.
pub(super) fn write(
    schema: &CollectionSchema,
    nested: &[Nested<'_>],
    related: Related<'_>,
    shared: &mut Shared,
    writer: &mut Writer<'_>,
) {
    let names = &schema.names;
    let system = SystemFields {
        schema,
        ids: related.ids,
    };
    let add = |body: &mut Body<'_>| relations::write_filter_fields(related, &names.type_name, body);
    write_object_filter(
        &names.filter,
        Some(system),
        &schema.object,
        add,
        shared,
        writer,
    );
    let ways = related.links.ways_to(names);
    if ways.one {
        let name = names.reference_filter();
        let add = |body: &mut Body<'_>| {
            relations::write_filter_fields(related, &names.type_name, body);
            relations::write_is_null(&schema.object, body);
        };
        write_object_filter(&name, Some(system), &schema.object, add, shared, writer);
    }
    if ways.several {
        shared.scalars.insert("Int");
        relations::write_relation_filter(names, writer);
    }
    for ty in nested {
        match ty.ty {
            NestedType::Object(object) => {
                let name = format!("{}Filter", object.name);
                let add = |body: &mut Body<'_>| {
                    relations::write_filter_fields(related, &object.name, body);
                };
                write_object_filter(&name, None, object, add, shared, writer);
            }
            NestedType::Map(entry) => {
                let entry_filter = format!("{}EntryFilter", entry.name);
                let value = shared.filter_of(&entry.value);
                writer.block("", &["input ", &entry_filter], |body| {
                    body.plain(&["key: String!"]);
                    body.member(
                        "What holds for the value under the key; absent: the key is there.",
                        &["value: ", &value],
                    );
                });
                write_map_filter(&format!("{}MapFilter", entry.name), &entry_filter, writer);
            }
        }
    }
    write_lists_of_named(&schema.object, shared, writer);
    for ty in nested {
        match ty.ty {
            NestedType::Object(object) => write_lists_of_named(object, shared, writer),
            NestedType::Map(entry) => write_list_of_named(&entry.value, shared, writer),
        }
    }
    write_orders(schema, nested, related, writer);
}

/// The system's fields by which a collection's documents are filtered and ordered.
#[derive(Clone, Copy)]
struct SystemFields<'a> {
    schema: &'a CollectionSchema,
    ids: IdNames,
}

impl SystemFields<'_> {
    fn named(self) -> impl Iterator<Item = (SystemField, Cow<'static, str>)> {
        let fields = SystemField::ALL.iter().copied();
        fields
            .filter(|field| field.is_queryable())
            .map(move |field| (field, self.schema.system_name(field, self.ids)))
    }
}

/// `system`: the system's fields, of documents; an object inside them is tested for being there.
fn write_object_filter(
    name: &str,
    system: Option<SystemFields<'_>>,
    object: &ObjectType,
    add: impl FnOnce(&mut Body<'_>),
    shared: &mut Shared,
    writer: &mut Writer<'_>,
) {
    writer.block("All that is given must hold.", &["input ", name], |body| {
        body.plain(&["and: [", name, "!]"]);
        body.plain(&["or: [", name, "!]"]);
        body.plain(&["not: ", name]);
        if system.is_none() {
            let [is_null, exists] = object.own_tests();
            body.member(
                "The object itself is null or missing.",
                &[&is_null, ": Boolean"],
            );
            body.member(
                "The object itself is present, be it as null.",
                &[&exists, ": Boolean"],
            );
        }
        for (field, name) in system.into_iter().flat_map(SystemFields::named) {
            shared.scalars.insert(field.scalar_name());
            body.plain(&[&name, ": ", field.scalar_name(), "Filter"]);
        }
        let mut filter = String::new();
        for field in &object.fields {
            filter.clear();
            shared.write_filter_of(&field.ty, &mut filter);
            body.field(field, &[&filter]);
        }
        add(body);
    });
}

/// The filters of lists of objects and of maps: they belong to the collection, not to all.
fn write_lists_of_named(object: &ObjectType, shared: &mut Shared, writer: &mut Writer<'_>) {
    for field in &object.fields {
        write_list_of_named(&field.ty, shared, writer);
    }
}

fn write_list_of_named(ty: &FieldType, shared: &mut Shared, writer: &mut Writer<'_>) {
    if let FieldType::List(item, _) = ty
        && matches!(**item, FieldType::Object(_) | FieldType::Map { .. })
    {
        shared.scalars.insert("Int");
        let name = shared.filter_of(ty);
        let item = shared.filter_of(item);
        write_list_filter(&name, Some(&item), writer);
    }
}

fn write_list_filter(name: &str, item: Option<&str>, writer: &mut Writer<'_>) {
    writer.block("", &["input ", name], |body| {
        for operator in ListOperator::ALL {
            let key = operator.graphql_name();
            match (operator, item) {
                (ListOperator::Some | ListOperator::Every | ListOperator::None, Some(item)) => {
                    body.plain(&[key, ": ", item]);
                }
                (ListOperator::Some | ListOperator::Every | ListOperator::None, None) => {}
                (ListOperator::Length, _) => body.plain(&[key, ": IntFilter"]),
                (ListOperator::IsNull | ListOperator::Exists, _) => {
                    body.plain(&[key, ": Boolean"]);
                }
            }
        }
    });
}

fn write_map_filter(name: &str, entry_filter: &str, writer: &mut Writer<'_>) {
    writer.block("", &["input ", name], |body| {
        for operator in MapOperator::ALL {
            let key = operator.graphql_name();
            match operator {
                MapOperator::Entry => body.plain(&[key, ": ", entry_filter]),
                MapOperator::IsNull | MapOperator::Exists => body.plain(&[key, ": Boolean"]),
            }
        }
    });
}

fn write_operators(scalar: &str, body: &mut Body<'_>) {
    for operator in ScalarOperator::ALL
        .iter()
        .filter(|operator| operator.takes(scalar))
    {
        let key = operator.graphql_name();
        match operator {
            ScalarOperator::In | ScalarOperator::NotIn => body.plain(&[key, ": [", scalar, "!]"]),
            ScalarOperator::IsNull => {
                body.member("Null or missing.", &[key, ": Boolean"]);
            }
            ScalarOperator::Exists => {
                body.member("Present, be it as null.", &[key, ": Boolean"]);
            }
            ScalarOperator::Like => body.member(
                "The whole string, with `%` for any characters, `_` for any one, `\\` before one that \
                 stands for itself.",
                &[key, ": String"],
            ),
            ScalarOperator::StartsWith | ScalarOperator::EndsWith | ScalarOperator::Contains => {
                body.plain(&[key, ": String"]);
            }
            _ => body.plain(&[key, ": ", scalar]),
        }
    }
}

impl ScalarOperator {
    /// True if the filter of a scalar has the operator.
    fn takes(self, scalar: &str) -> bool {
        match self {
            ScalarOperator::Eq
            | ScalarOperator::Ne
            | ScalarOperator::In
            | ScalarOperator::NotIn => true,
            ScalarOperator::Lt | ScalarOperator::Lte | ScalarOperator::Gt | ScalarOperator::Gte => {
                scalar != "Boolean"
            }
            ScalarOperator::IsNull | ScalarOperator::Exists => scalar != "ID",
            ScalarOperator::StartsWith
            | ScalarOperator::EndsWith
            | ScalarOperator::Contains
            | ScalarOperator::Like => matches!(scalar, "String" | "ID" | "JSON"),
        }
    }
}

fn write_orders(
    schema: &CollectionSchema,
    nested: &[Nested<'_>],
    related: Related<'_>,
    writer: &mut Writer<'_>,
) {
    let description = "One key an element; the next element decides where this one does not.";
    writer.block(description, &["input ", &schema.names.order_by], |body| {
        let ids = related.ids;
        for (_, name) in (SystemFields { schema, ids }).named() {
            body.plain(&[&name, ": OrderDirection"]);
        }
        write_order_fields(&schema.object, body);
        relations::write_order_fields(related, &schema.names.type_name, body);
    });
    for ty in nested {
        if let NestedType::Object(object) = ty.ty
            && ty.in_place
            && has_order(object)
        {
            writer.block("", &["input ", &object.name, "OrderBy"], |body| {
                write_order_fields(object, body);
                relations::write_order_fields(related, &object.name, body);
            });
        }
    }
}

fn write_order_fields(object: &ObjectType, body: &mut Body<'_>) {
    for field in object.fields.iter().filter(|field| is_orderable(&field.ty)) {
        match &field.ty {
            FieldType::Object(inner) => body.field(field, &[&inner.name, "OrderBy"]),
            _ => body.field(field, &["OrderDirection"]),
        }
    }
}
