//! Paths to fields inside documents.

use std::fmt;
use std::sync::Arc;

/// The way from a document's root to a field: the original JSON names, outermost first, at least
/// one. Lists have no steps of their own: a path does not lead through them.
///
/// The order puts a path directly before everything under it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Arc<[Arc<str>]>);

impl FieldPath {
    /// A path of these names; `None` if there is none.
    pub fn new<S: Into<Arc<str>>>(segments: impl IntoIterator<Item = S>) -> Option<FieldPath> {
        let segments: Arc<[Arc<str>]> = segments.into_iter().map(Into::into).collect();
        (!segments.is_empty()).then_some(FieldPath(segments))
    }

    /// The path of a field of the root.
    pub fn top(name: &str) -> FieldPath {
        FieldPath(Arc::new([name.into()]))
    }

    /// The names, outermost first; never empty.
    pub fn segments(&self) -> &[Arc<str>] {
        &self.0
    }

    /// The path of a field of what this path leads to.
    #[must_use]
    pub fn child(&self, name: &str) -> FieldPath {
        FieldPath(self.0.iter().cloned().chain([name.into()]).collect())
    }

    /// Whether this path is `prefix` or leads to something inside what `prefix` leads to.
    pub fn starts_with(&self, prefix: &FieldPath) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// Whether a change at one of the paths can be seen at the other: one starts with the other.
    pub fn overlaps(&self, other: &FieldPath) -> bool {
        self.starts_with(other) || other.starts_with(self)
    }
}

/// The names joined by dots, for people: a name that contains a dot is not told apart.
impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            if position > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(segment)?;
        }
        Ok(())
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
