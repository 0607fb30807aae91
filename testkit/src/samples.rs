//! Short ways to write a history by hand, for the tests of the checkers.

use std::sync::Arc;

use crate::cycles::Expectations;
use crate::document::{Collection, Field, Image, Item, Look, Members, Seen};
use crate::history::{Attempt, Outcome, StepSeen};
use crate::model::Model;
use crate::plan::{Change, Intention, Observation, Plan, Query, Read, Style, Write};

/// A transaction on lists: what it reads and appends. Its number is that of its client.
pub(crate) struct Sample {
    number: usize,
    plan: Plan,
    reads: Vec<Observation>,
    when: (u64, u64),
    ts: u64,
    outcome: Option<Outcome>,
}

/// A transaction that was made and answered at those moments.
pub(crate) fn transaction(number: usize, when: (u64, u64)) -> Sample {
    Sample {
        number,
        plan: Plan {
            style: Style::Transaction,
            first: Vec::new(),
            reads: Vec::new(),
            guard: None,
            writes: Vec::new(),
            mark: None,
        },
        reads: Vec::new(),
        when,
        ts: 0,
        outcome: None,
    }
}

impl Sample {
    /// It has read these items of a list; none of a list that is not there.
    pub(crate) fn read(mut self, list: &str, items: &[i64]) -> Sample {
        self.plan.reads.push(Read::Document {
            collection: Collection::Lists,
            id: list.to_owned(),
            look: Look::At(vec![Field::List]),
        });
        let seen = (!items.is_empty()).then(|| (false, seen(items)));
        self.reads.push(Observation::Document(seen));
        self
    }

    /// It has read all lists, and only these were there.
    pub(crate) fn read_all(mut self, lists: &[(&str, &[i64])]) -> Sample {
        let all = Query::all(Collection::Lists, Look::At(vec![Field::List]));
        self.plan.reads.push(Read::Page(all));
        let rows = lists
            .iter()
            .map(|(list, items)| ((*list).to_owned(), seen(items)));
        self.reads.push(Observation::Page {
            rows: rows.collect(),
            beyond: None,
            total: None,
        });
        self
    }

    /// It has appended an item to a list, which is made if need be.
    pub(crate) fn append(mut self, list: &str, item: i64) -> Sample {
        self.plan.writes.push(Intention::Fixed(Write::Patch {
            collection: Collection::Lists,
            id: list.to_owned(),
            changes: vec![Change::Push(Field::List, item)],
            if_version: None,
            otherwise: Some(Members(vec![(Field::List, Item::List(vec![item]))])),
        }));
        self
    }

    /// It has set a list to what its read of that number saw and one item more.
    pub(crate) fn append_to_read(mut self, read: usize, list: &str, item: i64) -> Sample {
        self.plan.writes.push(Intention::AppendTo {
            read,
            collection: Collection::Lists,
            id: list.to_owned(),
            item,
        });
        self
    }

    /// Its timestamp, for the exact check.
    pub(crate) fn at(mut self, ts: u64) -> Sample {
        self.ts = ts;
        self
    }

    /// It came to something else than success.
    pub(crate) fn ended(mut self, outcome: Outcome) -> Sample {
        self.outcome = Some(outcome);
        self
    }

    /// It leaves a mark.
    pub(crate) fn marked(mut self, mark: &str) -> Sample {
        self.plan.mark = Some(mark.to_owned());
        self
    }
}

fn seen(items: &[i64]) -> Seen {
    Seen::Part(vec![(Field::List, Some(Item::List(items.to_vec())))])
}

/// A history for the check by dependencies. What its writes found is not told, so that only the reads speak.
pub(crate) fn untimed(samples: Vec<Sample>) -> Vec<Attempt> {
    samples
        .into_iter()
        .map(|sample| {
            let steps = sample.plan.writes.iter().map(|_| StepSeen {
                before: None,
                after: None,
                changed: false,
            });
            let steps = steps.collect();
            attempt(sample, steps)
        })
        .collect()
}

/// A history for the exact check: the steps are those that the model takes in the order of the timestamps.
pub(crate) fn timed(mut samples: Vec<Sample>) -> Vec<Attempt> {
    samples.sort_by_key(|sample| sample.ts);
    let mut model = Model::default();
    samples
        .into_iter()
        .map(|sample| {
            let mut steps = Vec::new();
            // A transaction that writes by hand what it should not have read is applied as it was meant.
            if let Ok(written) = model.write(&sample.plan, &sample.reads, sample.ts) {
                model = written.model;
                steps = written.steps;
            }
            attempt(sample, steps)
        })
        .collect()
}

fn attempt(sample: Sample, steps: Vec<StepSeen>) -> Attempt {
    let outcome = sample.outcome.unwrap_or(Outcome::Done {
        ts: sample.ts,
        reads: sample.reads,
        steps,
    });
    Attempt {
        client: sample.number,
        number: 1,
        plan: Arc::new(sample.plan),
        invoked: sample.when.0,
        responded: sample.when.1,
        outcome,
    }
}

/// What the histories of the tests consist of: lists `x` and `y`, and no accounts.
pub(crate) fn expectations() -> Expectations {
    Expectations {
        lists: vec!["x".to_owned(), "y".to_owned()],
        balance_sum: 0,
    }
}

/// An image of a mark.
pub(crate) fn mark_image(commit_ts: u64) -> Seen {
    Seen::Whole(Image {
        commit_ts,
        created_at: commit_ts,
        version: 1,
        deleted_at: None,
        members: Members::default(),
    })
}
