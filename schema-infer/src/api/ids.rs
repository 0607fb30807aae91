//! What ids are called: a document has one of its own, unique in its collection, and a global one.

use std::borrow::Cow;

use super::bindings::SystemField;
use crate::types::CollectionSchema;

/// What the global and the own id of documents are called in an API schema.
///
/// Documents are stored alike in both: a document's own id is its `id`, whatever the schema calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdNames {
    /// `id` is the document's own, `nodeId` the global one.
    #[default]
    Local,
    /// `id` is the global one, as clients of Relay take for granted; the document's own is `rowId`.
    Relay,
}

impl IdNames {
    /// Both.
    pub const ALL: [IdNames; 2] = [IdNames::Local, IdNames::Relay];

    /// The name of the global id: the field of the interface `Node`, and the argument of `node`.
    pub const fn global(self) -> &'static str {
        match self {
            IdNames::Local => "nodeId",
            IdNames::Relay => "id",
        }
    }

    /// The name of a document's own id.
    pub const fn own(self) -> &'static str {
        match self {
            IdNames::Local => "id",
            IdNames::Relay => "rowId",
        }
    }
}

impl CollectionSchema {
    /// What the documents' own id is called in the collection's types. `rowId` has not always been reserved, and a field
    /// that was published under that name keeps it: then the id gives way.
    pub fn own_id(&self, ids: IdNames) -> Cow<'static, str> {
        let mut name = Cow::Borrowed(ids.own());
        while self.object.field(&name).is_some() {
            name.to_mut().push('_');
        }
        name
    }

    /// What a system field is called in the collection's types.
    pub(super) fn system_name(&self, field: SystemField, ids: IdNames) -> Cow<'static, str> {
        match field {
            SystemField::Id => self.own_id(ids),
            field => Cow::Borrowed(field.graphql_name(ids)),
        }
    }

    /// The system field of that name in the collection's types.
    pub(super) fn system_field(&self, name: &str, ids: IdNames) -> Option<SystemField> {
        if *name == *self.own_id(ids) {
            return Some(SystemField::Id);
        }
        SystemField::from_graphql_name(name, ids).filter(|field| *field != SystemField::Id)
    }
}
