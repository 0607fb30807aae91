//! Which deprecated fields an operation uses, so that they are kept.
//!
//! Found when an operation is prepared, and only where the API schema has deprecated fields at all: in what it selects,
//! and in the filters, orders and inputs that it gives, as literals or in variables. What a condition leaves out counts
//! as used, too.

use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::ast::{Type, Value as Literal};
use apollo_compiler::collections::HashSet;
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, InputValueDefinition};
use thalweg_engine::FieldUse;
use thalweg_model::{Kind, Value, ValueRef};
use thalweg_schema_infer::{ApiSchema, DeprecatedField};

/// The deprecated fields that an operation uses.
pub(crate) fn find(
    api: &ApiSchema,
    types: &Schema,
    document: &ExecutableDocument,
    operation: &Operation,
    variables: Option<&Value>,
) -> Box<[FieldUse]> {
    if !api.has_deprecated_fields() {
        return Box::default();
    }
    let mut search = Search {
        api,
        types,
        document,
        fragments: HashSet::default(),
        found: Vec::new(),
    };
    search.selection(&operation.selection_set);
    for declared in &operation.variables {
        if let Some(literal) = &declared.default_value {
            search.literal(&declared.ty, literal);
        }
        if let Some(given) = variables.and_then(|all| all.as_ref().get(&declared.name)) {
            search.value(&declared.ty, given);
        }
    }
    search.found.sort();
    search.found.dedup();
    search.found.into()
}

struct Search<'a> {
    api: &'a ApiSchema,
    types: &'a Schema,
    document: &'a ExecutableDocument,
    /// The fragments that have been looked into.
    fragments: HashSet<&'a str>,
    found: Vec<FieldUse>,
}

impl<'a> Search<'a> {
    fn selection(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    self.note(&set.ty, &field.name);
                    for argument in &field.arguments {
                        let declared = field.definition.argument_by_name(&argument.name);
                        if let Some(declared) = declared {
                            self.literal(&declared.ty, &argument.value);
                        }
                    }
                    self.selection(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.selection(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.fragments.insert(fragment.name.as_str())
                    {
                        self.selection(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn note(&mut self, type_name: &str, field: &str) {
        if let Some(DeprecatedField { collection, path }) =
            self.api.deprecated_field(type_name, field)
        {
            self.found.push((*collection, Arc::clone(path)));
        }
    }

    /// The fields of an input object type.
    fn input(&self, ty: &Type, name: &str) -> Option<&'a InputValueDefinition> {
        match self.types.types.get(ty.inner_named_type())? {
            ExtendedType::InputObject(object) => object.fields.get(name).map(|field| &***field),
            _ => None,
        }
    }

    fn literal(&mut self, ty: &Type, literal: &Literal) {
        match literal {
            Literal::List(items) => items.iter().for_each(|item| self.literal(ty, item)),
            Literal::Object(fields) => {
                for (name, value) in fields {
                    if let Some(field) = self.input(ty, name) {
                        self.note(ty.inner_named_type(), name);
                        self.literal(&field.ty, value);
                    }
                }
            }
            // Variables are looked at by themselves.
            _ => {}
        }
    }

    fn value(&mut self, ty: &Type, value: ValueRef<'_>) {
        match value.kind() {
            Kind::List => value.items().for_each(|item| self.value(ty, item)),
            Kind::Object => {
                for (name, value) in value.members() {
                    if let Some(field) = self.input(ty, &name) {
                        self.note(ty.inner_named_type(), &name);
                        self.value(&field.ty, value);
                    }
                }
            }
            _ => {}
        }
    }
}
