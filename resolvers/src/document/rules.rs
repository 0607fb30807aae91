//! Rules of the specification that the validator of the type system's crate does not have, or has too narrow, and that
//! need no types.
//!
//! - *Input object field uniqueness*: `{a: 1, a: 2}` is refused, wherever it stands.
//! - *Single root field*: of a subscription counts which response names there are, not how often each is selected.
//!
//! They run on the syntax tree, in time linear in the text.

use apollo_compiler::ast::{
    Argument, Definition, Directive, Document, FragmentDefinition, OperationType, Selection, Value,
};
use apollo_compiler::{Name, Node};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Finding;

/// What the validator calls it that a subscription has more than one selection at its root.
pub(super) const SEVERAL_ROOT_FIELDS: &str = "SubscriptionUsesMultipleFields";

/// The fields that stand more than once in one object.
pub(super) fn repeated_fields(document: &Document) -> Vec<Finding> {
    let mut repeated = Repeated::default();
    for definition in &document.definitions {
        match definition {
            Definition::FragmentDefinition(fragment) => {
                repeated.directives(&fragment.directives);
                repeated.selections(&fragment.selection_set);
            }
            Definition::OperationDefinition(operation) => {
                for variable in &operation.variables {
                    if let Some(value) = &variable.default_value {
                        repeated.value(value);
                    }
                    repeated.directives(&variable.directives);
                }
                repeated.directives(&operation.directives);
                repeated.selections(&operation.selection_set);
            }
            _ => {}
        }
    }
    repeated.findings
}

/// Whether every subscription of the document has one response name at its root.
pub(super) fn has_single_roots(document: &Document) -> bool {
    let fragments: FxHashMap<&Name, &FragmentDefinition> = document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) => Some((&fragment.name, &**fragment)),
            _ => None,
        })
        .collect();
    document.definitions.iter().all(|definition| {
        let Definition::OperationDefinition(operation) = definition else {
            return true;
        };
        if operation.operation_type != OperationType::Subscription {
            return true;
        }
        let mut names = FxHashSet::default();
        let mut spread = FxHashSet::default();
        let mut open = vec![operation.selection_set.as_slice()];
        while let Some(selections) = open.pop() {
            for selection in selections {
                match selection {
                    Selection::Field(field) => {
                        names.insert(field.alias.as_ref().unwrap_or(&field.name));
                    }
                    Selection::InlineFragment(inline) => open.push(&inline.selection_set),
                    Selection::FragmentSpread(it) => {
                        if let Some(fragment) = fragments.get(&it.fragment_name)
                            && spread.insert(&it.fragment_name)
                        {
                            open.push(&fragment.selection_set);
                        }
                    }
                }
            }
        }
        names.len() == 1
    })
}

#[derive(Default)]
struct Repeated {
    findings: Vec<Finding>,
}

impl Repeated {
    fn selections(&mut self, selections: &[Selection]) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    self.directives(&field.directives);
                    self.arguments(&field.arguments);
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives);
                    self.selections(&inline.selection_set);
                }
                Selection::FragmentSpread(spread) => self.directives(&spread.directives),
            }
        }
    }

    fn directives(&mut self, directives: &[Node<Directive>]) {
        for directive in directives {
            self.arguments(&directive.arguments);
        }
    }

    fn arguments(&mut self, arguments: &[Node<Argument>]) {
        for argument in arguments {
            self.value(&argument.value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::List(items) => {
                for item in items {
                    self.value(item);
                }
            }
            Value::Object(fields) => {
                let mut names = FxHashSet::default();
                for (name, value) in fields {
                    if !names.insert(name) {
                        let message =
                            format!("the field `{name}` stands twice in one object; say it once");
                        self.findings.push((message, name.location()));
                    }
                    self.value(value);
                }
            }
            Value::Variable(_)
            | Value::Null
            | Value::Enum(_)
            | Value::String(_)
            | Value::Float(_)
            | Value::Int(_)
            | Value::Boolean(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let document = Document::parse(text, "operation").expect("well-formed");
        let findings = repeated_fields(&document);
        let messages: Vec<String> = findings.into_iter().map(|it| it.0).collect();
        assert_eq!(messages, expected, "{text}");
    }

    #[test]
    fn fields_of_an_object_are_unique_wherever_it_stands() {
        let twice = "the field `a` stands twice in one object; say it once";
        check("{ x(y: {a: 1, b: {a: 2}}) }", &[]);
        check("{ x(y: {a: 1, a: 1}) }", &[twice]);
        check("{ x(y: [{b: {a: 1, a: 2}}]) }", &[twice]);
        check("query ($v: T = {a: 1, a: 2}) { x(y: $v) }", &[twice]);
        check(
            "{ ...F } fragment F on T { x @d(y: {a: 1, a: 2}) }",
            &[twice],
        );
    }

    #[test]
    fn a_subscription_has_one_response_name_at_its_root() {
        for (text, expected) in [
            ("subscription { a { b } a { c } }", true),
            (
                "subscription { a { b } ...F } fragment F on S { a { c } ...F }",
                true,
            ),
            ("subscription { a { b } b: a { c } }", false),
            (
                "subscription { ... on S { a } ...F } fragment F on S { b }",
                false,
            ),
            ("query { a b } subscription S { a }", true),
        ] {
            let document = Document::parse(text, "operation").expect("well-formed");
            assert_eq!(has_single_roots(&document), expected, "{text}");
        }
    }
}
