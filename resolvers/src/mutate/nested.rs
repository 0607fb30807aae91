//! Documents that are written with others at the other end of their relations, all in the mutation's transaction.
//!
//! What a document names is there before it: new documents that it is to name are created first, so that its own field can hold
//! what they are named by, and then those that are to name it. Whether a document that is to be connected is there is read, so
//! the transaction runs again if that changes before it commits.

use thalweg_engine::{
    CollectionRef, ExpiryChange, FieldMask, FieldRef, Intent, Record, TransactionError, integer_of,
};
use thalweg_model::{
    CollectionId, Document, DocumentId, ErrorCode, FieldPath, Patch, PatchOperation, Value,
    ValueRef,
};
use thalweg_schema_infer::{RelationKey, Way};

use super::transaction::{Writer, create};
use crate::nested::{End, Related};
use crate::new_document::NewDocument;

/// A document that others are to name.
struct Named {
    collection: CollectionId,
    id: DocumentId,
}

impl Writer<'_, '_> {
    /// Creates a document and what is nested in it. Returns the number of its own step.
    pub(super) fn create_nested(
        &mut self,
        collection: CollectionId,
        new: &NewDocument,
    ) -> Result<usize, TransactionError> {
        if new.related.is_empty() {
            self.write(create(collection, new))?;
            return Ok(self.steps - 1);
        }
        let operations = self.name_others(&new.related)?;
        let document = self.with(&new.document, operations)?;
        let own = document.root().get("id").and_then(DocumentId::from_value);
        let id = match (&new.id, own) {
            (Some(id), _) => id.clone(),
            (None, Some(Ok(id))) => id,
            (None, _) => self.transaction.make_id(),
        };
        self.write(Intent::Create {
            collection: CollectionRef::Id(collection),
            id: Some(id.clone()),
            document,
            expiry: new.expiry,
        })?;
        let step = self.steps - 1;
        self.be_named(&new.related, &Named { collection, id })?;
        Ok(step)
    }

    /// Writes a document that may be there, and what is nested in the change of it. `intent` makes the write of the
    /// operations that set its own fields. Where the document must be there and is not, nothing nested is written.
    pub(super) fn change_nested(
        &mut self,
        collection: CollectionId,
        id: &DocumentId,
        related: &[Related],
        must_be_there: bool,
        intent: impl FnOnce(&mut Self, Vec<PatchOperation>) -> Result<Intent, TransactionError>,
    ) -> Result<usize, TransactionError> {
        let is_there = related.is_empty() || !must_be_there || self.is_there(collection, id)?;
        let operations = match is_there {
            true => self.name_others(related)?,
            false => Vec::new(),
        };
        let intent = intent(self, operations)?;
        self.write(intent)?;
        let step = self.steps - 1;
        if is_there {
            let id = id.clone();
            self.be_named(related, &Named { collection, id })?;
        }
        Ok(step)
    }

    /// A document with its own fields set.
    pub(super) fn with(
        &self,
        document: &Document,
        operations: Vec<PatchOperation>,
    ) -> Result<Document, TransactionError> {
        if operations.is_empty() {
            return Ok(document.clone());
        }
        let patched = thalweg_model::apply(document, &Patch { operations });
        patched.map_err(|error| self.refuse(ErrorCode::BadRequest, error.to_string()))
    }

    /// Makes sure that the documents are there that a document is to name, and sets its fields to what they are named by.
    pub(super) fn name_others(
        &mut self,
        related: &[Related],
    ) -> Result<Vec<PatchOperation>, TransactionError> {
        let mut operations = Vec::new();
        for related in related.iter().filter(|related| related.way != Way::Back) {
            let mut names = Vec::with_capacity(related.ends.len());
            for end in &related.ends {
                let named = match end {
                    End::Connect(id) => {
                        self.expect_there(related, id)?;
                        Named {
                            collection: related.other,
                            id: id.clone(),
                        }
                    }
                    End::Create(new) => self.create_end(related, new)?,
                };
                names.push(self.name_of(related, &named)?);
            }
            let path = related.field.clone();
            operations.push(match (related.way, names.pop()) {
                (Way::One, None) => PatchOperation::Remove { path },
                (Way::One, Some(value)) => PatchOperation::Set { path, value },
                (_, last) => {
                    names.extend(last);
                    PatchOperation::Set {
                        path,
                        value: list_of(&names),
                    }
                }
            });
        }
        Ok(operations)
    }

    /// Creates a document at the other end.
    fn create_end(
        &mut self,
        related: &Related,
        new: &NewDocument,
    ) -> Result<Named, TransactionError> {
        let own = new
            .document
            .root()
            .get("id")
            .and_then(DocumentId::from_value);
        let id = match (&new.id, own) {
            (Some(id), _) => id.clone(),
            (None, Some(Ok(id))) => id,
            (None, _) => self.transaction.make_id(),
        };
        let new = NewDocument {
            id: Some(id.clone()),
            ..new.clone()
        };
        self.create_nested(related.other, &new)?;
        Ok(Named {
            collection: related.other,
            id,
        })
    }

    /// Makes documents name the one that is written.
    fn be_named(&mut self, related: &[Related], named: &Named) -> Result<(), TransactionError> {
        for related in related.iter().filter(|related| related.way == Way::Back) {
            if related.ends.is_empty() {
                continue;
            }
            let name = self.name_of(related, named)?;
            for end in &related.ends {
                match end {
                    End::Create(new) => {
                        let value = match related.is_list {
                            true => list_of(std::slice::from_ref(&name)),
                            false => name.clone(),
                        };
                        let set = PatchOperation::Set {
                            path: related.field.clone(),
                            value,
                        };
                        let new = NewDocument {
                            document: self.with(&new.document, vec![set])?,
                            ..(**new).clone()
                        };
                        self.create_nested(related.other, &new)?;
                    }
                    End::Connect(id) => {
                        self.expect_there(related, id)?;
                        let path = related.field.clone();
                        let operation = match related.is_list {
                            true => PatchOperation::AddToSet {
                                path,
                                values: vec![name.clone()],
                            },
                            false => PatchOperation::Set {
                                path,
                                value: name.clone(),
                            },
                        };
                        self.write(Intent::Patch {
                            collection: related.other,
                            id: id.clone(),
                            patch: Patch {
                                operations: vec![operation],
                            },
                            if_version: None,
                            otherwise: None,
                            expiry: ExpiryChange::KEEP,
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// By what a document is named.
    fn name_of(&mut self, related: &Related, named: &Named) -> Result<Value, TransactionError> {
        let RelationKey::Field(path) = &related.key else {
            let text = named.id.as_str();
            let number = integer_of(text).filter(|_| related.has_numbers);
            return Ok(number.unwrap_or_else(|| Value::string(text)));
        };
        let found = self.look(named, path)?;
        let value = found.as_ref().and_then(|record| record.document().at(path));
        let value = value
            .filter(|value| !value.is_null())
            .map(ValueRef::to_value);
        value.ok_or_else(|| {
            self.refuse(
                ErrorCode::BadRequest,
                format!(
                    "{}: document {:?} has no {path}, by which it would be named; give it one",
                    related.path,
                    named.id.as_str()
                ),
            )
        })
    }

    fn look(
        &mut self,
        named: &Named,
        path: &FieldPath,
    ) -> Result<Option<Record<'_>>, TransactionError> {
        let mut mask = FieldMask::none();
        mask.add(FieldRef::Path(path.clone()));
        self.transaction.get(named.collection, &named.id, mask)
    }

    fn is_there(
        &mut self,
        collection: CollectionId,
        id: &DocumentId,
    ) -> Result<bool, TransactionError> {
        let found = self.transaction.get(collection, id, FieldMask::none())?;
        Ok(found.is_some_and(|record| !record.is_deleted()))
    }

    fn expect_there(&mut self, related: &Related, id: &DocumentId) -> Result<(), TransactionError> {
        if self.is_there(related.other, id)? {
            return Ok(());
        }
        let message = format!(
            "{}: there is no document {:?} in {:?} to connect; create it, or name another",
            related.path,
            id.as_str(),
            &*related.other_name
        );
        Err(self.refuse(ErrorCode::NotFound, message))
    }

    pub(super) fn refuse(&self, code: ErrorCode, message: String) -> TransactionError {
        TransactionError::Refused {
            code,
            message,
            part: self.steps,
        }
    }
}

fn list_of(values: &[Value]) -> Value {
    let mut json = vec![b'['];
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        json.extend_from_slice(value.json());
    }
    json.push(b']');
    Value::parse(&json).expect("a list of JSON values is one")
}
