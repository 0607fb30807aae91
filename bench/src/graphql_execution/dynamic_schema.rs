//! The same API in `async-graphql`'s dynamic schema, over values that are in memory already.

use std::sync::Arc;

use anyhow::{Result, ensure};
use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, InputValue, Object, Schema, TypeRef};

use super::rows::{QUERY, Row};

/// The list behind the schema, shared by all executions.
type Rows = Arc<Vec<Row>>;

/// Builds the schema.
pub(super) fn build(rows: Vec<Row>) -> Result<Schema> {
    let order = Object::new("Order")
        .field(scalar("id", TypeRef::ID, |row| row.id.as_str().into()))
        .field(scalar("customer", TypeRef::STRING, |row| {
            row.customer.as_str().into()
        }))
        .field(scalar("city", TypeRef::STRING, |row| {
            row.city.as_str().into()
        }))
        .field(scalar("country", TypeRef::STRING, |row| {
            row.country.as_str().into()
        }))
        .field(scalar("status", TypeRef::STRING, |row| {
            row.status.as_str().into()
        }))
        .field(scalar("total", TypeRef::FLOAT, |row| row.total.into()))
        .field(scalar("currency", TypeRef::STRING, |row| {
            row.currency.as_str().into()
        }))
        .field(scalar("sku", TypeRef::STRING, |row| {
            row.sku.as_str().into()
        }))
        .field(scalar("quantity", TypeRef::INT, |row| row.quantity.into()))
        .field(scalar("giftWrapped", TypeRef::BOOLEAN, |row| {
            row.gift_wrapped.into()
        }));
    let nodes = Field::new("nodes", TypeRef::named_nn_list_nn("Order"), |context| {
        FieldFuture::new(async move {
            let rows = context.data::<Rows>()?;
            let first = *context.parent_value.try_downcast_ref::<usize>()?;
            let rows = rows
                .iter()
                .take(first)
                .map(|row| FieldValue::borrowed_any(row));
            Ok(Some(FieldValue::list(rows)))
        })
    });
    let orders = Field::new("orders", TypeRef::named_nn("OrderConnection"), |context| {
        FieldFuture::new(async move {
            let first = context.args.try_get("first")?.u64()?;
            Ok(Some(FieldValue::owned_any(usize::try_from(first)?)))
        })
    })
    .argument(InputValue::new("first", TypeRef::named_nn(TypeRef::INT)));
    Ok(Schema::build("Query", None, None)
        .register(order)
        .register(Object::new("OrderConnection").field(nodes))
        .register(Object::new("Query").field(orders))
        .data::<Rows>(Arc::new(rows))
        .finish()?)
}

fn scalar(name: &'static str, ty: &'static str, read: fn(&Row) -> Value) -> Field {
    Field::new(name, TypeRef::named(ty), move |context| {
        let row = context.parent_value.try_downcast_ref::<Row>();
        match row {
            Ok(row) => FieldFuture::from_value(Some(read(row))),
            Err(error) => FieldFuture::new(async move { Err::<Option<Value>, _>(error) }),
        }
    })
}

/// The response, as a server would send it.
pub(super) async fn execute(schema: &Schema) -> Result<Vec<u8>> {
    let response = schema.execute(QUERY).await;
    ensure!(
        response.errors.is_empty(),
        "async-graphql: {:?}",
        response.errors
    );
    Ok(serde_json::to_vec(&response)?)
}
