//! What must hold of `@stream` in a valid document. The validator knows `@defer` already, and that fields which are merged
//! come in the same pieces is a rule of merging.

use std::collections::HashMap;

use apollo_compiler::ast::Directive;
use apollo_compiler::ast::Value;
use apollo_compiler::collections::HashSet;
use apollo_compiler::executable::{
    DirectiveList, ExecutableDocument, Field, OperationType, Selection, SelectionSet,
};
use apollo_compiler::{Name, Node};
use thalweg_model::ErrorCode;

use super::split::is_list;
use crate::document::locate;
use crate::failure::GraphqlError;

/// What is wrong with a document's use of `@stream`.
pub(crate) fn check(document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut rules = Rules {
        document,
        labels: HashMap::new(),
        errors: Vec::new(),
    };
    for operation in document.operations.iter() {
        rules.set(&operation.selection_set);
        if operation.operation_type != OperationType::Query {
            rules.root(
                &operation.selection_set,
                &mut HashSet::default(),
                operation.operation_type,
            );
        }
        if operation.is_subscription() {
            rules.subscription(&operation.selection_set, &mut HashSet::default());
        }
    }
    for fragment in document.fragments.values() {
        rules.set(&fragment.selection_set);
    }
    rules.errors
}

struct Rules<'d> {
    document: &'d ExecutableDocument,
    /// The labels, and whether the last one that had it streams.
    labels: HashMap<&'d str, bool>,
    errors: Vec<GraphqlError>,
}

impl<'d> Rules<'d> {
    fn refuse(&mut self, directive: &Node<Directive>, message: String) {
        let location = locate(directive.location(), &self.document.sources);
        let error = GraphqlError::new(ErrorCode::ValidationFailed, message).at(location);
        self.errors.push(error);
    }

    /// What can be said of each selection set by itself.
    fn set(&mut self, set: &'d SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.field(field);
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.set(&inline.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Labels are texts, and no two are alike.
    fn directives(&mut self, directives: &'d DirectiveList) {
        for name in ["defer", "stream"] {
            let Some(directive) = directives.get(name) else {
                continue;
            };
            let label = directive.specified_argument_by_name("label");
            match label.map(|label| &**label) {
                Some(Value::String(label)) => {
                    let is_stream = name == "stream";
                    // Of two that defer, the validator says so.
                    let known = self.labels.insert(label, is_stream);
                    if known.is_some_and(|streams| streams || is_stream) {
                        let message =
                            format!("the label {label:?} is there twice; give each its own");
                        self.refuse(directive, message);
                    }
                }
                Some(Value::Variable(_)) if name == "stream" => {
                    let message =
                        "the label of `@stream` must be a text, not a variable".to_owned();
                    self.refuse(directive, message);
                }
                _ => {}
            }
        }
    }

    fn field(&mut self, field: &'d Node<Field>) {
        if let Some(stream) = field.directives.get("stream")
            && !is_list(&field.definition.ty)
        {
            let message = format!(
                "`@stream` is for lists, and the field `{}` is of the type {}",
                field.name, field.definition.ty
            );
            self.refuse(stream, message);
        }
    }

    /// A root field of a mutation or a subscription has no pieces.
    fn root(
        &mut self,
        set: &'d SelectionSet,
        visited: &mut HashSet<&'d Name>,
        kind: OperationType,
    ) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if let Some(stream) = field.directives.get("stream") {
                        let message = format!(
                            "`@stream` cannot be used on a root field of a {}",
                            kind.name()
                        );
                        self.refuse(stream, message);
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.root(&inline.selection_set, visited, kind);
                }
                Selection::FragmentSpread(spread) => {
                    if visited.insert(&spread.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        self.root(&fragment.selection_set, visited, kind);
                    }
                }
            }
        }
    }

    /// In a subscription it must be possible to switch it off.
    fn subscription(&mut self, set: &'d SelectionSet, visited: &mut HashSet<&'d Name>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if let Some(stream) = field.directives.get("stream") {
                        let condition = stream.specified_argument_by_name("if");
                        let can_be_off = matches!(
                            condition.map(|value| &**value),
                            Some(Value::Variable(_) | Value::Boolean(false))
                        );
                        if !can_be_off {
                            let message = "`@stream` in a subscription must use `if: false` or `if: $variable`";
                            self.refuse(stream, message.to_owned());
                        }
                    }
                    self.subscription(&field.selection_set, visited);
                }
                Selection::InlineFragment(inline) => {
                    self.subscription(&inline.selection_set, visited);
                }
                Selection::FragmentSpread(spread) => {
                    if visited.insert(&spread.fragment_name)
                        && let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                    {
                        self.subscription(&fragment.selection_set, visited);
                    }
                }
            }
        }
    }
}
