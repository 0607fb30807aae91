//! A transaction of the workload as a value: what it reads, and what it writes depending on what it saw.
//!
//! The engine and the model run the same plan; [`decide`] is the pure part between reading and writing that they share.

use std::fmt;

use thalweg_engine::Deleted;

use crate::document::{Collection, Field, Item, Look, Members, Seen};

/// One transaction.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it is run.
    pub style: Style,
    /// What it writes before it reads, so that its reads must show it. Only where a read looks at fields alone: the time
    /// of a commit is not known before it.
    pub first: Vec<Write>,
    /// What it reads, in order.
    pub reads: Vec<Read>,
    /// Whether it writes at all.
    pub guard: Option<Guard>,
    /// What it writes, in order.
    pub writes: Vec<Intention>,
    /// The id of a document that it creates in [`Collection::Marks`] beside whatever else it writes.
    pub mark: Option<String>,
}

/// How a plan is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As a transaction of the engine.
    Transaction,
    /// As a transaction under an idempotency key: sent twice at once, and again when the answer is lost.
    Once,
    /// On a snapshot that is held while others go on. It only reads.
    Snapshot,
}

/// One read.
#[derive(Clone, Debug)]
pub enum Read {
    /// A document by its id, softly deleted or not.
    Document {
        /// Its collection.
        collection: Collection,
        /// Its id.
        id: String,
        /// What is looked at.
        look: Look,
    },
    /// Documents that satisfy a filter.
    Page(Query),
}

/// A read of a page of documents.
#[derive(Clone, Debug)]
pub struct Query {
    /// The collection.
    pub collection: Collection,
    /// What they satisfy.
    pub filter: Filter,
    /// Whether softly deleted ones count.
    pub deleted: Deleted,
    /// Their order: a field, and whether the greatest comes first. Ties, and no order, are by id.
    pub order: Option<(Field, bool)>,
    /// Only ids greater than this. Without an order only.
    pub after: Option<String>,
    /// Only ids less than this. Without an order only.
    pub before: Option<String>,
    /// How many to pass over.
    pub offset: usize,
    /// How many to return at most.
    pub limit: usize,
    /// Take the page from the end.
    pub from_end: bool,
    /// Also count all that satisfy the filter. On a snapshot only.
    pub total: bool,
    /// What is looked at.
    pub look: Look,
}

impl Query {
    /// All documents of a collection that are not deleted.
    pub fn all(collection: Collection, look: Look) -> Query {
        Query {
            collection,
            filter: Filter::All,
            deleted: Deleted::Exclude,
            order: None,
            after: None,
            before: None,
            offset: 0,
            limit: 100_000,
            from_end: false,
            total: false,
            look,
        }
    }

    /// Whether every document that satisfies the filter is on the page, given how many it has.
    pub fn shows_all(&self, rows: usize) -> bool {
        self.after.is_none() && self.before.is_none() && self.offset == 0 && rows < self.limit
    }
}

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every document.
    All,
    /// The field equals the value.
    Equals(Field, Item),
    /// The field is an integer of at least that.
    AtLeast(Field, i64),
    /// The field is an integer below that.
    Below(Field, i64),
    /// The field is a list that has the item.
    Holds(Field, i64),
    /// The other does not hold.
    Not(Box<Filter>),
    /// Both hold.
    Both(Box<(Filter, Filter)>),
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A document: whether it is softly deleted, and what was seen of it.
    Document(Option<(bool, Seen)>),
    /// The ids of a page's rows, and what was seen of them.
    Page {
        /// The rows in order.
        rows: Vec<(String, Seen)>,
        /// Whether there are documents before and after it, where the read tells.
        beyond: Option<(bool, bool)>,
        /// How many satisfy the filter, if asked for.
        total: Option<u64>,
    },
}

impl Observation {
    /// What was seen of the document, if it was there and not deleted.
    fn shown(&self) -> Option<&Seen> {
        match self {
            Observation::Document(Some((false, seen))) => Some(seen),
            _ => None,
        }
    }

    fn rows(&self) -> &[(String, Seen)] {
        match self {
            Observation::Page { rows, .. } => rows,
            Observation::Document(_) => &[],
        }
    }
}

/// A condition on what was read.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The number of the read.
    pub read: usize,
    /// What must hold.
    pub condition: Condition,
    /// What happens where it does not.
    pub otherwise: Otherwise,
}

/// What a [`Guard`] asks of a read.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The document is not there.
    Absent,
    /// The page has fewer rows.
    RowsBelow(usize),
    /// The sum of a field over the rows is at least that.
    SumAtLeast(Field, i64),
    /// The document's field is at least that.
    AtLeast(Field, i64),
}

/// What becomes of a transaction whose guard does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// It writes nothing, and succeeds.
    WriteNothing,
    /// It refuses.
    Refuse,
}

/// What a plan writes, given what it read. `read` is the number of a read of the plan.
#[derive(Clone, Debug)]
pub enum Intention {
    /// Always the same.
    Fixed(Write),
    /// Only if the document has the version that the read saw.
    IfUnchanged {
        /// A read of a whole document.
        read: usize,
        /// The write, whose version is filled in.
        write: Write,
    },
    /// Sets the list to what was read and one item more: an append by hand.
    AppendTo {
        /// A read of the document.
        read: usize,
        /// Its collection.
        collection: Collection,
        /// Its id.
        id: String,
        /// The item.
        item: i64,
    },
    /// Sets an integer to what was read and so much more: an increment by hand.
    AddTo {
        /// A read of the document.
        read: usize,
        /// Its collection.
        collection: Collection,
        /// Its id.
        id: String,
        /// The integer.
        field: Field,
        /// What is added.
        by: i64,
    },
    /// Applies the changes to every row of a page.
    ForEach {
        /// A read of a page.
        read: usize,
        /// Its collection.
        collection: Collection,
        /// What is changed in each.
        changes: Vec<Change>,
    },
    /// Sets an integer to the sum of a field over a page's rows plus how many there are.
    Summarise {
        /// A read of a page.
        read: usize,
        /// What is summed.
        field: Field,
        /// The collection of the document that gets the sum.
        collection: Collection,
        /// Its id.
        id: String,
    },
}

/// One write, as the engine's intents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Refused where the id is taken.
    Create(Collection, String, Members),
    /// Creates or replaces.
    Put(Collection, String, Members),
    /// Replaces, or does nothing.
    Replace(Collection, String, Members, Option<u64>),
    /// Changes parts.
    Patch {
        /// Where.
        collection: Collection,
        /// Which.
        id: String,
        /// What to change; no field twice.
        changes: Vec<Change>,
        /// The version that it must have.
        if_version: Option<u64>,
        /// What to create where it is absent.
        otherwise: Option<Members>,
    },
    /// Deletes, for good or softly.
    Delete {
        /// Where.
        collection: Collection,
        /// Which.
        id: String,
        /// For good.
        permanent: bool,
        /// The version that it must have.
        if_version: Option<u64>,
    },
    /// Takes back a soft deletion.
    Restore(Collection, String),
    /// Deletes all documents of a collection.
    Truncate(Collection),
    /// Deletes a collection, which must be there.
    Drop(Collection),
}

impl Write {
    fn at_version(mut self, version: u64) -> Write {
        match &mut self {
            Write::Replace(_, _, _, if_version)
            | Write::Patch { if_version, .. }
            | Write::Delete { if_version, .. } => *if_version = Some(version),
            Write::Create(..)
            | Write::Put(..)
            | Write::Restore(..)
            | Write::Truncate(_)
            | Write::Drop(_) => {}
        }
        self
    }
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Puts a value there.
    Set(Field, Item),
    /// Takes the field away.
    Remove(Field),
    /// Adds to an integer.
    Add(Field, i64),
    /// Appends to a list.
    Push(Field, i64),
    /// Appends to a list that does not have it.
    AddToSet(Field, i64),
    /// Takes an item out of a list.
    Pull(Field, i64),
}

impl Plan {
    /// Whether it reads a collection that may not be there.
    pub(crate) fn reads_catalog(&self) -> bool {
        self.reads.iter().any(|read| {
            let (Read::Document { collection, .. } | Read::Page(Query { collection, .. })) = read;
            *collection == Collection::Scratch
        })
    }
}

/// What a plan does about what it has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It writes this, perhaps nothing.
    Write(Vec<Write>),
    /// It refuses.
    Refuse,
}

/// Decides what a plan writes after its reads. Pure, so that a second run, or the model's, decides the same from the same.
pub fn decide(plan: &Plan, seen: &[Observation]) -> Decision {
    if let Some(guard) = &plan.guard
        && !holds(&guard.condition, &seen[guard.read])
    {
        return match guard.otherwise {
            Otherwise::WriteNothing => Decision::Write(Vec::new()),
            Otherwise::Refuse => Decision::Refuse,
        };
    }
    let mut writes = Vec::new();
    for intention in &plan.writes {
        fill_in(intention, seen, &mut writes);
    }
    if let Some(mark) = &plan.mark
        && (!writes.is_empty() || !plan.first.is_empty())
    {
        writes.push(Write::Create(
            Collection::Marks,
            mark.clone(),
            Members::default(),
        ));
    }
    Decision::Write(writes)
}

fn holds(condition: &Condition, seen: &Observation) -> bool {
    match condition {
        Condition::Absent => seen.shown().is_none(),
        Condition::RowsBelow(end) => seen.rows().len() < *end,
        Condition::SumAtLeast(field, least) => {
            let sum: i64 = seen.rows().iter().map(|(_, row)| row.int(*field)).sum();
            sum >= *least
        }
        Condition::AtLeast(field, least) => {
            seen.shown().is_some_and(|seen| seen.int(*field) >= *least)
        }
    }
}

fn fill_in(intention: &Intention, seen: &[Observation], writes: &mut Vec<Write>) {
    let patch = |collection: Collection, id: &str, changes: Vec<Change>| Write::Patch {
        collection,
        id: id.to_owned(),
        changes,
        if_version: None,
        otherwise: None,
    };
    match intention {
        Intention::Fixed(write) => writes.push(write.clone()),
        Intention::IfUnchanged { read, write } => {
            let version = match seen[*read].shown() {
                Some(Seen::Whole(image)) => image.version,
                _ => 0,
            };
            writes.push(write.clone().at_version(version));
        }
        Intention::AppendTo {
            read,
            collection,
            id,
            item,
        } => {
            let mut list = seen[*read]
                .shown()
                .map_or_else(Vec::new, |seen| seen.list(Field::List).to_vec());
            list.push(*item);
            let list = Item::List(list);
            writes.push(Write::Patch {
                collection: *collection,
                id: id.clone(),
                changes: vec![Change::Set(Field::List, list.clone())],
                if_version: None,
                otherwise: Some(Members(vec![(Field::List, list)])),
            });
        }
        Intention::AddTo {
            read,
            collection,
            id,
            field,
            by,
        } => {
            let number = seen[*read].shown().map_or(0, |seen| seen.int(*field)) + by;
            let set = Change::Set(*field, Item::Int(number));
            writes.push(patch(*collection, id, vec![set]));
        }
        Intention::ForEach {
            read,
            collection,
            changes,
        } => {
            for (id, _) in seen[*read].rows() {
                writes.push(patch(*collection, id, changes.clone()));
            }
        }
        Intention::Summarise {
            read,
            field,
            collection,
            id,
        } => {
            let rows = seen[*read].rows();
            let sum: i64 = rows.iter().map(|(_, row)| row.int(*field) + 1).sum();
            let set = Change::Set(Field::Number, Item::Int(sum));
            writes.push(patch(*collection, id, vec![set]));
        }
    }
}

impl fmt::Display for Read {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Read::Document {
                collection,
                id,
                look,
            } => write!(
                formatter,
                "read {}/{id}{}",
                collection.name(),
                LookingAt(look)
            ),
            Read::Page(query) => {
                write!(
                    formatter,
                    "find in {} where {:?}, deleted {:?}, order {:?}, after {:?}, before {:?}, offset {}, limit {}",
                    query.collection.name(),
                    query.filter,
                    query.deleted,
                    query.order,
                    query.after,
                    query.before,
                    query.offset,
                    query.limit,
                )?;
                if query.from_end {
                    formatter.write_str(" from the end")?;
                }
                LookingAt(&query.look).fmt(formatter)
            }
        }
    }
}

struct LookingAt<'l>(&'l Look);

impl fmt::Display for LookingAt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Look::Everything => Ok(()),
            Look::At(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
                write!(formatter, " (only {})", names.join(", "))
            }
        }
    }
}

/// Rows that a message shows.
const ROWS_SHOWN_MAX: usize = 40;

impl fmt::Display for Observation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Observation::Document(None) => formatter.write_str("nothing"),
            Observation::Document(Some((deleted, seen))) => {
                let deleted = if *deleted { "(deleted) " } else { "" };
                write!(formatter, "{deleted}{seen}")
            }
            Observation::Page {
                rows,
                beyond,
                total,
            } => {
                write!(formatter, "{} rows", rows.len())?;
                if let Some((before, after)) = beyond {
                    write!(formatter, ", more before {before}, after {after}")?;
                }
                if let Some(total) = total {
                    write!(formatter, ", {total} in all")?;
                }
                for (id, seen) in rows.iter().take(ROWS_SHOWN_MAX) {
                    write!(formatter, "; {id}: {seen}")?;
                }
                if rows.len() > ROWS_SHOWN_MAX {
                    formatter.write_str("; …")?;
                }
                Ok(())
            }
        }
    }
}
