//! The crate from outside: documents in, a valid API schema out.

mod data;
mod golden;
mod random_names;
mod tables;
mod versions;

use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use thalweg_model::{CollectionId, CommitTs, Document};
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, CollectionSchema, IdNames, NameRegistry, Shape,
};

/// Infers the API schema of collections given as names and documents.
fn infer(collections: &[(&str, Vec<Document>)]) -> ApiSchema {
    infer_with(IdNames::Local, collections)
}

fn infer_with(ids: IdNames, collections: &[(&str, Vec<Document>)]) -> ApiSchema {
    let mut registry = NameRegistry::new();
    let mut schemas = Vec::new();
    for (index, (name, documents)) in collections.iter().enumerate() {
        let mut shape = Shape::new();
        for document in documents {
            shape.add(document.root());
        }
        let names = registry.collection(name);
        let schema = CollectionSchema::derive(&names, &shape, false, &mut registry);
        schemas.push(ApiCollection {
            id: CollectionId(index as u32),
            mode: Default::default(),
            directives: "@collection".into(),
            relations: Arc::from([]),
            schema: Arc::new(schema),
        });
    }
    ApiSchema::build(schemas, CommitTs::from_micros(1), ids, None)
}

/// Parses and validates as the server will, and gives the schema back for looking into.
fn validated(sdl: &str) -> Valid<Schema> {
    match Schema::parse_and_validate(sdl, "schema.graphql") {
        Ok(schema) => schema,
        Err(error) => panic!("invalid schema: {}\n{sdl}", error.errors),
    }
}
