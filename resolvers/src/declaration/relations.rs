//! Relations in declared schemas: `@relation`.
//!
//! On a field whose type is that of a collection, the field is the relation's name; on the type of a collection the
//! directive says everything itself, which is how a schema is printed. `none: true` says that a field is no relation.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Type};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ObjectType;
use thalweg_engine::{
    Catalog, Collection, FieldRef, IndexField, Intent, ListItems, StoredRelation,
};
use thalweg_model::{FieldPath, write_json_string};
use thalweg_schema_infer::{FieldType, IdNames, OnDelete, RelationKey, RelationOrigin};

use super::{Change, Declaration, DeclaredCollection};
use crate::failure::Refusal;

/// What is declared of the relations of a collection.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct DeclaredRelations {
    list: Vec<DeclaredRelation>,
    /// Fields that are none.
    refused: Vec<FieldPath>,
}

/// A declared relation. Fields are as they were written: under GraphQL names or original ones.
#[derive(Debug, Clone, PartialEq)]
struct DeclaredRelation {
    field: FieldPath,
    is_list: bool,
    target: Target,
    /// The field that is named; `None` for the id.
    references: Option<FieldPath>,
    name: Option<Arc<str>>,
    inverse: Option<Arc<str>>,
    on_delete: OnDelete,
    is_indexed: bool,
}

/// The collection that a relation leads to.
#[derive(Debug, Clone, PartialEq)]
enum Target {
    /// By its own name.
    Collection(Arc<str>),
    /// By the type that declares it.
    Type(Box<str>),
}

/// Is told of what is wrong, and where.
pub(super) type Complain<'c> = &'c mut dyn FnMut(Option<SourceSpan>, String);

/// Reads the relations of a type that declares a collection. `is_collection` knows the others that do.
pub(super) fn read(
    object: &ObjectType,
    is_collection: &dyn Fn(&str) -> bool,
    complain: Complain<'_>,
) -> DeclaredRelations {
    let mut declared = DeclaredRelations::default();
    for directive in object.directives.get_all("relation") {
        declared.read_one(directive, None, is_collection, complain);
    }
    for (name, field) in &object.fields {
        for directive in field.directives.get_all("relation") {
            let on = Some((name.as_str(), &field.ty));
            declared.read_one(directive, on, is_collection, complain);
        }
    }
    declared
}

impl DeclaredRelations {
    fn read_one(
        &mut self,
        directive: &Node<Directive>,
        on: Option<(&str, &Type)>,
        is_collection: &dyn Fn(&str) -> bool,
        complain: Complain<'_>,
    ) {
        let at = directive.location();
        let argument = |name: &str| {
            let given = directive.specified_argument_by_name(name)?;
            (!given.is_null()).then_some(given)
        };
        let text = |name: &str| argument(name).and_then(|given| given.as_str());
        let flag = |name: &str| argument(name).and_then(|given| given.to_bool());
        let is_none = flag("none") == Some(true);
        let field = match (text("field"), on) {
            (Some(field), _) => field,
            (None, Some((name, _))) if is_none => name,
            (None, _) => {
                let message = "@relation names the stored field that holds the keys: @relation(field: \"director_id\")";
                return complain(at, message.to_owned());
            }
        };
        let (field, mut is_list) = match notation(field) {
            Ok(read) => read,
            Err(message) => return complain(at, message),
        };
        if is_none {
            return self.refused.push(field);
        }
        let references = match text("references").filter(|key| *key != "id") {
            None => None,
            Some(key) => match notation(key) {
                Ok((path, false)) => Some(path),
                Ok((_, true)) => {
                    let message = "references names a field with one value, not a list";
                    return complain(at, message.to_owned());
                }
                Err(message) => return complain(at, message),
            },
        };
        let target = match (text("to"), on) {
            (Some(to), _) => Target::Collection(to.into()),
            (None, Some((_, ty))) => Target::Type(ty.inner_named_type().as_str().into()),
            (None, None) => {
                let message = "on a type, @relation says where it leads: @relation(field: \"director_id\", to: \"people\")";
                return complain(at, message.to_owned());
            }
        };
        if let Some((name, ty)) = on {
            if let Target::Type(target) = &target
                && !is_collection(target)
            {
                let message = format!(
                    "{name} is of the type {target}, which declares no collection here; give it @collection, or say \
                     to: \"…\" with the collection's name"
                );
                return complain(at, message);
            }
            let is_nullable = match ty {
                Type::Named(_) => true,
                Type::List(item) => matches!(**item, Type::Named(_)),
                _ => false,
            };
            if !is_nullable {
                let message = format!(
                    "{name} is a relation, so it may be null where the document is not there: write {0} or [{0}]",
                    ty.inner_named_type()
                );
                return complain(at, message);
            }
            is_list |= ty.is_list();
        }
        let on_delete = argument("onDelete").and_then(|given| given.as_enum());
        let on_delete = on_delete.and_then(|name| OnDelete::from_name(name));
        let name = text("name").or(on.map(|(name, _)| name));
        for name in [name, text("inverse")].into_iter().flatten() {
            if !is_name(name) {
                return complain(at, format!("{name:?} is no name of a field in GraphQL"));
            }
        }
        self.list.push(DeclaredRelation {
            field,
            is_list,
            target,
            references,
            name: name.map(Arc::from),
            inverse: text("inverse").map(Arc::from),
            on_delete: on_delete.unwrap_or_default(),
            is_indexed: flag("index") != Some(false),
        });
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        && !text.starts_with("__")
}

/// A field as indexes write it, `address.city_id` or `tag_ids[]`, and whether it is a list.
fn notation(text: &str) -> Result<(FieldPath, bool), String> {
    let wrong =
        || format!("{text:?} is no stored field; write it like address.city_id or tag_ids[]");
    let read: IndexField = text.parse().map_err(|_| wrong())?;
    match (read.field, read.items) {
        (FieldRef::Path(path), None) if !read.descending && !read.instant => Ok((path, false)),
        (FieldRef::Path(path), Some(ListItems::Whole)) if !read.descending && !read.instant => {
            Ok((path, true))
        }
        _ => Err(wrong()),
    }
}

/// The change that gives the collections of a declaration the relations that it declares; the collections themselves
/// come before. `names` are those of the declared collections.
pub(super) fn changes(
    declaration: &Declaration,
    names: &[Arc<str>],
    catalog: &Catalog,
    changes: &mut Vec<Change>,
) -> Result<(), Refusal> {
    for (declared, name) in declaration.collections.iter().zip(names) {
        let found = catalog.by_name(name);
        let relations = Relations {
            declaration,
            names,
            catalog,
            name,
            found: found.map(|found| &**found),
        };
        changes.extend(relations.change(declared)?);
    }
    Ok(())
}

/// What the relations of one collection are compared with.
struct Relations<'r> {
    declaration: &'r Declaration,
    names: &'r [Arc<str>],
    catalog: &'r Catalog,
    name: &'r Arc<str>,
    found: Option<&'r Collection>,
}

impl Relations<'_> {
    fn change(&self, declared: &DeclaredCollection) -> Result<Option<Change>, Refusal> {
        let DeclaredRelations { list, refused } = &declared.relations;
        let mut words = Vec::new();
        let stored = |origin| {
            let list = self.found.map(|found| &found.stored_relations.list);
            list.into_iter()
                .flatten()
                .filter(move |it| it.origin == origin)
        };
        let mut relations = Vec::with_capacity(list.len());
        for relation in list {
            let (wanted, before) = self.wanted(relation)?;
            let is_new = before.is_none_or(|before| {
                before.origin != RelationOrigin::Declared
                    || (before.is_list, before.on_delete, before.is_indexed)
                        != (wanted.is_list, wanted.on_delete, wanted.is_indexed)
                    || (&before.name, &before.inverse) != (&wanted.name, &wanted.inverse)
            });
            if is_new {
                words.push(format!("relation {} to {}", wanted.field, wanted.target));
            }
            relations.push(wanted);
        }
        for gone in stored(RelationOrigin::Declared) {
            if !relations.iter().any(|it| it.field == gone.field) {
                words.push(format!("relation {} dropped", gone.field));
            }
        }
        let refused: Vec<FieldPath> = refused.iter().map(|path| self.original(path)).collect();
        let known = self.found.map(|found| &*found.stored_relations.refused);
        if *refused != *known.unwrap_or_default() {
            let fields: Vec<String> = refused.iter().map(FieldPath::to_string).collect();
            words.push(match fields.is_empty() {
                true => "no field is refused as a relation".to_owned(),
                false => format!("no relation: {}", fields.join(", ")),
            });
        }
        if words.is_empty() {
            return Ok(None);
        }
        Ok(Some(Change {
            intent: Intent::Relate {
                collection: thalweg_engine::CollectionRef::Name {
                    name: Arc::clone(self.name),
                    create: false,
                },
                relations,
                refused,
            },
            words: format!("{}: {}", self.name, words.join(", ")),
        }))
    }

    /// The relation under original names, and the one that there is for the same.
    fn wanted(
        &self,
        relation: &DeclaredRelation,
    ) -> Result<(thalweg_engine::DeclaredRelation, Option<&StoredRelation>), Refusal> {
        let target = match &relation.target {
            Target::Collection(name) => Arc::clone(name),
            Target::Type(type_name) => {
                let mut declared = self.declaration.collections.iter().zip(self.names);
                let found = declared.find(|(declared, _)| declared.type_name == *type_name);
                found.map_or_else(|| Arc::from(&**type_name), |(_, name)| Arc::clone(name))
            }
        };
        let target_found = self.catalog.by_name(&target);
        if target_found.is_none() && !self.names.contains(&target) {
            return Err(Refusal::bad_request(format!(
                "{}: the relation over {} leads to {target:?}, which is no collection",
                self.name, relation.field
            )));
        }
        let field = self.original(&relation.field);
        let key = match &relation.references {
            None => RelationKey::Id,
            Some(path) => RelationKey::Field(original(path, target_found.map(|it| &**it))),
        };
        let before = self.found.and_then(|found| {
            let mut stored = found.stored_relations.list.iter();
            let id = target_found.map(|target| target.id);
            stored.find(|it| it.field == field && Some(it.target) == id && it.key == key)
        });
        let named = self.found.and_then(|found| {
            let mut named = found.relations.iter();
            named.find(|it| before.is_some_and(|before| before.field == it.field))
        });
        // A name that it has anyway asks for nothing.
        let settle = |wanted: &Option<Arc<str>>,
                      stored: Option<&Option<Arc<str>>>,
                      has: Option<&str>| {
            match (stored, has) {
                (Some(stored), Some(has)) if wanted.as_deref() == Some(has) => stored.clone(),
                _ => wanted.clone(),
            }
        };
        let name = settle(
            &relation.name,
            before.map(|it| &it.name),
            named.map(|it| &*it.name),
        );
        let inverse = settle(
            &relation.inverse,
            before.map(|it| &it.inverse),
            named.map(|it| &*it.inverse),
        );
        self.check_name(relation, named.map(|it| &*it.name))?;
        let wanted = thalweg_engine::DeclaredRelation {
            field,
            is_list: relation.is_list,
            target,
            key,
            name,
            inverse,
            on_delete: relation.on_delete,
            is_indexed: relation.is_indexed,
        };
        Ok((wanted, before))
    }

    /// A stored field keeps its name, so a relation cannot have it.
    fn check_name(&self, relation: &DeclaredRelation, has: Option<&str>) -> Result<(), Refusal> {
        let is_top = relation.field.segments().len() == 1;
        let (Some(name), Some(found), true) = (&relation.name, self.found, is_top) else {
            return Ok(());
        };
        let is_field = |ids| found.schema.output_field(name, ids).is_some();
        if has != Some(name) && IdNames::ALL.into_iter().any(is_field) {
            return Err(Refusal::bad_request(format!(
                "{}: {name} is a field of the documents already, so the relation over {} needs another name",
                self.name, relation.field
            )));
        }
        Ok(())
    }

    fn original(&self, path: &FieldPath) -> FieldPath {
        original(path, self.found)
    }
}

/// A path with GraphQL names taken for the original ones, as far as the types of the collection know them.
fn original(path: &FieldPath, found: Option<&Collection>) -> FieldPath {
    let mut object = found.map(|found| &found.schema.object);
    let mut names: Vec<Arc<str>> = Vec::with_capacity(path.segments().len());
    for name in path.segments() {
        let field = object.and_then(|object| {
            let original = object.fields.iter().find(|field| field.json_name == *name);
            original.or_else(|| object.field(name))
        });
        names.push(field.map_or_else(|| Arc::clone(name), |field| Arc::clone(&field.json_name)));
        object = match field.map(|field| &field.ty) {
            Some(FieldType::Object(inner)) => Some(inner),
            _ => None,
        };
    }
    FieldPath::new(names).unwrap_or_else(|| path.clone())
}

/// Appends the directives that declare a collection's relations as they are. What was found in the documents is not
/// declared by that.
pub(super) fn print(collection: &Collection, catalog: &Catalog, text: &mut String) {
    for stored in &collection.stored_relations.list {
        let named = collection
            .relations
            .iter()
            .find(|it| it.field == stored.field);
        let target = catalog.by_id(stored.target);
        let Some(target) = target else {
            continue;
        };
        // One that is beside nothing published yet has the names that were asked for.
        let name = named.map(|it| &*it.name).or(stored.name.as_deref());
        let inverse = named.map(|it| &*it.inverse).or(stored.inverse.as_deref());
        if stored.origin == RelationOrigin::Detected {
            continue;
        }
        let mut field = field_text(&stored.field);
        if stored.is_list {
            field.push_str("[]");
        }
        text.push_str(&format!(
            " @relation(field: {}, to: {}",
            quoted(&field),
            quoted(&target.name)
        ));
        for (argument, name) in [("name", name), ("inverse", inverse)] {
            if let Some(name) = name {
                text.push_str(&format!(", {argument}: {}", quoted(name)));
            }
        }
        if let RelationKey::Field(path) = &stored.key {
            text.push_str(&format!(", references: {}", quoted(&field_text(path))));
        }
        if stored.on_delete != OnDelete::NoAction {
            text.push_str(&format!(", onDelete: {}", stored.on_delete.as_str()));
        }
        if !stored.is_indexed {
            text.push_str(", index: false");
        }
        text.push(')');
    }
    for refused in &collection.stored_relations.refused {
        let field = quoted(&field_text(refused));
        text.push_str(&format!(" @relation(field: {field}, none: true)"));
    }
}

/// A path as [`notation`] reads it.
fn field_text(path: &FieldPath) -> String {
    let field = IndexField {
        field: FieldRef::Path(path.clone()),
        items: None,
        descending: false,
        instant: false,
    };
    field.to_string()
}

/// A GraphQL string: JSON's escapes are among GraphQL's.
fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_json_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
