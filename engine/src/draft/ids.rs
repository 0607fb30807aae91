//! The ids of new documents.

use thalweg_model::{Document, DocumentId};

use super::Draft;
use crate::error::IntentError;
use crate::made_id::made_id;

impl Draft<'_> {
    pub(super) fn choose_id(
        &mut self,
        id: Option<DocumentId>,
        document: &Document,
    ) -> Result<DocumentId, IntentError> {
        if let Some(id) = id {
            return Ok(id);
        }
        match document.root().get("id").and_then(DocumentId::from_value) {
            Some(own) => own.map_err(|error| IntentError::Id {
                reason: error.to_string(),
            }),
            None => Ok(self.make_id()),
        }
    }

    /// An id of the commit's timestamp, so ids ascend in commit order, and no two are the same since no two commits are
    /// of one time.
    pub(super) fn make_id(&mut self) -> DocumentId {
        let id = made_id(self.ts, self.ids_made, self.seed);
        self.ids_made += 1;
        id
    }
}
