//! Where an operation uses variables: that it defines them, and that they fit.
//!
//! The validator of the type system's crate looks at both, though not everywhere: it does not look into literals of custom
//! scalars, compares no more than the names of types below an argument, and takes a default that is null for a value.
//!
//! The document is valid otherwise. Each definition is read once, and each operation goes through what it and its fragments
//! use, each use of a kind once.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::Operation;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Finding;
use super::places::{Place, Visitor, Walk};

/// What the document does against the rules *All variable uses defined* and *All variable usages are allowed*.
pub(super) fn findings(document: &ExecutableDocument, schema: &Schema) -> Vec<Finding> {
    let fragments: FxHashMap<&Name, Uses<'_>> = document
        .fragments
        .iter()
        .map(|(name, fragment)| {
            let mut uses = Uses::default();
            let visitor = &mut uses;
            Walk { schema, visitor }.definition(&fragment.directives, &fragment.selection_set);
            (name, uses)
        })
        .collect();
    let mut findings = Vec::new();
    for operation in document.operations.iter() {
        let mut uses = Uses::default();
        let visitor = &mut uses;
        Walk { schema, visitor }.definition(&operation.directives, &operation.selection_set);
        check(operation, &uses, &fragments, &mut findings);
    }
    findings
}

/// Checks an operation, whose own uses are given, with all that it spreads.
fn check<'d>(
    operation: &Operation,
    own: &Uses<'d>,
    fragments: &FxHashMap<&'d Name, Uses<'d>>,
    findings: &mut Vec<Finding>,
) {
    let defined: FxHashMap<&Name, _> = operation
        .variables
        .iter()
        .map(|definition| (&definition.name, definition))
        .collect();
    let mut seen = FxHashSet::default();
    let mut open = vec![own];
    while let Some(uses) = open.pop() {
        for (name, place) in &uses.variables {
            let Some(definition) = defined.get(name) else {
                let operation = operation_name(operation);
                let message = format!("variable `${name}` is not defined by {operation}");
                findings.push((message, name.location()));
                continue;
            };
            let default = definition.default_value.as_ref();
            let has_default = default.is_some_and(|value| !value.is_null());
            if let Some(place) = place
                && !fits(&definition.ty, has_default, place)
            {
                let message = format!(
                    "the variable `${name}` is of the type {}, and stands where {} is expected",
                    definition.ty, place.ty
                );
                findings.push((message, name.location()));
            }
        }
        for spread in &uses.spreads {
            if let Some(uses) = fragments.get(spread)
                && seen.insert(*spread)
            {
                open.push(uses);
            }
        }
    }
}

/// Whether a variable of a type may stand at a place. Where null may not be, one that may be null needs a default, its own
/// or that of the place.
///
/// See <https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>.
fn fits(variable: &Type, has_default: bool, place: &Place) -> bool {
    if place.ty.is_non_null() && !variable.is_non_null() {
        let nullable = place.ty.clone().nullable();
        return (has_default || place.has_default) && variable.is_assignable_to(&nullable);
    }
    variable.is_assignable_to(&place.ty)
}

fn operation_name(operation: &Operation) -> String {
    match &operation.name {
        Some(name) => format!("operation `{name}`"),
        None => "the anonymous operation".to_owned(),
    }
}

/// What one definition uses, without what it spreads.
#[derive(Default)]
struct Uses<'d> {
    variables: FxHashSet<(&'d Name, Option<Place>)>,
    spreads: FxHashSet<&'d Name>,
}

impl<'d> Visitor<'d> for Uses<'d> {
    fn value(&mut self, value: &'d Node<Value>, place: Option<Place>) {
        if let Value::Variable(name) = &**value {
            self.variables.insert((name, place));
        }
    }

    fn spread(&mut self, fragment: &'d Name) {
        self.spreads.insert(fragment);
    }
}
