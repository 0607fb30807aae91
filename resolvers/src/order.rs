//! `orderBy` arguments as the engine's order keys.

use thalweg_engine::{FieldRef, OrderKey};
use thalweg_model::FieldPath;
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, CollectionSchema, Field, FieldType, ObjectType, OrderTarget, Way,
};

use crate::failure::Refusal;
use crate::filter::system_field;
use crate::input::Input;
use crate::ordered::{Hop, JoinedKey, JoinedOrder};

/// An order as it is asked for.
#[derive(Debug)]
pub(crate) enum Order {
    /// By what the documents themselves hold.
    Own(Vec<OrderKey>),
    /// By what they are related to as well.
    Joined(JoinedOrder),
}

/// The order that a list of one-key objects asks for. A key that occurs again changes nothing and is left out.
pub(crate) fn order(
    api: &ApiSchema,
    schema: &CollectionSchema,
    elements: &[Input],
) -> Result<Order, Refusal> {
    let mut keys: Vec<JoinedKey> = Vec::with_capacity(elements.len());
    for element in elements {
        let key = document(api, schema, element, Vec::new())?;
        let is_there = |earlier: &JoinedKey| {
            (&earlier.hops, &earlier.key.field) == (&key.hops, &key.key.field)
        };
        if !keys.iter().any(is_there) {
            keys.push(key);
        }
    }
    if keys.iter().any(|key| !key.hops.is_empty()) {
        return Ok(Order::Joined(JoinedOrder { keys }));
    }
    Ok(Order::Own(keys.into_iter().map(|key| key.key).collect()))
}

/// A key of a document that is reached over the hops.
fn document(
    api: &ApiSchema,
    schema: &CollectionSchema,
    element: &Input,
    hops: Vec<Hop>,
) -> Result<JoinedKey, Refusal> {
    let (name, value) = only_key(element)?;
    match schema.order_target(name, api.ids()) {
        Some(OrderTarget::System(field)) => Ok(JoinedKey {
            hops,
            key: OrderKey {
                field: system_field(field),
                descending: descending(name, value)?,
                instant: false,
            },
        }),
        Some(OrderTarget::Member(field)) => {
            let path = FieldPath::top(&field.json_name);
            member(api, field, path, name, value, hops)
        }
        None => related(api, &schema.object, name, value, hops),
    }
}

fn member(
    api: &ApiSchema,
    field: &Field,
    path: FieldPath,
    name: &str,
    value: &Input,
    hops: Vec<Hop>,
) -> Result<JoinedKey, Refusal> {
    if let FieldType::Object(object) = &field.ty {
        let (name, inner_value) = only_key(value)?;
        let Some(inner) = object.order_field(name) else {
            return related(api, object, name, inner_value, hops);
        };
        let path = path.child(&inner.json_name);
        return member(api, inner, path, name, inner_value, hops);
    }
    Ok(JoinedKey {
        hops,
        key: OrderKey {
            field: FieldRef::Path(path),
            descending: descending(name, value)?,
            instant: field.ty == FieldType::DateTime,
        },
    })
}

/// A key of the document that a relation of an object leads to.
fn related(
    api: &ApiSchema,
    object: &ObjectType,
    name: &str,
    value: &Input,
    mut hops: Vec<Hop>,
) -> Result<JoinedKey, Refusal> {
    let link = api.link(&object.name, name);
    let link = link.filter(|link| link.way == Way::One);
    let target: Option<&ApiCollection> = link.and_then(|link| api.collections().get(link.target));
    let (Some(link), Some(target)) = (link, target) else {
        return Err(unknown(name));
    };
    hops.push(Hop {
        field: link.relation.field.clone(),
        key: link.relation.key.clone(),
        target: target.id,
    });
    document(api, &target.schema, value, hops)
}

pub(crate) fn only_key(element: &Input) -> Result<(&str, &Input), Refusal> {
    let fields = element.as_object();
    match fields.and_then(|fields| fields.iter().next().map(|first| (fields.len(), first))) {
        Some((1, (name, value))) => Ok((name.as_str(), value)),
        found => Err(Refusal::bad_request(format!(
            "each element of orderBy has exactly one key, as in [{{year: DESC}}, {{title: ASC}}]; this one has {}",
            found.map_or(0, |(count, _)| count)
        ))),
    }
}

pub(crate) fn descending(name: &str, value: &Input) -> Result<bool, Refusal> {
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
