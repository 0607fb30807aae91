//! `orderBy` arguments as the engine's order keys.

use thalweg_engine::{FieldRef, OrderKey};
use thalweg_model::FieldPath;
use thalweg_schema_infer::{CollectionSchema, Field, FieldType, OrderTarget};

use crate::failure::Refusal;
use crate::filter::system_field;
use crate::input::Input;

/// The order keys of a list of one-key objects. A key that occurs again changes nothing and is left out.
pub(crate) fn keys(
    schema: &CollectionSchema,
    elements: &[Input],
) -> Result<Vec<OrderKey>, Refusal> {
    let mut keys: Vec<OrderKey> = Vec::with_capacity(elements.len());
    for element in elements {
        let (name, value) = only_key(element)?;
        let key = match schema.order_target(name) {
            Some(OrderTarget::System(field)) => OrderKey {
                field: system_field(field),
                descending: descending(name, value)?,
                instant: false,
            },
            Some(OrderTarget::Member(field)) => {
                member(field, FieldPath::top(&field.json_name), name, value)?
            }
            None => return Err(unknown(name)),
        };
        if !keys.iter().any(|earlier| earlier.field == key.field) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn member(field: &Field, path: FieldPath, name: &str, value: &Input) -> Result<OrderKey, Refusal> {
    if let FieldType::Object(object) = &field.ty {
        let (name, value) = only_key(value)?;
        let inner = object.order_field(name).ok_or_else(|| unknown(name))?;
        let path = path.child(&inner.json_name);
        return member(inner, path, name, value);
    }
    Ok(OrderKey {
        field: FieldRef::Path(path),
        descending: descending(name, value)?,
        instant: field.ty == FieldType::DateTime,
    })
}

fn only_key(element: &Input) -> Result<(&str, &Input), Refusal> {
    let fields = element.as_object();
    match fields.and_then(|fields| fields.iter().next().map(|first| (fields.len(), first))) {
        Some((1, (name, value))) => Ok((name.as_str(), value)),
        found => Err(Refusal::bad_request(format!(
            "each element of orderBy has exactly one key, as in [{{year: DESC}}, {{title: ASC}}]; this one has {}",
            found.map_or(0, |(count, _)| count)
        ))),
    }
}

fn descending(name: &str, value: &Input) -> Result<bool, Refusal> {
    match value {
        Input::Enum(direction) => Ok(direction == "DESC"),
        _ => Err(Refusal::bad_request(format!(
            "orderBy {name} takes ASC or DESC, not null"
        ))),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::bad_request(format!("there is nothing named {name} to order by"))
}
