//! `__schema` and `__type`, which the type system's own crate executes.

use apollo_compiler::introspection::{check_max_depth, partial_execute};
use apollo_compiler::response::JsonMap;
use apollo_compiler::response::JsonValue;
use apollo_compiler::response::serde_json_bytes::serde_json;
use apollo_compiler::validation::Valid;
use bytes::Bytes;
use thalweg_model::ErrorCode;

use super::{Binding, Bound};
use crate::document::locate;
use crate::failure::{Failure, GraphqlError, Refusal};

/// The results of the operation's introspection fields, by response key.
pub(super) fn execute(binding: &Binding<'_>) -> Result<JsonMap, Failure> {
    let document = &*binding.parsed.document;
    check_max_depth(document, binding.operation).map_err(|refused| {
        let location = locate(refused.location(), &document.sources);
        let message = format!("{}; introspection may nest lists 3 deep", refused.message());
        Failure::from(GraphqlError::new(ErrorCode::LimitExceeded, message).at(location))
    })?;
    let variables: JsonMap = serde_json::from_slice(&binding.variables.to_json())
        .map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let response = partial_execute(
        &binding.schema.types,
        &binding.schema.implementers,
        document,
        binding.operation,
        &Valid::assume_valid(variables),
    )
    .map_err(|refused| Failure::new(ErrorCode::BadRequest, refused.message().to_string()))?;
    if let Some(error) = response.errors.into_iter().next() {
        return Err(Failure::new(ErrorCode::BadRequest, error.message));
    }
    Ok(response.data.unwrap_or_default())
}

/// What a field is bound to by its result.
pub(super) fn field(result: Option<&JsonValue>) -> Bound {
    match result.map(serde_json::to_vec) {
        Some(Ok(json)) => Bound::Json(Bytes::from(json)),
        _ => Bound::Refused(Refusal {
            code: ErrorCode::Internal,
            message: "the schema could not be introspected".to_owned(),
        }),
    }
}
