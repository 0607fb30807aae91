//! Stored values as values of their types.
//!
//! In the common case the stored kind is the type's kind and bytes are copied. A value that does not fit reads as
//! null, with a located `TYPE_DRIFT` error.

use thalweg_model::{ErrorCode, Kind, ValueRef, is_date, parse_rfc3339, write_json_string};

use super::{AsStored, Nulled, Path, Renderer, SAFE_INTEGER_MAX};
use crate::failure::Location;
use crate::plan::selection::{
    EntrySource, ObjectSource, OutputType, Selected, StoredField, Target,
};

/// Digits (and a sign) that are within 32 bits whatever they are.
const INT32_BYTES_SURE: usize = 9;
/// Digits (and a sign) that are within 2^53 whatever they are.
const SAFE_INTEGER_BYTES_SURE: usize = 15;

/// Whether a stored value is written as it stands; null is, wherever it may stand.
#[inline]
fn is_copied(ty: &OutputType, value: ValueRef<'_>) -> bool {
    let json = value.json();
    // The first byte says the kind, unless integers are to be told from other numbers.
    match (ty, json.first()) {
        (OutputType::Json, _) | (OutputType::String, Some(b'"')) | (_, Some(b'n')) => true,
        (OutputType::DateTime, Some(b'"')) => is_date_time(value),
        (OutputType::Date, Some(b'"')) => is_date_text(value),
        (OutputType::Boolean, Some(b't' | b'f')) => true,
        (OutputType::Float, Some(b'-' | b'0'..=b'9')) => true,
        (OutputType::Int, Some(b'-' | b'0'..=b'9')) => value.kind() == Kind::Int && is_int32(value),
        (OutputType::BigInt, Some(b'-' | b'0'..=b'9')) => {
            json.len() <= SAFE_INTEGER_BYTES_SURE && value.kind() == Kind::Int
        }
        _ => false,
    }
}

impl Renderer<'_> {
    /// What of a stored object is written for a field, if that can be said at once.
    #[inline]
    pub(super) fn as_stored<'v>(
        &mut self,
        field: &StoredField,
        object: ValueRef<'v>,
        target: &Target,
    ) -> AsStored<'v> {
        if !field.is_as_stored {
            return AsStored::No;
        }
        let hint = &mut self.hints[field.slot];
        let Some(member) = object.member_hinted(&field.name, hint) else {
            return if target.is_non_null {
                AsStored::No
            } else {
                AsStored::Absent
            };
        };
        let value = member.value();
        let is_lacking = target.is_non_null && value.is_null();
        if !is_lacking && is_copied(&field.ty, value) {
            AsStored::Member(member)
        } else {
            AsStored::No
        }
    }

    /// The value of a field of a stored object.
    #[inline]
    pub(super) fn stored(
        &mut self,
        field: &StoredField,
        object: ValueRef<'_>,
        target: &Target,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let hint = &mut self.hints[field.slot];
        match object.get_hinted(&field.name, hint) {
            Some(value) if target.is_non_null && value.is_null() => {
                Err(self.lacks(&field.ty, target, path))
            }
            Some(value) => self.value(&field.ty, value, target.location, path),
            None if target.is_non_null => Err(self.lacks(&field.ty, target, path)),
            None => {
                self.null();
                Ok(())
            }
        }
    }

    /// A required field is absent, or null: the document is of a time before that was declared.
    #[cold]
    fn lacks(&mut self, ty: &OutputType, target: &Target, path: &Path<'_>) -> Nulled {
        self.drift(ty, Kind::Null, target.location, path)
    }

    /// A scalar whose stored kind is its type's is copied at once; the rest is not worth inlining.
    #[inline]
    pub(super) fn value(
        &mut self,
        ty: &OutputType,
        value: ValueRef<'_>,
        location: Option<Location>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        if is_copied(ty, value) {
            self.raw(value.json());
            return Ok(());
        }
        self.other_value(ty, value, location, path)
    }

    #[inline(never)]
    fn other_value(
        &mut self,
        ty: &OutputType,
        value: ValueRef<'_>,
        location: Option<Location>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        match (ty, value.kind()) {
            (OutputType::BigInt, Kind::Int) => {
                self.stored_integer(value);
                Ok(())
            }
            (
                OutputType::List {
                    item,
                    is_item_non_null,
                },
                Kind::List,
            ) => self.items(item, *is_item_non_null, value, location, path),
            (OutputType::Object(items), Kind::Object) => self.members(items, value, path),
            (OutputType::Map(items), Kind::Object) => self.entries(items, value, path),
            (_, kind) => Err(self.drift(ty, kind, location, path)),
        }
    }

    fn stored_integer(&mut self, value: ValueRef<'_>) {
        let json = value.json();
        let is_safe = json.len() <= SAFE_INTEGER_BYTES_SURE
            || value
                .as_i64()
                .is_some_and(|integer| integer.unsigned_abs() <= SAFE_INTEGER_MAX);
        if is_safe {
            self.raw(json);
        } else {
            self.out.push(b'"');
            self.raw(json);
            self.out.push(b'"');
        }
    }

    fn items(
        &mut self,
        item: &OutputType,
        is_item_non_null: bool,
        list: ValueRef<'_>,
        location: Option<Location>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.out.push(b'[');
        for (index, value) in list.items().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let start = self.out.len();
            let path = path.index(index);
            let written = if is_item_non_null && value.is_null() {
                Err(self.drift(item, Kind::Null, location, &path))
            } else {
                self.value(item, value, location, &path)
            };
            self.settle(written, start, is_item_non_null)?;
            self.check_size(&path)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn members(
        &mut self,
        items: &[Selected<ObjectSource>],
        object: ValueRef<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let as_stored = |renderer: &mut Self, source: &ObjectSource, target: &Target| match source {
            ObjectSource::Stored(field) => renderer.as_stored(field, object, target),
            _ => AsStored::No,
        };
        self.stored_object(
            items,
            path,
            as_stored,
            |renderer, source, target, path| match source {
                ObjectSource::TypeName(json) => {
                    renderer.raw(json);
                    Ok(())
                }
                ObjectSource::Stored(field) => renderer.stored(field, object, target, path),
                ObjectSource::Named(named) => renderer.named(named, object, target, path),
            },
        )
    }

    fn entries(
        &mut self,
        items: &[Selected<EntrySource>],
        map: ValueRef<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.list(map.members(), path, |renderer, (key, value), path| {
            renderer.object(items, path, |renderer, source, target, path| match source {
                EntrySource::TypeName(json) => {
                    renderer.raw(json);
                    Ok(())
                }
                EntrySource::Key => {
                    write_json_string(&key, &mut renderer.out);
                    Ok(())
                }
                EntrySource::Value(ty) if target.is_non_null && value.is_null() => {
                    Err(renderer.lacks(ty, target, path))
                }
                EntrySource::Value(ty) => renderer.value(ty, value, target.location, path),
            })
        })
    }

    fn drift(
        &mut self,
        ty: &OutputType,
        kind: Kind,
        location: Option<Location>,
        path: &Path<'_>,
    ) -> Nulled {
        let message = || drift_message(ty, kind);
        self.refuse_with(ErrorCode::TypeDrift, message, path, location)
    }
}

fn drift_message(ty: &OutputType, kind: Kind) -> String {
    let found = match kind {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Int => "an integer beyond 32 bits",
        Kind::Float => "a fraction",
        Kind::String => match ty {
            OutputType::DateTime => "a string that is no date-time",
            OutputType::Date => "a string that is no date",
            _ => "a string",
        },
        Kind::List => "a list",
        Kind::Object => "an object",
    };
    let found = match (ty, kind) {
        (OutputType::Int, Kind::Int) => found,
        (_, Kind::Int | Kind::Float) => "a number",
        _ => found,
    };
    format!(
        "the stored value is {found}, which does not fit the type {}; _json has it as it is",
        ty.describe()
    )
}

impl OutputType {
    fn describe(&self) -> &'static str {
        match self {
            OutputType::Boolean => "Boolean",
            OutputType::Int => "Int",
            OutputType::BigInt => "BigInt",
            OutputType::Float => "Float",
            OutputType::String => "String",
            OutputType::DateTime => "DateTime",
            OutputType::Date => "Date",
            OutputType::Json => "JSON",
            OutputType::List { .. } => "of a list",
            OutputType::Object(_) => "of an object",
            OutputType::Map(_) => "of a keyed map",
        }
    }
}

/// No date has characters that JSON escapes, so the text between the quotes is the string.
fn unquoted(value: ValueRef<'_>) -> Option<&str> {
    let json = value.json();
    std::str::from_utf8(json.get(1..json.len().checked_sub(1)?)?).ok()
}

fn is_date_time(value: ValueRef<'_>) -> bool {
    unquoted(value).is_some_and(|text| parse_rfc3339(text).is_some())
}

fn is_date_text(value: ValueRef<'_>) -> bool {
    unquoted(value).is_some_and(is_date)
}

#[inline]
fn is_int32(value: ValueRef<'_>) -> bool {
    value.json().len() <= INT32_BYTES_SURE
        || value
            .as_i64()
            .is_some_and(|integer| i32::try_from(integer).is_ok())
}
