//! The types of aggregates: what `moviesAggregate` takes and gives.
//!
//! Their names begin with what is reserved for them (`MovieAggregate`, `MovieGroup`, `MovieHaving`). Schemas are large, so
//! types are shared where that says the same: values of the documents' own fields, be they the key of a group, the
//! least or the greatest, are one type; conditions on extremes are filters on documents, and orders of groups are made
//! of orders of documents (what makes no sense there is refused when arguments are read).

use std::collections::HashSet;

use super::bindings::{AggregateFunction, SystemField, TypeBinding};
use super::filters::Shared;
use super::ids::IdNames;
use super::sdl::{Nested, NestedType};
use super::writer::{Body, Writer};
use crate::types::{CollectionSchema, Field, FieldType, ObjectType};

/// The names of a collection's types of aggregates.
pub(super) struct Names {
    pub(super) aggregate: String,
    pub(super) group: String,
    pub(super) having: String,
    pub(super) order_by: String,
    pub(super) bucket: String,
    time_field: String,
    pub(super) values: String,
}

/// The names of types that documents have brought along and that end like one of those here. Names are reserved
/// before they are in use, but a store may be older than that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    pub(super) fn of<'s>(schemas: impl Iterator<Item = &'s CollectionSchema>) -> Taken {
        let mut taken = HashSet::new();
        for schema in schemas {
            let mut add = |name: &str| {
                if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
                    taken.insert(name.to_owned());
                }
            };
            add(&schema.names.type_name);
            for nested in super::sdl::nested(&schema.object) {
                if let NestedType::Object(object) = nested.ty {
                    add(&object.name);
                }
            }
        }
        Taken(taken)
    }

    fn name(&self, stem: &str, suffix: &str) -> String {
        let mut name = format!("{stem}{suffix}");
        while self.0.contains(&name) {
            name.push('_');
        }
        name
    }

    pub(super) fn names(&self, type_name: &str) -> Names {
        let name = |suffix| self.name(type_name, suffix);
        Names {
            aggregate: name("Aggregate"),
            group: name("Group"),
            having: name("Having"),
            order_by: name("GroupOrderBy"),
            bucket: name("GroupBucket"),
            time_field: name("GroupTime"),
            values: name("AggregateValues"),
        }
    }
}

const SUFFIXES: &[&str] = &[
    "AggregateAverage",
    "AggregateCount",
    "AggregateSum",
    "AggregateValues",
    "GroupBucket",
    "GroupOrderBy",
    "GroupTime",
    "HavingCount",
    "HavingNumbers",
    UNIT,
];

/// The type of units of time.
const UNIT: &str = "TimeUnit";

/// The system fields that hold times, which have extremes and spans.
pub(super) fn times() -> impl Iterator<Item = SystemField> {
    let all = SystemField::ALL.iter().copied();
    all.filter(|field| field.is_time())
}

/// The output types of a collection's aggregates, and what they stand for.
pub(super) fn types(
    schema: &CollectionSchema,
    taken: &Taken,
    index: usize,
) -> Vec<(String, TypeBinding)> {
    let own = taken.names(&schema.names.type_name);
    let part = |name| (name, TypeBinding::AggregatePart(index));
    let mut types = vec![
        (own.aggregate, TypeBinding::Aggregate(index)),
        (own.group, TypeBinding::Group(index)),
        part(own.values),
    ];
    each_object(schema, &super::sdl::nested(&schema.object), |object| {
        let suffixes = AggregateFunction::ALL.iter().filter_map(|it| it.suffix());
        types.extend(suffixes.map(|suffix| part(taken.name(&object.name, suffix))));
    });
    types
}

/// The documents' own object and those inside it that aggregates look into.
fn each_object(
    schema: &CollectionSchema,
    nested: &[Nested<'_>],
    mut each: impl FnMut(&ObjectType),
) {
    each(&schema.object);
    for ty in nested {
        if let NestedType::Object(object) = ty.ty
            && ty.in_place
        {
            each(object);
        }
    }
}

/// The root field's arguments and type.
pub(super) fn write_root(schema: &CollectionSchema, taken: &Taken, body: &mut Body<'_>) {
    let names = &schema.names;
    let own = taken.names(&names.type_name);
    let group_by = match schema.object.fields.is_empty() {
        true => String::new(),
        false => format!("groupBy: [{}!], ", names.field_enum),
    };
    body.member(
        &format!(
            "What the documents of `{}` that pass the filter come to, together and by group.",
            names.collection
        ),
        &[
            &names.list_field,
            "Aggregate(filter: ",
            &names.filter,
            ", ",
            &group_by,
            "bucket: [",
            &own.bucket,
            "!], having: ",
            &own.having,
            ", orderBy: [",
            &own.order_by,
            "!], first: Int, offset: Int, at: DateTime, deleted: Deleted = EXCLUDE): ",
            &own.aggregate,
            "!",
        ],
    );
}

/// Writes the types of a collection's aggregates.
pub(super) fn write(
    schema: &CollectionSchema,
    nested: &[Nested<'_>],
    taken: &Taken,
    ids: IdNames,
    shared: &mut Shared,
    writer: &mut Writer<'_>,
) {
    let names = &schema.names;
    let own = taken.names(&names.type_name);
    let has_numbers = has_numbers(&schema.object);
    let has_fields = !schema.object.fields.is_empty();
    writer.block(
        "What documents come to. Null, and what does not fit the field's type, is left out of everything but `count`.",
        &["type ", &own.aggregate],
        |body| {
            write_functions(&names.type_name, &own, taken, has_numbers, has_fields, body);
            body.member(
                "The groups that satisfy `having`, in order of their keys unless `orderBy` says another; `first` (100 \
                 unless it is given) of them after `offset`.",
                &["groups: [", &own.group, "!]!"],
            );
            body.member(
                "How many groups satisfy `having`.",
                &["groupCount: Int!"],
            );
        },
    );
    writer.block(
        "What the documents come to that agree in their key.",
        &["type ", &own.group],
        |body| {
            body.member(
                "What they agree in: the fields of `groupBy`, the start of each `bucket`; the others are null.",
                &["key: ", &own.values, "!"],
            );
            write_functions(&names.type_name, &own, taken, has_numbers, has_fields, body);
        },
    );
    writer.block("", &["type ", &own.values], |body| {
        let mut ty = String::new();
        for field in &schema.object.fields {
            ty.clear();
            field.ty.write_output(&mut ty);
            body.field(field, &[&ty]);
        }
        for field in times() {
            body.plain(&[field.graphql_name(ids), ": DateTime"]);
        }
    });
    shared.scalars.insert("Int");
    write_inputs(schema, &own, taken, ids, writer);
    each_object(schema, nested, |object| {
        write_of_object(object, taken, shared, writer);
    });
}

fn write_functions(
    type_name: &str,
    own: &Names,
    taken: &Taken,
    has_numbers: bool,
    has_fields: bool,
    body: &mut Body<'_>,
) {
    body.member("How many documents.", &["count: Int!"]);
    for function in AggregateFunction::ALL {
        let is_there = match function {
            AggregateFunction::CountDistinct => has_fields,
            AggregateFunction::Sum | AggregateFunction::Average => has_numbers,
            AggregateFunction::Min | AggregateFunction::Max => true,
        };
        let description = match function {
            AggregateFunction::CountDistinct => "How many different values.",
            AggregateFunction::Sum => "Of integers exact.",
            _ => "",
        };
        if is_there {
            let ty = match function.suffix() {
                Some(suffix) => taken.name(type_name, suffix),
                None => own.values.clone(),
            };
            body.member(description, &[function.graphql_name(), ": ", &ty, "!"]);
        }
    }
}

impl AggregateFunction {
    /// What the name of the type ends in that has the function's values; extremes have the type of values.
    fn suffix(self) -> Option<&'static str> {
        match self {
            AggregateFunction::CountDistinct => Some("AggregateCount"),
            AggregateFunction::Sum => Some("AggregateSum"),
            AggregateFunction::Average => Some("AggregateAverage"),
            AggregateFunction::Min | AggregateFunction::Max => None,
        }
    }
}

fn write_inputs(
    schema: &CollectionSchema,
    own: &Names,
    taken: &Taken,
    ids: IdNames,
    writer: &mut Writer<'_>,
) {
    let names = &schema.names;
    let has_fields = !schema.object.fields.is_empty();
    let has_numbers = has_numbers(&schema.object);
    let numbers = taken.name(&names.type_name, "HavingNumbers");
    writer.block(
        "What holds for a group. All that is given must hold.",
        &["input ", &own.having],
        |body| {
            body.plain(&["and: [", &own.having, "!]"]);
            body.plain(&["or: [", &own.having, "!]"]);
            body.plain(&["not: ", &own.having]);
            body.plain(&["count: IntFilter"]);
            if has_fields {
                let ty = taken.name(&names.type_name, "HavingCount");
                body.plain(&["countDistinct: ", &ty]);
            }
            if has_numbers {
                body.plain(&["sum: ", &numbers]);
                body.plain(&["avg: ", &numbers]);
            }
            body.member("Of the least values.", &["min: ", &names.filter]);
            body.member("Of the greatest values.", &["max: ", &names.filter]);
        },
    );
    writer.block(
        "One key an element; the next element decides where this one does not, and last the groups' keys.",
        &["input ", &own.order_by],
        |body| {
            body.plain(&["count: OrderDirection"]);
            let all = std::iter::once("key");
            for name in all.chain(AggregateFunction::ALL.iter().map(|it| it.graphql_name())) {
                body.plain(&[name, ": ", &names.order_by]);
            }
        },
    );
    writer.block(
        "Groups by spans of time: what lies in one span is one group.",
        &["input ", &own.bucket],
        |body| {
            body.plain(&["field: ", &own.time_field, "!"]);
            body.plain(&["unit: ", &taken.name(UNIT, ""), "!"]);
            body.member(
                "On whose clock: `UTC`, as without it, or an offset such as `+02:00`.",
                &["timeZone: String"],
            );
        },
    );
    writer.block(
        "The fields that hold dates and times.",
        &["enum ", &own.time_field],
        |body| {
            for field in &schema.object.fields {
                if is_time(&field.ty) {
                    body.field(field, &[]);
                }
            }
            for field in times() {
                body.plain(&[field.graphql_name(ids)]);
            }
        },
    );
}

/// What is made of the fields of an object, be it a document or inside one.
fn write_of_object(
    object: &ObjectType,
    taken: &Taken,
    shared: &mut Shared,
    writer: &mut Writer<'_>,
) {
    if !object.fields.is_empty() {
        write_members(object, taken, ("type ", "AggregateCount"), writer, |_| {
            Some("Int!")
        });
        write_members(object, taken, ("input ", "HavingCount"), writer, |_| {
            Some("IntFilter")
        });
    }
    if has_numbers(object) {
        shared.scalars.insert("Float");
        write_members(object, taken, ("type ", "AggregateSum"), writer, sum_type);
        write_members(object, taken, ("type ", "AggregateAverage"), writer, |ty| {
            ty.is_number().then_some("Float")
        });
        write_members(object, taken, ("input ", "HavingNumbers"), writer, |ty| {
            ty.is_number().then_some("FloatFilter")
        });
    }
}

/// What the sum of a field's values is, if it has one.
pub(super) fn sum_type(ty: &FieldType) -> Option<&'static str> {
    match ty {
        FieldType::Int | FieldType::BigInt => Some("BigInt"),
        FieldType::Float => Some("Float"),
        _ => None,
    }
}

fn write_members(
    object: &ObjectType,
    taken: &Taken,
    (kind, suffix): (&str, &str),
    writer: &mut Writer<'_>,
    leaf: impl Fn(&FieldType) -> Option<&'static str>,
) {
    let has_leaf = |field: &Field| leaf(&field.ty).is_some();
    let is_output = kind == "type ";
    let name = taken.name(&object.name, suffix);
    writer.block("", &[kind, &name], |body| {
        for field in &object.fields {
            match &field.ty {
                FieldType::Object(inner) if any_leaf(inner, &has_leaf) => {
                    let ty = taken.name(&inner.name, suffix);
                    body.field(field, &[&ty, if is_output { "!" } else { "" }]);
                }
                FieldType::Object(_) => {}
                ty => {
                    if let Some(leaf) = leaf(ty) {
                        body.field(field, &[leaf]);
                    }
                }
            }
        }
    });
}

fn any_leaf(object: &ObjectType, is_leaf: &impl Fn(&Field) -> bool) -> bool {
    object.fields.iter().any(|field| match &field.ty {
        FieldType::Object(inner) => any_leaf(inner, is_leaf),
        _ => is_leaf(field),
    })
}

fn has_numbers(object: &ObjectType) -> bool {
    any_leaf(object, &|field| field.ty.is_number())
}

fn is_time(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Date | FieldType::DateTime)
}

/// The types that all collections share.
pub(super) fn write_shared(taken: &Taken, writer: &mut Writer<'_>) {
    let unit = taken.name(UNIT, "");
    writer.block("A span of the calendar.", &["enum ", &unit], |body| {
        body.plain(&["MINUTE"]);
        body.plain(&["HOUR"]);
        body.plain(&["DAY"]);
        body.member("From Monday on.", &["WEEK"]);
        body.plain(&["MONTH"]);
        body.plain(&["QUARTER"]);
        body.plain(&["YEAR"]);
    });
}
