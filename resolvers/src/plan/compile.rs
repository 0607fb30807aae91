//! From a validated operation to a plan.

mod aggregate;
mod catalog;
mod evolution;
mod related;
mod revisions;

use std::sync::{Arc, OnceLock};

use apollo_compiler::ast::Type;
use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{ExecutableDocument, Field, Operation, SelectionSet};
use apollo_compiler::{Name, Node};
use thalweg_engine::{FieldMask, FieldRef};
use thalweg_model::{ErrorCode, FieldName, FieldPath, write_json_string};
use thalweg_schema_infer::{
    ApiCollection, CollectionSchema, Field as SchemaField, FieldType, MapType, MutationField,
    ObjectType, OutputField, QueryField,
};

pub(crate) use aggregate::engine_function;

use super::collect::{Collector, Group};
use super::related::{InnerField, NamedSelection};
use super::selection::*;
use super::{
    Action, BulkMutation, CollectionMutation, DocumentMutation, MutationAction, OperationKind,
    Plan, QueryAction, RootField,
};
use crate::document::locate;
use crate::failure::Failure;
use crate::input::Variables;
use crate::schema::SchemaVersion;
use related::Related;

/// Compiles an operation for the values that its conditions have.
pub(crate) fn compile(
    schema: &SchemaVersion,
    document: &ExecutableDocument,
    operation: &Operation,
    variables: &Variables,
) -> Result<Plan, Failure> {
    let collector = Collector {
        schema: &schema.types,
        document,
        variables,
    };
    let mut compiler = Compiler {
        schema,
        collector,
        slots: 0,
        stores: 0,
        backs: false,
        named: Vec::new(),
        inner: Vec::new(),
        history: match OperationKind::of(operation) {
            OperationKind::Mutation => History::OfWritten,
            _ => History::Offered,
        },
    };
    let kind = OperationKind::of(operation);
    let type_name = operation.object_type();
    let groups = collector.collect(type_name, &[&operation.selection_set]);
    let mut roots = Vec::with_capacity(groups.len());
    for (key, group) in &groups {
        roots.push(RootField {
            action: compiler.root(kind, type_name, group)?,
            target: compiler.target(key, group),
            field: group[0].clone(),
        });
    }
    let uses_variables = !operation.variables.is_empty();
    Ok(Plan {
        kind,
        roots,
        inner: compiler.inner,
        reads_related: compiler.stores > 0 || compiler.backs,
        slots: compiler.slots,
        uses_variables,
        bound: OnceLock::new(),
    })
}

struct Compiler<'d> {
    schema: &'d SchemaVersion,
    collector: Collector<'d>,
    slots: usize,
    /// How many selections there are on documents that a field names.
    stores: usize,
    /// Whether there is one on documents that name another.
    backs: bool,
    /// Those of the document that is being compiled.
    named: Vec<Arc<NamedSelection>>,
    /// The fields below the root fields that take arguments.
    inner: Vec<(Node<Field>, InnerField)>,
    history: History,
}

/// Whether a document's history can be selected where the compiler is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    Offered,
    /// In what a mutation gives, which is known before it is part of any history.
    OfWritten,
    /// In a history: each revision would have all of them again.
    Inside,
}

/// The validator has let the operation through, so a name without a binding is a defect, not the client's mistake.
fn unbound(what: &str) -> Failure {
    Failure::new(
        ErrorCode::Internal,
        format!("the API schema offers {what} but does not bind it"),
    )
}

fn json_string(text: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_json_string(text, &mut out);
    out.into()
}

fn subsets<'d>(group: &Group<'d>) -> Vec<&'d SelectionSet> {
    group.iter().map(|field| &field.selection_set).collect()
}

impl<'d> Compiler<'d> {
    fn target(&self, key: &Name, group: &Group<'d>) -> Target {
        let mut label = Vec::with_capacity(key.len() + 4);
        label.push(b',');
        write_json_string(key, &mut label);
        label.push(b':');
        Target {
            key: key.clone(),
            label: label.into(),
            location: locate(group[0].location(), &self.collector.document.sources),
            is_non_null: group[0].definition.ty.is_non_null(),
        }
    }

    /// Compiles the fields of one object type by a rule from field name to source.
    fn select<S>(
        &mut self,
        type_name: &str,
        sets: &[&'d SelectionSet],
        mut source: impl FnMut(&mut Self, &str, &Group<'d>) -> Result<S, Failure>,
    ) -> Result<Vec<Selected<S>>, Failure> {
        let groups: IndexMap<&Name, Group<'d>> = self.collector.collect(type_name, sets);
        let mut items = Vec::with_capacity(groups.len());
        for (key, group) in &groups {
            let source = source(self, group[0].name.as_str(), group)?;
            items.push(Selected {
                target: self.target(key, group),
                source,
            });
        }
        Ok(items)
    }

    fn collection(&self, index: usize) -> Result<ApiCollection, Failure> {
        self.schema
            .collection(index)
            .cloned()
            .ok_or_else(|| unbound("a collection"))
    }

    fn root(
        &mut self,
        kind: OperationKind,
        type_name: &Name,
        group: &Group<'d>,
    ) -> Result<Action, Failure> {
        let name = group[0].name.as_str();
        match name {
            "__typename" => Ok(Action::TypeName(json_string(type_name))),
            "__schema" | "__type" => Ok(Action::Introspection),
            _ if kind == OperationKind::Mutation => {
                self.mutation(name, group).map(Action::Mutation)
            }
            _ => match self.schema.api.query_field(name) {
                Some(QueryField::Changes) => self.changes(group).map(Action::Changes),
                Some(field) => self.query(field, group).map(Action::Query),
                None => Err(unbound(name)),
            },
        }
    }

    fn changes(&mut self, group: &Group<'d>) -> Result<Vec<Selected<ChangeSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        let own_id = self.schema.api.ids().own();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => ChangeSource::TypeName(json_string(&type_name)),
                "commitTs" => ChangeSource::CommitTs,
                "collection" => ChangeSource::Collection,
                name if name == own_id => ChangeSource::Id,
                "kind" => ChangeSource::Kind,
                "before" => ChangeSource::Before,
                "after" => ChangeSource::After,
                _ => return Err(unbound(name)),
            })
        })
    }

    fn query(&mut self, field: QueryField, group: &Group<'d>) -> Result<QueryAction, Failure> {
        let sets = subsets(group);
        match field {
            QueryField::Changes => Err(unbound("changes where it is queried")),
            QueryField::Node => {
                let schema = self.schema;
                let mut selections = Vec::new();
                for collection in schema.api.collections() {
                    let selection = self.document(&collection.schema, &sets)?;
                    selections.push((collection.id, selection));
                }
                Ok(QueryAction::Node(selections))
            }
            QueryField::ById(index) => {
                let collection = self.collection(index)?;
                let selection = self.document(&collection.schema, &sets)?;
                Ok(QueryAction::ById {
                    collection: collection.id,
                    selection,
                })
            }
            QueryField::List(index) => {
                let collection = self.collection(index)?;
                let selection = self.connection(&collection.schema, &sets)?;
                Ok(QueryAction::List {
                    collection,
                    selection,
                })
            }
            QueryField::Aggregate(index) => {
                let collection = self.collection(index)?;
                let selection = self.aggregate(&collection.schema, group)?;
                Ok(QueryAction::Aggregate {
                    collection,
                    selection,
                })
            }
            QueryField::Collections => Ok(QueryAction::Collections(self.info(group)?)),
            QueryField::Schema => Ok(QueryAction::Schema(self.schema_info(group)?)),
        }
    }

    fn mutation(&mut self, name: &str, group: &Group<'d>) -> Result<MutationAction, Failure> {
        let field = self
            .schema
            .api
            .mutation_field(name)
            .ok_or_else(|| unbound(name))?;
        match field {
            MutationField::Create(index) => self.written(DocumentMutation::Create, index, group),
            MutationField::Update(index) => self.written(DocumentMutation::Update, index, group),
            MutationField::Upsert(index) => self.written(DocumentMutation::Upsert, index, group),
            MutationField::Replace(index) => self.written(DocumentMutation::Replace, index, group),
            MutationField::Delete(index) => self.written(DocumentMutation::Delete, index, group),
            MutationField::Restore(index) => self.written(DocumentMutation::Restore, index, group),
            MutationField::CreateMany(index) => {
                let collection = self.collection(index)?;
                let selection = self.document(&collection.schema, &subsets(group))?;
                Ok(MutationAction::CreateMany {
                    collection,
                    selection,
                })
            }
            MutationField::UpdateMany(index) => self.bulk(BulkMutation::Update, index, group),
            MutationField::DeleteMany(index) => self.bulk(BulkMutation::Delete, index, group),
            MutationField::InsertDocuments => Ok(MutationAction::InsertDocuments),
            MutationField::CreateCollection => self.catalog(CollectionMutation::Create, group),
            MutationField::RenameCollection => self.catalog(CollectionMutation::Rename, group),
            MutationField::TruncateCollection => self.catalog(CollectionMutation::Truncate, group),
            MutationField::DropCollection => self.catalog(CollectionMutation::Drop, group),
            MutationField::ApplySchema => {
                self.schema_change(group).map(MutationAction::ApplySchema)
            }
            MutationField::PromoteSchema => {
                self.promotion(group).map(MutationAction::PromoteSchema)
            }
        }
    }

    fn written(
        &mut self,
        operation: DocumentMutation,
        index: usize,
        group: &Group<'d>,
    ) -> Result<MutationAction, Failure> {
        let collection = self.collection(index)?;
        let selection = self.document(&collection.schema, &subsets(group))?;
        Ok(MutationAction::Document {
            operation,
            collection,
            selection,
        })
    }

    fn bulk(
        &mut self,
        operation: BulkMutation,
        index: usize,
        group: &Group<'d>,
    ) -> Result<MutationAction, Failure> {
        let collection = self.collection(index)?;
        let type_name = group[0].definition.ty.inner_named_type().clone();
        let selection = self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => BulkSource::TypeName(json_string(&type_name)),
                "count" => BulkSource::Count,
                "ids" => BulkSource::Ids,
                _ => return Err(unbound(name)),
            })
        })?;
        Ok(MutationAction::Bulk {
            operation,
            collection,
            selection,
        })
    }

    fn connection(
        &mut self,
        schema: &CollectionSchema,
        sets: &[&'d SelectionSet],
    ) -> Result<ConnectionSelection, Failure> {
        let mut mask = FieldMask::none();
        let mut counts_total = false;
        let mut reads_rows = false;
        let names = &schema.names;
        let items = self.select(&names.connection, sets, |compiler, name, group| {
            reads_rows |= matches!(name, "nodes" | "edges" | "pageInfo");
            Ok(match name {
                "__typename" => ConnectionSource::TypeName(json_string(&names.connection)),
                "nodes" => {
                    let selection = compiler.document(schema, &subsets(group))?;
                    mask.merge(&selection.mask);
                    ConnectionSource::Nodes(selection)
                }
                "edges" => ConnectionSource::Edges(compiler.edges(schema, group, &mut mask)?),
                "pageInfo" => ConnectionSource::PageInfo(compiler.page_info(group)?),
                "totalCount" => {
                    counts_total = true;
                    ConnectionSource::TotalCount
                }
                _ => return Err(unbound(name)),
            })
        })?;
        Ok(ConnectionSelection {
            items,
            mask,
            counts_total,
            reads_rows,
        })
    }

    fn edges(
        &mut self,
        schema: &CollectionSchema,
        group: &Group<'d>,
        mask: &mut FieldMask,
    ) -> Result<Vec<Selected<EdgeSource>>, Failure> {
        let type_name = &schema.names.edge;
        self.select(type_name, &subsets(group), |compiler, name, group| {
            Ok(match name {
                "__typename" => EdgeSource::TypeName(json_string(type_name)),
                "cursor" => EdgeSource::Cursor,
                "node" => {
                    let selection = compiler.document(schema, &subsets(group))?;
                    mask.merge(&selection.mask);
                    EdgeSource::Node(selection)
                }
                _ => return Err(unbound(name)),
            })
        })
    }

    fn page_info(&mut self, group: &Group<'d>) -> Result<Vec<Selected<PageInfoSource>>, Failure> {
        let type_name = group[0].definition.ty.inner_named_type().clone();
        self.select(&type_name, &subsets(group), |_, name, _| {
            Ok(match name {
                "__typename" => PageInfoSource::TypeName(json_string(&type_name)),
                "hasNextPage" => PageInfoSource::HasNextPage,
                "hasPreviousPage" => PageInfoSource::HasPreviousPage,
                "startCursor" => PageInfoSource::StartCursor,
                "endCursor" => PageInfoSource::EndCursor,
                _ => return Err(unbound(name)),
            })
        })
    }

    fn document(
        &mut self,
        schema: &CollectionSchema,
        sets: &[&'d SelectionSet],
    ) -> Result<DocumentSelection, Failure> {
        let mut mask = FieldMask::none();
        let type_name = &schema.names.type_name;
        let outer = std::mem::take(&mut self.named);
        let items = self.select(type_name, sets, |compiler, name, group| {
            if name == "__typename" {
                return Ok(DocumentSource::TypeName(json_string(type_name)));
            }
            let ids = compiler.schema.api.ids();
            let Some(field) = schema.output_field(name, ids) else {
                return Ok(match compiler.related(type_name, name, group, &mut mask)? {
                    Related::Named(named) => DocumentSource::Named(named),
                    Related::Back(back) => DocumentSource::Back(back),
                });
            };
            match field {
                OutputField::System(field) => {
                    add_to_mask(&mut mask, field);
                    Ok(DocumentSource::System(field))
                }
                OutputField::History => {
                    mask = FieldMask::all();
                    compiler.history(schema, group).map(DocumentSource::History)
                }
                OutputField::Member(field) => {
                    // The whole field, also where only parts of an object are selected: whether the object is there
                    // shows as well.
                    mask.add(FieldRef::Path(FieldPath::top(&field.json_name)));
                    Ok(DocumentSource::Stored(compiler.stored(field, group)?))
                }
            }
        });
        let named = std::mem::replace(&mut self.named, outer);
        let items = items?;
        let backs = items.iter().filter_map(|item| match &item.source {
            DocumentSource::Back(back) => Some(Arc::clone(back)),
            _ => None,
        });
        Ok(DocumentSelection {
            mask,
            named,
            backs: backs.collect(),
            items,
        })
    }

    fn stored(&mut self, field: &SchemaField, group: &Group<'d>) -> Result<StoredField, Failure> {
        let slot = self.slots;
        self.slots += 1;
        let ty = self.output(&field.ty, &group[0].definition.ty, &subsets(group))?;
        let key = group[0].response_key();
        Ok(StoredField::new(
            FieldName::new(&field.json_name),
            key,
            slot,
            ty,
        ))
    }

    fn output(
        &mut self,
        ty: &FieldType,
        declared: &Type,
        sets: &[&'d SelectionSet],
    ) -> Result<OutputType, Failure> {
        Ok(match ty {
            FieldType::Boolean => OutputType::Boolean,
            FieldType::Int => OutputType::Int,
            FieldType::BigInt => OutputType::BigInt,
            FieldType::Float => OutputType::Float,
            FieldType::String | FieldType::Id | FieldType::Duration | FieldType::Bytes => {
                OutputType::String
            }
            FieldType::DateTime => OutputType::DateTime,
            FieldType::Date => OutputType::Date,
            FieldType::Json => OutputType::Json,
            FieldType::List(item, _) => OutputType::List {
                is_item_non_null: declared.item_type().is_non_null(),
                item: Box::new(self.output(item, declared.item_type(), sets)?),
            },
            FieldType::Object(object) => OutputType::Object(self.object(object, sets)?),
            FieldType::Map { entry } => {
                OutputType::Map(self.entry(entry, declared.item_type(), sets)?)
            }
        })
    }

    fn object(
        &mut self,
        object: &ObjectType,
        sets: &[&'d SelectionSet],
    ) -> Result<Vec<Selected<ObjectSource>>, Failure> {
        self.select(&object.name, sets, |compiler, name, group| {
            if name == "__typename" {
                return Ok(ObjectSource::TypeName(json_string(&object.name)));
            }
            let Some(field) = object.field(name) else {
                // The whole field around is looked at anyway.
                let mut mask = FieldMask::none();
                return match compiler.related(&object.name, name, group, &mut mask)? {
                    Related::Named(named) => Ok(ObjectSource::Named(named)),
                    Related::Back(_) => Err(unbound(name)),
                };
            };
            compiler.stored(field, group).map(ObjectSource::Stored)
        })
    }

    fn entry(
        &mut self,
        entry: &MapType,
        declared: &Type,
        sets: &[&'d SelectionSet],
    ) -> Result<Vec<Selected<EntrySource>>, Failure> {
        debug_assert_eq!(declared.inner_named_type(), entry.entry_name.as_str());
        self.select(&entry.entry_name, sets, |compiler, name, group| {
            Ok(match name {
                "__typename" => EntrySource::TypeName(json_string(&entry.entry_name)),
                "key" => EntrySource::Key,
                "value" => {
                    let declared = &group[0].definition.ty;
                    EntrySource::Value(compiler.output(&entry.value, declared, &subsets(group))?)
                }
                _ => return Err(unbound(name)),
            })
        })
    }
}
