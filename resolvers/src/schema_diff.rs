//! What has changed between two schemas, and which of it breaks clients.
//!
//! The kinds are those of `@graphql-inspector/core`, and the judgment is that of `findBreakingChanges` in graphql-js:
//! a change is breaking if an operation that was valid may be invalid, or its result of another type than its client
//! knows. Descriptions and applied directives, `@deprecated` on fields and enum values aside, are not compared; of what
//! is added or removed as a whole the parts are not told.

#[cfg(test)]
mod tests;

use apollo_compiler::Schema;
use apollo_compiler::ast::{DirectiveDefinition, DirectiveList, InputValueDefinition, Type};
use apollo_compiler::collections::{IndexMap, IndexSet};
use apollo_compiler::schema::{
    self, ComponentName, EnumType, ExtendedType, FieldDefinition, InputObjectType, UnionType,
};
use apollo_compiler::{Name, Node};
use thiserror::Error;

/// One difference between two schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiChange {
    /// In the terms of graphql-inspector: `FIELD_ADDED`, `FIELD_TYPE_CHANGED`, ….
    pub kind: &'static str,
    /// What has changed: `Movie.title`, `Query.movies.filter`, `@live.if`.
    pub path: String,
    /// Whether it may break clients.
    pub breaking: bool,
    /// The change in words.
    pub description: String,
}

/// A text that is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .messages.join("\n"))]
pub struct InvalidSchema {
    /// What is wrong with it and where, at least one.
    pub messages: Vec<String>,
}

/// What has changed between two schemas that are given as SDL. The first failing text is told as `Err` with which of
/// them it was: 0 or 1.
pub fn diff_sdl(old: &str, new: &str) -> Result<Vec<ApiChange>, (usize, InvalidSchema)> {
    let parse = |index: usize, text: &str| {
        Schema::parse_and_validate(text, "schema.graphql").map_err(|refused| {
            let messages = refused.errors.iter().map(|error| {
                let error = error.to_json();
                match error.locations.first() {
                    Some(at) => format!("{}:{}: {}", at.line, at.column, error.message),
                    None => error.message,
                }
            });
            let messages = messages.collect();
            (index, InvalidSchema { messages })
        })
    };
    let (old, new) = (parse(0, old)?, parse(1, new)?);
    Ok(diff(&old, &new))
}

/// What has changed between two schemas.
pub(crate) fn diff(old: &Schema, new: &Schema) -> Vec<ApiChange> {
    let mut changes = Changes(Vec::new());
    changes.roots(old, new);
    for (name, before) in &old.types {
        match new.types.get(name) {
            None => {
                let description = format!("{} `{name}` was removed", kind_of(before));
                changes.breaking("TYPE_REMOVED", name.to_string(), description);
            }
            Some(after) => changes.types(name, before, after),
        }
    }
    for (name, after) in &new.types {
        if !old.types.contains_key(name) {
            let description = format!("{} `{name}` was added", kind_of(after));
            changes.safe("TYPE_ADDED", name.to_string(), description);
        }
    }
    for (name, before) in &old.directive_definitions {
        match new.directive_definitions.get(name) {
            None => changes.breaking(
                "DIRECTIVE_REMOVED",
                format!("@{name}"),
                format!("directive `@{name}` was removed"),
            ),
            Some(after) => changes.directive(before, after),
        }
    }
    for name in new.directive_definitions.keys() {
        if !old.directive_definitions.contains_key(name) {
            let description = format!("directive `@{name}` was added");
            changes.safe("DIRECTIVE_ADDED", format!("@{name}"), description);
        }
    }
    changes.0
}

/// The changes that were found so far.
struct Changes(Vec<ApiChange>);

/// A field of an object type or an interface.
struct FieldPair<'s> {
    path: String,
    old: &'s FieldDefinition,
    new: &'s FieldDefinition,
}

impl Changes {
    fn safe(&mut self, kind: &'static str, path: String, description: String) {
        self.tell(kind, path, false, description);
    }

    fn breaking(&mut self, kind: &'static str, path: String, description: String) {
        self.tell(kind, path, true, description);
    }

    fn tell(&mut self, kind: &'static str, path: String, breaking: bool, description: String) {
        self.0.push(ApiChange {
            kind,
            path,
            breaking,
            description,
        });
    }

    /// Another root type breaks what the types by themselves tell, and nothing else.
    fn roots(&mut self, old: &Schema, new: &Schema) {
        let name = |root: &Option<ComponentName>| {
            root.as_ref()
                .map_or_else(|| "none".to_owned(), |root| root.name.to_string())
        };
        let (old, new) = (&old.schema_definition, &new.schema_definition);
        for (kind, what, before, after) in [
            ("SCHEMA_QUERY_TYPE_CHANGED", "query", &old.query, &new.query),
            (
                "SCHEMA_MUTATION_TYPE_CHANGED",
                "mutation",
                &old.mutation,
                &new.mutation,
            ),
            (
                "SCHEMA_SUBSCRIPTION_TYPE_CHANGED",
                "subscription",
                &old.subscription,
                &new.subscription,
            ),
        ] {
            let (before, after) = (name(before), name(after));
            if before != after {
                let description = format!("the {what} root changed from `{before}` to `{after}`");
                self.safe(kind, after, description);
            }
        }
    }

    fn types(&mut self, name: &Name, old: &ExtendedType, new: &ExtendedType) {
        use ExtendedType::{Enum, InputObject, Interface, Object, Scalar, Union};
        match (old, new) {
            (Scalar(_), Scalar(_)) => {}
            (Object(old), Object(new)) => {
                if !Node::ptr_eq(old, new) {
                    self.interfaces(name, &old.implements_interfaces, &new.implements_interfaces);
                    self.fields(name, &old.fields, &new.fields);
                }
            }
            (Interface(old), Interface(new)) => {
                if !Node::ptr_eq(old, new) {
                    self.interfaces(name, &old.implements_interfaces, &new.implements_interfaces);
                    self.fields(name, &old.fields, &new.fields);
                }
            }
            (Union(old), Union(new)) => self.members(name, old, new),
            (Enum(old), Enum(new)) => self.values(name, old, new),
            (InputObject(old), InputObject(new)) => self.input_fields(name, old, new),
            _ => self.breaking(
                "TYPE_KIND_CHANGED",
                name.to_string(),
                format!("`{name}` changed from {} to {}", kind_of(old), kind_of(new)),
            ),
        }
    }

    fn interfaces(
        &mut self,
        name: &Name,
        old: &IndexSet<ComponentName>,
        new: &IndexSet<ComponentName>,
    ) {
        for gone in old.iter().filter(|interface| !new.contains(*interface)) {
            let description = format!("`{name}` no longer implements `{}`", gone.name);
            self.breaking(
                "OBJECT_TYPE_INTERFACE_REMOVED",
                name.to_string(),
                description,
            );
        }
        for added in new.iter().filter(|interface| !old.contains(*interface)) {
            let description = format!("`{name}` implements `{}`", added.name);
            self.safe("OBJECT_TYPE_INTERFACE_ADDED", name.to_string(), description);
        }
    }

    fn fields(
        &mut self,
        of: &Name,
        old: &IndexMap<Name, schema::Component<FieldDefinition>>,
        new: &IndexMap<Name, schema::Component<FieldDefinition>>,
    ) {
        for (name, before) in old {
            let path = format!("{of}.{name}");
            match new.get(name) {
                None => {
                    let description = format!("field `{path}` was removed");
                    self.breaking("FIELD_REMOVED", path, description);
                }
                Some(after) => self.field(&FieldPair {
                    path,
                    old: before,
                    new: after,
                }),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let path = format!("{of}.{name}");
            let description = format!("field `{path}` was added");
            self.safe("FIELD_ADDED", path, description);
        }
    }

    fn field(&mut self, field: &FieldPair<'_>) {
        let FieldPair { path, old, new } = field;
        if old.ty != new.ty {
            let description = format!("field `{path}` changed from `{}` to `{}`", old.ty, new.ty);
            let breaking = !is_safe_output(&old.ty, &new.ty);
            self.tell("FIELD_TYPE_CHANGED", path.clone(), breaking, description);
        }
        let kinds = [
            "FIELD_DEPRECATION_ADDED",
            "FIELD_DEPRECATION_REMOVED",
            "FIELD_DEPRECATION_REASON_CHANGED",
        ];
        self.deprecation(path, "field", kinds, &old.directives, &new.directives);
        for argument in &old.arguments {
            let path = format!("{path}.{}", argument.name);
            match find(&new.arguments, &argument.name) {
                None => {
                    let description = format!("argument `{path}` was removed");
                    self.breaking("FIELD_ARGUMENT_REMOVED", path, description);
                }
                Some(after) => {
                    if argument.ty != after.ty {
                        let breaking = !is_safe_input(&argument.ty, &after.ty);
                        let description = format!(
                            "argument `{path}` changed from `{}` to `{}`",
                            argument.ty, after.ty
                        );
                        let kind = "FIELD_ARGUMENT_TYPE_CHANGED";
                        self.tell(kind, path.clone(), breaking, description);
                    }
                    if argument.default_value != after.default_value {
                        let description = default_changed("argument", &path, argument, after);
                        self.safe("FIELD_ARGUMENT_DEFAULT_CHANGED", path, description);
                    }
                }
            }
        }
        for argument in &new.arguments {
            if find(&old.arguments, &argument.name).is_none() {
                let path = format!("{path}.{}", argument.name);
                let description = format!("{}argument `{path}` was added", required(argument));
                let breaking = argument.is_required();
                self.tell("FIELD_ARGUMENT_ADDED", path, breaking, description);
            }
        }
    }

    fn deprecation(
        &mut self,
        path: &str,
        what: &str,
        [added, removed, changed]: [&'static str; 3],
        old: &DirectiveList,
        new: &DirectiveList,
    ) {
        match (deprecation(old), deprecation(new)) {
            (None, Some(reason)) => {
                let description = format!("{what} `{path}` is deprecated: {reason}");
                self.safe(added, path.to_owned(), description);
            }
            (Some(_), None) => {
                let description = format!("{what} `{path}` is no longer deprecated");
                self.safe(removed, path.to_owned(), description);
            }
            (Some(before), Some(after)) if before != after => {
                let description = format!("{what} `{path}` is deprecated: {after}");
                self.safe(changed, path.to_owned(), description);
            }
            _ => {}
        }
    }

    fn members(&mut self, name: &Name, old: &UnionType, new: &UnionType) {
        for gone in old
            .members
            .iter()
            .filter(|member| !new.members.contains(*member))
        {
            let description = format!("`{}` is no longer one of `{name}`", gone.name);
            self.breaking("UNION_MEMBER_REMOVED", name.to_string(), description);
        }
        for added in new
            .members
            .iter()
            .filter(|member| !old.members.contains(*member))
        {
            let description = format!("`{}` is one of `{name}`", added.name);
            self.safe("UNION_MEMBER_ADDED", name.to_string(), description);
        }
    }

    fn values(&mut self, of: &Name, old: &Node<EnumType>, new: &Node<EnumType>) {
        if Node::ptr_eq(old, new) {
            return;
        }
        for (name, before) in &old.values {
            let path = format!("{of}.{name}");
            match new.values.get(name) {
                None => {
                    let description = format!("enum value `{path}` was removed");
                    self.breaking("ENUM_VALUE_REMOVED", path, description);
                }
                Some(after) => {
                    let kinds = [
                        "ENUM_VALUE_DEPRECATION_REASON_ADDED",
                        "ENUM_VALUE_DEPRECATION_REASON_REMOVED",
                        "ENUM_VALUE_DEPRECATION_REASON_CHANGED",
                    ];
                    self.deprecation(
                        &path,
                        "enum value",
                        kinds,
                        &before.directives,
                        &after.directives,
                    );
                }
            }
        }
        for name in new
            .values
            .keys()
            .filter(|name| !old.values.contains_key(*name))
        {
            let path = format!("{of}.{name}");
            let description = format!("enum value `{path}` was added");
            self.safe("ENUM_VALUE_ADDED", path, description);
        }
    }

    fn input_fields(
        &mut self,
        of: &Name,
        old: &Node<InputObjectType>,
        new: &Node<InputObjectType>,
    ) {
        if Node::ptr_eq(old, new) {
            return;
        }
        for (name, before) in &old.fields {
            let path = format!("{of}.{name}");
            let Some(after) = new.fields.get(name) else {
                let description = format!("input field `{path}` was removed");
                self.breaking("INPUT_FIELD_REMOVED", path, description);
                continue;
            };
            if before.ty != after.ty {
                let description = format!(
                    "input field `{path}` changed from `{}` to `{}`",
                    before.ty, after.ty
                );
                let breaking = !is_safe_input(&before.ty, &after.ty);
                self.tell(
                    "INPUT_FIELD_TYPE_CHANGED",
                    path.clone(),
                    breaking,
                    description,
                );
            }
            if before.default_value != after.default_value {
                let description = default_changed("input field", &path, before, after);
                self.safe("INPUT_FIELD_DEFAULT_VALUE_CHANGED", path, description);
            }
        }
        for (name, added) in &new.fields {
            if !old.fields.contains_key(name) {
                let path = format!("{of}.{name}");
                let description = format!("{}input field `{path}` was added", required(added));
                let breaking = added.is_required();
                self.tell("INPUT_FIELD_ADDED", path, breaking, description);
            }
        }
    }

    fn directive(&mut self, old: &Node<DirectiveDefinition>, new: &Node<DirectiveDefinition>) {
        let at = format!("@{}", old.name);
        if old.repeatable && !new.repeatable {
            let description = format!("directive `{at}` is no longer repeatable");
            self.breaking("DIRECTIVE_REPEATABLE_REMOVED", at.clone(), description);
        } else if new.repeatable && !old.repeatable {
            let description = format!("directive `{at}` is repeatable");
            self.safe("DIRECTIVE_REPEATABLE_ADDED", at.clone(), description);
        }
        for location in old
            .locations
            .iter()
            .filter(|place| !new.locations.contains(place))
        {
            let description = format!("directive `{at}` can no longer stand on {location}");
            self.breaking("DIRECTIVE_LOCATION_REMOVED", at.clone(), description);
        }
        for location in new
            .locations
            .iter()
            .filter(|place| !old.locations.contains(place))
        {
            let description = format!("directive `{at}` can stand on {location}");
            self.safe("DIRECTIVE_LOCATION_ADDED", at.clone(), description);
        }
        for argument in &old.arguments {
            let path = format!("{at}.{}", argument.name);
            let Some(after) = find(&new.arguments, &argument.name) else {
                let description = format!("argument `{path}` was removed");
                self.breaking("DIRECTIVE_ARGUMENT_REMOVED", path, description);
                continue;
            };
            if argument.ty != after.ty {
                let description = format!(
                    "argument `{path}` changed from `{}` to `{}`",
                    argument.ty, after.ty
                );
                self.safe("DIRECTIVE_ARGUMENT_TYPE_CHANGED", path.clone(), description);
            }
            if argument.default_value != after.default_value {
                let description = default_changed("argument", &path, argument, after);
                self.safe(
                    "DIRECTIVE_ARGUMENT_DEFAULT_VALUE_CHANGED",
                    path,
                    description,
                );
            }
        }
        for argument in &new.arguments {
            if find(&old.arguments, &argument.name).is_none() {
                let path = format!("{at}.{}", argument.name);
                let description = format!("{}argument `{path}` was added", required(argument));
                let breaking = argument.is_required();
                self.tell("DIRECTIVE_ARGUMENT_ADDED", path, breaking, description);
            }
        }
    }
}

/// `isChangeSafeForObjectOrInterfaceField` of graphql-js: the new type gives nothing that the old one does not.
fn is_safe_output(old: &Type, new: &Type) -> bool {
    match (old, new) {
        (Type::NonNullNamed(old), Type::NonNullNamed(new)) => old == new,
        (Type::NonNullList(old), Type::NonNullList(new)) => is_safe_output(old, new),
        (Type::NonNullNamed(_) | Type::NonNullList(_), _) => false,
        (Type::Named(old), Type::Named(new) | Type::NonNullNamed(new)) => old == new,
        (Type::List(old), Type::List(new) | Type::NonNullList(new)) => is_safe_output(old, new),
        (Type::Named(_) | Type::List(_), _) => false,
    }
}

/// `isChangeSafeForInputObjectFieldOrFieldArg` of graphql-js: the new type takes all that the old one takes.
fn is_safe_input(old: &Type, new: &Type) -> bool {
    match (old, new) {
        (Type::Named(old) | Type::NonNullNamed(old), Type::Named(new)) => old == new,
        (Type::NonNullNamed(old), Type::NonNullNamed(new)) => old == new,
        (Type::List(old) | Type::NonNullList(old), Type::List(new))
        | (Type::NonNullList(old), Type::NonNullList(new)) => is_safe_input(old, new),
        _ => false,
    }
}

fn kind_of(ty: &ExtendedType) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "scalar",
        ExtendedType::Object(_) => "type",
        ExtendedType::Interface(_) => "interface",
        ExtendedType::Union(_) => "union",
        ExtendedType::Enum(_) => "enum",
        ExtendedType::InputObject(_) => "input type",
    }
}

fn find<'s>(
    arguments: &'s [Node<InputValueDefinition>],
    name: &Name,
) -> Option<&'s Node<InputValueDefinition>> {
    arguments.iter().find(|argument| argument.name == *name)
}

fn required(input: &InputValueDefinition) -> &'static str {
    if input.is_required() { "required " } else { "" }
}

fn default_changed(
    what: &str,
    path: &str,
    old: &InputValueDefinition,
    new: &InputValueDefinition,
) -> String {
    let text = |input: &InputValueDefinition| match &input.default_value {
        Some(value) => format!("`{}`", value.serialize().no_indent()),
        None => "none".to_owned(),
    };
    format!(
        "the default of {what} `{path}` changed from {} to {}",
        text(old),
        text(new)
    )
}

/// The reason of a deprecation, where there is one.
fn deprecation(directives: &DirectiveList) -> Option<String> {
    let directive = directives.get("deprecated")?;
    let reason = directive
        .specified_argument_by_name("reason")
        .and_then(|reason| reason.as_str());
    Some(reason.unwrap_or("No longer supported").to_owned())
}
