//! *Field selection merging*, where the validator of the type system's crate does not see what differs, or sees what does not.
//!
//! It takes two lists for the same if one begins with the other, does not tell a block string from another string as those
//! do who compare what was written, and knows nothing of `@stream`. So that it does, the document is judged once more with a
//! number in the place of each field's arguments. That is done only if there are fields whose arguments it may confuse.
//!
//! It compares the types of `__typename`, `__schema` and `__type` with those of other fields of the same response name. The
//! reference implementation has no type for them, and lets them stand beside anything that another object has. So that it
//! does as well, the document is judged once more with response names of their own for them.

use std::collections::hash_map::Entry;
use std::fmt::Write;

use apollo_compiler::ast::{Argument, Definition, Document, Field, Selection, Value};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Node, Schema, name};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Finding;

/// What the validator calls two fields of one response name that are merged, by what they disagree in.
pub(super) const CONFLICTING_TYPE: &str = "ConflictingFieldType";
const CONFLICTING_ARGUMENTS: &str = "ConflictingFieldArgument";

/// Fields that are merged and whose arguments differ in a way that the validator does not see. The document, which this text
/// is of, is valid otherwise.
pub(super) fn conflicting_arguments(
    document: &Document,
    text: &str,
    schema: &Valid<Schema>,
) -> Vec<Finding> {
    let mut written = Written::default();
    each_field(document, &mut |field| written.add(field, text));
    if !written.may_be_confused {
        return Vec::new();
    }
    let mut numbered = document.clone();
    each_field_mut(&mut numbered, &mut |field| {
        let number = written.number(field, text);
        field.arguments = vec![Node::new(Argument {
            name: name!("arguments"),
            value: Node::new(Value::Int(number.into())),
        })];
    });
    // No field has that argument, and what the validator says of that is passed over.
    let Err(refused) = numbered.to_executable_validate(schema) else {
        return Vec::new();
    };
    let conflicts = locations(&refused.errors, CONFLICTING_ARGUMENTS);
    let mut findings = Vec::new();
    each_field(document, &mut |field| {
        if conflicts.contains(&field.location()) {
            let message = format!(
                "the field `{}` is selected several times, with different arguments or a different `@stream`; give each an alias",
                field.response_name()
            );
            findings.push((message, field.location()));
        }
    });
    findings
}

/// Whether no fields conflict in their types but for those that tell of types, which conflict with none.
pub(super) fn types_agree(document: &Document, schema: &Valid<Schema>) -> bool {
    let mut apart = document.clone();
    each_field_mut(&mut apart, &mut |field| match field.name.as_str() {
        "__typename" => field.alias = Some(name!("__typename_of_the_object")),
        "__schema" => field.alias = Some(name!("__schema_of_all_types")),
        "__type" => field.alias = Some(name!("__type_of_a_name")),
        _ => {}
    });
    match apart.to_executable_validate(schema) {
        Ok(_) => true,
        Err(refused) => locations(&refused.errors, CONFLICTING_TYPE).is_empty(),
    }
}

/// The places of the diagnostics of one kind.
fn locations(errors: &DiagnosticList, kind: &str) -> FxHashSet<Option<SourceSpan>> {
    errors
        .iter()
        .filter(|diagnostic| diagnostic.error.unstable_error_name() == Some(kind))
        .map(|diagnostic| diagnostic.error.location())
        .collect()
}

/// The arguments that fields have, with a number for all that are alike.
#[derive(Default)]
struct Written {
    numbers: FxHashMap<String, i32>,
    /// The arguments of the first field of a response name.
    first: FxHashMap<Name, (String, Confusable)>,
    /// Whether two fields of one response name have different arguments that the validator may take for the same.
    may_be_confused: bool,
}

/// Whether the validator may take arguments for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confusable {
    No,
    Yes,
}

impl Written {
    fn add(&mut self, field: &Field, text: &str) {
        let (arguments, confusable) = arguments_text(field, text);
        match self.first.entry(field.response_name().clone()) {
            Entry::Occupied(first) => {
                let (known, known_confusable) = first.get();
                let may_be = [confusable, *known_confusable].contains(&Confusable::Yes);
                self.may_be_confused |= may_be && *known != arguments;
            }
            Entry::Vacant(place) => {
                place.insert((arguments.clone(), confusable));
            }
        }
        // There are no more of them than bytes in a text, and those are bounded.
        let number = i32::try_from(self.numbers.len()).unwrap_or(i32::MAX);
        self.numbers.entry(arguments).or_insert(number);
    }

    fn number(&self, field: &Field, text: &str) -> i32 {
        let (arguments, _) = arguments_text(field, text);
        self.numbers.get(&arguments).copied().unwrap_or_default()
    }
}

/// The arguments of a field and of its `@stream`, as a text that is the same for those that are alike.
fn arguments_text(field: &Field, text: &str) -> (String, Confusable) {
    let mut writer = Writer {
        text,
        out: String::new(),
        confusable: Confusable::No,
    };
    writer.arguments(&field.arguments, |_| true);
    if let Some(stream) = field.directives.get("stream") {
        writer.confusable = Confusable::Yes;
        writer.out.push('@');
        writer.arguments(&stream.arguments, |name| name != "label");
    }
    (writer.out, writer.confusable)
}

struct Writer<'t> {
    /// The operation's text.
    text: &'t str,
    out: String,
    confusable: Confusable,
}

impl Writer<'_> {
    fn arguments(&mut self, arguments: &[Node<Argument>], counts: impl Fn(&str) -> bool) {
        let counted = arguments.iter().filter(|it| counts(&it.name));
        self.members(counted.map(|it| (&it.name, &it.value)).collect());
    }

    /// Their order does not matter.
    fn members(&mut self, mut members: Vec<(&Name, &Node<Value>)>) {
        members.sort_by_key(|(name, _)| *name);
        self.out.push('{');
        for (name, value) in members {
            self.out.push_str(name);
            self.out.push(':');
            self.value(value);
            self.out.push(',');
        }
        self.out.push('}');
    }

    fn value(&mut self, value: &Node<Value>) {
        match &**value {
            Value::Null => self.out.push_str("null"),
            Value::Boolean(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Enum(name) => self.out.push_str(name),
            Value::Int(number) => self.out.push_str(number.as_str()),
            Value::Float(number) => self.out.push_str(number.as_str()),
            Value::Variable(name) => {
                self.out.push('$');
                self.out.push_str(name);
            }
            Value::String(string) => {
                let location = value.location();
                let written = location.and_then(|it| self.text.get(it.offset()..));
                if written.is_some_and(|written| written.starts_with("\"\"\"")) {
                    self.confusable = Confusable::Yes;
                    self.out.push('"');
                }
                // A string can always be written to.
                let _ = write!(self.out, "{string:?}");
            }
            Value::List(items) => {
                self.confusable = Confusable::Yes;
                self.out.push('[');
                for item in items {
                    self.value(item);
                    self.out.push(',');
                }
                self.out.push(']');
            }
            Value::Object(fields) => {
                self.members(fields.iter().map(|(name, value)| (name, value)).collect());
            }
        }
    }
}

/// Calls a function on every field that a document selects anywhere.
fn each_field(document: &Document, visit: &mut impl FnMut(&Node<Field>)) {
    fn walk(selections: &[Selection], visit: &mut impl FnMut(&Node<Field>)) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    visit(field);
                    walk(&field.selection_set, visit);
                }
                Selection::InlineFragment(inline) => walk(&inline.selection_set, visit),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => walk(&operation.selection_set, visit),
            Definition::FragmentDefinition(fragment) => walk(&fragment.selection_set, visit),
            _ => {}
        }
    }
}

/// Changes every field that a document selects anywhere.
fn each_field_mut(document: &mut Document, change: &mut impl FnMut(&mut Field)) {
    fn walk(selections: &mut [Selection], change: &mut impl FnMut(&mut Field)) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let field = field.make_mut();
                    change(field);
                    walk(&mut field.selection_set, change);
                }
                Selection::InlineFragment(inline) => {
                    walk(&mut inline.make_mut().selection_set, change);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    for definition in &mut document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                walk(&mut operation.make_mut().selection_set, change);
            }
            Definition::FragmentDefinition(fragment) => {
                walk(&mut fragment.make_mut().selection_set, change);
            }
            _ => {}
        }
    }
}
