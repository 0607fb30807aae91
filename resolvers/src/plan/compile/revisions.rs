//! The selection on a document's history.

use thalweg_model::ErrorCode;
use thalweg_schema_infer::CollectionSchema;

use super::super::related::InnerField;
use super::super::selection::{
    HistorySelection, HistorySource, RevisionEdgeSource, RevisionSource, Selected,
};
use super::{Compiler, Group, History, json_string, subsets, unbound};
use crate::document::locate;
use crate::failure::{Failure, GraphqlError};

impl<'d> Compiler<'d> {
    pub(super) fn history(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<HistorySelection, Failure> {
        let refusal = match self.history {
            History::Offered => None,
            History::OfWritten => {
                Some("a mutation gives documents without their history; query it")
            }
            History::Inside => {
                Some("a revision's document has no history of its own: you are in it")
            }
        };
        if let Some(message) = refusal {
            let location = locate(group[0].location(), &self.collector.document.sources);
            return Err(GraphqlError::new(ErrorCode::BadRequest, message)
                .at(location)
                .into());
        }
        let inner = self.inner.len();
        self.inner.push((group[0].clone(), InnerField::Revisions));
        self.history = History::Inside;
        let items = self.history_items(schema, group);
        self.history = History::Offered;
        Ok(HistorySelection {
            inner,
            items: items?,
        })
    }

    fn history_items(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<HistorySource>>, Failure> {
        let type_name = schema.names.revision_connection();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => HistorySource::TypeName(json_string(&type_name)),
                "nodes" => HistorySource::Nodes(compiler.revision(schema, group)?),
                "edges" => HistorySource::Edges(compiler.revision_edges(schema, group)?),
                "pageInfo" => HistorySource::PageInfo(compiler.page_info(group)?),
                _ => return Err(unbound(name)),
            })
        })
    }

    fn revision_edges(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<RevisionEdgeSource>>, Failure> {
        let type_name = schema.names.revision_edge();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => RevisionEdgeSource::TypeName(json_string(&type_name)),
                "cursor" => RevisionEdgeSource::Cursor,
                "node" => RevisionEdgeSource::Node(compiler.revision(schema, group)?),
                _ => return Err(unbound(name)),
            })
        })
    }

    fn revision(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
    ) -> Result<Vec<Selected<RevisionSource>>, Failure> {
        let type_name = schema.names.revision();
        self.select(&type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => RevisionSource::TypeName(json_string(&type_name)),
                "version" => RevisionSource::Version,
                "commitTs" => RevisionSource::CommitTs,
                "at" => RevisionSource::At,
                "author" => RevisionSource::Author,
                "kind" => RevisionSource::Kind,
                "changed" => RevisionSource::Changed,
                "document" => RevisionSource::Document(compiler.document(schema, &subsets(group))?),
                "_json" => RevisionSource::Json,
                _ => return Err(unbound(name)),
            })
        })
    }
}
