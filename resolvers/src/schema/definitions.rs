//! The type system of a new API schema, made of what is new in it and the rest of the one before.
//!
//! The text of the schema comes in parts, one for each collection and some for what all share. A part that is in the schema
//! before stands for the same definitions, so their trees are shared; only the others are parsed. With 500 collections of
//! 40 fields that is what makes a change of one of them cheap (`cargo xtask bench schema`).
//!
//! Validation looks at the whole and takes longer than all the rest. What `schema-infer` writes is valid by construction;
//! that is checked for the first schema of a process, and for every one in builds with debug assertions.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use apollo_compiler::ast::DirectiveDefinition;
use apollo_compiler::schema::{ComponentName, ExtendedType, SchemaDefinition};
use apollo_compiler::validation::{Valid, WithErrors};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::FxHashMap;
use thalweg_model::ErrorCode;

use crate::failure::Failure;

/// A type system, with what is needed to make the next one of it.
#[derive(Debug)]
pub(crate) struct Definitions {
    types: Arc<Valid<Schema>>,
    /// What each part defines, by the address of its text, which is kept with it.
    parts: FxHashMap<usize, Arc<Part>>,
}

/// What a part of the text defines.
#[derive(Debug)]
struct Part {
    text: Arc<str>,
    types: Vec<(Name, ExtendedType)>,
    directives: Vec<(Name, Node<DirectiveDefinition>)>,
}

impl Definitions {
    /// The type system of a text in parts, where it can be with those of `previous`.
    pub(crate) fn build<'t>(
        texts: impl Iterator<Item = &'t Arc<str>>,
        previous: Option<&Definitions>,
    ) -> Result<Definitions, Failure> {
        let mut parts = FxHashMap::default();
        let mut schema = Schema::new();
        if let Some(previous) = previous {
            parts.reserve(previous.parts.len());
            schema.types.reserve(previous.types.types.len());
        }
        for text in texts {
            let address = text.as_ptr() as usize;
            let known = previous.and_then(|previous| previous.parts.get(&address));
            let part = match known.filter(|known| Arc::ptr_eq(&known.text, text)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Part::parse(text)?),
            };
            for (name, ty) in &part.types {
                if schema.types.insert(name.clone(), ty.clone()).is_some() {
                    return Err(defined_twice(name));
                }
            }
            let directives = &mut schema.directive_definitions;
            directives.extend(part.directives.iter().cloned());
            parts.insert(address, part);
        }
        schema.schema_definition = roots(&schema);
        let types = if previous.is_none() || cfg!(debug_assertions) {
            schema.validate().map_err(|refused| invalid(&refused))?
        } else {
            Valid::assume_valid(schema)
        };
        Ok(Definitions {
            types: Arc::new(types),
            parts,
        })
    }

    pub(crate) fn types(&self) -> &Arc<Valid<Schema>> {
        &self.types
    }
}

impl Part {
    fn parse(text: &Arc<str>) -> Result<Part, Failure> {
        let parsed = Schema::builder().parse(&**text, "schema.graphql").build();
        // A part by itself has no roots and refers to what is elsewhere, which is no error until it is validated.
        let parsed = parsed.map_err(|refused| invalid(&refused))?;
        let types = parsed.types.iter().filter(|(_, ty)| !ty.is_built_in());
        let directives = parsed.directive_definitions.iter();
        let directives = directives.filter(|(_, directive)| !directive.is_built_in());
        Ok(Part {
            text: Arc::clone(text),
            types: types.map(|(name, ty)| (name.clone(), ty.clone())).collect(),
            directives: directives
                .map(|(name, directive)| (name.clone(), directive.clone()))
                .collect(),
        })
    }
}

/// The implicit schema definition: the types of these names are the roots.
fn roots(schema: &Schema) -> Node<SchemaDefinition> {
    let root = |name: &str| {
        let (name, _) = schema.types.get_key_value(name)?;
        Some(ComponentName::from(name.clone()))
    };
    Node::new(SchemaDefinition {
        description: None,
        directives: Default::default(),
        query: root("Query"),
        mutation: root("Mutation"),
        subscription: root("Subscription"),
    })
}

fn invalid(refused: &WithErrors<Schema>) -> Failure {
    let first = refused.errors.iter().next();
    let first = first
        .map(|error| error.to_json().message)
        .unwrap_or_default();
    Failure::new(
        ErrorCode::Internal,
        format!("the API schema is not valid: {first}"),
    )
}

fn defined_twice(name: &Name) -> Failure {
    let message = format!("the API schema is not valid: it defines {name} twice");
    Failure::new(ErrorCode::Internal, message)
}
