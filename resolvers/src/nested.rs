//! Relations in inputs and patches: `{connect, create}` beside the stored fields.
//!
//! What is read here is done in the mutation's transaction (`mutate/nested.rs`), where ids are made and where it shows
//! whether the documents are there that are to be connected.

use std::sync::Arc;

use thalweg_model::{CollectionId, DocumentId, FieldPath, PatchOperation, Value};
use thalweg_schema_infer::{
    ApiCollection, ApiSchema, FieldType, InputKey, Link, ObjectType, RelationKey, Way,
};

use crate::failure::Refusal;
use crate::input::{Fields, Input};
use crate::new_document::{self, NewDocument, document_id};

/// What an input says of one relation.
#[derive(Debug, Clone)]
pub(crate) struct Related {
    /// Which way the relation leads from the document that is written.
    pub(crate) way: Way,
    /// The stored field that holds names: of the document that is written, or on the way back of the other ones.
    pub(crate) field: FieldPath,
    /// Whether that field holds a list.
    pub(crate) is_list: bool,
    /// By what documents are named there.
    pub(crate) key: RelationKey,
    /// Whether ids are stored there as numbers where they can be.
    pub(crate) has_numbers: bool,
    /// The collection of the documents at the other end.
    pub(crate) other: CollectionId,
    /// Its name.
    pub(crate) other_name: Arc<str>,
    /// The documents at the other end, in order.
    pub(crate) ends: Vec<End>,
    /// Where it stands in the arguments.
    pub(crate) path: Box<str>,
}

/// A document at the other end of a relation.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// One that is there.
    Connect(DocumentId),
    /// A new one.
    Create(Box<NewDocument>),
}

/// Whether new documents may be made at the other end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Everything,
    /// Only connecting what the written document itself names: of many documents at once.
    Naming,
}

/// Reads inputs with the relations in them.
#[derive(Clone, Copy)]
pub(crate) struct Nesting<'a> {
    pub(crate) api: &'a ApiSchema,
    /// How deep documents may be nested in each other.
    pub(crate) depth_max: usize,
}

impl Nesting<'_> {
    /// Reads a collection's input object, the new documents in it included; `id` is the document's id as it is given beside it and
    /// `path` where it stands in the arguments.
    pub(crate) fn document(
        &self,
        collection: &ApiCollection,
        input: &Fields,
        id: Option<&Input>,
        path: &str,
        depth: usize,
    ) -> Result<NewDocument, Refusal> {
        let mut new = new_document::from_input(&collection.schema, self.api.ids(), input, id)?;
        new.related = self.related(collection, input, path, Offer::Everything, depth)?;
        for related in &new.related {
            if related.way != Way::Back && new.document.root().at(&related.field).is_some() {
                return Err(both(&related.path, &related.field));
            }
        }
        Ok(new)
    }

    /// Reads what an input or a patch says of relations.
    pub(crate) fn related(
        &self,
        collection: &ApiCollection,
        input: &Fields,
        path: &str,
        offer: Offer,
        depth: usize,
    ) -> Result<Vec<Related>, Refusal> {
        let schema = &collection.schema;
        let mut all: Vec<Related> = Vec::new();
        for (name, value) in input.iter() {
            let inner = match schema.input_key(name, self.api.ids()) {
                Some(InputKey::Member(field)) => Some(&field.ty),
                Some(_) => continue,
                None => None,
            };
            let place = (&*schema.names.type_name, name.as_str(), inner);
            self.member(place, value, path, offer, depth, &mut all)?;
        }
        Ok(all)
    }

    /// Reads what a member of an input object says: a relation, or an object that may have some. The place is the type around it,
    /// its name there, and the type of the stored field that it is, if it is one.
    fn member(
        &self,
        (around, name, stored): (&str, &str, Option<&FieldType>),
        value: &Input,
        path: &str,
        offer: Offer,
        depth: usize,
        all: &mut Vec<Related>,
    ) -> Result<(), Refusal> {
        match (stored, value) {
            (Some(FieldType::Object(object)), Input::Object(fields)) => {
                let path = format!("{path}.{name}");
                for (name, value) in fields.iter() {
                    let stored = object.field(name).map(|field| &field.ty);
                    let place = (&*object.name, name.as_str(), stored);
                    self.member(place, value, &path, offer, depth, all)?;
                }
                return Ok(());
            }
            (Some(_), _) => return Ok(()),
            (None, _) => {}
        }
        let Some(link) = self.api.link(around, name) else {
            return Ok(());
        };
        let path = format!("{path}.{name}");
        if depth == self.depth_max {
            let depth_max = self.depth_max;
            return Err(Refusal::new(
                thalweg_model::ErrorCode::LimitExceeded,
                format!(
                    "{path}: documents are nested more than {depth_max} deep; write them in several mutations"
                ),
            ));
        }
        all.extend(self.link(link, value, &path, offer, depth)?);
        Ok(())
    }

    fn link(
        &self,
        link: &Link,
        value: &Input,
        path: &str,
        offer: Offer,
        depth: usize,
    ) -> Result<Option<Related>, Refusal> {
        let collections = self.api.collections();
        let relation = &link.relation;
        let source = &collections[link.source];
        let other = &collections[link.leads_to()];
        let stored = stored_type(&source.schema.object, &relation.field);
        let ends = match (link.way, value) {
            // Nothing to name, or nothing to do.
            (Way::One | Way::Many, Input::Null) => Vec::new(),
            (Way::Back, Input::Null) => return Ok(None),
            (Way::One, value) => vec![self.end(link, value, path, offer, depth)?],
            (Way::Many, value) => {
                let items = value.as_list().iter().enumerate();
                items
                    .map(|(index, item)| {
                        self.end(link, item, &format!("{path}[{index}]"), offer, depth)
                    })
                    .collect::<Result<_, _>>()?
            }
            (Way::Back, value) => self.back_ends(link, value, path, offer, depth)?,
        };
        Ok(Some(Related {
            way: link.way,
            field: relation.field.clone(),
            is_list: relation.is_list,
            key: relation.key.clone(),
            has_numbers: stored.is_some_and(holds_numbers),
            other: other.id,
            other_name: Arc::from(&*other.schema.names.collection),
            ends,
            path: path.into(),
        }))
    }

    /// `{connect}` or `{create}`.
    fn end(
        &self,
        link: &Link,
        value: &Input,
        path: &str,
        offer: Offer,
        depth: usize,
    ) -> Result<End, Refusal> {
        let fields = value.as_object();
        let present = |name| fields.and_then(|fields| fields.present(name));
        match (present("connect"), present("create")) {
            (Some(id), None) => {
                let id = id.as_text().unwrap_or_default();
                Ok(End::Connect(document_id(&id).map_err(|it| at(path, it))?))
            }
            (None, Some(input)) => {
                self.new_end(link, input, &format!("{path}.create"), offer, depth)
            }
            _ => Err(Refusal::bad_request(format!(
                "{path} takes either connect, the id of a document that is there, or create, a new one"
            ))),
        }
    }

    fn back_ends(
        &self,
        link: &Link,
        value: &Input,
        path: &str,
        offer: Offer,
        depth: usize,
    ) -> Result<Vec<End>, Refusal> {
        if offer == Offer::Naming {
            return Err(Refusal::bad_request(format!(
                "{path}: of many documents at once, none can be named by others; write them one by one"
            )));
        }
        let list = |name| {
            let fields = value.as_object();
            let list = fields.and_then(|fields| fields.present(name));
            list.map(Input::as_list).unwrap_or_default()
        };
        let mut ends = Vec::new();
        for (index, id) in list("connect").iter().enumerate() {
            let id = document_id(&id.as_text().unwrap_or_default());
            let id = id.map_err(|it| at(&format!("{path}.connect[{index}]"), it))?;
            ends.push(End::Connect(id));
        }
        for (index, input) in list("create").iter().enumerate() {
            let path = format!("{path}.create[{index}]");
            ends.push(self.new_end(link, input, &path, offer, depth)?);
        }
        Ok(ends)
    }

    fn new_end(
        &self,
        link: &Link,
        input: &Input,
        path: &str,
        offer: Offer,
        depth: usize,
    ) -> Result<End, Refusal> {
        if offer == Offer::Naming {
            return Err(Refusal::bad_request(format!(
                "{path}: many documents are written at once, so which of them would the new one be for? Create it by itself, and connect it"
            )));
        }
        let input = input.as_object();
        let input = input.ok_or_else(|| Refusal::bad_request(format!("{path} is not null")))?;
        let new = self
            .document(
                &self.api.collections()[link.leads_to()],
                input,
                None,
                path,
                depth + 1,
            )
            .map_err(|refusal| at(path, refusal))?;
        if link.way == Way::Back {
            let field = &link.relation.field;
            let is_named = new
                .related
                .iter()
                .any(|it| it.way != Way::Back && it.field == *field);
            if is_named || new.document.root().at(field).is_some() {
                return Err(Refusal::bad_request(format!(
                    "{path} says itself by {field} which document it belongs to, which is where it stands; leave that out"
                )));
            }
        }
        Ok(End::Create(Box::new(new)))
    }
}

/// Operations in the places of those that the transaction will add for relations, to find a path that is written twice.
pub(crate) fn placeholders(related: &[Related]) -> impl Iterator<Item = PatchOperation> {
    let own = related.iter().filter(|related| related.way != Way::Back);
    own.map(|related| PatchOperation::Set {
        path: related.field.clone(),
        value: Value::null(),
    })
}

/// The type of a stored field, perhaps inside objects.
fn stored_type<'t>(object: &'t ObjectType, path: &FieldPath) -> Option<&'t FieldType> {
    let (first, inner) = path.segments().split_first()?;
    let stored_in = |object: &'t ObjectType, name: &str| {
        let mut fields = object.fields.iter();
        let field = fields.find(|field| *field.json_name == *name)?;
        Some(&field.ty)
    };
    let mut ty = stored_in(object, first)?;
    for name in inner {
        let FieldType::Object(object) = ty else {
            return None;
        };
        ty = stored_in(object, name)?;
    }
    Some(ty)
}

fn holds_numbers(ty: &FieldType) -> bool {
    match ty {
        FieldType::List(item, _) => item.is_number(),
        ty => ty.is_number(),
    }
}

fn both(path: &str, field: &FieldPath) -> Refusal {
    Refusal::bad_request(format!(
        "{path} and the stored field {field} are one and the same; give one of them"
    ))
}

/// Says where in the arguments it is, unless that is said.
fn at(path: &str, refusal: Refusal) -> Refusal {
    if refusal.message.contains(path) {
        return refusal;
    }
    Refusal {
        message: format!("{path}: {}", refusal.message),
        ..refusal
    }
}
