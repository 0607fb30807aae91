//! Arguments of aggregates: which documents, grouped by what, which groups of those, in which order.

use std::sync::Arc;

use thalweg_engine::{
    Aggregate, Aggregation, FieldRef, Function, GroupKey, GroupOrder, GroupPart, Grouping, Having,
    KeyForm, Predicate,
};
use thalweg_model::{CommitTs, FieldPath, TimeUnit, calendar};
use thalweg_schema_infer::{
    AggregateFunction, ApiCollection, ApiSchema, CollectionSchema, FieldType, IdNames, ObjectType,
};

use super::{deleted, filter_argument};
use crate::failure::Refusal;
use crate::filter::{self, operand_object};
use crate::input::{Fields, Input};
use crate::instant;
use crate::limits::Limits;
use crate::order::{self, Order};
use crate::page;
use crate::plan::aggregate::{AggregateSelection, Aggregated, position, value_kind};
use crate::plan::engine_function;
use crate::schema::SchemaVersion;

/// The arguments of an aggregate.
#[derive(Debug)]
pub(crate) struct BoundAggregate {
    pub(crate) aggregate: Aggregate,
    /// The names of the groups' keys.
    pub(crate) keys: Vec<Box<str>>,
    /// The time to look back to.
    pub(crate) at: Option<CommitTs>,
}

/// Binds an aggregate's arguments. Those about groups are read also where no groups are selected.
pub(super) fn bind(
    collection: &ApiCollection,
    selection: &AggregateSelection,
    arguments: &Fields,
    version: &SchemaVersion,
    limits: &Limits,
) -> Result<BoundAggregate, Refusal> {
    let schema = &*collection.schema;
    let keys = Keys::of(schema, version.api.ids(), arguments)?;
    let mut values = Values {
        api: &version.api,
        schema,
        list: selection.group_values.to_vec(),
    };
    let having = match arguments.present("having").and_then(Input::as_object) {
        Some(having) => values.having(having)?,
        None => Having::All(Vec::new()),
    };
    let order = match arguments.present("orderBy") {
        Some(elements) => values.order(elements.as_list(), &keys)?,
        None => Vec::new(),
    };
    let first = page::count(arguments, "first", limits.page_max)?;
    let offset = page::count(arguments, "offset", limits.offset_max)?;
    let first = first.unwrap_or(limits.page_default.min(limits.page_max));
    let (names, keys): (Vec<_>, Vec<_>) = keys.0.into_iter().unzip();
    let grouping = selection.has_groups.then(|| Grouping {
        keys: keys.into(),
        values: values.list.into(),
        having,
        order: order.into(),
        offset: offset.unwrap_or(0),
        limit: if selection.reads_groups { first } else { 0 },
    });
    Ok(BoundAggregate {
        aggregate: Aggregate {
            collection: collection.id,
            filter: filter_argument(version, schema, arguments)?,
            deleted: deleted(arguments),
            totals: Arc::clone(&selection.totals),
            grouping,
            groups_max: limits.groups_max,
            bytes_max: limits.aggregate_bytes_max,
        },
        keys: names,
        at: instant::at(arguments)?,
    })
}

/// The keys of groups, with their names.
struct Keys(Vec<(Box<str>, GroupKey)>);

impl Keys {
    fn of(schema: &CollectionSchema, ids: IdNames, arguments: &Fields) -> Result<Keys, Refusal> {
        let mut keys = Keys(Vec::new());
        let list = |name| arguments.present(name).map_or(&[][..], Input::as_list);
        for field in list("groupBy") {
            let name = field.as_text().unwrap_or_default();
            let found = find(schema, &name, ids)?;
            let form = match found.ty() {
                FieldType::DateTime => KeyForm::Instant,
                _ => KeyForm::Value,
            };
            keys.add(&name, found.field(), form)?;
        }
        for bucket in list("bucket") {
            let Some(bucket) = bucket.as_object() else {
                continue;
            };
            let name = bucket.text("field").unwrap_or_default();
            let found = find(schema, &name, ids)?;
            keys.add(&name, found.field(), span(&name, found.ty(), bucket)?)?;
        }
        Ok(keys)
    }

    fn add(&mut self, name: &str, field: FieldRef, form: KeyForm) -> Result<(), Refusal> {
        if self.0.iter().any(|(other, _)| **other == *name) {
            return Err(Refusal::bad_request(format!(
                "{name} is named twice in groupBy and bucket, but a group has one value of it in its key"
            )));
        }
        self.0.push((name.into(), GroupKey { field, form }));
        Ok(())
    }

    fn position(&self, field: &FieldRef) -> Option<usize> {
        self.0.iter().position(|(_, key)| key.field == *field)
    }
}

/// What a bucket makes of a field's values.
fn span(name: &str, ty: &FieldType, bucket: &Fields) -> Result<KeyForm, Refusal> {
    let unit = bucket.text("unit").unwrap_or_default();
    let Some(unit) = TimeUnit::from_name(&unit) else {
        return Err(unknown(&unit));
    };
    let zone = bucket.text("timeZone");
    if *ty != FieldType::Date {
        let zone = zone.as_deref().unwrap_or("UTC");
        let Some(offset_minutes) = calendar::parse_zone(zone) else {
            return Err(Refusal::bad_request(format!(
                "timeZone is {zone:?}; it takes UTC or an offset such as +02:00 or -05:30"
            )));
        };
        return Ok(KeyForm::Span {
            unit,
            offset_minutes,
        });
    }
    if zone.is_some() {
        return Err(Refusal::bad_request(format!(
            "{name} holds dates, which are the same in every time zone; leave out timeZone"
        )));
    }
    if unit.is_below_day() {
        return Err(Refusal::bad_request(format!(
            "{name} holds dates, which have no {}; the smallest unit is DAY",
            unit.name()
        )));
    }
    Ok(KeyForm::DateSpan(unit))
}

fn find<'s>(
    schema: &'s CollectionSchema,
    name: &str,
    ids: IdNames,
) -> Result<Aggregated<'s>, Refusal> {
    Aggregated::find(schema, name, ids).ok_or_else(|| unknown(name))
}

/// The values of groups: those that are selected, then those that conditions and orders look at.
struct Values<'s> {
    api: &'s ApiSchema,
    schema: &'s CollectionSchema,
    list: Vec<Aggregation>,
}

impl Values<'_> {
    fn of(&mut self, function: Function, field: FieldRef, ty: &FieldType) -> usize {
        let kind = value_kind(ty);
        position(
            &mut self.list,
            Aggregation::Of {
                function,
                field,
                kind,
            },
        )
    }

    fn having(&mut self, having: &Fields) -> Result<Having, Refusal> {
        let mut all = Vec::with_capacity(having.len());
        for (name, value) in having.iter() {
            all.push(match name.as_str() {
                "and" => Having::All(self.several(name, value)?),
                "or" => Having::Any(self.several(name, value)?),
                "not" => Having::Not(Box::new(self.having(operand_object(name, value)?)?)),
                "count" => {
                    let test =
                        filter::test(self.api, &FieldType::Int, operand_object(name, value)?)?;
                    Having::Test(position(&mut self.list, Aggregation::Count), test)
                }
                name => {
                    let function =
                        AggregateFunction::from_graphql_name(name).ok_or_else(|| unknown(name))?;
                    let operand = operand_object(name, value)?;
                    let schema = self.schema;
                    match function {
                        AggregateFunction::Min | AggregateFunction::Max => {
                            let predicate = filter::predicate(self.api, schema, operand)?;
                            self.extremes(engine_function(function), &predicate)?
                        }
                        _ => {
                            self.numbers(engine_function(function), &schema.object, None, operand)?
                        }
                    }
                }
            });
        }
        Ok(Having::All(all))
    }

    fn several(&mut self, name: &str, value: &Input) -> Result<Vec<Having>, Refusal> {
        let each = value.as_list().iter();
        each.map(|one| self.having(operand_object(name, one)?))
            .collect()
    }

    /// What holds for counts, sums and averages of an object's fields.
    fn numbers(
        &mut self,
        function: Function,
        object: &ObjectType,
        prefix: Option<&FieldPath>,
        having: &Fields,
    ) -> Result<Having, Refusal> {
        let mut all = Vec::with_capacity(having.len());
        for (name, value) in having.iter() {
            let field = object.field(name).ok_or_else(|| unknown(name))?;
            let path = match prefix {
                Some(prefix) => prefix.child(&field.json_name),
                None => FieldPath::top(&field.json_name),
            };
            let operand = operand_object(name, value)?;
            all.push(match &field.ty {
                FieldType::Object(inner) => self.numbers(function, inner, Some(&path), operand)?,
                ty => {
                    let test = filter::test(self.api, &FieldType::Float, operand)?;
                    Having::Test(self.of(function, FieldRef::Path(path), ty), test)
                }
            });
        }
        Ok(Having::All(all))
    }

    /// A filter on documents, as a condition on the extremes of their fields.
    fn extremes(&mut self, function: Function, predicate: &Predicate) -> Result<Having, Refusal> {
        let each = |values: &mut Self, list: &[Predicate]| -> Result<Vec<Having>, Refusal> {
            list.iter()
                .map(|one| values.extremes(function, one))
                .collect()
        };
        Ok(match predicate {
            Predicate::True => Having::All(Vec::new()),
            Predicate::And(all) => Having::All(each(self, all)?),
            Predicate::Or(any) => Having::Any(each(self, any)?),
            Predicate::Not(one) => Having::Not(Box::new(self.extremes(function, one)?)),
            Predicate::Field(field, test) => {
                let ty = type_of(self.schema, field)?;
                Having::Test(self.of(function, field.clone(), ty), test.clone())
            }
            Predicate::Item(_) | Predicate::Related(_) => {
                return Err(Refusal::bad_request(
                    "min and max are of the documents' own fields, so having cannot ask there for related documents",
                ));
            }
        })
    }

    fn order(&mut self, elements: &[Input], keys: &Keys) -> Result<Vec<GroupOrder>, Refusal> {
        let each = elements.iter();
        each.map(|element| {
            let (name, value) = order::only_key(element)?;
            if name == "count" {
                return Ok(GroupOrder {
                    by: GroupPart::Value(position(&mut self.list, Aggregation::Count)),
                    descending: order::descending(name, value)?,
                    instant: false,
                });
            }
            let Order::Own(found) =
                order::order(self.api, self.schema, std::slice::from_ref(value))?
            else {
                return Err(Refusal::bad_request(format!(
                    "orderBy {name} takes a field of the documents themselves, not of related ones"
                )));
            };
            let Some(key) = found.first() else {
                return Err(unknown(name));
            };
            let by = match AggregateFunction::from_graphql_name(name) {
                None => keys
                    .position(&key.field)
                    .map(GroupPart::Key)
                    .ok_or_else(|| {
                        Refusal::bad_request(format!(
                            "orderBy takes a key that the groups have; add {} to groupBy or bucket",
                            order::only_key(value).map_or(name, |(name, _)| name)
                        ))
                    })?,
                Some(function) => {
                    let ty = type_of(self.schema, &key.field)?;
                    let needs_numbers = matches!(
                        function,
                        AggregateFunction::Sum | AggregateFunction::Average
                    );
                    if needs_numbers && !ty.is_number() {
                        return Err(Refusal::bad_request(format!(
                            "orderBy {name} takes a field of numbers; {} has none",
                            order::only_key(value).map_or(name, |(name, _)| name)
                        )));
                    }
                    let function = engine_function(function);
                    GroupPart::Value(self.of(function, key.field.clone(), ty))
                }
            };
            let is_value_itself = !matches!(name, "sum" | "avg" | "countDistinct");
            let is_time = matches!(type_of(self.schema, &key.field)?, FieldType::DateTime);
            Ok(GroupOrder {
                by,
                descending: key.descending,
                instant: is_value_itself && is_time,
            })
        })
        .collect()
    }
}

/// The type of a field that has extremes.
fn type_of<'s>(schema: &'s CollectionSchema, field: &FieldRef) -> Result<&'s FieldType, Refusal> {
    let FieldRef::Path(path) = field else {
        return match field {
            FieldRef::Id | FieldRef::Version | FieldRef::CommitTs => Err(Refusal::bad_request(
                "of the system's fields, aggregates take those that hold times",
            )),
            _ => Ok(&FieldType::DateTime),
        };
    };
    let mut object = Some(&schema.object);
    let mut ty = None;
    for segment in path.segments() {
        let fields = object.map_or(&[][..], |object| &object.fields);
        let Some(field) = fields.iter().find(|field| field.json_name == *segment) else {
            return Err(unknown(segment));
        };
        object = match &field.ty {
            FieldType::Object(inner) => Some(inner),
            _ => None,
        };
        ty = Some(&field.ty);
    }
    match ty {
        Some(FieldType::Object(_)) | None => Err(Refusal::bad_request(format!(
            "{path} holds objects, which have no least and greatest; name a field in it"
        ))),
        Some(ty) => Ok(ty),
    }
}

/// The validator has checked the names, so this is an argument of another schema than the operation's.
fn unknown(name: &str) -> Refusal {
    Refusal::bad_request(format!("there is nothing named {name} to aggregate"))
}
