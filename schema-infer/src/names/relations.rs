//! The names of relations: beside the stored field, and on the way back.
//!
//! Like all names they are given once and never taken back: a relation that is declared again, or found again, has the
//! names that it had. A name that was asked for is another one than the one that is made up.

use std::sync::Arc;

use thalweg_model::FieldPath;

use super::scope::{FIELDS_MAX, Scope};
use super::{CollectionEntry, NameRegistry, inflect, legal};

/// What a relation's name was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelationEntry {
    /// The relation's field.
    pub(super) path: Vec<Arc<str>>,
    /// Of the way back, which collection's documents it leads to.
    pub(super) source: Option<Arc<str>>,
    /// The name that somebody asked for.
    pub(super) wanted: Option<Arc<str>>,
    pub(super) name: String,
}

/// What is to be named.
#[derive(Clone, Copy, Debug)]
pub struct RelationNaming<'a> {
    /// The collection whose documents name others.
    pub source: &'a str,
    /// The collection of the others.
    pub target: &'a str,
    /// The field that names them.
    pub field: &'a FieldPath,
    /// Whether it holds a list.
    pub is_list: bool,
    /// The name that is asked for beside the field.
    pub name: Option<&'a str>,
    /// The name that is asked for on the way back.
    pub inverse: Option<&'a str>,
}

impl NameRegistry {
    /// The names of a relation beside its field and on the way back, allocated at first use. `None` where no more names
    /// are given, or nothing is published yet of the object that has the field.
    pub fn relation(&mut self, naming: &RelationNaming<'_>) -> Option<(String, String)> {
        let source = self.collection_index(naming.source);
        let target = self.collection_index(naming.target);
        let field = naming.field.segments();
        let last = field.last()?;
        let stem = forward_stem(last, naming.is_list);
        let forward = self.claim_relation(
            source,
            RelationEntry {
                path: field.to_vec(),
                source: None,
                wanted: naming.name.map(Arc::from),
                name: naming.name.map_or_else(|| stem.clone(), str::to_owned),
            },
        )?;
        let inverse = naming.inverse.map_or_else(
            || {
                let list_field = &self.collections[source].names.list_field;
                let outer = &field[..field.len() - 1];
                let forward = naming.name.unwrap_or(&stem);
                let parts = outer.iter().map(|part| &**part).chain([back_stem(forward)]);
                let field: String = parts.map(legal::type_part).collect();
                format!("{list_field}By{field}")
            },
            str::to_owned,
        );
        let back = self.claim_relation(
            target,
            RelationEntry {
                path: field.to_vec(),
                source: Some(Arc::from(naming.source)),
                wanted: naming.inverse.map(Arc::from),
                name: inverse,
            },
        )?;
        Some((forward, back))
    }

    /// The name that was given for the same, or else the first free one, counting up from the entry's.
    fn claim_relation(&mut self, collection: usize, mut entry: RelationEntry) -> Option<String> {
        let owner = &mut self.collections[collection];
        let same = |known: &&RelationEntry| {
            (&known.path, &known.source, &known.wanted)
                == (&entry.path, &entry.source, &entry.wanted)
        };
        if let Some(known) = owner.relations.iter().find(same) {
            return Some(known.name.clone());
        }
        if owner.fields >= FIELDS_MAX {
            return None;
        }
        let (scope, top) = scope_of(&mut owner.scope, &entry)?;
        let name = scope.claim_relation(&entry.name, top);
        entry.name.clone_from(&name);
        owner.fields += 1;
        owner.relations.push(entry);
        self.revision += 1;
        Some(name)
    }
}

impl CollectionEntry {
    /// Adds an entry that was stored; its name is taken.
    pub(super) fn take_relation(&mut self, entry: RelationEntry) {
        if let Some((scope, _)) = scope_of(&mut self.scope, &entry) {
            scope.take_relation(&entry.name);
        }
        self.fields += 1;
        self.relations.push(entry);
    }
}

/// The names among which a relation's name stands, and whether those are the document's own.
fn scope_of<'s>(top: &'s mut Scope, entry: &RelationEntry) -> Option<(&'s mut Scope, bool)> {
    let outer = match entry.source {
        Some(_) => &[][..],
        None => entry.path.split_last()?.1,
    };
    let mut scope = top;
    for name in outer {
        scope = scope.inside(name)?;
    }
    Some((scope, outer.is_empty()))
}

/// What the words of a field that names others end in.
const ENDINGS: [&str; 4] = ["_ids", "Ids", "_id", "Id"];

/// `director` for `director_id` and `directorId`, `actors` for `actor_ids`; else `<field>Ref` or `<field>Refs`.
fn forward_stem(field: &str, is_list: bool) -> String {
    let (name, _) = legal::field_name(field);
    let plural = |stem: &str| {
        let singular = inflect::singular(stem);
        if singular == stem {
            inflect::plural(stem)
        } else {
            stem.to_owned()
        }
    };
    for ending in ENDINGS {
        match name.strip_suffix(ending) {
            Some(stem) if !stem.trim_matches('_').is_empty() => {
                return if is_list {
                    plural(stem)
                } else {
                    stem.to_owned()
                };
            }
            _ => {}
        }
    }
    format!("{name}{}", if is_list { "Refs" } else { "Ref" })
}

/// What the way back is called after: the name beside the field, without what tells it from the field.
fn back_stem(forward: &str) -> &str {
    let stem = forward.strip_suffix("Refs");
    stem.or_else(|| forward.strip_suffix("Ref"))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(forward)
}
