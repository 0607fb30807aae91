//! The values that stand in a document, each with what its place takes.

use apollo_compiler::ast::{
    Argument, DirectiveList, InputValueDefinition, Type, Value, VariableDefinition,
};
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node, Schema};

/// What a place for a value takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) ty: Type,
    pub(super) has_default: bool,
}

impl Place {
    fn of(definition: &InputValueDefinition) -> Place {
        Place {
            ty: (*definition.ty).clone(),
            has_default: definition.default_value.is_some(),
        }
    }

    /// Where the items of a list at this place stand, if it takes lists. If a list stands for a custom scalar, nothing is
    /// known of them.
    fn item(&self) -> Option<Place> {
        let (Type::List(item) | Type::NonNullList(item)) = &self.ty else {
            return None;
        };
        Some(Place {
            ty: (**item).clone(),
            has_default: false,
        })
    }
}

/// Who is told what stands where. Inside a literal of a custom scalar there are no places.
pub(super) trait Visitor<'d> {
    /// A variable, or null.
    fn value(&mut self, value: &'d Node<Value>, place: Option<Place>);
    fn spread(&mut self, fragment: &'d Name);
}

/// Goes through the values of one definition at a time, and not into what it spreads.
pub(super) struct Walk<'d, 'v, V> {
    pub(super) schema: &'d Schema,
    pub(super) visitor: &'v mut V,
}

impl<'d, V: Visitor<'d>> Walk<'d, '_, V> {
    pub(super) fn definition(&mut self, directives: &'d DirectiveList, set: &'d SelectionSet) {
        self.directives(directives);
        self.selections(set);
    }

    /// The defaults of an operation's variables.
    pub(super) fn defaults(&mut self, variables: &'d [Node<VariableDefinition>]) {
        for variable in variables {
            if let Some(value) = &variable.default_value {
                let place = Place {
                    ty: (*variable.ty).clone(),
                    has_default: false,
                };
                self.value(value, Some(place));
            }
        }
    }

    fn selections(&mut self, set: &'d SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, &field.definition.arguments);
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.selection_set),
                Selection::FragmentSpread(spread) => self.visitor.spread(&spread.fragment_name),
            }
        }
    }

    fn directives(&mut self, directives: &'d DirectiveList) {
        for directive in directives {
            let definition = self.schema.directive_definitions.get(&directive.name);
            let known = definition.map_or(&[][..], |definition| &definition.arguments);
            self.arguments(&directive.arguments, known);
        }
    }

    fn arguments(
        &mut self,
        arguments: &'d [Node<Argument>],
        definitions: &[Node<InputValueDefinition>],
    ) {
        for argument in arguments {
            let definition = definitions.iter().find(|it| it.name == argument.name);
            self.value(&argument.value, definition.map(|it| Place::of(it)));
        }
    }

    fn value(&mut self, value: &'d Node<Value>, place: Option<Place>) {
        match &**value {
            Value::Variable(_) | Value::Null => self.visitor.value(value, place),
            Value::List(items) => {
                let item_place = place.and_then(|place| place.item());
                for item in items {
                    self.value(item, item_place.clone());
                }
            }
            Value::Object(fields) => {
                let name = place.as_ref().map(|place| place.ty.inner_named_type());
                let definition = match name.and_then(|name| self.schema.types.get(name)) {
                    Some(ExtendedType::InputObject(definition)) => Some(definition),
                    _ => None,
                };
                for (name, value) in fields {
                    let field = definition.and_then(|it| it.fields.get(name));
                    self.value(value, field.map(|field| Place::of(field)));
                }
            }
            Value::Enum(_)
            | Value::String(_)
            | Value::Float(_)
            | Value::Int(_)
            | Value::Boolean(_) => {}
        }
    }
}
