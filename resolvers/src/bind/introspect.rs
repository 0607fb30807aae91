//! `__schema` and `__type`, which the type system's own crate executes.

use apollo_compiler::Name;
use apollo_compiler::executable::{ExecutableDocument, Selection, SelectionSet};
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
    check_repetition(document, binding)?;
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

/// Refuses what asks for the same descriptions again and again: a short text could get a result of any length.
fn check_repetition(document: &ExecutableDocument, binding: &Binding<'_>) -> Result<(), Failure> {
    let mut counted = Counted::default();
    counted.roots(document, &binding.operation.selection_set);
    let limits = binding.limits;
    let bounds = [
        (
            counted.fields,
            limits.introspections_max,
            "introspection fields",
        ),
        (
            counted.aliases,
            limits.introspection_aliases_max,
            "aliases below introspection fields",
        ),
    ];
    for (found, max, noun) in bounds {
        if found > max {
            let message = format!("the operation has {found} {noun}; at most {max} are allowed");
            let location = binding.operation.name.as_ref().and_then(Name::location);
            let error = GraphqlError::new(ErrorCode::LimitExceeded, message);
            return Err(error.at(locate(location, &document.sources)).into());
        }
    }
    Ok(())
}

/// How often an operation introspects. The limits on its text bound how long counting takes.
#[derive(Default)]
struct Counted {
    fields: usize,
    aliases: usize,
}

impl Counted {
    fn roots(&mut self, document: &ExecutableDocument, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) if matches!(&*field.name, "__schema" | "__type") => {
                    self.fields += 1;
                    self.below(document, &field.selection_set);
                }
                Selection::Field(_) => {}
                other => {
                    if let Some(set) = fragment(document, other) {
                        self.roots(document, set);
                    }
                }
            }
        }
    }

    fn below(&mut self, document: &ExecutableDocument, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.alias.is_some());
                    self.below(document, &field.selection_set);
                }
                other => {
                    if let Some(set) = fragment(document, other) {
                        self.below(document, set);
                    }
                }
            }
        }
    }
}

fn fragment<'d>(
    document: &'d ExecutableDocument,
    selection: &'d Selection,
) -> Option<&'d SelectionSet> {
    match selection {
        Selection::Field(_) => None,
        Selection::InlineFragment(inline) => Some(&inline.selection_set),
        Selection::FragmentSpread(spread) => {
            let fragment = document.fragments.get(&spread.fragment_name)?;
            Some(&fragment.selection_set)
        }
    }
}

/// What a field is bound to by its result.
pub(super) fn field(result: Option<&JsonValue>, bytes_max: usize) -> Bound {
    match result.map(serde_json::to_vec) {
        Some(Ok(json)) if json.len() > bytes_max => Bound::refused(Refusal::limit(format!(
            "the description of the schema has {} bytes; at most {bytes_max} are allowed: ask for less of it",
            json.len()
        ))),
        Some(Ok(json)) => Bound::Json(Bytes::from(json)),
        _ => Bound::refused(Refusal::new(
            ErrorCode::Internal,
            "the schema could not be introspected",
        )),
    }
}
