//! The type system of a new API schema, made of what is new in it and the rest of the one before.
//!
//! The text of the schema is one definition after the other, parted by empty lines. A definition whose text is in the
//! schema before stands for the same thing, so its tree is shared; only the others are parsed. With 500 collections of 40
//! fields that is what makes a change of one of them cheap (`cargo xtask bench schema`).
//!
//! Validation looks at the whole and takes longer than all the rest. What `schema-infer` writes is valid by construction;
//! that is checked for the first schema of a process, and for every one in builds with debug assertions.

#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use apollo_compiler::ast::DirectiveDefinition;
use apollo_compiler::schema::{ComponentName, ExtendedType, SchemaDefinition};
use apollo_compiler::validation::{Valid, WithErrors};
use apollo_compiler::{Name, Node, Schema};
use memchr::memmem;
use rustc_hash::{FxBuildHasher, FxHashMap};
use thalweg_model::ErrorCode;

use crate::failure::Failure;

/// A type system, with what is needed to make the next one of it.
#[derive(Debug)]
pub(crate) struct Definitions {
    sdl: Arc<str>,
    types: Arc<Valid<Schema>>,
    /// The definitions in the text, by a hash of theirs.
    blocks: FxHashMap<u64, Vec<Block>>,
}

/// One definition of the text.
#[derive(Clone, Debug)]
struct Block {
    range: Range<usize>,
    definition: Definition,
}

#[derive(Clone, Debug)]
enum Definition {
    Type(Name, ExtendedType),
    Directive(Node<DirectiveDefinition>),
}

impl Definitions {
    /// The type system of a text, where it can be with parts of `previous`.
    pub(crate) fn build(sdl: &str, previous: Option<&Definitions>) -> Result<Definitions, Failure> {
        let sdl: Arc<str> = Arc::from(sdl);
        let Some(previous) = previous else {
            return Definitions::first(sdl);
        };
        let ranges = blocks(&sdl);
        let mut found: Vec<(u64, Option<Definition>)> = Vec::with_capacity(ranges.len());
        let mut missing = String::new();
        for range in &ranges {
            let text = &sdl[range.clone()];
            let hash = hash(text);
            let known = previous.find(text, hash).cloned();
            if known.is_none() {
                missing.push_str(text);
                missing.push_str("\n\n");
            }
            found.push((hash, known));
        }
        let mut builder = Schema::builder();
        if !missing.is_empty() {
            builder = builder.parse(missing, "schema.graphql");
        }
        let parsed = builder.build();
        // A part by itself has no roots and refers to what is elsewhere, which is no error until it is validated.
        let parsed = parsed.map_err(|refused| invalid(&refused))?;
        let mut schema = Schema::new();
        let mut index: FxHashMap<u64, Vec<Block>> = FxHashMap::default();
        index.reserve(ranges.len());
        schema.types.reserve(ranges.len());
        for (range, (hash, known)) in ranges.into_iter().zip(found) {
            let text = &sdl[range.clone()];
            let definition = match known {
                Some(known) => known,
                None => definition(text, &parsed).ok_or_else(|| no_definition(text))?,
            };
            match &definition {
                Definition::Type(name, ty) => {
                    schema.types.insert(name.clone(), ty.clone());
                }
                Definition::Directive(directive) => {
                    let name = directive.name.clone();
                    schema.directive_definitions.insert(name, directive.clone());
                }
            }
            index
                .entry(hash)
                .or_default()
                .push(Block { range, definition });
        }
        schema.schema_definition = roots(&schema);
        let types = if cfg!(debug_assertions) {
            schema.validate().map_err(|refused| invalid(&refused))?
        } else {
            Valid::assume_valid(schema)
        };
        Ok(Definitions {
            sdl,
            types: Arc::new(types),
            blocks: index,
        })
    }

    fn first(sdl: Arc<str>) -> Result<Definitions, Failure> {
        let types = Schema::parse_and_validate(&*sdl, "schema.graphql")
            .map_err(|refused| invalid(&refused))?;
        let mut index: FxHashMap<u64, Vec<Block>> = FxHashMap::default();
        for range in blocks(&sdl) {
            let text = &sdl[range.clone()];
            let definition = definition(text, &types).ok_or_else(|| no_definition(text))?;
            index
                .entry(hash(text))
                .or_default()
                .push(Block { range, definition });
        }
        Ok(Definitions {
            sdl,
            types: Arc::new(types),
            blocks: index,
        })
    }

    pub(crate) fn types(&self) -> &Arc<Valid<Schema>> {
        &self.types
    }

    pub(crate) fn sdl(&self) -> &Arc<str> {
        &self.sdl
    }

    fn find(&self, text: &str, hash: u64) -> Option<&Definition> {
        let candidates = self.blocks.get(&hash)?;
        let same = candidates
            .iter()
            .find(|block| self.sdl[block.range.clone()] == *text)?;
        Some(&same.definition)
    }
}

/// Where each definition is. Descriptions are on one line, so nothing but what is between definitions is an empty one.
fn blocks(sdl: &str) -> Vec<Range<usize>> {
    let ends = memmem::find_iter(sdl.as_bytes(), "\n\n").chain([sdl.len()]);
    let mut start = 0;
    let mut blocks = Vec::new();
    for end in ends {
        let part = &sdl[start..end];
        let text = part.trim_matches('\n');
        if !text.is_empty() {
            let from = start + (part.len() - part.trim_start_matches('\n').len());
            blocks.push(from..from + text.len());
        }
        start = end;
    }
    blocks
}

/// What a text defines, as a schema that has it knows it.
fn definition(text: &str, schema: &Schema) -> Option<Definition> {
    let line = text.lines().find(|line| !line.starts_with('"'))?;
    let mut words = line.split([' ', '(', '{', '\n']);
    let keyword = words.next()?;
    let name = words.next()?;
    if keyword == "directive" {
        let directive = schema.directive_definitions.get(name.strip_prefix('@')?)?;
        return Some(Definition::Directive(directive.clone()));
    }
    let (name, ty) = schema.types.get_key_value(name)?;
    Some(Definition::Type(name.clone(), ty.clone()))
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

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
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

fn no_definition(text: &str) -> Failure {
    let line = text.lines().next().unwrap_or_default();
    Failure::new(
        ErrorCode::Internal,
        format!("the API schema has a part that defines nothing: {line}"),
    )
}
