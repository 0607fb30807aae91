//! Which fields a selection comes to: conditions decided, fragments followed, fields merged.
//!
//! Follows "CollectFields" of the GraphQL specification, once per plan rather than once per object.

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::collections::{HashSet, IndexMap};
use apollo_compiler::executable::{
    DirectiveList, ExecutableDocument, Field, Operation, Selection, SelectionSet,
};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node, Schema};

use crate::input::Variables;

/// The fields that share a response key; never empty.
pub(super) type Group<'d> = Vec<&'d Node<Field>>;

/// Collects fields of one document with given values of its conditions.
#[derive(Clone, Copy)]
pub(crate) struct Collector<'d> {
    pub(crate) schema: &'d Schema,
    pub(crate) document: &'d ExecutableDocument,
    pub(crate) variables: &'d Variables,
}

impl<'d> Collector<'d> {
    /// The fields that several selection sets together come to on an object of that type, by response key.
    pub(super) fn collect(
        &self,
        type_name: &str,
        sets: &[&'d SelectionSet],
    ) -> IndexMap<&'d Name, Group<'d>> {
        let mut groups = IndexMap::default();
        let mut visited = HashSet::default();
        for set in sets {
            self.collect_into(type_name, set, &mut visited, &mut groups);
        }
        groups
    }

    fn collect_into(
        &self,
        type_name: &str,
        set: &'d SelectionSet,
        visited: &mut HashSet<&'d Name>,
        groups: &mut IndexMap<&'d Name, Group<'d>>,
    ) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    groups.entry(field.response_key()).or_default().push(field);
                }
                Selection::InlineFragment(inline) => {
                    if inline
                        .type_condition
                        .as_ref()
                        .is_none_or(|condition| self.applies(condition, type_name))
                    {
                        self.collect_into(type_name, &inline.selection_set, visited, groups);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if !visited.insert(&spread.fragment_name) {
                        continue;
                    }
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.applies(fragment.type_condition(), type_name)
                    {
                        self.collect_into(type_name, &fragment.selection_set, visited, groups);
                    }
                }
            }
        }
    }

    fn applies(&self, condition: &Name, type_name: &str) -> bool {
        if condition == type_name {
            return true;
        }
        match self.schema.types.get(type_name) {
            Some(ExtendedType::Object(object)) => object.implements_interfaces.contains(condition),
            _ => false,
        }
    }

    pub(crate) fn is_included(&self, directives: &DirectiveList) -> bool {
        let condition = |name| directives.get(name).and_then(|found| self.condition(found));
        condition("skip") != Some(true) && condition("include") != Some(false)
    }

    fn condition(&self, directive: &Directive) -> Option<bool> {
        match &**directive.specified_argument_by_name("if")? {
            Value::Boolean(value) => Some(*value),
            Value::Variable(name) => self.variables.flag(name),
            _ => None,
        }
    }
}

/// The variables that the conditions of an operation use, its fragments followed, each once, in a fixed order.
pub(crate) fn condition_variables(
    document: &ExecutableDocument,
    operation: &Operation,
) -> Box<[Name]> {
    let mut names = Vec::new();
    let mut visited = HashSet::default();
    add_conditions(document, &operation.selection_set, &mut visited, &mut names);
    names.into()
}

fn add_conditions<'d>(
    document: &'d ExecutableDocument,
    set: &'d SelectionSet,
    visited: &mut HashSet<&'d Name>,
    names: &mut Vec<Name>,
) {
    for selection in &set.selections {
        for directive in selection.directives().iter() {
            if directive.name != "skip" && directive.name != "include" {
                continue;
            }
            let argument = directive.specified_argument_by_name("if");
            if let Some(Value::Variable(name)) = argument.map(|value| &**value)
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        match selection {
            Selection::Field(field) => {
                add_conditions(document, &field.selection_set, visited, names);
            }
            Selection::InlineFragment(inline) => {
                add_conditions(document, &inline.selection_set, visited, names);
            }
            Selection::FragmentSpread(spread) => {
                if visited.insert(&spread.fragment_name)
                    && let Some(fragment) = document.fragments.get(&spread.fragment_name)
                {
                    add_conditions(document, &fragment.selection_set, visited, names);
                }
            }
        }
    }
}
