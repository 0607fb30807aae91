//! What a response says in its extensions beside the time: how lists were found, and what that may have cost.

use thalweg_engine::{Collection, Find, Plan};
use thalweg_model::write_json_string;

use crate::extensions::Extensions;
use crate::index_advice::{fitting_index, is_declared, quoted};
use crate::limits::Limits;
use crate::plan::selection::Target;

/// What is noted while an operation runs.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Whether the result is kept up to date, where somebody asked for that.
    pub(crate) live: Option<bool>,
    /// How each root field was found, where somebody asked for that.
    pub(crate) explain: Option<Vec<Explained>>,
    pub(crate) warnings: Vec<Warning>,
    /// What the operation was expected to cost and has cost, where somebody asked for that.
    pub(crate) cost: Option<Cost>,
}

/// What an operation costs, in documents that are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) estimated: u64,
    pub(crate) rows: u64,
}

/// How a root field was found.
#[derive(Debug)]
pub(crate) struct Explained {
    key: Box<str>,
    plan: String,
    index: Option<String>,
    rows_read: u64,
    rows_returned: u64,
}

/// What was looked at to find documents.
pub(crate) struct Looked<'f> {
    pub(crate) plan: &'f Plan,
    pub(crate) rows_read: u64,
    /// Rows, or groups.
    pub(crate) rows_returned: u64,
    pub(crate) scanned: bool,
}

/// That a list was found by looking at very many documents.
#[derive(Debug)]
pub(crate) struct Warning {
    key: Box<str>,
    rows_read: u64,
    message: String,
}

impl Notes {
    /// What a response says that comes once: that it is not live though the query is, and how it was found if its client asks.
    pub(crate) fn once(is_live: bool, extensions: &Extensions) -> Self {
        Notes {
            live: is_live.then_some(false),
            explain: extensions.explain.then(Vec::new),
            warnings: Vec::new(),
            cost: extensions.explain.then_some(Cost {
                estimated: 0,
                rows: 0,
            }),
        }
    }

    /// Notes that one document was looked up by its id.
    pub(crate) fn by_id(&mut self, target: &Target, is_there: bool) {
        if let Some(explain) = &mut self.explain {
            explain.push(Explained {
                key: target.key.as_str().into(),
                plan: "the document of that id".to_owned(),
                index: None,
                rows_read: u64::from(is_there),
                rows_returned: u64::from(is_there),
            });
        }
    }

    /// Notes how a list, or what an aggregate is made of, was found.
    pub(crate) fn found(
        &mut self,
        target: &Target,
        collection: &Collection,
        find: &Find,
        found: &Looked<'_>,
        limits: &Limits,
    ) {
        let key = || Box::<str>::from(target.key.as_str());
        if let Some(explain) = &mut self.explain {
            let index = found.plan.index();
            explain.push(Explained {
                key: key(),
                plan: found.plan.to_string(),
                index: index.map(|index| index.definition.to_string()),
                rows_read: found.rows_read,
                rows_returned: found.rows_returned,
            });
        }
        if found.scanned && found.rows_read > limits.scan_warning_rows {
            let (rows_read, collection_name) = (found.rows_read, &collection.name);
            let advice = match fitting_index(find) {
                // It is being built, or the planner found every document to be less than its rows.
                Some(index) if is_declared(collection, &index) => return,
                Some(index) => format!(
                    "; on the type of {collection_name}, @index(fields: [{}]) would serve it",
                    quoted(&index)
                ),
                None => "; no index would serve it".to_owned(),
            };
            self.warnings.push(Warning {
                key: key(),
                rows_read,
                message: format!(
                    "{rows_read} documents of {collection_name} were looked at to find {}{advice}",
                    found.rows_returned
                ),
            });
        }
    }

    /// Appends the members of `extensions.thalweg`, each with a comma before it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(live) = self.live {
            out.extend_from_slice(b",\"live\":");
            out.extend_from_slice(if live { b"true" } else { b"false" });
        }
        if let Some(explain) = &self.explain {
            out.extend_from_slice(b",\"explain\":");
            write_list(explain, out, |one, out| {
                write_path(&one.key, out);
                out.extend_from_slice(b",\"plan\":");
                write_json_string(&one.plan, out);
                out.extend_from_slice(b",\"index\":");
                match &one.index {
                    Some(index) => write_json_string(index, out),
                    None => out.extend_from_slice(b"null"),
                }
                let (read, returned) = (one.rows_read, one.rows_returned);
                let counts = format!(",\"rowsRead\":{read},\"rowsReturned\":{returned}");
                out.extend_from_slice(counts.as_bytes());
            });
        }
        if let Some(Cost { estimated, rows }) = self.cost {
            let cost = format!(",\"cost\":{{\"estimated\":{estimated},\"rows\":{rows}}}");
            out.extend_from_slice(cost.as_bytes());
        }
        if !self.warnings.is_empty() {
            out.extend_from_slice(b",\"warnings\":");
            write_list(&self.warnings, out, |one, out| {
                write_path(&one.key, out);
                let start = format!(
                    ",\"code\":\"UNINDEXED_SCAN\",\"rowsRead\":{},\"message\":",
                    one.rows_read
                );
                out.extend_from_slice(start.as_bytes());
                write_json_string(&one.message, out);
            });
        }
    }
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        write(item, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_path(key: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"path\":[");
    write_json_string(key, out);
    out.push(b']');
}
