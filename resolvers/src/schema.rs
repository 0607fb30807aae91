//! One version of the API schema, ready to serve: the type system for validation and introspection, the bindings of
//! its names, and the operations that have been parsed against it.

mod definitions;

use std::sync::Arc;

use apollo_compiler::collections::HashMap;
use apollo_compiler::executable::Operation;
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use thalweg_engine::Catalog;
use thalweg_model::CommitTs;
use thalweg_schema_infer::{ApiCollection, ApiSchema, IdNames};

use self::definitions::Definitions;
use crate::bind::Bound;
use crate::cache::GenerationCache;
use crate::declaration;
use crate::document;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::plan::{Plan, PlanKey, condition_variables};

/// A version of the API schema. Immutable; an operation is pinned to the one that it was prepared against.
pub(crate) struct SchemaVersion {
    pub(crate) api: ApiSchema,
    pub(crate) types: Arc<Valid<Schema>>,
    pub(crate) implementers: HashMap<Name, Implementers>,
    definitions: Definitions,
    documents: GenerationCache<Arc<str>, Arc<ParsedText>>,
    introspections: GenerationCache<(Arc<str>, PlanKey), Arc<[Bound]>>,
}

/// A text that is valid against the schema, with the plans made of it so far.
pub(crate) struct ParsedText {
    pub(crate) text: Arc<str>,
    pub(crate) document: Arc<Valid<ExecutableDocument>>,
    /// Whether some of it may be to come later.
    pub(crate) is_incremental: bool,
    /// The variables that decide which fields are included, of each operation by its name.
    conditions: HashMap<Option<Name>, Box<[Name]>>,
    plans: GenerationCache<PlanKey, Arc<Plan>>,
}

/// How many plans of one text are kept: one for each operation in it and each outcome of its conditions.
const PLANS_MAX: usize = 32;

/// How many bytes of introspection results are kept: clients ask for few, but for those often.
const INTROSPECTION_BYTES_MAX: usize = 16 << 20;

impl SchemaVersion {
    /// Builds the schema of a catalog, with what it has in common with another one. Fails only where the schema's own
    /// text is not valid, which is a defect.
    pub(crate) fn build(
        catalog: &Catalog,
        ids: IdNames,
        limits: &Limits,
        previous: Option<&SchemaVersion>,
    ) -> Result<Self, Failure> {
        let collections = catalog
            .collections()
            .map(|collection| ApiCollection {
                id: collection.id,
                schema: Arc::clone(&collection.schema),
                relations: Arc::clone(&collection.relations),
                mode: collection.mode(),
                directives: declaration::directives(collection, catalog).into(),
            })
            .collect();
        Self::of_collections(collections, catalog.version, ids, limits, previous)
    }

    /// The schema of some collections.
    pub(crate) fn of_collections(
        collections: Vec<ApiCollection>,
        version: CommitTs,
        ids: IdNames,
        limits: &Limits,
        previous: Option<&SchemaVersion>,
    ) -> Result<Self, Failure> {
        let earlier = previous.map(|previous| &previous.api);
        let alone = cfg!(debug_assertions).then(|| collections.clone());
        let api = ApiSchema::build(collections, version, ids, earlier);
        if let Some(collections) = alone {
            let alone = ApiSchema::build(collections, version, ids, None);
            assert!(alone.sdl() == api.sdl(), "it shares what is not the same");
        }
        let previous = previous.map(|previous| &previous.definitions);
        let definitions = Definitions::build(api.sdl_parts(), previous)?;
        let types = Arc::clone(definitions.types());
        let implementers = types.implementers_map();
        let documents = GenerationCache::new(limits.cache_bytes_max);
        let introspections = GenerationCache::new(INTROSPECTION_BYTES_MAX);
        Ok(SchemaVersion {
            api,
            types,
            implementers,
            definitions,
            documents,
            introspections,
        })
    }

    pub(crate) fn version(&self) -> CommitTs {
        self.api.version()
    }

    pub(crate) fn sdl(&self) -> &Arc<str> {
        self.api.sdl()
    }

    pub(crate) fn collection(&self, index: usize) -> Option<&ApiCollection> {
        self.api.collections().get(index)
    }

    /// Whether a catalog's API is this one, but for the version's number.
    pub(crate) fn serves(&self, catalog: &Catalog) -> bool {
        let ours = self.api.collections();
        ours.len() == catalog.collections().len()
            && ours
                .iter()
                .zip(catalog.collections())
                .all(|(ours, theirs)| {
                    ours.id == theirs.id
                        && (Arc::ptr_eq(&ours.schema, &theirs.schema)
                            || ours.schema == theirs.schema)
                        && ours.relations == theirs.relations
                        && *ours.directives == *declaration::directives(theirs, catalog)
                })
    }

    /// The parsed and validated form of a text.
    pub(crate) fn parse(&self, text: &str, limits: &Limits) -> Result<Arc<ParsedText>, Failure> {
        if let Some(parsed) = self.documents.get(text) {
            return Ok(parsed);
        }
        let document = document::parse(text, &self.types, limits)?;
        let text: Arc<str> = Arc::from(text);
        let parsed = Arc::new(ParsedText {
            text: Arc::clone(&text),
            is_incremental: document::may_be_incremental(&text),
            conditions: document
                .operations
                .iter()
                .map(|operation| {
                    let variables = condition_variables(&document, operation);
                    (operation.name.clone(), variables)
                })
                .collect(),
            document,
            plans: GenerationCache::new(PLANS_MAX),
        });
        let weight = text.len();
        self.documents.insert(text, Arc::clone(&parsed), weight);
        Ok(parsed)
    }

    /// What the root fields of an operation without variables are bound to, where that holds introspection results.
    pub(crate) fn introspected(
        &self,
        key: (Arc<str>, PlanKey),
        bind: impl FnOnce() -> Result<Arc<[Bound]>, Failure>,
    ) -> Result<Arc<[Bound]>, Failure> {
        if let Some(bound) = self.introspections.get(&key) {
            return Ok(bound);
        }
        let bound = bind()?;
        let weight = key.0.len() + bound.iter().map(Bound::bytes).sum::<usize>();
        self.introspections.insert(key, Arc::clone(&bound), weight);
        Ok(bound)
    }
}

impl ParsedText {
    /// The variables that decide which fields of an operation are included, in a fixed order.
    pub(crate) fn conditions(&self, operation: &Operation) -> &[Name] {
        self.conditions
            .get(&operation.name)
            .map(|names| &**names)
            .unwrap_or_default()
    }

    pub(crate) fn plan(
        &self,
        key: PlanKey,
        compile: impl FnOnce() -> Result<Plan, Failure>,
    ) -> Result<Arc<Plan>, Failure> {
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let plan = Arc::new(compile()?);
        self.plans.insert(key, Arc::clone(&plan), 1);
        Ok(plan)
    }
}
