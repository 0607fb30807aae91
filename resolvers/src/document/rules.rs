//! Rules of the specification that the validator of the type system's crate does not have, or has too narrow.
//!
//! - *Input object field uniqueness*: `{a: 1, a: 2}` is refused, wherever it stands.
//! - *All variable uses defined*: also inside literals of custom scalars, which the validator does not look into.
//! - *Single root field*: of a subscription counts which response names there are, not how often each is selected.
//!
//! - *All variable usages are allowed*: a default of `null` does not make a nullable variable fit where null may not be.
//!
//! They run on the syntax tree, in time linear in the text but for the variables: there it is linear in the
//! operations and what they spread, as the limits bound it.

use apollo_compiler::ast::{
    Argument, Definition, DirectiveList, Document, FragmentDefinition, OperationDefinition,
    OperationType, Selection, Value,
};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{Name, Node};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is wrong, and where.
pub(super) type Finding = (String, Option<SourceSpan>);

/// The message of the validator for a subscription with more than one selection at its root ends so.
pub(super) const SEVERAL_ROOT_FIELDS: &str = "can only have one root field";

/// What the document does against the first two rules. It is valid otherwise.
pub(super) fn findings(document: &Document) -> Vec<Finding> {
    let mut uses = FxHashMap::default();
    let mut findings = Vec::new();
    for definition in &document.definitions {
        if let Definition::FragmentDefinition(fragment) = definition {
            let mut used = Uses::default();
            used.directives(&fragment.directives, &mut findings);
            used.selections(&fragment.selection_set, &mut findings);
            uses.insert(&fragment.name, used);
        }
    }
    for definition in &document.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            let mut used = Uses::default();
            for variable in &operation.variables {
                if let Some(value) = &variable.default_value {
                    used.value(value, &mut findings);
                }
                used.directives(&variable.directives, &mut findings);
            }
            used.directives(&operation.directives, &mut findings);
            used.selections(&operation.selection_set, &mut findings);
            findings.extend(undefined(operation, &used, &uses));
        }
    }
    findings
}

/// The document without the defaults that are `null`, if it has any. What it says of variables holds for both: a default that
/// is null gives a variable no value where null may not be. The validator takes it for one.
pub(super) fn without_null_defaults(document: &Document) -> Option<Document> {
    let is_null = |value: &Option<Node<Value>>| value.as_ref().is_some_and(|it| it.is_null());
    let has_one = document.definitions.iter().any(|definition| {
        matches!(definition, Definition::OperationDefinition(operation)
            if operation.variables.iter().any(|it| is_null(&it.default_value)))
    });
    if !has_one {
        return None;
    }
    let mut stripped = document.clone();
    for definition in &mut stripped.definitions {
        if let Definition::OperationDefinition(operation) = definition {
            for variable in &mut operation.make_mut().variables {
                if is_null(&variable.default_value) {
                    variable.make_mut().default_value = None;
                }
            }
        }
    }
    Some(stripped)
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

/// The variables that an operation uses, itself or through fragments, and does not define.
fn undefined<'a>(
    operation: &OperationDefinition,
    used: &Uses<'a>,
    fragments: &FxHashMap<&'a Name, Uses<'a>>,
) -> Vec<Finding> {
    let defined: FxHashSet<&Name> = operation.variables.iter().map(|it| &it.name).collect();
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    let mut open = vec![used];
    while let Some(used) = open.pop() {
        // As many distinct names as are defined may be defined; of the others one is enough to refuse it.
        let missing = used.variables.iter().find(|name| !defined.contains(*name));
        if let Some(name) = missing {
            let message = format!(
                "variable `${name}` is not defined by {}",
                operation_name(operation)
            );
            found.push((message, name.location()));
        }
        for spread in &used.spreads {
            if let Some(used) = fragments.get(spread)
                && seen.insert(*spread)
            {
                open.push(used);
            }
        }
    }
    found
}

fn operation_name(operation: &OperationDefinition) -> String {
    match &operation.name {
        Some(name) => format!("operation `{name}`"),
        None => "the anonymous operation".to_owned(),
    }
}

/// What the text of one definition uses, without what it spreads.
#[derive(Default)]
struct Uses<'a> {
    variables: FxHashSet<&'a Name>,
    spreads: FxHashSet<&'a Name>,
}

impl<'a> Uses<'a> {
    fn selections(&mut self, selections: &'a [Selection], findings: &mut Vec<Finding>) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    self.directives(&field.directives, findings);
                    self.arguments(&field.arguments, findings);
                    self.selections(&field.selection_set, findings);
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives, findings);
                    self.selections(&inline.selection_set, findings);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives, findings);
                    self.spreads.insert(&spread.fragment_name);
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a DirectiveList, findings: &mut Vec<Finding>) {
        for directive in directives {
            self.arguments(&directive.arguments, findings);
        }
    }

    fn arguments(&mut self, arguments: &'a [Node<Argument>], findings: &mut Vec<Finding>) {
        for argument in arguments {
            self.value(&argument.value, findings);
        }
    }

    fn value(&mut self, value: &'a Value, findings: &mut Vec<Finding>) {
        match value {
            Value::Variable(name) => {
                self.variables.insert(name);
            }
            Value::List(items) => {
                for item in items {
                    self.value(item, findings);
                }
            }
            Value::Object(fields) => {
                let mut names = FxHashSet::default();
                for (name, value) in fields {
                    if !names.insert(name) {
                        let message =
                            format!("the field `{name}` stands twice in one object; say it once");
                        findings.push((message, name.location()));
                    }
                    self.value(value, findings);
                }
            }
            Value::Null
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
        let messages: Vec<String> = findings(&document).into_iter().map(|it| it.0).collect();
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
    fn variables_inside_literals_must_be_defined() {
        let undefined = "variable `$v` is not defined by operation `A`";
        check("query A($v: T) { x(y: {a: [$v]}) }", &[]);
        check("query A { x(y: {a: [$v]}) }", &[undefined]);
        check(
            "query A { ...F } query B($v: T) { ...F } fragment F on T { x { ...G } } fragment G on T { z(y: {a: $v}) }",
            &[undefined],
        );
    }

    #[test]
    fn defaults_that_are_null_are_left_out() {
        let stripped = |text: &str| {
            let document = Document::parse(text, "operation").expect("well-formed");
            without_null_defaults(&document).map(|it| it.serialize().no_indent().to_string())
        };
        assert_eq!(stripped("query ($a: Int = 1) { x(y: $a) }"), None);
        assert_eq!(
            stripped("query ($a: Int = null, $b: Int = 1) { x(y: $a) }").as_deref(),
            Some("query($a: Int, $b: Int = 1) { x(y: $a) }")
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
