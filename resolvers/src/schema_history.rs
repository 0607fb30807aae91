//! What has changed in the API schema since an earlier commit, or since the event before.
//!
//! Which API schemas there were is known as far back as the engine keeps catalogs: the last 64 that changed anything,
//! and none from before the process began. An earlier schema is built again when somebody asks for it, which takes little
//! since it shares most with the present one; the last few are kept.

use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use parking_lot::Mutex;
use thalweg_engine::{Catalog, Collection};
use thalweg_model::{CommitTs, ErrorCode};
use thalweg_schema_infer::{ApiCollection, CollectionSchema};

use crate::declaration;
use crate::failure::{Failure, Refusal};
use crate::operation::Prepared;
use crate::plan::selection::SchemaSource;
use crate::plan::{Action, Plan, QueryAction};
use crate::resolvers::Resolvers;
use crate::schema::SchemaVersion;
use crate::schema_diff::{self, ApiChange};

/// How many earlier schemas are kept.
const KEPT_MAX: usize = 4;

/// Earlier API schemas by the versions of their catalogs, the latest asked for last.
#[derive(Default)]
pub(crate) struct SchemaHistory {
    known: Mutex<Vec<(CommitTs, Arc<Valid<Schema>>)>>,
}

impl SchemaHistory {
    fn get(&self, version: CommitTs) -> Option<Arc<Valid<Schema>>> {
        let mut known = self.known.lock();
        let at = known.iter().position(|(of, _)| *of == version)?;
        let found = known.remove(at);
        let types = Arc::clone(&found.1);
        known.push(found);
        Some(types)
    }

    fn keep(&self, version: CommitTs, types: &Arc<Valid<Schema>>) {
        let mut known = self.known.lock();
        if known.len() == KEPT_MAX {
            known.remove(0);
        }
        known.push((version, Arc::clone(types)));
    }
}

/// Whether a plan selects changes of the schema.
pub(crate) fn tells_changes(plan: &Plan) -> bool {
    plan.roots.iter().any(|root| match &root.action {
        Action::Query(QueryAction::Schema(items)) => items
            .iter()
            .any(|item| matches!(item.source, SchemaSource::Changes { .. })),
        _ => false,
    })
}

impl Resolvers {
    /// What has changed between the schema of the commit `since` and the one that an operation is pinned to; `None`
    /// where the earlier one is no longer known. Without `since`: since the schema that the operation was moved on from.
    pub(crate) fn schema_changes(
        &self,
        operation: &Prepared,
        since: Option<CommitTs>,
    ) -> Result<Option<Vec<ApiChange>>, Refusal> {
        let present = &operation.schema;
        let Some(since) = since else {
            let from = operation.moved_from.as_ref();
            let changes = from.map(|from| schema_diff::diff(from, &present.types));
            return Ok(Some(changes.unwrap_or_default()));
        };
        if since >= present.version() {
            return Ok(Some(Vec::new()));
        }
        let Some(catalog) = self.engine().catalog_at(since) else {
            return Ok(None);
        };
        if present.serves(&catalog) {
            return Ok(Some(Vec::new()));
        }
        let earlier = match self.history().get(catalog.version) {
            Some(known) => known,
            None => {
                let ids = present.api.ids();
                let built = SchemaVersion::build(&catalog, ids, self.limits(), Some(present));
                let built = built.map_err(|failure| refusal(&failure))?;
                self.history().keep(catalog.version, &built.types);
                built.types
            }
        };
        Ok(Some(schema_diff::diff(&earlier, &present.types)))
    }

    /// What publishing other types of a collection would change in the API schema that an operation is pinned to.
    pub(crate) fn promotion_changes(
        &self,
        operation: &Prepared,
        catalog: &Catalog,
        collection: &Collection,
        promoted: &Arc<CollectionSchema>,
    ) -> Result<Vec<ApiChange>, Refusal> {
        if collection.schema == *promoted {
            return Ok(Vec::new());
        }
        let api = |promote: bool| {
            let collections = catalog.collections().map(|known| ApiCollection {
                id: known.id,
                mode: known.mode(),
                schema: match promote && known.id == collection.id {
                    true => Arc::clone(promoted),
                    false => Arc::clone(&known.schema),
                },
                relations: Arc::clone(&known.relations),
                directives: declaration::directives(known, catalog).into(),
            });
            let near = Some(&*operation.schema);
            SchemaVersion::of_collections(
                collections.collect(),
                catalog.version,
                operation.schema.api.ids(),
                self.limits(),
                near,
            )
            .map_err(|failure| refusal(&failure))
        };
        Ok(schema_diff::diff(&api(false)?.types, &api(true)?.types))
    }
}

fn refusal(failure: &Failure) -> Refusal {
    let message = failure.errors().first().map(|error| error.message.clone());
    Refusal::new(ErrorCode::Internal, message.unwrap_or_default())
}
