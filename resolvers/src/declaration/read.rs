//! From SDL to a declaration.
//!
//! A declared schema is read as an addition to the API schema of an empty database, which defines the scalars and the
//! directives; so the ordinary validation of a schema finds what is unknown or misplaced. What it cannot know (spans of
//! time, the notation of indexes, what is not supported yet) is checked here. All mistakes are told at once.

use std::sync::Arc;

use apollo_compiler::ast::{
    Definition, Directive, DirectiveList, Document, FieldDefinition, Type, Value,
};
use apollo_compiler::collections::HashSet;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{Parser, SourceSpan};
use apollo_compiler::schema::{Component, ExtendedType, ObjectType};
use apollo_compiler::validation::DiagnosticList;
use apollo_compiler::{Name, Node, Schema, ty};
use thalweg_engine::{
    FieldRef, IndexDefinition, IndexField, ListItems, OnExpire, Settings, parse_duration,
};
use thalweg_model::{CommitTs, ErrorCode, FieldPath};
use thalweg_schema_infer::{ApiSchema, CollectionMode, IdNames};

use super::{Declaration, DeclaredCollection, DeclaredIndex, fields, relations};
use crate::document::locate;
use crate::failure::{Location, Refusal};
use crate::limits::{Limits, PARSER_DEPTH_MAX};

/// The API schema of a large database has some hundred thousand.
const TOKENS_MAX: usize = 2_000_000;

/// Directives that will mean something, and do not yet.
const UNSUPPORTED: &[&str] = &["key", "policy", "search", "shareable", "vector"];

/// The directives that have a definition of their own here, whatever the SDL says of them.
const OWN: &[&str] = &[
    "collection",
    "default",
    "field",
    "index",
    "inferred",
    "relation",
    "unique",
    "was",
];

/// Reads a declared schema, or tells every mistake in it. `ids` are the names of the API schema that it adds to; what was
/// printed with others is read as well.
pub(crate) fn read(sdl: &str, ids: IdNames, limits: &Limits) -> Result<Declaration, Vec<Refusal>> {
    let parsed = Parser::new()
        .recursion_limit(PARSER_DEPTH_MAX)
        .token_limit(TOKENS_MAX)
        .parse_ast(sdl, "schema");
    let mut document = parsed.map_err(|refused| {
        let mut reader = Reader::default();
        reader.diagnostics(ErrorCode::ParseFailed, &refused.errors);
        reader.into_errors(limits)
    })?;
    let mut reader = Reader::default();
    reader.take_unsupported(&mut document);
    complete(&mut document, ids);
    let built = Schema::builder()
        .add_ast(&base(&document, ids))
        .add_ast(&document)
        .build();
    let schema = match built {
        Ok(schema) => match schema.validate() {
            Ok(valid) => valid.into_inner(),
            Err(refused) => {
                reader.diagnostics(ErrorCode::BadRequest, &refused.errors);
                refused.partial
            }
        },
        Err(refused) => {
            reader.diagnostics(ErrorCode::BadRequest, &refused.errors);
            refused.partial
        }
    };
    let declaration = reader.declaration(&schema, &document);
    if reader.errors.is_empty() {
        Ok(declaration)
    } else {
        Err(reader.into_errors(limits))
    }
}

/// A type that only declares a collection needs no fields, which GraphQL demands; its definitions of the directives
/// must be the ones that are known here.
fn complete(document: &mut Document, ids: IdNames) {
    document.definitions.retain(|definition| match definition {
        Definition::DirectiveDefinition(directive) => !OWN.contains(&directive.name.as_str()),
        _ => true,
    });
    for definition in &mut document.definitions {
        if let Definition::ObjectTypeDefinition(object) = definition
            && object.fields.is_empty()
            && object.directives.has("collection")
        {
            let placeholder = FieldDefinition {
                description: None,
                name: Name::new_unchecked(ids.global()),
                arguments: Vec::new(),
                ty: ty!(ID!),
                directives: Default::default(),
            };
            object.make_mut().fields.push(placeholder.into());
        }
    }
}

/// The API schema of an empty database, without what the document defines itself.
fn base(document: &Document, ids: IdNames) -> Document {
    let api = ApiSchema::build(Vec::new(), CommitTs::ZERO, ids, None);
    // It is valid: a golden file of the crate that makes it is checked to be.
    let mut base = Document::parse(&**api.sdl(), "api").unwrap_or_else(|refused| refused.partial);
    let key = |definition: &Definition| {
        let is_directive = matches!(definition, Definition::DirectiveDefinition(_));
        definition.name().map(|name| (is_directive, name.clone()))
    };
    let defined: HashSet<_> = document
        .definitions
        .iter()
        .filter(|definition| !definition.is_extension_definition())
        .filter_map(key)
        .collect();
    base.definitions
        .retain(|definition| key(definition).is_none_or(|key| !defined.contains(&key)));
    base
}

#[derive(Default)]
struct Reader {
    errors: Vec<(Option<Location>, Refusal)>,
}

impl Reader {
    fn refuse(&mut self, location: Option<Location>, code: ErrorCode, message: String) {
        let refusal = Refusal::in_sdl(code, message, location);
        if !self.errors.iter().any(|(_, error)| *error == refusal) {
            self.errors.push((location, refusal));
        }
    }

    fn bad(&mut self, at: Option<SourceSpan>, document: &Document, message: String) {
        let location = locate(at, &document.sources);
        self.refuse(location, ErrorCode::BadRequest, message);
    }

    fn diagnostics(&mut self, code: ErrorCode, list: &DiagnosticList) {
        for diagnostic in list.iter() {
            let location = locate(diagnostic.error.location(), diagnostic.sources);
            self.refuse(location, code, diagnostic.error.to_string());
        }
    }

    fn into_errors(mut self, limits: &Limits) -> Vec<Refusal> {
        self.errors.sort_by_key(|(location, _)| {
            location.map_or((usize::MAX, 0), |location| (location.line, location.column))
        });
        let hidden = self.errors.len().saturating_sub(limits.errors_max);
        let mut errors: Vec<Refusal> = self.errors.into_iter().map(|(_, error)| error).collect();
        if hidden > 0 {
            errors.truncate(limits.errors_max);
            errors.push(Refusal::limit(format!(
                "{hidden} more errors are not shown"
            )));
        }
        errors
    }

    /// Tells of directives that are not supported yet and takes them out, so that nobody else stumbles over them.
    fn take_unsupported(&mut self, document: &mut Document) {
        let mut found = Vec::new();
        for definition in &mut document.definitions {
            let (directives, fields) = match definition {
                Definition::ObjectTypeDefinition(object) => {
                    let object = object.make_mut();
                    (&mut object.directives, &mut object.fields)
                }
                Definition::ObjectTypeExtension(object) => {
                    let object = object.make_mut();
                    (&mut object.directives, &mut object.fields)
                }
                _ => continue,
            };
            take_unsupported(directives, &mut found);
            for field in fields.iter_mut().filter(|it| !it.directives.is_empty()) {
                take_unsupported(&mut field.make_mut().directives, &mut found);
            }
        }
        for directive in found {
            let message = format!("@{} is not supported yet", directive.name);
            self.bad(directive.location(), document, message);
        }
    }

    fn declaration(&mut self, schema: &Schema, document: &Document) -> Declaration {
        let mut collections = Vec::new();
        for ty in schema.types.values() {
            let ExtendedType::Object(object) = ty else {
                continue;
            };
            match object.directives.get("collection") {
                Some(declares) => {
                    let mut collection = self.collection(object, declares, schema, document);
                    let is_collection = |name: &str| {
                        let object = schema.get_object(name);
                        object.is_some_and(|object| object.directives.has("collection"))
                    };
                    let mut complain = |at, message| self.bad(at, document, message);
                    collection.relations = relations::read(object, &is_collection, &mut complain);
                    collections.push(collection);
                }
                None => self.refuse_stray(object, document),
            }
        }
        let is_api = document
            .definitions
            .iter()
            .any(|definition| definition.name().is_some_and(|name| name == "Query"));
        if collections.is_empty() && !is_api && self.errors.is_empty() {
            let message = "the SDL declares no collection; write `type Movie @collection { … }`";
            self.refuse(None, ErrorCode::BadRequest, message.to_owned());
        }
        Declaration { collections }
    }

    /// Indexes belong to collections.
    fn refuse_stray(&mut self, object: &ObjectType, document: &Document) {
        let on_fields = object.fields.iter().flat_map(|(name, field)| {
            let directives = field.directives.iter();
            directives.map(move |directive| (Some(name), directive))
        });
        let on_type = object
            .directives
            .iter()
            .map(|directive| (None, &directive.node));
        for (field, directive) in on_type.chain(on_fields) {
            if !matches!(directive.name.as_str(), "index" | "relation" | "unique") {
                continue;
            }
            let message = match field {
                None => format!(
                    "@{} on the type {}, which declares no collection; add @collection to it",
                    directive.name, object.name
                ),
                Some(field) if directive.name == "relation" => format!(
                    "@relation on the field {field} of {}, which declares no collection; a relation of a field inside \
                     documents is declared on the collection's type: @relation(field: \"address.city_id\", to: \"cities\")",
                    object.name
                ),
                Some(field) => format!(
                    "@{} on the field {field} of {}, which declares no collection; a field inside documents is indexed \
                     with its path, on the collection's type: @index(fields: [\"address.city\"])",
                    directive.name, object.name
                ),
            };
            self.bad(directive.location(), document, message);
        }
    }

    fn collection(
        &mut self,
        object: &ObjectType,
        declares: &Component<Directive>,
        schema: &Schema,
        document: &Document,
    ) -> DeclaredCollection {
        let mut indexes = Vec::new();
        for directive in object.directives.get_all("index") {
            indexes.extend(self.index(directive, document));
        }
        for (name, field) in &object.fields {
            for directive in field.directives.iter() {
                if matches!(directive.name.as_str(), "index" | "unique") {
                    let index = self.field_index(name, &field.ty, directive, document);
                    indexes.extend(index);
                }
            }
        }
        for (position, index) in indexes.iter().enumerate() {
            if indexes[..position].contains(index) {
                let message = format!("an index of {} is declared twice", object.name);
                self.bad(declares.location(), document, message);
            }
        }
        let mode = argument(declares, "mode").and_then(|mode| mode.as_enum());
        let mode = mode.and_then(|mode| CollectionMode::from_name(mode.as_str()));
        let mode = mode.unwrap_or_default();
        let mut mistakes = Vec::new();
        let fields = fields::read(object, mode, schema, &mut mistakes);
        for (field, message) in mistakes {
            self.bad(field.location(), document, message);
        }
        DeclaredCollection {
            type_name: object.name.as_str().into(),
            name: text(declares, "name").map(Arc::from),
            type_override: text(declares, "type").map(Arc::from),
            mode,
            fields,
            settings: self.settings(declares, document),
            indexes,
            relations: Default::default(),
        }
    }

    fn settings(&mut self, declares: &Node<Directive>, document: &Document) -> Settings {
        let mut duration = |name| {
            let given = argument(declares, name)?;
            match given.as_str().map(parse_duration) {
                Some(Ok(duration)) => Some(duration),
                Some(Err(error)) => {
                    self.bad(given.location(), document, format!("{name}: {error}"));
                    None
                }
                // A scalar takes any literal as far as the validation of schemas goes.
                None => {
                    let message = format!("{name} takes a string such as \"30d\"");
                    self.bad(given.location(), document, message);
                    None
                }
            }
        };
        let (ttl, purge_after) = (duration("ttl"), duration("purgeAfter"));
        let retain = argument(declares, "retain").map_or(Some(Default::default()), |given| {
            let text = given.as_str()?;
            match text.parse() {
                Ok(retain) => Some(retain),
                Err(_) => {
                    let message = format!(
                        "retain is {text:?}; it takes \"forever\", \"none\" or a duration such as \"30d\""
                    );
                    self.bad(given.location(), document, message);
                    None
                }
            }
        });
        let on_expire = argument(declares, "onExpire").and_then(|given| given.as_enum());
        let soft_delete = argument(declares, "softDelete").and_then(|given| given.to_bool());
        Settings {
            retain: retain.unwrap_or_default(),
            soft_delete: soft_delete.unwrap_or(true),
            purge_after,
            ttl,
            on_expire: on_expire.and_then(|name| OnExpire::from_name(name.as_str())),
        }
    }

    /// `@index` on a type.
    fn index(&mut self, directive: &Node<Directive>, document: &Document) -> Option<DeclaredIndex> {
        let Some(fields) = argument(directive, "fields") else {
            let message = "on a type, @index names its fields: @index(fields: [\"year DESC\"])";
            self.bad(directive.location(), document, message.to_owned());
            return None;
        };
        // One field may stand without the list, as everywhere in GraphQL.
        let fields: Vec<&str> = match fields.as_list() {
            Some(items) => items.iter().filter_map(|item| item.as_str()).collect(),
            None => fields.as_str().into_iter().collect(),
        };
        match IndexDefinition::parse(fields, is_unique(directive)) {
            Ok(definition) => Some(DeclaredIndex::Exact(definition)),
            Err(error) => {
                self.bad(directive.location(), document, error.to_string());
                None
            }
        }
    }

    /// `@index` or `@unique` on a field: over the field or, where it is a list, over its items. The field's declared type
    /// says whether strings are instants.
    fn field_index(
        &mut self,
        name: &str,
        ty: &Type,
        directive: &Node<Directive>,
        document: &Document,
    ) -> Option<DeclaredIndex> {
        if argument(directive, "fields").is_some() {
            let message =
                "on a field, @index takes no fields: it is over that field; put it on the type";
            self.bad(directive.location(), document, message.to_owned());
            return None;
        }
        Some(DeclaredIndex::OfField {
            field: name.into(),
            like: IndexField {
                field: FieldRef::Path(FieldPath::top(name)),
                items: ty.is_list().then_some(ListItems::Whole),
                descending: false,
                instant: ty.inner_named_type() == "DateTime",
            },
            unique: directive.name == "unique" || is_unique(directive),
        })
    }
}

fn take_unsupported(directives: &mut DirectiveList, found: &mut Vec<Node<Directive>>) {
    let is_unsupported =
        |directive: &mut Node<Directive>| UNSUPPORTED.contains(&directive.name.as_str());
    found.extend(directives.0.extract_if(.., is_unsupported));
}

fn is_unique(directive: &Directive) -> bool {
    argument(directive, "unique").and_then(|given| given.to_bool()) == Some(true)
}

/// An argument that is given and not null.
fn argument<'d>(directive: &'d Directive, name: &str) -> Option<&'d Node<Value>> {
    let given = directive.specified_argument_by_name(name)?;
    (!given.is_null()).then_some(given)
}

fn text<'d>(directive: &'d Directive, name: &str) -> Option<&'d str> {
    argument(directive, name)?.as_str()
}
