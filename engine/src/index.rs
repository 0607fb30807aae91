//! Secondary indexes: what they are, which rows a document has in them, and how they come and go.
//!
//! An index is part of its collection's document in `_collections`. Its rows lie in two keyspaces: those of current
//! images (`values…, id → since when`) and those that ended (`values…, id, !until → from when`), so that a read at an
//! earlier time uses the index too. Rows are *candidates*: whoever reads them fetches the document and tests it again,
//! which is why long values may be cut.
//!
//! - A document that is softly deleted keeps its rows, marked; it does not hold its unique values. Restoring it
//!   claims them again.
//! - Missing and null are one key, as they are for filters and orders, and a unique index lets any number of
//!   documents have it.
//! - From the commit that creates it on an index is maintained by every commit; pages of older documents follow in
//!   transactions of their own ([`Intent::MaintainIndex`](crate::Intent::MaintainIndex)), each from the images that
//!   are current when it commits, so that no stale image brings a row back.
//! - A value that two documents hold already fails the build; a *write* that would make a second holder is refused
//!   from the first moment.
//!
//! | module | holds |
//! |---|---|
//! | `definition` | what an index is made of, and its text notation |
//! | `state` | an index in the catalog: number, status; its stored form and its statistics |
//! | `rows` | the rows of one image: pure |
//! | `writer` | what the rows of a group's commits become in its batch |
//! | `unique` | who holds which unique value, in layers |
//! | `cursor` | reading rows in order, now or at an earlier time |
//! | `duty` | the background work: building and erasing |

pub(crate) mod cursor;
mod definition;
pub(crate) mod duty;

pub(crate) mod rows;
mod state;
pub(crate) mod unique;
pub(crate) mod writer;

pub use cursor::IndexRow;
pub use definition::{
    INDEX_FIELDS_MAX, INDEXES_MAX, IndexDefinition, IndexDefinitionError, IndexField, ListItems,
};
pub use rows::{INDEX_ROWS_MAX, TooManyRows, rows};
pub use state::{Index, IndexId, IndexProgress, IndexStatus};
pub(crate) use state::{IndexStatistics, last_index, load_statistics, read_statistics};
