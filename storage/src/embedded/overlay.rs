//! What the B-tree does not have yet, in memory: layers of writes over it, the newest on top.
//!
//! There are at most two. Commits go into the *active* layer; the applier *freezes* it, writes the frozen one to the
//! tree and drops it whole, so nothing is ever removed key by key. A layer is persistent: a snapshot keeps a clone,
//! and later commits copy what they change.
//!
//! | module | what it holds |
//! |---|---|
//! | `layer` | the writes of some batches, and the answer to "what became of this key?" |
//! | `bulk` | a layer from many batches at once |
//! | `entries` | the persistent ordered map from key to its newest write |
//! | `hints` | finding a key in a node of the map |
//! | `ranges` | deleted ranges |
//! | `arena` | the bytes of both |
//! | `merge` | scans over the layers and the tree |

mod arena;
mod bulk;
mod entries;
mod hints;
mod layer;
mod merge;
mod ranges;

pub(super) use bulk::Gathered;
pub(super) use layer::{Found, Layer, Remains};
pub(super) use merge::{Row, TreeRows, merge};

#[cfg(test)]
mod tests;
