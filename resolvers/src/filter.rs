//! Filter arguments as engine predicates.
//!
//! Date-times compare by instant, ids as text, commit timestamps as numbers, all else by value within the operand's
//! kind. An empty filter is true. A null operand says "null or missing" for `eq`, `ne`, `in` and `notIn`; elsewhere it
//! is refused, because it could mean either "nothing" or "not asked".

mod related;

use thalweg_engine::{Comparison, EntryTest, FieldRef, LikePattern, Predicate, Test};
use thalweg_model::{FieldPath, Value, parse_rfc3339};
use thalweg_schema_infer::{
    ApiSchema, CollectionSchema, FieldType, FilterKey, ListOperator, MapOperator, ObjectType,
    ScalarOperator, SystemField,
};

use crate::failure::Refusal;
use crate::input::{Fields, Input};

/// The predicate that a collection's filter stands for.
pub(crate) fn predicate(
    api: &ApiSchema,
    schema: &CollectionSchema,
    filter: &Fields,
) -> Result<Predicate, Refusal> {
    let mut all = Vec::with_capacity(filter.len());
    for (name, value) in filter.iter() {
        let Some(key) = schema.filter_key(name, api.ids()) else {
            all.push(related::related(api, &schema.names.type_name, name, value)?);
            continue;
        };
        all.push(match key {
            FilterKey::System(field) => {
                let operators = operand_object(name, value)?;
                let test = scalar_tests(Scalar::of_system(field), operators)?;
                Predicate::Field(system_field(field), test)
            }
            key => member(api, key, name, value, None, &|filter| {
                predicate(api, schema, filter)
            })?,
        });
    }
    Ok(conjunction(all))
}

/// What a queryable system field is to the engine.
pub(crate) fn system_field(field: SystemField) -> FieldRef {
    match field {
        SystemField::Id | SystemField::NodeId => FieldRef::Id,
        SystemField::Version => FieldRef::Version,
        SystemField::CommitTs => FieldRef::CommitTs,
        SystemField::CreatedAt => FieldRef::CreatedAt,
        SystemField::DeletedAt => FieldRef::DeletedAt,
        SystemField::ExpiresAt => FieldRef::ExpiresAt,
        SystemField::PurgeAt => FieldRef::PurgeAt,
        SystemField::UpdatedAt | SystemField::Json => FieldRef::UpdatedAt,
    }
}

fn object_predicate(
    api: &ApiSchema,
    object: &ObjectType,
    filter: &Fields,
    prefix: Option<&FieldPath>,
) -> Result<Predicate, Refusal> {
    let mut all = Vec::with_capacity(filter.len());
    for (name, value) in filter.iter() {
        let Some(key) = object.filter_key(name) else {
            all.push(related::related(api, &object.name, name, value)?);
            continue;
        };
        all.push(member(api, key, name, value, prefix, &|filter| {
            object_predicate(api, object, filter, prefix)
        })?);
    }
    Ok(conjunction(all))
}

/// One key of a filter; `same` is a filter of the same kind, for `and`, `or` and `not`.
fn member(
    api: &ApiSchema,
    key: FilterKey<'_>,
    name: &str,
    value: &Input,
    prefix: Option<&FieldPath>,
    same: &dyn Fn(&Fields) -> Result<Predicate, Refusal>,
) -> Result<Predicate, Refusal> {
    Ok(match key {
        FilterKey::And => conjunction(several(name, value, same)?),
        FilterKey::Or => Predicate::Or(several(name, value, same)?),
        FilterKey::Not => Predicate::Not(Box::new(same(operand_object(name, value)?)?)),
        FilterKey::System(_) => return Err(unknown(name)),
        FilterKey::IsNull => of_object(prefix, Test::IsNull(flag(name, value)?)),
        FilterKey::Exists => of_object(prefix, Test::Exists(flag(name, value)?)),
        FilterKey::Member(field) => {
            let path = match prefix {
                Some(prefix) => prefix.child(&field.json_name),
                None => FieldPath::top(&field.json_name),
            };
            let operand = operand_object(name, value)?;
            match &field.ty {
                FieldType::Object(object) => object_predicate(api, object, operand, Some(&path))?,
                ty => Predicate::Field(FieldRef::Path(path), test(api, ty, operand)?),
            }
        }
    })
}

/// A test of an object itself: of the field that holds it, or of the item of a list.
fn of_object(path: Option<&FieldPath>, test: Test) -> Predicate {
    match path {
        Some(path) => Predicate::Field(FieldRef::Path(path.clone()), test),
        None => Predicate::Item(test),
    }
}

fn several(
    name: &str,
    value: &Input,
    same: &dyn Fn(&Fields) -> Result<Predicate, Refusal>,
) -> Result<Vec<Predicate>, Refusal> {
    let Input::List(filters) = value else {
        return Err(null_operand(name));
    };
    filters
        .iter()
        .map(|filter| same(operand_object(name, filter)?))
        .collect()
}

/// The test of a value that is not an object.
pub(crate) fn test(api: &ApiSchema, ty: &FieldType, operators: &Fields) -> Result<Test, Refusal> {
    match ty {
        FieldType::List(item, _) => list_tests(api, item, operators),
        FieldType::Map { entry } => map_tests(api, &entry.value, operators),
        FieldType::DateTime => scalar_tests(Scalar::Instant, operators),
        _ => scalar_tests(Scalar::Plain, operators),
    }
}

fn list_tests(api: &ApiSchema, item: &FieldType, operators: &Fields) -> Result<Test, Refusal> {
    let mut tests = Vec::with_capacity(operators.len());
    for (name, value) in operators.iter() {
        let operator = ListOperator::from_graphql_name(name).ok_or_else(|| unknown(name))?;
        tests.push(match operator {
            ListOperator::IsNull => Test::IsNull(flag(name, value)?),
            ListOperator::Exists => Test::Exists(flag(name, value)?),
            ListOperator::Length => Test::Length(Box::new(scalar_tests(
                Scalar::Plain,
                operand_object(name, value)?,
            )?)),
            ListOperator::Some | ListOperator::Every | ListOperator::None => {
                item_test(api, operator, item, operand_object(name, value)?)?
            }
        });
    }
    Ok(all_of(tests))
}

fn item_test(
    api: &ApiSchema,
    operator: ListOperator,
    item: &FieldType,
    operand: &Fields,
) -> Result<Test, Refusal> {
    if let FieldType::Object(object) = item {
        let predicate = Box::new(object_predicate(api, object, operand, None)?);
        return Ok(match operator {
            ListOperator::Every => Test::Every(predicate),
            ListOperator::None => Test::None(predicate),
            _ => Test::Some(predicate),
        });
    }
    let test = Box::new(test(api, item, operand)?);
    Ok(match operator {
        ListOperator::Every => Test::ItemEvery(test),
        ListOperator::None => Test::ItemNone(test),
        _ => Test::ItemSome(test),
    })
}

fn map_tests(api: &ApiSchema, value_type: &FieldType, operators: &Fields) -> Result<Test, Refusal> {
    let mut tests = Vec::with_capacity(operators.len());
    for (name, value) in operators.iter() {
        let operator = MapOperator::from_graphql_name(name).ok_or_else(|| unknown(name))?;
        tests.push(match operator {
            MapOperator::IsNull => Test::IsNull(flag(name, value)?),
            MapOperator::Exists => Test::Exists(flag(name, value)?),
            MapOperator::Entry => entry_test(api, value_type, operand_object(name, value)?)?,
        });
    }
    Ok(all_of(tests))
}

/// `{key, value}`: the member of that key is there, and passes.
fn entry_test(api: &ApiSchema, value_type: &FieldType, operand: &Fields) -> Result<Test, Refusal> {
    let key = operand.text("key").ok_or_else(|| null_operand("key"))?;
    let mut entry = EntryTest {
        key: Some(Box::new(Test::Eq(Value::string(&key)))),
        value: None,
        object: None,
    };
    if let Some(value) = operand.get("value") {
        let filter = operand_object("value", value)?;
        match value_type {
            FieldType::Object(object) => {
                entry.object = Some(Box::new(object_predicate(api, object, filter, None)?));
            }
            ty => entry.value = Some(Box::new(test(api, ty, filter)?)),
        }
    }
    Ok(Test::EntrySome(entry))
}

/// How operands of a scalar compare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    /// By value, within the operand's kind.
    Plain,
    /// As the instants that RFC 3339 strings name.
    Instant,
    /// As numbers, though given as strings of digits.
    Timestamp,
}

impl Scalar {
    fn of_system(field: SystemField) -> Scalar {
        match field {
            SystemField::CreatedAt
            | SystemField::UpdatedAt
            | SystemField::DeletedAt
            | SystemField::ExpiresAt
            | SystemField::PurgeAt => Scalar::Instant,
            SystemField::CommitTs => Scalar::Timestamp,
            _ => Scalar::Plain,
        }
    }

    /// `eq`; a null operand means null or missing.
    fn equal(self, operator: &str, operand: &Input) -> Result<Test, Refusal> {
        match self {
            Scalar::Instant if *operand == Input::Null => Ok(Test::IsNull(true)),
            Scalar::Instant => self.compare(operator, Comparison::Equal, operand),
            _ => Ok(Test::Eq(self.nullable(operator, operand)?)),
        }
    }

    /// `in`; nulls among the operands likewise.
    fn among(self, operator: &str, operand: &Input) -> Result<Test, Refusal> {
        let Input::List(operands) = operand else {
            return Err(null_operand(operator));
        };
        if self == Scalar::Instant {
            let tests = operands.iter().map(|operand| self.equal(operator, operand));
            return Ok(Test::AnyOf(tests.collect::<Result<_, _>>()?));
        }
        let values = operands
            .iter()
            .map(|operand| self.nullable(operator, operand));
        Ok(Test::In(values.collect::<Result<_, _>>()?))
    }

    fn nullable(self, operator: &str, operand: &Input) -> Result<Value, Refusal> {
        match operand {
            Input::Null => Ok(Value::null()),
            operand => self.operand(operator, operand),
        }
    }

    fn compare(
        self,
        operator: &str,
        comparison: Comparison,
        operand: &Input,
    ) -> Result<Test, Refusal> {
        let value = self.operand(operator, operand)?;
        if self != Scalar::Instant {
            return Ok(Test::Compare(comparison, value));
        }
        let micros = value
            .as_ref()
            .as_str()
            .and_then(|text| parse_rfc3339(&text));
        match micros {
            Some(micros) => Ok(Test::Instant(comparison, micros)),
            None => Err(Refusal::bad_request(format!(
                "{operator} takes an RFC 3339 date-time"
            ))),
        }
    }

    fn operand(self, operator: &str, operand: &Input) -> Result<Value, Refusal> {
        let value = operand.as_scalar().ok_or_else(|| null_operand(operator))?;
        if self != Scalar::Timestamp {
            return Ok(value.clone());
        }
        let digits = value.as_ref().as_str();
        match digits.and_then(|text| text.parse::<u64>().ok()) {
            // No commit is beyond 63 bits, so what is compares like the largest.
            Some(micros) => Ok(Value::int(i64::try_from(micros).unwrap_or(i64::MAX))),
            None => Err(Refusal::bad_request(format!(
                "{operator} takes a commit timestamp"
            ))),
        }
    }
}

fn scalar_tests(scalar: Scalar, operators: &Fields) -> Result<Test, Refusal> {
    let mut tests = Vec::with_capacity(operators.len());
    for (name, operand) in operators.iter() {
        let operator = ScalarOperator::from_graphql_name(name).ok_or_else(|| unknown(name))?;
        tests.push(scalar_test(scalar, operator, name, operand)?);
    }
    Ok(all_of(tests))
}

fn scalar_test(
    scalar: Scalar,
    operator: ScalarOperator,
    name: &str,
    operand: &Input,
) -> Result<Test, Refusal> {
    let text = || operand.as_text().ok_or_else(|| null_operand(name));
    Ok(match operator {
        ScalarOperator::Eq => scalar.equal(name, operand)?,
        ScalarOperator::Ne => Test::Not(Box::new(scalar.equal(name, operand)?)),
        ScalarOperator::In => scalar.among(name, operand)?,
        ScalarOperator::NotIn => Test::Not(Box::new(scalar.among(name, operand)?)),
        ScalarOperator::Lt => scalar.compare(name, Comparison::Less, operand)?,
        ScalarOperator::Lte => scalar.compare(name, Comparison::LessOrEqual, operand)?,
        ScalarOperator::Gt => scalar.compare(name, Comparison::Greater, operand)?,
        ScalarOperator::Gte => scalar.compare(name, Comparison::GreaterOrEqual, operand)?,
        ScalarOperator::IsNull => Test::IsNull(flag(name, operand)?),
        ScalarOperator::Exists => Test::Exists(flag(name, operand)?),
        ScalarOperator::StartsWith => Test::StartsWith(text()?),
        ScalarOperator::EndsWith => Test::EndsWith(text()?),
        ScalarOperator::Contains => Test::Contains(text()?),
        ScalarOperator::Like => Test::Like(LikePattern::new(&text()?)),
    })
}

fn flag(name: &str, operand: &Input) -> Result<bool, Refusal> {
    let value = operand
        .as_scalar()
        .and_then(|value| value.as_ref().as_bool());
    value.ok_or_else(|| null_operand(name))
}

pub(crate) fn operand_object<'i>(name: &str, value: &'i Input) -> Result<&'i Fields, Refusal> {
    value.as_object().ok_or_else(|| {
        Refusal::bad_request(format!(
            "in a filter, {name} takes an object, not null; {{isNull: true}} finds what is null or missing"
        ))
    })
}

fn conjunction(mut all: Vec<Predicate>) -> Predicate {
    all.retain(|predicate| *predicate != Predicate::True);
    match all.len() {
        0 => Predicate::True,
        1 => all.remove(0),
        _ => Predicate::And(all),
    }
}

fn all_of(mut tests: Vec<Test>) -> Test {
    if tests.len() == 1 {
        tests.remove(0)
    } else {
        Test::AllOf(tests)
    }
}

fn null_operand(operator: &str) -> Refusal {
    Refusal::bad_request(format!(
        "in a filter, {operator} takes a value, not null; leave it out, or use isNull"
    ))
}

/// The validator has checked the names, so this is a filter of another schema than the operation's.
fn unknown(name: &str) -> Refusal {
    Refusal::bad_request(format!("there is nothing named {name} to filter by"))
}
