//! The background work on indexes: the next page of the first index that needs some.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::intent::Intent;
use crate::maintenance::Duty;

pub(crate) struct IndexDuty;

impl Duty for IndexDuty {
    fn next(&self, engine: &Engine) -> Result<Option<Vec<Intent>>, EngineError> {
        let catalog = engine.catalog();
        let work = catalog.collections().find_map(|collection| {
            let index = collection.indexes.iter().find(|index| index.needs_work())?;
            Some(Intent::MaintainIndex {
                collection: collection.id,
                index: index.id,
            })
        });
        Ok(work.map(|intent| vec![intent]))
    }
}
