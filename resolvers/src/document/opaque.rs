//! Literals of custom scalars, inside which anything may stand: the validator of the type system's crate says otherwise of
//! null and of variables in a list. `[JSON!]` takes `[[null]]` and, with `$number: Int`, `[[$number]]`, as it takes
//! `[{a: null}]` and `[{a: $number}]`.

use apollo_compiler::ast::Value;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use rustc_hash::FxHashSet;

use super::places::{Place, Visitor, Walk};

/// What the validator calls a value that does not fit where it stands.
pub(super) const UNFIT_VALUE: &str = "UnsupportedValueType";

/// Where there are variables and nulls inside literals of custom scalars.
pub(super) fn values(document: &ExecutableDocument, schema: &Schema) -> FxHashSet<SourceSpan> {
    let mut opaque = Opaque::default();
    let visitor = &mut opaque;
    let mut walk = Walk { schema, visitor };
    for operation in document.operations.iter() {
        walk.defaults(&operation.variables);
        walk.definition(&operation.directives, &operation.selection_set);
    }
    for fragment in document.fragments.values() {
        walk.definition(&fragment.directives, &fragment.selection_set);
    }
    opaque.values
}

#[derive(Default)]
struct Opaque {
    values: FxHashSet<SourceSpan>,
}

impl<'d> Visitor<'d> for Opaque {
    fn value(&mut self, value: &'d Node<Value>, place: Option<Place>) {
        if place.is_none() {
            self.values.extend(value.location());
        }
    }

    fn spread(&mut self, _fragment: &'d Name) {}
}
