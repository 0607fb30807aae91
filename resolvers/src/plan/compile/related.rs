//! The selection on related documents.

use std::sync::Arc;

use thalweg_engine::{FieldMask, FieldRef};
use thalweg_model::{ErrorCode, FieldName, FieldPath};
use thalweg_schema_infer::{FieldType, Link, ObjectType, RelationKey, Way};

use super::super::related::{BackSelection, IdKind, InnerField, NamedSelection};
use super::{Compiler, Group, History, subsets, unbound};
use crate::document::locate;
use crate::failure::{Failure, GraphqlError};

/// A relation as it is selected.
pub(super) enum Related {
    Named(Arc<NamedSelection>),
    Back(Arc<BackSelection>),
}

impl<'d> Compiler<'d> {
    /// The relation that a field of a type is, and what of the document around it is looked at.
    pub(super) fn related(
        &mut self,
        type_name: &str,
        field: &str,
        group: &Group<'d>,
        mask: &mut FieldMask,
    ) -> Result<Related, Failure> {
        let schema = self.schema;
        let link = schema.api.link(type_name, field);
        let link = link.ok_or_else(|| unbound(field))?;
        if self.history == History::Inside {
            let message = "a revision's document leads to no others: they may have been others then; use `at` on a root field";
            let location = locate(group[0].location(), &self.collector.document.sources);
            let error = GraphqlError::new(ErrorCode::BadRequest, message);
            return Err(error.at(location).into());
        }
        match link.way {
            Way::One | Way::Many => {
                mask.add(FieldRef::Path(link.relation.field.clone()));
                self.named(link, group).map(Related::Named)
            }
            Way::Back => {
                if let RelationKey::Field(path) = &link.relation.key {
                    mask.add(FieldRef::Path(path.clone()));
                }
                self.back(link, group).map(Related::Back)
            }
        }
    }

    fn named(&mut self, link: &Link, group: &Group<'d>) -> Result<Arc<NamedSelection>, Failure> {
        let target = self.collection(link.target)?;
        let relation = &link.relation;
        let selection = self.document(&target.schema, &subsets(group))?;
        let mut mask = selection.mask.clone();
        if let RelationKey::Field(path) = &relation.key {
            mask.add(FieldRef::Path(path.clone()));
        }
        let (slot, store) = (self.slots, self.stores);
        self.slots += 1;
        self.stores += 1;
        let named = Arc::new(NamedSelection {
            store,
            path: relation.field.clone(),
            name: FieldName::new(last_name(&relation.field)),
            slot,
            is_list: relation.is_list,
            key: relation.key.clone(),
            target: target.id,
            selection,
            mask,
        });
        self.named.push(Arc::clone(&named));
        Ok(named)
    }

    fn back(&mut self, link: &Link, group: &Group<'d>) -> Result<Arc<BackSelection>, Failure> {
        let source = self.collection(link.source)?;
        let relation = &link.relation;
        let selection = Arc::new(self.connection(&source.schema, &subsets(group))?);
        let (inner, store) = (self.inner.len(), self.stores);
        self.stores += 1;
        let id = source.id;
        let ids = id_kind(&source.schema.object, &relation.field);
        let kind = InnerField::Back {
            collection: Box::new(source),
            selection: Arc::clone(&selection),
        };
        self.inner.push((group[0].clone(), kind));
        self.backs = true;
        Ok(Arc::new(BackSelection {
            store,
            inner,
            source: id,
            field: FieldRef::Path(relation.field.clone()),
            is_list: relation.is_list,
            key: relation.key.clone(),
            ids,
            selection,
        }))
    }
}

/// What a stored field holds ids as.
fn id_kind(object: &ObjectType, path: &FieldPath) -> IdKind {
    let mut ty = None;
    let mut around = Some(object);
    for name in path.segments() {
        let fields = around.map(|object| object.fields.iter());
        let field = fields.and_then(|mut fields| fields.find(|field| field.json_name == *name));
        ty = field.map(|field| &field.ty);
        around = match ty {
            Some(FieldType::Object(inner)) => Some(inner),
            _ => None,
        };
    }
    if let Some(FieldType::List(item, _)) = ty {
        ty = Some(item);
    }
    match ty {
        Some(FieldType::String) => IdKind::Texts,
        Some(FieldType::Int | FieldType::BigInt) => IdKind::Integers,
        _ => IdKind::Either,
    }
}

fn last_name(path: &FieldPath) -> &str {
    path.segments().last().map_or("", |name| name)
}
