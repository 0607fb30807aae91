//! Filters over related documents.
//!
//! What they are asked becomes a [`Join`] for the engine, which looks for them first. Of one document it is asked like of
//! an object inside: `director: {name: {eq: "…"}}` holds of a document that is there; of several with `some`, `every`,
//! `none` and `length`.

use std::sync::Arc;

use thalweg_engine::{FieldRef, Join, Predicate, Test};
use thalweg_schema_infer::{ApiCollection, ApiSchema, Link, RelationKey, Way};

use super::{Scalar, conjunction, flag, operand_object, predicate, scalar_tests, several, unknown};
use crate::failure::Refusal;
use crate::input::{Fields, Input};

/// What a key of a type's filter means that is none of its fields: a relation.
pub(super) fn related(
    api: &ApiSchema,
    type_name: &str,
    name: &str,
    value: &Input,
) -> Result<Predicate, Refusal> {
    let link = api.link(type_name, name).ok_or_else(|| unknown(name))?;
    let other = api.collections().get(link.leads_to());
    let other = other.ok_or_else(|| unknown(name))?;
    let way = Related { api, link, other };
    let operand = operand_object(name, value)?;
    match link.way {
        Way::One => way.one(operand),
        Way::Many | Way::Back => way.of_several(operand),
    }
}

struct Related<'r> {
    api: &'r ApiSchema,
    link: &'r Link,
    /// The collection that it leads to.
    other: &'r ApiCollection,
}

impl Related<'_> {
    fn one(&self, filter: &Fields) -> Result<Predicate, Refusal> {
        let mut all = Vec::with_capacity(filter.len());
        let mut of_document = Vec::new();
        let has_field = self.other.schema.object.field("isNull").is_some();
        for (name, value) in filter.iter() {
            let same = |filter: &Fields| self.one(filter);
            match name.as_str() {
                "and" => all.push(conjunction(several(name, value, &same)?)),
                "or" => all.push(Predicate::Or(several(name, value, &same)?)),
                "not" => {
                    let inner = self.one(operand_object(name, value)?)?;
                    all.push(Predicate::Not(Box::new(inner)));
                }
                "isNull" if !has_field => {
                    let is_there = self.join(Predicate::True);
                    all.push(match flag(name, value)? {
                        true => Predicate::Not(Box::new(is_there)),
                        false => is_there,
                    });
                }
                _ => of_document.push((name.clone(), value.clone())),
            }
        }
        if !of_document.is_empty() {
            let inner = Fields::new(of_document);
            all.push(self.join(predicate(self.api, &self.other.schema, &inner)?));
        }
        Ok(conjunction(all))
    }

    fn of_several(&self, operators: &Fields) -> Result<Predicate, Refusal> {
        let mut all = Vec::with_capacity(operators.len());
        for (name, value) in operators.iter() {
            let operand = operand_object(name, value)?;
            if name.as_str() == "length" {
                all.push(self.length(scalar_tests(Scalar::Plain, operand)?));
                continue;
            }
            let inner = predicate(self.api, &self.other.schema, operand)?;
            all.push(match name.as_str() {
                "some" => self.join(inner),
                "every" => {
                    let others = Predicate::Not(Box::new(inner));
                    Predicate::Not(Box::new(self.join(others)))
                }
                "none" => Predicate::Not(Box::new(self.join(inner))),
                _ => return Err(unknown(name)),
            });
        }
        Ok(conjunction(all))
    }

    /// The number of them passes a test. Those that a document lists are as many as it lists, which is what is shown.
    fn length(&self, test: Test) -> Predicate {
        match self.link.way {
            Way::One | Way::Many => {
                let field = FieldRef::Path(self.link.relation.field.clone());
                Predicate::Field(field, Test::Length(Box::new(test)))
            }
            Way::Back => self.join_of(Predicate::True, Some(test)),
        }
    }

    /// Some related document satisfies it.
    fn join(&self, filter: Predicate) -> Predicate {
        self.join_of(filter, None)
    }

    fn join_of(&self, filter: Predicate, number: Option<Test>) -> Predicate {
        let relation = &self.link.relation;
        let stored = FieldRef::Path(relation.field.clone());
        let key = match &relation.key {
            RelationKey::Id => FieldRef::Id,
            RelationKey::Field(path) => FieldRef::Path(path.clone()),
        };
        let (field, key, is_list) = match self.link.way {
            Way::One | Way::Many => (stored, key, relation.is_list),
            Way::Back => (key, stored, false),
        };
        Predicate::Related(Arc::new(Join {
            collection: self.other.id,
            filter: Arc::new(filter),
            key,
            field,
            is_list,
            number,
        }))
    }
}
