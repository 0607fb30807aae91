//! A document as the engine stores it: its system fields before its stored form.
//!
//! Layout: `1 · flags · id length · id · commit_ts · created_at · version · [deleted_at] · [expires_at] · [purge_at] ·
//! [on_expire] · [cause] · [author length · author] · stored document`, integers big-endian. The flags say which of the
//! parts in brackets are there. The id is repeated from the key so that a record means the same wherever it lies.

use std::borrow::Cow;
use std::sync::Arc;

use thalweg_model::{CommitTs, Document, DocumentId, ValueRef};

use crate::chunk;
use crate::error::EngineError;
use crate::settings::OnExpire;

const DELETED: u8 = 1;
const EXPIRES: u8 = 2;
const PURGES: u8 = 4;
const ON_EXPIRE: u8 = 8;
const CAUSE: u8 = 16;
const AUTHOR: u8 = 32;
/// Those whose part is a time.
const TIMES: u8 = DELETED | EXPIRES | PURGES;
const ALL_FLAGS: u8 = TIMES | ON_EXPIRE | CAUSE | AUTHOR;
/// `1 · flags · id length`
const HEAD_BYTES: usize = 3;
/// `commit_ts · created_at · version`
const TIMES_BYTES: usize = 24;

/// One image of a document. `'s` is the snapshot that it was read from; an owned one is `Record<'static>`.
#[derive(Clone)]
pub struct Record<'s> {
    bytes: Cow<'s, [u8]>,
}

/// The system fields of an image, as values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemFields {
    pub(crate) id: DocumentId,
    pub(crate) commit_ts: CommitTs,
    /// Microseconds since the Unix epoch.
    pub(crate) created_at: u64,
    pub(crate) version: u64,
    /// Microseconds since the Unix epoch.
    pub(crate) deleted_at: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) expires_at: Option<u64>,
    /// Microseconds since the Unix epoch.
    pub(crate) purge_at: Option<u64>,
    pub(crate) on_expire: Option<OnExpire>,
    /// Where the other fields do not tell what kind of write it was.
    pub(crate) cause: Option<Cause>,
    /// At most 255 bytes.
    pub(crate) author: Option<Arc<str>>,
}

/// What kind of write made an image, where its other fields do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    Restored = 1,
    Expired = 2,
}

impl Cause {
    fn decode(byte: u8) -> Option<Cause> {
        match byte {
            1 => Some(Cause::Restored),
            2 => Some(Cause::Expired),
            _ => None,
        }
    }
}

/// What kind of write made a revision of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionKind {
    /// The document came to be, or came to be anew where one was softly deleted.
    Created,
    /// It was changed.
    Updated,
    /// It was softly deleted.
    Deleted,
    /// A deletion was taken back, or an earlier revision was written again.
    Restored,
    /// It was softly deleted because its time had come.
    Expired,
}

fn decode_on_expire(byte: u8) -> Option<OnExpire> {
    match byte {
        0 => Some(OnExpire::Soft),
        1 => Some(OnExpire::Permanent),
        _ => None,
    }
}

impl SystemFields {
    fn flags(&self) -> u8 {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        flag(self.deleted_at.is_some(), DELETED)
            | flag(self.expires_at.is_some(), EXPIRES)
            | flag(self.purge_at.is_some(), PURGES)
            | flag(self.on_expire.is_some(), ON_EXPIRE)
            | flag(self.cause.is_some(), CAUSE)
            | flag(self.author.is_some(), AUTHOR)
    }
}

impl Record<'static> {
    pub(crate) fn new(fields: &SystemFields, document: &Document) -> Self {
        let id = fields.id.as_str().as_bytes();
        let stored = document.as_stored();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + id.len() + TIMES_BYTES + 8 + stored.len());
        bytes.push(chunk::WHOLE);
        bytes.push(fields.flags());
        bytes.push(u8::try_from(id.len()).expect("an id has at most 128 bytes"));
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&fields.commit_ts.as_micros().to_be_bytes());
        bytes.extend_from_slice(&fields.created_at.to_be_bytes());
        bytes.extend_from_slice(&fields.version.to_be_bytes());
        for time in [fields.deleted_at, fields.expires_at, fields.purge_at] {
            bytes.extend(time.map(u64::to_be_bytes).into_iter().flatten());
        }
        bytes.extend(
            fields
                .on_expire
                .map(|it| u8::from(it == OnExpire::Permanent)),
        );
        bytes.extend(fields.cause.map(|cause| cause as u8));
        if let Some(author) = &fields.author {
            bytes.push(u8::try_from(author.len()).expect("an author has at most 255 bytes"));
            bytes.extend_from_slice(author.as_bytes());
        }
        bytes.extend_from_slice(stored);
        Record {
            bytes: Cow::Owned(bytes),
        }
    }
}

impl<'s> Record<'s> {
    /// Takes whole stored bytes (see [`chunk::resolve`]) after checking that every accessor will find its part.
    pub(crate) fn from_stored(bytes: Cow<'s, [u8]>) -> Result<Self, EngineError> {
        let record = Record { bytes };
        // Every document of a scan comes through here, so the error is made only where there is one.
        if record.is_sound() {
            Ok(record)
        } else {
            Err(EngineError::Corrupt { what: "document" })
        }
    }

    fn is_sound(&self) -> bool {
        let id = self.bytes.get(HEAD_BYTES..self.times_at());
        let is_text = |id: &[u8]| id.is_ascii() || std::str::from_utf8(id).is_ok();
        id.is_some_and(is_text)
            && (self.flags() == 0 || self.check_options().is_some())
            && self
                .bytes
                .get(self.document_at()..)
                .is_some_and(|stored| ValueRef::from_stored(stored).is_ok())
    }

    pub(crate) fn stored(&self) -> &[u8] {
        &self.bytes
    }

    fn times_at(&self) -> usize {
        HEAD_BYTES + usize::from(self.bytes.get(2).copied().unwrap_or(0))
    }

    fn flags(&self) -> u8 {
        self.bytes.get(1).copied().unwrap_or(0)
    }

    /// Where the part of a flag begins, if it is there.
    fn part_at(&self, flag: u8) -> Option<usize> {
        (self.flags() & flag != 0).then(|| {
            let before = self.flags() & (flag - 1);
            let times = (before & TIMES).count_ones() as usize;
            let bytes = (before & (ON_EXPIRE | CAUSE)).count_ones() as usize;
            self.times_at() + TIMES_BYTES + 8 * times + bytes
        })
    }

    fn document_at(&self) -> usize {
        let flags = self.flags();
        let options_at = self.times_at() + TIMES_BYTES;
        if flags == 0 {
            return options_at;
        }
        if let Some(author) = self.part_at(AUTHOR) {
            return author + 1 + usize::from(self.bytes.get(author).copied().unwrap_or(0));
        }
        let times = (flags & TIMES).count_ones() as usize;
        let bytes = (flags & (ON_EXPIRE | CAUSE)).count_ones() as usize;
        options_at + 8 * times + bytes
    }

    /// Checks the optional parts, which must lie before the document.
    fn check_options(&self) -> Option<()> {
        if self.flags() & !ALL_FLAGS != 0 {
            return None;
        }
        self.bytes.get(..self.document_at())?;
        if let Some(at) = self.part_at(ON_EXPIRE) {
            decode_on_expire(self.bytes[at])?;
        }
        if let Some(at) = self.part_at(CAUSE) {
            Cause::decode(self.bytes[at])?;
        }
        if let Some(at) = self.part_at(AUTHOR) {
            std::str::from_utf8(&self.bytes[at + 1..self.document_at()]).ok()?;
        }
        Some(())
    }

    fn integer(&self, at: usize) -> u64 {
        let bytes = self.bytes[at..at + 8].try_into();
        u64::from_be_bytes(bytes.expect("from_stored checked the length"))
    }

    /// The document's id, unique in its collection.
    pub fn id(&self) -> &str {
        let id = &self.bytes[HEAD_BYTES..self.times_at()];
        std::str::from_utf8(id).expect("from_stored checked the encoding")
    }

    /// The document itself; its root is an object.
    pub fn document(&self) -> ValueRef<'_> {
        ValueRef::from_stored(&self.bytes[self.document_at()..])
            .expect("from_stored checked the document")
    }

    /// How many commits wrote this document; 1 when it was created.
    pub fn version(&self) -> u64 {
        self.integer(self.times_at() + 16)
    }

    /// The commit that wrote this image.
    pub fn commit_ts(&self) -> CommitTs {
        CommitTs::from_micros(self.integer(self.times_at()))
    }

    /// When the document was created, in microseconds since the Unix epoch.
    pub fn created_at(&self) -> u64 {
        self.integer(self.times_at() + 8)
    }

    /// When this image was written, in microseconds since the Unix epoch.
    pub fn updated_at(&self) -> u64 {
        self.commit_ts().as_micros()
    }

    /// When the document was softly deleted, in microseconds since the Unix epoch.
    pub fn deleted_at(&self) -> Option<u64> {
        self.part_at(DELETED).map(|at| self.integer(at))
    }

    /// Whether the document is softly deleted.
    pub fn is_deleted(&self) -> bool {
        self.flags() & DELETED != 0
    }

    /// When the document itself says that it expires, in microseconds since the Unix epoch. For what its collection
    /// says too see [`Settings::expires_at`](crate::Settings::expires_at).
    pub fn expires_at(&self) -> Option<u64> {
        self.part_at(EXPIRES).map(|at| self.integer(at))
    }

    /// What the document itself says becomes of it when it expires.
    pub fn on_expire(&self) -> Option<OnExpire> {
        decode_on_expire(self.bytes[self.part_at(ON_EXPIRE)?])
    }

    /// When its soft deletion said that it is deleted for good, in microseconds since the Unix epoch. For what its
    /// collection says too see [`Settings::purges_at`](crate::Settings::purges_at).
    pub fn purge_at(&self) -> Option<u64> {
        self.part_at(PURGES).map(|at| self.integer(at))
    }

    /// Who wrote this image, where that is known.
    pub fn author(&self) -> Option<&str> {
        let at = self.part_at(AUTHOR)?;
        let author = std::str::from_utf8(&self.bytes[at + 1..self.document_at()]);
        Some(author.expect("from_stored checked the encoding"))
    }

    /// What kind of write made this image.
    pub fn revision_kind(&self) -> RevisionKind {
        match self.cause() {
            Some(Cause::Expired) => RevisionKind::Expired,
            Some(Cause::Restored) => RevisionKind::Restored,
            None if self.is_deleted() => RevisionKind::Deleted,
            None if self.created_at() == self.updated_at() => RevisionKind::Created,
            None => RevisionKind::Updated,
        }
    }

    fn cause(&self) -> Option<Cause> {
        Cause::decode(self.bytes[self.part_at(CAUSE)?])
    }

    /// The same image, borrowed.
    pub(crate) fn borrowed(&self) -> Record<'_> {
        Record {
            bytes: Cow::Borrowed(&self.bytes),
        }
    }

    /// Copies the image out of its snapshot.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            bytes: Cow::Owned(self.bytes.into_owned()),
        }
    }

    pub(crate) fn system_fields(&self) -> Result<SystemFields, EngineError> {
        Ok(SystemFields {
            id: DocumentId::new(self.id()).map_err(|_| EngineError::Corrupt { what: "id" })?,
            commit_ts: self.commit_ts(),
            created_at: self.created_at(),
            version: self.version(),
            deleted_at: self.deleted_at(),
            expires_at: self.expires_at(),
            purge_at: self.purge_at(),
            on_expire: self.on_expire(),
            cause: self.cause(),
            author: self.author().map(Arc::from),
        })
    }

    pub(crate) fn to_document(&self) -> Result<Document, EngineError> {
        Document::from_value(self.document().to_value())
            .map_err(|_| EngineError::Corrupt { what: "document" })
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id())
            .field("commit_ts", &self.commit_ts())
            .field("version", &self.version())
            .field("deleted_at", &self.deleted_at())
            .field("expires_at", &self.expires_at())
            .field("kind", &self.revision_kind())
            .field("document", &String::from_utf8_lossy(self.document().json()))
            .finish()
    }
}

#[cfg(test)]
mod tests;
