//! Aggregates.

use thalweg_engine::{Aggregated, Group, Outcome};
use thalweg_model::{ErrorCode, Value};

use super::{Nulled, Path, Renderer};
use crate::plan::aggregate::{AggregateSelection, AggregateSource, KeySource};
use crate::plan::selection::{Selected, Target};

/// What an object of an aggregate is written from.
#[derive(Clone, Copy)]
struct Made<'m> {
    outcomes: &'m [Outcome],
    /// The key of the group, if it is one.
    key: &'m [Value],
    /// The names of the keys.
    names: &'m [Box<str>],
    /// The whole.
    all: &'m Aggregated,
}

impl Renderer<'_> {
    /// What the documents have come to, grouped by keys of these names.
    pub(crate) fn aggregate(
        &mut self,
        selection: &AggregateSelection,
        all: &Aggregated,
        names: &[Box<str>],
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        let made = Made {
            outcomes: &all.totals,
            key: &[],
            names,
            all,
        };
        self.aggregated(&selection.items, made, path)
    }

    fn aggregated(
        &mut self,
        items: &[Selected<AggregateSource>],
        made: Made<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, target, path| match source {
            AggregateSource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            AggregateSource::Outcome { position, ty } => match made.outcomes.get(*position) {
                Some(Outcome::OutOfRange) => Err(renderer.out_of_range(target, path)),
                Some(Outcome::Value(value)) => {
                    renderer.value(ty, value.as_ref(), target.location, path)
                }
                None => {
                    renderer.null();
                    Ok(())
                }
            },
            AggregateSource::Object(items) => renderer.aggregated(items, made, path),
            AggregateSource::Nested(items) => {
                if items.iter().any(|item| made.has(&item.source)) {
                    return renderer.aggregated(items, made, path);
                }
                renderer.null();
                Ok(())
            }
            AggregateSource::Key(items) => renderer.key(items, made, path),
            AggregateSource::Groups(items) => {
                renderer.list(made.all.groups.iter(), path, |renderer, group, path| {
                    let Group { key, values } = group;
                    let group = Made {
                        outcomes: values,
                        key,
                        ..made
                    };
                    renderer.aggregated(items, group, path)
                })
            }
            AggregateSource::GroupCount => {
                renderer.number(made.all.group_count);
                Ok(())
            }
        })
    }

    fn key(
        &mut self,
        items: &[Selected<KeySource>],
        made: Made<'_>,
        path: &Path<'_>,
    ) -> Result<(), Nulled> {
        self.object(items, path, |renderer, source, target, path| match source {
            KeySource::TypeName(json) => {
                renderer.raw(json);
                Ok(())
            }
            KeySource::Field { name, ty } => {
                let position = made.names.iter().position(|key| key == name);
                match position.and_then(|position| made.key.get(position)) {
                    Some(value) => renderer.value(ty, value.as_ref(), target.location, path),
                    None => {
                        renderer.null();
                        Ok(())
                    }
                }
            }
        })
    }

    fn out_of_range(&mut self, target: &Target, path: &Path<'_>) -> Nulled {
        let message = "the number is beyond what a double can hold, so JSON has no room for it; filter the documents";
        self.refuse(ErrorCode::LimitExceeded, message, path, target.location)
    }
}

impl Made<'_> {
    /// Whether there is a value in an object of outcomes.
    fn has(&self, source: &AggregateSource) -> bool {
        match source {
            AggregateSource::Outcome { position, .. } => {
                let outcome = self.outcomes.get(*position);
                outcome.is_some_and(|outcome| !outcome.as_ref().is_null())
            }
            AggregateSource::Nested(items) | AggregateSource::Object(items) => {
                items.iter().any(|item| self.has(&item.source))
            }
            _ => false,
        }
    }
}
