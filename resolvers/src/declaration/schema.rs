//! From fields under their names in SDL to a declared schema, and in words what it changes.

use std::sync::Arc;

use thalweg_engine::{BackfillKind, Collection, Declaration, Declared, Rename};
use thalweg_schema_infer::declared::{
    CollectionMode, DeclaredField, DeclaredObject, DeclaredSchema, DeclaredType, DefaultValue,
    member_path,
};
use thalweg_schema_infer::{
    Field, FieldPin, FieldType, MAP_VALUE, ObjectType, Pins, default_type_name,
};

use super::DeclaredCollection;
use super::fields::{SdlField, SdlType};

/// What is declared of a collection's documents, where that is not so already, and what it changes in words.
pub(super) fn declaration(
    declared: &DeclaredCollection,
    name: &str,
    found: Option<&Collection>,
) -> Option<(Declaration, Vec<String>)> {
    let mut resolver = Resolver::default();
    let published = found.map(|found| &*found.schema.object);
    let object = resolver.object(&declared.fields, published, &[]);
    let schema = match declared.mode {
        CollectionMode::Flexible => None,
        mode => Some(DeclaredSchema {
            is_strict: mode == CollectionMode::Strict,
            object,
        }),
    };
    if schema.is_none() {
        // Nothing but what is stored under another name is fixed.
        resolver.pins.retain(|(_, is_mapped)| *is_mapped);
    }
    let known_type = match found {
        Some(found) => found.schema.names.type_name.clone(),
        None => default_type_name(name),
    };
    let type_name = declared.type_override.as_ref();
    let pins = Pins {
        type_name: type_name.filter(|wanted| ***wanted != *known_type).cloned(),
        fields: resolver.pins.into_iter().map(|(pin, _)| pin).collect(),
    };
    let before = found.and_then(|found| found.declared.as_deref());
    let renames: Vec<Rename> = resolver
        .renames
        .into_iter()
        .filter(|rename| !is_declared(before, &rename.to))
        .collect();
    let mut words = Vec::new();
    if let Some(type_name) = &pins.type_name {
        words.push(format!("its type is {type_name}, was {known_type}"));
    }
    let mode_before = before.map_or(CollectionMode::Flexible, Declared::mode);
    if declared.mode != mode_before {
        let (mode, before) = (declared.mode.as_str(), mode_before.as_str());
        words.push(format!("mode is {mode}, was {before}"));
    }
    let nothing = DeclaredObject::default();
    let old = before.map_or(&nothing, |before| &before.schema.object);
    let new = schema.as_ref().map_or(&nothing, |schema| &schema.object);
    differences("", old, new, &mut words);
    for Rename { from, to } in &renames {
        words.push(format!("{to} takes the values of {from}"));
    }
    let is_stuck = before.is_some_and(|before| {
        let mut backfills = before.backfills.iter();
        backfills.any(|backfill| !backfill.is_running())
    });
    if is_stuck {
        words.push("its backfill goes on".to_owned());
    }
    if words.is_empty() && !pins.fields.is_empty() {
        let names = pins.fields.iter().filter_map(|pin| {
            let original = pin.path.last()?;
            Some(format!("{:?} is named {}", &**original, pin.name))
        });
        words.extend(names);
    }
    let mut declaration = Declaration::new(schema);
    declaration.pins = pins;
    declaration.renames = renames;
    (!words.is_empty()).then_some((declaration, words))
}

fn is_declared(before: Option<&Declared>, name: &str) -> bool {
    before.is_some_and(|before| before.schema.object.field(name).is_some())
}

/// The original name of a field of a collection's type, where that is known.
pub(super) fn original(
    declared: &DeclaredCollection,
    name: &str,
    found: Option<&Collection>,
) -> Option<Arc<str>> {
    let field = declared.fields.iter().find(|field| *field.name == *name);
    let given = field.and_then(|field| field.original.clone());
    let published = || {
        let field = found?.schema.object.field(name)?;
        Some(Arc::clone(stored_as(field)))
    };
    given.or_else(published)
}

/// The name that a published field is declared to be stored under.
fn stored_as(field: &Field) -> &Arc<str> {
    let declared = field.declared.as_deref();
    declared.map_or(&field.json_name, |declared| &declared.json_name)
}

#[derive(Default)]
struct Resolver {
    /// Names that are not given yet, and whether the original is another one.
    pins: Vec<(FieldPin, bool)>,
    renames: Vec<Rename>,
}

impl Resolver {
    fn object(
        &mut self,
        fields: &[SdlField],
        published: Option<&ObjectType>,
        path: &[Arc<str>],
    ) -> DeclaredObject {
        let fields = fields.iter().map(|field| {
            let known = published.and_then(|published| published.field(&field.name));
            let name = match (&field.original, known) {
                (Some(original), _) => Arc::clone(original),
                (None, Some(known)) => Arc::clone(stored_as(known)),
                (None, None) => Arc::clone(&field.name),
            };
            let mut path = path.to_vec();
            path.push(Arc::clone(&name));
            if known.is_none_or(|known| *stored_as(known) != name) {
                let pin = FieldPin {
                    path: path.clone(),
                    name: Arc::clone(&field.name),
                };
                self.pins.push((pin, *name != *field.name));
            }
            self.renames.extend(field.was.iter().map(|was| Rename {
                from: Arc::clone(was),
                to: Arc::clone(&name),
            }));
            DeclaredField {
                ty: self.ty(&field.ty, known.map(|known| &known.ty), &path),
                is_required: field.is_required,
                default: field.default.clone(),
                name,
            }
        });
        DeclaredObject::new(fields.collect())
    }

    fn ty(
        &mut self,
        ty: &SdlType,
        published: Option<&FieldType>,
        path: &[Arc<str>],
    ) -> DeclaredType {
        match ty {
            SdlType::Scalar(scalar) => DeclaredType::Scalar(*scalar),
            SdlType::List { item, is_required } => {
                let published = match published {
                    Some(FieldType::List(item, _)) => Some(&**item),
                    _ => None,
                };
                DeclaredType::List {
                    item: Box::new(self.ty(item, published, path)),
                    is_required: *is_required,
                }
            }
            SdlType::Map { value, is_required } => {
                let published = match published {
                    Some(FieldType::Map { entry }) => Some(&entry.value),
                    _ => None,
                };
                let mut path = path.to_vec();
                path.push(MAP_VALUE.into());
                DeclaredType::Map {
                    value: Box::new(self.ty(value, published, &path)),
                    is_required: *is_required,
                }
            }
            SdlType::Object(fields) => {
                let published = match published {
                    Some(FieldType::Object(object)) => Some(&**object),
                    _ => None,
                };
                DeclaredType::Object(self.object(fields, published, path))
            }
        }
    }
}

/// The fields that are declared otherwise than before.
fn differences(path: &str, old: &DeclaredObject, new: &DeclaredObject, words: &mut Vec<String>) {
    for field in new.fields() {
        let path = member_path(path, &field.name);
        match old.field(&field.name) {
            None => words.push(format!("{path} is declared {}", described(field))),
            Some(before) if before == field => {}
            Some(before) => {
                let count = words.len();
                if let (DeclaredType::Object(old), DeclaredType::Object(new)) =
                    (&before.ty, &field.ty)
                {
                    differences(&path, old, new, words);
                }
                let (now, was) = (described(field), described(before));
                if now != was || words.len() == count {
                    words.push(format!("{path} is declared {now}, was {was}"));
                }
            }
        }
    }
    for field in old.fields() {
        if new.field(&field.name).is_none() {
            let path = member_path(path, &field.name);
            words.push(format!("{path} is no longer declared"));
        }
    }
}

fn described(field: &DeclaredField) -> String {
    let default = match &field.default {
        None => String::new(),
        Some(DefaultValue::Now) => ", by default the time of the write".to_owned(),
        Some(DefaultValue::Constant(value)) => {
            format!(", by default {}", String::from_utf8_lossy(value.json()))
        }
    };
    format!("{}{default}", field.describe())
}

/// What a backfill is about, for people.
pub(crate) fn backfill_fields(kind: &BackfillKind) -> Vec<&str> {
    match kind {
        BackfillKind::Default { fields } => fields.iter().map(|field| &**field).collect(),
        BackfillKind::Rename { rename, .. } => vec![&rename.to],
    }
}
