//! Taking an operation apart: what comes first, and an operation for each deferred fragment.
//!
//! Fragments are followed and conditions decided on the way, so the operations that come out are plain ones: compiling
//! them needs no knowledge of any of this.

use apollo_compiler::ast::{Directive, Type, Value};
use apollo_compiler::executable::{
    DirectiveList, Field, Fragment, InlineFragment, Operation, Selection, SelectionSet,
};
use apollo_compiler::{Name, Node};
use thalweg_model::ErrorCode;

use crate::failure::Failure;
use crate::input::Variables;
use crate::limits::Limits;
use crate::plan::Collector;

/// What is run on its own.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The part whose objects it belongs to; `None` for the first.
    pub(crate) parent: Option<usize>,
    /// The response keys that lead to its objects.
    pub(crate) chain: Vec<Name>,
    pub(crate) label: Option<String>,
    /// It selects the way to the part's objects, and of them what belongs to the part.
    pub(crate) operation: Operation,
    /// The lists in it that come in pieces, outer ones before those in their items.
    pub(crate) streams: Vec<StreamUse>,
}

/// A list of which some items come later.
#[derive(Debug, Clone)]
pub(crate) struct StreamUse {
    /// The response keys that lead to it.
    pub(crate) chain: Vec<Name>,
    pub(crate) label: Option<String>,
    /// How many items do not.
    pub(crate) initial_count: usize,
}

/// Takes a query apart. Gives nothing where no part of it comes later.
pub(crate) fn split(
    collector: Collector<'_>,
    operation: &Operation,
    limits: &Limits,
) -> Result<Vec<Part>, Failure> {
    let mut splitter = Splitter {
        collector,
        parts: vec![Part {
            parent: None,
            chain: Vec::new(),
            label: None,
            operation: with_selection(
                operation,
                SelectionSet::new(operation.object_type().clone()),
            ),
            streams: Vec::new(),
        }],
        operation,
        parts_max: limits.deferred_max.saturating_add(1),
    };
    let first = splitter.strip(0, &operation.selection_set, &mut Vec::new())?;
    splitter.parts[0].operation.selection_set = first;
    let is_plain = splitter.parts.len() == 1 && splitter.parts[0].streams.is_empty();
    Ok(if is_plain { Vec::new() } else { splitter.parts })
}

fn with_selection(operation: &Operation, selection_set: SelectionSet) -> Operation {
    Operation {
        operation_type: operation.operation_type,
        name: operation.name.clone(),
        variables: operation.variables.clone(),
        directives: operation.directives.clone(),
        selection_set,
    }
}

struct Splitter<'d> {
    collector: Collector<'d>,
    parts: Vec<Part>,
    operation: &'d Operation,
    parts_max: usize,
}

/// A step on the way from the root to where the splitter is, with the type that it is taken from.
enum Step<'d> {
    Field(&'d Node<Field>, Name),
    Condition(Option<Name>, Name),
}

impl<'d> Splitter<'d> {
    /// What is left of a selection set without its deferred fragments, which become parts of their own.
    fn strip(
        &mut self,
        part: usize,
        set: &'d SelectionSet,
        way: &mut Vec<Step<'d>>,
    ) -> Result<SelectionSet, Failure> {
        let mut left = SelectionSet::new(set.ty.clone());
        for selection in &set.selections {
            if !self.collector.is_included(selection.directives()) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    way.push(Step::Field(field, set.ty.clone()));
                    self.note_stream(part, field, way)?;
                    let inner = self.strip(part, &field.selection_set, way)?;
                    way.pop();
                    left.push(Selection::Field(with_inner(field, inner)));
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.type_condition.clone();
                    let (directives, inner) = (&inline.directives, &inline.selection_set);
                    self.fragment(part, condition, directives, inner, way, &mut left)?;
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.fragment_named(&spread.fragment_name) else {
                        continue;
                    };
                    let condition = Some(fragment.type_condition().clone());
                    let inner = &fragment.selection_set;
                    self.fragment(part, condition, &spread.directives, inner, way, &mut left)?;
                }
            }
        }
        Ok(left)
    }

    fn fragment_named(&self, name: &Name) -> Option<&'d Node<Fragment>> {
        self.collector.document.fragments.get(name)
    }

    fn fragment(
        &mut self,
        part: usize,
        condition: Option<Name>,
        directives: &DirectiveList,
        inner: &'d SelectionSet,
        way: &mut Vec<Step<'d>>,
        left: &mut SelectionSet,
    ) -> Result<(), Failure> {
        let defer = active(directives, "defer", self.collector.variables);
        way.push(Step::Condition(condition.clone(), left.ty.clone()));
        match defer {
            None => {
                let selection_set = self.strip(part, inner, way)?;
                left.push(conditional(condition, selection_set));
            }
            Some(defer) => {
                if self.parts.len() >= self.parts_max {
                    return Err(Failure::new(
                        ErrorCode::LimitExceeded,
                        format!(
                            "the operation defers more than {} fragments; put what is deferred into fewer",
                            self.parts_max - 1
                        ),
                    ));
                }
                let own = self.parts.len();
                self.parts.push(Part {
                    parent: Some(part),
                    chain: keys(way),
                    label: label(defer),
                    operation: with_selection(self.operation, SelectionSet::new(left.ty.clone())),
                    streams: Vec::new(),
                });
                let selection_set = self.strip(own, inner, way)?;
                self.parts[own].operation.selection_set = led_to(way, selection_set);
            }
        }
        way.pop();
        Ok(())
    }

    fn note_stream(&mut self, part: usize, field: &Field, way: &[Step<'_>]) -> Result<(), Failure> {
        let variables = self.collector.variables;
        let Some(stream) = active(&field.directives, "stream", variables) else {
            return Ok(());
        };
        let chain = keys(way);
        let initial_count = initial_count(stream, variables)?;
        let streams = &mut self.parts[part].streams;
        if !streams.iter().any(|known| known.chain == chain) {
            streams.push(StreamUse {
                chain,
                label: label(stream),
                initial_count,
            });
        }
        Ok(())
    }
}

/// The response keys of a way.
fn keys(way: &[Step<'_>]) -> Vec<Name> {
    way.iter()
        .filter_map(|step| match step {
            Step::Field(field, _) => Some(field.response_key().clone()),
            Step::Condition(..) => None,
        })
        .collect()
}

/// A selection from the root that leads to a selection.
fn led_to(way: &[Step<'_>], inner: SelectionSet) -> SelectionSet {
    way.iter().rev().fold(inner, |inner, step| {
        let (ty, selection) = match step {
            Step::Field(field, ty) => (ty, Selection::Field(with_inner(field, inner))),
            Step::Condition(condition, ty) => (ty, conditional(condition.clone(), inner)),
        };
        let mut set = SelectionSet::new(ty.clone());
        set.push(selection);
        set
    })
}

fn conditional(type_condition: Option<Name>, selection_set: SelectionSet) -> Selection {
    Selection::InlineFragment(Node::new(InlineFragment {
        type_condition,
        directives: DirectiveList::new(),
        selection_set,
    }))
}

fn with_inner(field: &Node<Field>, selection_set: SelectionSet) -> Node<Field> {
    field.same_location(Field {
        definition: field.definition.clone(),
        alias: field.alias.clone(),
        name: field.name.clone(),
        arguments: field.arguments.clone(),
        directives: DirectiveList::new(),
        selection_set,
    })
}

/// The directive of that name, if it is there and not switched off.
pub(super) fn active<'d>(
    directives: &'d DirectiveList,
    name: &str,
    variables: &Variables,
) -> Option<&'d Directive> {
    let directive = directives.get(name)?;
    let condition = directive.specified_argument_by_name("if");
    let is_on = match condition.map(|value| &**value) {
        Some(Value::Boolean(value)) => *value,
        Some(Value::Variable(name)) => variables.flag(name).unwrap_or(true),
        _ => true,
    };
    is_on.then_some(&**directive)
}

fn label(directive: &Directive) -> Option<String> {
    match &**directive.specified_argument_by_name("label")? {
        Value::String(label) => Some(label.to_string()),
        _ => None,
    }
}

fn initial_count(stream: &Directive, variables: &Variables) -> Result<usize, Failure> {
    let given = stream.specified_argument_by_name("initialCount");
    let count = match given.map(|value| &**value) {
        Some(Value::Int(count)) => count.try_to_i32().ok().map(i64::from),
        Some(Value::Variable(name)) => match variables.get(name) {
            Some(input) => input.as_scalar().and_then(|count| count.as_ref().as_i64()),
            None => Some(0),
        },
        _ => Some(0),
    };
    // Null counts as absent.
    usize::try_from(count.unwrap_or_default()).map_err(|_| {
        Failure::new(
            ErrorCode::BadRequest,
            "the argument `initialCount` of `@stream` must not be negative",
        )
    })
}

/// Whether a type is a list, null aside.
pub(super) fn is_list(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::NonNullList(_))
}
