//! What one operation may ask for, and the check of its text against it.
//!
//! The check runs on the syntax tree, before validation, in time linear in the text: fragments are measured once
//! each and their measure is used wherever they are spread.

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};
use rustc_hash::FxHashMap;
use thalweg_model::ErrorCode;

use crate::document::locate;
use crate::failure::{Failure, GraphqlError, Location};

/// Bounds on operations. Past one of them a request is refused with [`ErrorCode::LimitExceeded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the operation's text.
    pub text_bytes_max: usize,
    /// Lexical tokens of the text, white space included.
    pub tokens_max: usize,
    /// How deep selection sets may nest, fragments followed.
    pub depth_max: usize,
    /// How many selections may have an alias, fragments followed.
    pub aliases_max: usize,
    /// How many root fields an operation may have, fragments followed.
    pub root_fields_max: usize,
    /// How many fields the operations of a text may select together, fragments followed.
    pub fields_max: usize,
    /// How many variables an operation may declare.
    pub variables_max: usize,
    /// Bytes of memory that the values of variables may take where they are used again: each is free where it is used
    /// first, since the request carries it that often.
    pub input_bytes_max: usize,
    /// How many `__schema` and `__type` fields an operation may have.
    pub introspections_max: usize,
    /// How many selections below `__schema` and `__type` may have an alias, fragments followed.
    pub introspection_aliases_max: usize,
    /// How many rows a list gives when neither `first` nor `last` is said.
    pub page_default: usize,
    /// The largest `first` or `last`.
    pub page_max: usize,
    /// The largest `offset`: rows to pass over have to be looked at one by one.
    pub offset_max: usize,
    /// How many groups an aggregate may come to, whatever part of them is shown.
    pub groups_max: usize,
    /// Bytes of memory that one aggregate's keys, distinct values and extremes may take.
    pub aggregate_bytes_max: usize,
    /// How many documents one bulk mutation may change or delete.
    pub bulk_writes_max: usize,
    /// How many fragments of an operation may be deferred, fragments followed: each is run on its own.
    pub deferred_max: usize,
    /// How many errors one response carries at most.
    pub errors_max: usize,
    /// Bytes of one response.
    pub response_bytes_max: usize,
    /// How many rows (documents and revisions) an operation may look at: estimated before it runs, counted while it
    /// does.
    pub rows_max: u64,
    /// How many documents a list may look at without an index before the response warns of it.
    pub scan_warning_rows: u64,
    /// Bytes of operation text whose parsed form and plans are kept. Those take about ten times as much.
    pub cache_bytes_max: usize,
    /// Bytes of operation text that clients may register by its hash; 0 switches automatic persisted queries off.
    pub persisted_bytes_max: usize,
    /// Whether `insertDocuments` makes a collection that is missing.
    pub auto_create: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            text_bytes_max: 1 << 20,
            tokens_max: 100_000,
            depth_max: 25,
            aliases_max: 500,
            root_fields_max: 200,
            fields_max: 10_000,
            variables_max: 1_000,
            input_bytes_max: 16 << 20,
            introspections_max: 4,
            introspection_aliases_max: 8,
            page_default: 100,
            page_max: 1_000,
            offset_max: 100_000,
            groups_max: 100_000,
            aggregate_bytes_max: 64 << 20,
            bulk_writes_max: 50_000,
            deferred_max: 32,
            errors_max: 50,
            response_bytes_max: 64 << 20,
            rows_max: 1_000_000,
            scan_warning_rows: 10_000,
            cache_bytes_max: 4 << 20,
            persisted_bytes_max: 4 << 20,
            auto_create: true,
        }
    }
}

/// How deep the parser itself recurses. Values nest too, as deep as a stored document may; a selection deeper than
/// that is refused by the parser, a shallower one by [`Limits::depth_max`].
pub(crate) const PARSER_DEPTH_MAX: usize = 200;

impl Limits {
    /// Refuses a text that is too long to be parsed at all.
    pub(crate) fn check_text(&self, text: &str) -> Result<(), Failure> {
        if text.len() <= self.text_bytes_max {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::LimitExceeded,
            format!(
                "the operation's text has {} bytes; at most {} are allowed: put data into variables",
                text.len(),
                self.text_bytes_max
            ),
        ))
    }

    /// Refuses a text that asks for too much, or whose fragments spread themselves: what comes after follows
    /// fragments, and would take a long time to find that out.
    pub(crate) fn check_document(&self, document: &Document) -> Result<(), Failure> {
        let mut fragments = Fragments {
            definitions: FxHashMap::default(),
            cycle: None,
            limits: self,
        };
        for definition in &document.definitions {
            if let Definition::FragmentDefinition(fragment) = definition {
                let state = (&**fragment, State::Unmeasured);
                fragments.definitions.insert(&fragment.name, state);
            }
        }
        let locate_name =
            |name: Option<&Name>| locate(name.and_then(Name::location), &document.sources);
        let mut fields = 0_usize;
        for definition in &document.definitions {
            let Definition::OperationDefinition(operation) = definition else {
                continue;
            };
            let location = locate_name(operation.name.as_ref());
            let measure = fragments.measure(&operation.selection_set, 1);
            // Each operation is validated with all that it spreads, so their fields add up.
            fields = fields.saturating_add(measure.fields);
            let variables = operation.variables.len();
            self.check(
                &Measure {
                    fields,
                    variables,
                    ..measure
                },
                location,
            )?;
        }
        // A fragment that no operation uses is invalid, but it is validated before anybody says so.
        let names: Vec<&Name> = fragments.definitions.keys().copied().collect();
        for name in names {
            let measure = fragments.spread(name, 1);
            self.check(&measure, locate_name(Some(name)))?;
        }
        match fragments.cycle {
            None => Ok(()),
            Some(name) => {
                let message =
                    format!("the fragment `{name}` spreads itself, perhaps through others");
                let error = GraphqlError::new(ErrorCode::ValidationFailed, message);
                Err(error.at(locate_name(Some(name))).into())
            }
        }
    }

    fn check(&self, measure: &Measure, location: Option<Location>) -> Result<(), Failure> {
        let bounds = [
            ("is nested", measure.depth, self.depth_max, "levels deep"),
            (
                "has",
                measure.root_fields,
                self.root_fields_max,
                "root fields",
            ),
            ("has", measure.aliases, self.aliases_max, "aliases"),
            ("selects", measure.fields, self.fields_max, "fields"),
            (
                "declares",
                measure.variables,
                self.variables_max,
                "variables",
            ),
        ];
        for (verb, found, max, noun) in bounds {
            if found > max {
                let error = GraphqlError::new(
                    ErrorCode::LimitExceeded,
                    format!("the operation {verb} {found} {noun}; at most {max} are allowed"),
                );
                return Err(error.at(location).into());
            }
        }
        Ok(())
    }
}

/// What a selection set amounts to once its fragments are followed.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    depth: usize,
    root_fields: usize,
    fields: usize,
    aliases: usize,
    variables: usize,
}

impl Measure {
    /// Adds the selections of a fragment, which stand at the same level.
    fn merge(&mut self, other: Measure) {
        self.depth = self.depth.max(other.depth);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
    }
}

enum State {
    Unmeasured,
    /// Being measured further up.
    Open,
    Measured(Measure),
}

struct Fragments<'a> {
    definitions: FxHashMap<&'a Name, (&'a FragmentDefinition, State)>,
    /// A fragment that spreads itself.
    cycle: Option<&'a Name>,
    limits: &'a Limits,
}

impl<'a> Fragments<'a> {
    /// `nesting` counts levels and fragments on the way here and bounds the recursion; a set that is too deep is not
    /// followed further, since it is refused anyway.
    fn measure(&mut self, selections: &'a [Selection], nesting: usize) -> Measure {
        let mut total = Measure {
            depth: 1,
            ..Measure::default()
        };
        if nesting > PARSER_DEPTH_MAX + self.limits.depth_max {
            total.depth = nesting;
            return total;
        }
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    total.fields = total.fields.saturating_add(1);
                    total.root_fields = total.root_fields.saturating_add(1);
                    total.aliases = total
                        .aliases
                        .saturating_add(usize::from(field.alias.is_some()));
                    if !field.selection_set.is_empty() {
                        let below = self.measure(&field.selection_set, nesting + 1);
                        total.depth = total.depth.max(below.depth.saturating_add(1));
                        total.fields = total.fields.saturating_add(below.fields);
                        total.aliases = total.aliases.saturating_add(below.aliases);
                    }
                }
                Selection::InlineFragment(inline) => {
                    total.merge(self.measure(&inline.selection_set, nesting + 1));
                }
                Selection::FragmentSpread(spread) => {
                    total.merge(self.spread(&spread.fragment_name, nesting + 1));
                }
            }
        }
        total
    }

    fn spread(&mut self, name: &'a Name, nesting: usize) -> Measure {
        let Some((definition, state)) = self.definitions.get_mut(name) else {
            return Measure::default();
        };
        let definition: &'a FragmentDefinition = definition;
        match state {
            State::Measured(measure) => return *measure,
            State::Open => {
                self.cycle = Some(name);
                return Measure::default();
            }
            State::Unmeasured => *state = State::Open,
        }
        let measure = self.measure(&definition.selection_set, nesting);
        if let Some((_, state)) = self.definitions.get_mut(name) {
            *state = State::Measured(measure);
        }
        measure
    }
}

#[cfg(test)]
mod tests;
