//! Names that are declared rather than made.
//!
//! A declaration may say what the type of a collection is called, and which name a field has that is stored under another.
//! That is allocated like all names are: it has to be free, it is for good, and what had another name before keeps that
//! name taken, so that no client finds something else under it.

use std::sync::Arc;

use super::scope::Used;
use super::{CollectionNames, NameRegistry, Stems, legal, reserved};

/// What is declared about the names of one collection.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pins {
    /// The name of the type of its documents.
    pub type_name: Option<Arc<str>>,
    /// The fields of its documents that have declared names.
    pub fields: Vec<FieldPin>,
}

/// The declared name of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPin {
    /// The original names on the way to it; lists are passed over, the values of a keyed map are under [`MAP_VALUE`].
    pub path: Vec<Arc<str>>,
    /// Its GraphQL name.
    pub name: Arc<str>,
}

/// Stands in a path for the values of a keyed map, whose keys have no names of their own.
pub const MAP_VALUE: &str = "\u{0}";

/// Why something cannot have a declared name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinConflict {
    /// It is no legal name, or belongs to the system.
    #[error("{name} cannot name {what}: {reason}")]
    Reserved {
        /// The name.
        name: Arc<str>,
        /// What it was to name.
        what: String,
        /// Why not.
        reason: &'static str,
    },
    /// Something else has it, or had it.
    #[error(
        "{name} cannot name {what}: it is, or was, the name of something else, and names are never given anew"
    )]
    Taken {
        /// The name.
        name: Arc<str>,
        /// What it was to name.
        what: String,
    },
    /// A field cannot change its name.
    #[error(
        "the field {what} is published as {known} already, and names never change; declare it under that name"
    )]
    Named {
        /// The field's original name.
        what: String,
        /// Its name.
        known: String,
    },
}

impl NameRegistry {
    /// Gives a collection and its fields the names that are declared; nothing is changed where one cannot be given.
    ///
    /// Returns whether anything was changed.
    pub fn pin(&mut self, collection: &str, pins: &Pins) -> Result<bool, Vec<PinConflict>> {
        let mut changed = self.clone();
        let conflicts = changed.try_pin(collection, pins);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        let has_changed = changed.revision != self.revision;
        *self = changed;
        Ok(has_changed)
    }

    fn try_pin(&mut self, collection: &str, pins: &Pins) -> Vec<PinConflict> {
        let mut conflicts = Vec::new();
        if let Some(type_name) = &pins.type_name {
            conflicts.extend(self.pin_type(collection, type_name).err());
        }
        let (root, mut names) = self.scope(collection);
        for pin in &pins.fields {
            let Some((last, parents)) = pin.path.split_last() else {
                continue;
            };
            let mut scope = &mut *root;
            let mut top = true;
            for name in parents {
                if **name == *MAP_VALUE {
                    scope = scope.value();
                } else if let Some(position) = scope.position(name, top, &mut names) {
                    scope = scope.entry(position).2;
                }
                top = false;
            }
            conflicts.extend(scope.pin(last, &pin.name, top, &mut names).err());
        }
        conflicts
    }

    /// The type gets its name, and the by-id field one after it. What they were before stays taken.
    fn pin_type(&mut self, collection: &str, type_name: &Arc<str>) -> Result<(), PinConflict> {
        let known = self.known_collection(collection);
        if known.is_some_and(|known| *known.type_name == **type_name) {
            return Ok(());
        }
        let what = || format!("the type of {collection:?}");
        let reason = if !legal::is_name(type_name) {
            "a name has letters, digits and _, and begins with no digit and no __"
        } else if reserved::is_type(type_name) {
            "that type is the system's"
        } else {
            ""
        };
        if !reason.is_empty() {
            return Err(PinConflict::Reserved {
                name: Arc::clone(type_name),
                what: what(),
                reason,
            });
        }
        let before = self.by_name.get(collection).copied();
        let stems = Stems::with_type(
            collection,
            type_name,
            before.map(|it| &self.collections[it].stems),
        );
        let names = CollectionNames::of(collection, &stems);
        let own = before.map(|index| self.collections[index].names.clone());
        let is_own = |name: &String, of: fn(&CollectionNames) -> Vec<String>| {
            own.as_ref().is_some_and(|own| of(own).contains(name))
        };
        let queries = |names: &CollectionNames| names.query_fields().to_vec();
        let mutations =
            |names: &CollectionNames| names.mutation_fields().map(String::clone).to_vec();
        let is_free = names.query_fields().iter().all(|name| {
            (self.query.is_free(name) || is_own(name, queries)) && !reserved::is_query_field(name)
        }) && mutations(&names).iter().all(|name| {
            (self.mutation.is_free(name) || is_own(name, mutations))
                && !reserved::is_mutation_field(name)
        }) && reserved::collection_types(type_name)
            .iter()
            .all(|name| self.types.is_free(name) && !reserved::is_type(name));
        if !is_free {
            return Err(PinConflict::Taken {
                name: Arc::clone(type_name),
                what: what(),
            });
        }
        self.revision += 1;
        match before {
            None => {
                self.insert(Arc::from(collection), stems, super::Scope::default(), 0);
            }
            Some(index) => {
                let former = std::mem::replace(&mut self.collections[index].stems, stems);
                self.collections[index].names = names;
                self.take(index);
                self.retire(former);
            }
        }
        Ok(())
    }
}

impl Stems {
    /// The stems of a collection whose type has a declared name.
    fn with_type(collection: &str, type_name: &str, before: Option<&Stems>) -> Stems {
        let list_field = match before {
            Some(before) => before.list_field.clone(),
            None => Stems::new(collection, 1).list_field,
        };
        let mut by_id_field = legal::lower_first(type_name);
        let many = if by_id_field == list_field {
            by_id_field.push_str("ById");
            format!("Many{type_name}")
        } else {
            legal::upper_first(&list_field)
        };
        Stems {
            type_name: type_name.to_owned(),
            list_field,
            by_id_field,
            many,
        }
    }
}

/// Whether a name that was given before may be given to something that is declared to have it.
pub(super) fn field_conflict(
    used: &Used,
    json_name: &str,
    name: &Arc<str>,
    top: bool,
) -> Option<PinConflict> {
    let what = || format!("the field {json_name:?}");
    let reason = if !legal::is_name(name) {
        "a name has letters, digits and _, and begins with no digit and no __"
    } else if reserved::is_field(name, top) {
        "that name is the system's"
    } else {
        ""
    };
    if !reason.is_empty() {
        return Some(PinConflict::Reserved {
            name: Arc::clone(name),
            what: what(),
            reason,
        });
    }
    (!used.is_free(name)).then(|| PinConflict::Taken {
        name: Arc::clone(name),
        what: what(),
    })
}
