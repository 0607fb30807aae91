//! Fields of documents as queries name them, and sets of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use thalweg_model::{FieldPath, Value, ValueRef, encode_value};

use crate::record::Record;

/// A field of a document: one of the system's, or one that is stored in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldRef {
    /// The document's id.
    Id,
    /// How many commits wrote it.
    Version,
    /// The commit that wrote it.
    CommitTs,
    /// When it was created.
    CreatedAt,
    /// When it was last written.
    UpdatedAt,
    /// When it was softly deleted.
    DeletedAt,
    /// When it says itself that it expires.
    ExpiresAt,
    /// When its deletion said that it is deleted for good.
    PurgeAt,
    /// A stored field, by its original names.
    Path(FieldPath),
}

/// The value of a field in one image.
#[derive(Clone, Copy)]
pub(crate) enum FieldValue<'a> {
    Absent,
    Text(&'a str),
    Integer(u64),
    /// Microseconds since the Unix epoch.
    Instant(u64),
    Stored(ValueRef<'a>),
}

impl FieldValue<'_> {
    /// The value as JSON; an instant as its microseconds.
    pub(crate) fn to_value(self) -> Value {
        match self {
            FieldValue::Absent => Value::null(),
            FieldValue::Text(text) => Value::string(text),
            FieldValue::Integer(integer) | FieldValue::Instant(integer) => {
                Value::int(i64::try_from(integer).unwrap_or(i64::MAX))
            }
            FieldValue::Stored(value) => value.to_value(),
        }
    }
}

/// What a predicate or an order key looks at: a document with its system fields, or an item of a list in it.
#[derive(Clone, Copy)]
pub(crate) enum Image<'a> {
    Record(&'a Record<'a>, ValueRef<'a>),
    Item(ValueRef<'a>),
}

impl<'a> Image<'a> {
    pub(crate) fn of(record: &'a Record<'a>) -> Self {
        Image::Record(record, record.document())
    }

    /// The whole value.
    pub(crate) fn root(self) -> ValueRef<'a> {
        match self {
            Image::Record(_, root) | Image::Item(root) => root,
        }
    }

    pub(crate) fn field(self, field: &FieldRef) -> FieldValue<'a> {
        let (record, root) = match self {
            Image::Record(record, root) => (Some(record), root),
            Image::Item(item) => (None, item),
        };
        if let FieldRef::Path(path) = field {
            return root.at(path).map_or(FieldValue::Absent, FieldValue::Stored);
        }
        let Some(record) = record else {
            return FieldValue::Absent;
        };
        let time = |micros: Option<u64>| micros.map_or(FieldValue::Absent, FieldValue::Instant);
        match field {
            FieldRef::Id => FieldValue::Text(record.id()),
            FieldRef::Version => FieldValue::Integer(record.version()),
            FieldRef::CommitTs => FieldValue::Integer(record.commit_ts().as_micros()),
            FieldRef::CreatedAt => FieldValue::Instant(record.created_at()),
            FieldRef::UpdatedAt => FieldValue::Instant(record.updated_at()),
            FieldRef::DeletedAt => time(record.deleted_at()),
            FieldRef::ExpiresAt => time(record.expires_at()),
            FieldRef::PurgeAt => time(record.purge_at()),
            FieldRef::Path(_) => FieldValue::Absent,
        }
    }
}

/// Appends the order-preserving key of a field's value in an image; of an absent field that of null.
pub fn write_field_key(record: &Record<'_>, field: &FieldRef, out: &mut Vec<u8>) {
    encode_value(Image::of(record).field(field).to_value().as_ref(), out);
}

/// The fields of a collection's documents that a reader looks at. A change outside of them cannot change what it
/// shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FieldMask {
    everything: bool,
    /// Shared, since the mask of a plan is part of the dependencies of each of its runs.
    fields: Arc<BTreeSet<FieldRef>>,
}

impl FieldMask {
    /// Past this many fields a mask stands for everything, which is always safe.
    const FIELDS_MAX: usize = 256;

    /// No field: only which documents there are matters.
    pub fn none() -> Self {
        FieldMask::default()
    }

    /// Every field.
    pub fn all() -> Self {
        FieldMask {
            everything: true,
            fields: Arc::default(),
        }
    }

    /// The fields; `None` for every one.
    pub fn fields(&self) -> Option<&BTreeSet<FieldRef>> {
        (!self.everything).then_some(&*self.fields)
    }

    /// Adds a field, with all that lies below it.
    pub fn add(&mut self, field: FieldRef) {
        if self.everything {
            return;
        }
        Arc::make_mut(&mut self.fields).insert(field);
        if self.fields.len() > Self::FIELDS_MAX {
            *self = FieldMask::all();
        }
    }

    /// Adds all fields of another mask.
    pub fn merge(&mut self, other: &FieldMask) {
        if other.everything {
            *self = FieldMask::all();
        }
        for field in other.fields.iter() {
            self.add(field.clone());
        }
    }

    /// Whether a reader of these fields can tell two images of one document apart.
    pub(crate) fn tells_apart(&self, old: &Record<'_>, new: &Record<'_>) -> bool {
        if self.everything {
            return old.stored() != new.stored();
        }
        let (old, new) = (Image::of(old), Image::of(new));
        self.fields
            .iter()
            .any(|field| differ(old.field(field), new.field(field)))
    }
}

fn differ(old: FieldValue<'_>, new: FieldValue<'_>) -> bool {
    match (old, new) {
        (FieldValue::Absent, FieldValue::Absent) => false,
        (FieldValue::Text(old), FieldValue::Text(new)) => old != new,
        (FieldValue::Integer(old), FieldValue::Integer(new))
        | (FieldValue::Instant(old), FieldValue::Instant(new)) => old != new,
        // As text: 1 and 1.0 are equal values, but a reader sees the difference.
        (FieldValue::Stored(old), FieldValue::Stored(new)) => old.json() != new.json(),
        _ => true,
    }
}
