//! The names inside one object, and inside what it contains.

use std::collections::HashMap;
use std::sync::Arc;

use super::pin::{PinConflict, field_conflict};
use super::{legal, reserved};

/// How many fields of one collection get names. What is beyond is not published (`_json` has it):
/// names are never given up, so without a bound a client could grow the registry for ever.
pub(super) const FIELDS_MAX: usize = 20_000;

/// Names that are taken, each with the number that the next claimant tries first.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    next: HashMap<String, u32>,
}

impl Used {
    pub(super) fn is_free(&self, name: &str) -> bool {
        !self.next.contains_key(name)
    }

    pub(super) fn insert(&mut self, name: String) {
        self.next.entry(name).or_insert(2);
    }

    /// The first name, counting up from `name`, with which `is_free` agrees; it becomes taken by the
    /// caller's inserting what belongs to it.
    fn first_free(&mut self, name: &str, is_free: impl Fn(&Used, &str) -> bool) -> String {
        if is_free(self, name) {
            return name.to_owned();
        }
        let mut number = self.next.get(name).copied().unwrap_or(2);
        loop {
            let candidate = legal::numbered(name, number);
            number += 1;
            if is_free(self, &candidate) {
                if let Some(next) = self.next.get_mut(name) {
                    *next = number;
                }
                return candidate;
            }
        }
    }

    fn claim_field(&mut self, name: &str, top: bool) -> String {
        let claimed = self.first_free(name, |used, candidate| {
            used.is_free(candidate) && !reserved::is_field(candidate, top)
        });
        self.insert(claimed.clone());
        claimed
    }

    /// Claims a name that was given before, perhaps when it was not reserved yet.
    fn reclaim_field(&mut self, name: &str, top: bool) -> String {
        if !self.is_free(name) {
            return self.claim_field(name, top);
        }
        self.insert(name.to_owned());
        name.to_owned()
    }

    /// Claims a name together with all that end in one of the suffixes.
    fn claim_family(&mut self, name: &str, suffixes: &[&str]) -> String {
        let claimed = self.first_free(name, |used, candidate| {
            suffixes.iter().all(|suffix| {
                let member = format!("{candidate}{suffix}");
                used.is_free(&member) && !reserved::is_type(&member)
            })
        });
        self.insert_family(&claimed, suffixes);
        claimed
    }

    fn insert_family(&mut self, name: &str, suffixes: &[&str]) {
        for suffix in suffixes {
            self.insert(format!("{name}{suffix}"));
        }
    }
}

/// What allocating a name inside a collection needs from the registry around it.
pub(crate) struct Names<'a> {
    pub(super) types: &'a mut Used,
    pub(super) fields: &'a mut usize,
    pub(super) revision: &'a mut u64,
}

/// The names of the fields of one object, in order of first sight, and of the types made of it.
///
/// An object in a list has the same scope as an object in its place would have. If the object is a
/// keyed map, the names inside its values are in `value`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(super) fields: Vec<FieldEntry>,
    by_json: HashMap<Arc<str>, u32>,
    used: Used,
    /// The object type, once there was a record here.
    pub(super) type_name: Option<String>,
    /// What the names of the map's types begin with, once there was a keyed map here.
    pub(super) map_name: Option<String>,
    /// Whether the object was last derived as a keyed map; the border depends on it.
    pub(super) reads_as_map: bool,
    pub(super) value: Option<Box<Scope>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldEntry {
    pub(super) json_name: Arc<str>,
    pub(super) name: String,
    pub(super) scope: Scope,
}

impl Scope {
    /// The position of a field, naming it at first sight. `None` where no more names are given.
    pub(crate) fn position(
        &mut self,
        json_name: &str,
        top: bool,
        names: &mut Names<'_>,
    ) -> Option<usize> {
        if let Some(&position) = self.by_json.get(json_name) {
            return Some(position as usize);
        }
        if *names.fields >= FIELDS_MAX {
            return None;
        }
        let (mut name, is_graphql_internal) = legal::field_name(json_name);
        let suffixed = is_graphql_internal && name != "_";
        if suffixed || reserved::is_field(&name, top) {
            name.push('_');
        }
        let name = self.used.claim_field(&name, top);
        *names.fields += 1;
        *names.revision += 1;
        self.insert(FieldEntry {
            json_name: Arc::from(json_name),
            name,
            scope: Scope::default(),
        });
        Some(self.fields.len() - 1)
    }

    /// Gives a field a declared name. One that has another already keeps it.
    pub(super) fn pin(
        &mut self,
        json_name: &str,
        name: &Arc<str>,
        top: bool,
        names: &mut Names<'_>,
    ) -> Result<(), PinConflict> {
        if let Some((known, _)) = self.field(json_name) {
            return match *known == **name {
                true => Ok(()),
                false => Err(PinConflict::Named {
                    what: json_name.to_owned(),
                    known: known.to_owned(),
                }),
            };
        }
        if let Some(conflict) = field_conflict(&self.used, json_name, name, top) {
            return Err(conflict);
        }
        *names.fields += 1;
        *names.revision += 1;
        self.insert(FieldEntry {
            json_name: Arc::from(json_name),
            name: (**name).to_owned(),
            scope: Scope::default(),
        });
        Ok(())
    }

    /// The original and the GraphQL name of the field at a position, and the names inside it.
    pub(crate) fn entry(&mut self, position: usize) -> (&Arc<str>, &str, &mut Scope) {
        let entry = &mut self.fields[position];
        (&entry.json_name, &entry.name, &mut entry.scope)
    }

    /// The position of a field that has a name.
    pub(crate) fn known_position(&self, json_name: &str) -> Option<usize> {
        Some(*self.by_json.get(json_name)? as usize)
    }

    /// Takes a name for a relation.
    pub(super) fn claim_relation(&mut self, name: &str, top: bool) -> String {
        self.used.claim_field(name, top)
    }

    /// Marks the name of a relation as taken; for decoding.
    pub(super) fn take_relation(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// The names inside a field.
    pub(super) fn inside(&mut self, json_name: &str) -> Option<&mut Scope> {
        let position = *self.by_json.get(json_name)?;
        Some(&mut self.fields[position as usize].scope)
    }

    pub(super) fn field(&self, json_name: &str) -> Option<(&str, &Scope)> {
        let position = *self.by_json.get(json_name)?;
        let entry = &self.fields[position as usize];
        Some((&entry.name, &entry.scope))
    }

    /// The name of the object type, `<Parent><Field>` unless that is taken.
    pub(crate) fn type_name(&mut self, parent: &str, field: &str, names: &mut Names<'_>) -> String {
        self.type_name
            .get_or_insert_with(|| {
                *names.revision += 1;
                let name = nested_name(parent, field);
                names.types.claim_family(&name, reserved::OBJECT_SUFFIXES)
            })
            .clone()
    }

    /// What the names of the map's types begin with.
    pub(crate) fn map_name(&mut self, parent: &str, field: &str, names: &mut Names<'_>) -> String {
        self.map_name
            .get_or_insert_with(|| {
                *names.revision += 1;
                let name = nested_name(parent, field);
                names.types.claim_family(&name, reserved::MAP_SUFFIXES)
            })
            .clone()
    }

    /// The names inside the values of a keyed map.
    pub(crate) fn value(&mut self) -> &mut Scope {
        self.value.get_or_insert_default()
    }

    pub(crate) fn reads_as_map(&self) -> bool {
        self.reads_as_map
    }

    pub(crate) fn set_reads_as_map(&mut self, reads_as_map: bool, names: &mut Names<'_>) {
        if self.reads_as_map != reads_as_map {
            self.reads_as_map = reads_as_map;
            *names.revision += 1;
        }
    }

    pub(super) fn insert(&mut self, entry: FieldEntry) {
        self.by_json
            .insert(Arc::clone(&entry.json_name), self.fields.len() as u32);
        self.used.insert(entry.name.clone());
        self.fields.push(entry);
    }

    /// Marks the type names in here as taken; for decoding.
    pub(super) fn take_type_names(&self, types: &mut Used) {
        if let Some(name) = &self.type_name {
            types.insert_family(name, reserved::OBJECT_SUFFIXES);
        }
        if let Some(name) = &self.map_name {
            types.insert_family(name, reserved::MAP_SUFFIXES);
        }
        for scope in self.inner() {
            scope.take_type_names(types);
        }
    }

    /// Leaves the fields' names and drops the types', which begin with the collection's.
    pub(super) fn forget_type_names(&mut self) {
        self.type_name = None;
        self.map_name = None;
        for field in &mut self.fields {
            field.scope.forget_type_names();
        }
        if let Some(value) = &mut self.value {
            value.forget_type_names();
        }
    }

    /// Adds the fields of a renamed collection, which has no type names any more. What is named here
    /// already keeps its name; the others bring theirs, with a number where it is taken.
    pub(super) fn adopt(&mut self, other: Scope, top: bool) {
        self.reads_as_map |= other.reads_as_map;
        for mut entry in other.fields {
            match self.by_json.get(&entry.json_name) {
                Some(&position) => {
                    self.fields[position as usize]
                        .scope
                        .adopt(entry.scope, false);
                }
                None => {
                    entry.name = self.used.reclaim_field(&entry.name, top);
                    self.insert(entry);
                }
            }
        }
        match (&mut self.value, other.value) {
            (Some(mine), Some(others)) => mine.adopt(*others, false),
            (None, others) => self.value = others,
            (Some(_), None) => {}
        }
    }

    /// How many fields have names in here.
    pub(super) fn count(&self) -> usize {
        self.fields.len() + self.inner().map(Scope::count).sum::<usize>()
    }

    fn inner(&self) -> impl Iterator<Item = &Scope> {
        self.fields
            .iter()
            .map(|field| &field.scope)
            .chain(self.value.as_deref())
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        self.fields == other.fields
            && self.type_name == other.type_name
            && self.map_name == other.map_name
            && self.reads_as_map == other.reads_as_map
            && self.value == other.value
    }
}

impl Eq for Scope {}

fn nested_name(parent: &str, field: &str) -> String {
    format!("{parent}{}", legal::type_part(field))
}
