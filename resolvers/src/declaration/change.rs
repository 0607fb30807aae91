//! What has to be written so that a catalog is as declared.

use std::sync::Arc;

use thalweg_engine::{
    Catalog, Collection, CollectionRef, FieldRef, IndexDefinition, IndexField, IndexStatus, Intent,
    Settings, SettingsChange, Update, write_duration,
};
use thalweg_model::FieldPath;
use thalweg_schema_infer::default_collection_name;

use super::{Declaration, DeclaredCollection, DeclaredIndex, relations, schema};
use crate::failure::Refusal;

/// One thing to write, and what it is in words.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) intent: Intent,
    pub(crate) words: String,
}

/// The changes that a declaration makes of a catalog, and the names of the collections that it declares.
pub(crate) fn changes(
    declaration: &Declaration,
    catalog: &Catalog,
) -> Result<(Vec<Arc<str>>, Vec<Change>), Refusal> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut changes = Vec::new();
    for declared in &declaration.collections {
        let name = name_of(declared, catalog);
        if let Some(position) = names.iter().position(|other| *other == name) {
            return Err(Refusal::bad_request(format!(
                "the types {} and {} declare the same collection {name:?}",
                declaration.collections[position].type_name, declared.type_name
            )));
        }
        let mut of_collection = Changes {
            name: &name,
            changes: &mut changes,
        };
        of_collection.add(declared, catalog.by_name(&name));
        names.push(name);
    }
    relations::changes(declaration, &names, catalog, &mut changes)?;
    Ok((names, changes))
}

/// Which collection a type declares: the one that it names, else the one whose documents have that type, else a new one.
fn name_of(declared: &DeclaredCollection, catalog: &Catalog) -> Arc<str> {
    if let Some(name) = &declared.name {
        return Arc::clone(name);
    }
    let mut collections = catalog.collections();
    let types = [
        declared.type_override.as_deref(),
        Some(&*declared.type_name),
    ];
    match collections.find(|found| types.contains(&Some(&*found.schema.names.type_name))) {
        Some(found) => Arc::clone(&found.name),
        None => default_collection_name(&declared.type_name).into(),
    }
}

struct Changes<'c> {
    name: &'c Arc<str>,
    changes: &'c mut Vec<Change>,
}

impl Changes<'_> {
    fn add(&mut self, declared: &DeclaredCollection, found: Option<&Arc<Collection>>) {
        if found.is_none() {
            self.push(
                Intent::CreateCollection {
                    name: Arc::clone(self.name),
                },
                format!("{}: created", self.name),
            );
        }
        let before = found.map(|found| Settings::clone(&found.settings));
        self.configure(&before.unwrap_or_default(), &declared.settings);
        if let Some((declaration, words)) =
            schema::declaration(declared, self.name, found.map(|found| &**found))
        {
            let collection = self.collection();
            self.push(
                Intent::Declare {
                    collection,
                    declaration,
                },
                format!("{}: {}", self.name, words.join(", ")),
            );
        }
        let wanted: Vec<IndexDefinition> = declared
            .indexes
            .iter()
            .map(|index| definition(index, declared, found))
            .collect();
        let there = || found.into_iter().flat_map(|found| found.indexes.iter());
        for index in there() {
            let is_kept = index.status == IndexStatus::Dropping || index.automatic;
            if !is_kept && !wanted.contains(&index.definition) {
                let definition = index.definition.clone();
                let words = format!("{}: index {definition} dropped", self.name);
                let collection = self.collection();
                self.push(
                    Intent::DropIndex {
                        collection,
                        definition,
                    },
                    words,
                );
            }
        }
        for (position, definition) in wanted.iter().enumerate() {
            let state = there()
                .filter(|index| index.definition == *definition)
                .find(|index| index.status != IndexStatus::Dropping);
            let words = match state {
                // Two declarations may come to the same index once names are known.
                _ if wanted[..position].contains(definition) => continue,
                None => "created",
                Some(index) if matches!(index.status, IndexStatus::Failed { .. }) => "built anew",
                Some(index) if index.automatic => "declared",
                Some(_) => continue,
            };
            let collection = self.collection();
            self.push(
                Intent::CreateIndex {
                    collection,
                    definition: definition.clone(),
                },
                format!("{}: index {definition} {words}", self.name),
            );
        }
    }

    fn configure(&mut self, before: &Settings, after: &Settings) {
        let words = differences(before, after);
        if words.is_empty() {
            return;
        }
        let change = SettingsChange {
            retain: Some(after.retain),
            soft_delete: Some(after.soft_delete),
            purge_after: Update::from_input(Some(after.purge_after)),
            ttl: Update::from_input(Some(after.ttl)),
            on_expire: Update::from_input(Some(after.on_expire)),
        };
        let collection = self.collection();
        self.push(
            Intent::Configure { collection, change },
            format!("{}: {}", self.name, words.join(", ")),
        );
    }

    fn collection(&self) -> CollectionRef {
        CollectionRef::Name {
            name: Arc::clone(self.name),
            create: false,
        }
    }

    fn push(&mut self, intent: Intent, words: String) {
        self.changes.push(Change { intent, words });
    }
}

/// The settings that differ, in words.
fn differences(before: &Settings, after: &Settings) -> Vec<String> {
    let shown = |settings: &Settings| {
        let unset = || "unset".to_owned();
        let duration = |span: Option<_>| span.map_or_else(unset, write_duration);
        [
            ("retain", settings.retain.to_string()),
            ("softDelete", settings.soft_delete.to_string()),
            ("ttl", duration(settings.ttl)),
            (
                "onExpire",
                settings
                    .on_expire
                    .map_or_else(unset, |on_expire| on_expire.as_str().to_owned()),
            ),
            ("purgeAfter", duration(settings.purge_after)),
        ]
    };
    let pairs = shown(before).into_iter().zip(shown(after));
    pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| format!("{name} is {after}, was {before}"))
        .collect()
}

/// The index with the original name of its field, which the types of the collection know.
fn definition(
    index: &DeclaredIndex,
    declared: &DeclaredCollection,
    found: Option<&Arc<Collection>>,
) -> IndexDefinition {
    match index {
        DeclaredIndex::Exact(definition) => definition.clone(),
        DeclaredIndex::OfField {
            field,
            like,
            unique,
        } => {
            let original = schema::original(declared, field, found.map(|found| &**found));
            let path = original.map(|original| FieldPath::top(&original));
            IndexDefinition {
                fields: vec![IndexField {
                    field: path.map_or_else(|| like.field.clone(), FieldRef::Path),
                    ..like.clone()
                }],
                unique: *unique,
            }
        }
    }
}
