//! The workload: plans of many kinds from a seed.
//!
//! What a client does is drawn from a stream of its own, so it does not depend on who runs when. Few documents are shared
//! by all clients, so that transactions meet.

mod parts;
mod world;

use crate::document::{Collection, Field, Look};
use crate::plan::{
    Change, Condition, Filter, Guard, Intention, Otherwise, Plan, Query, Read, Style, Write,
};
use crate::random::Random;

use self::world::account_id;
pub use self::world::{BALANCE_AT_FIRST, World};

/// How many of a thousand writing transactions have an idempotency key. What became of them the answer tells in the end,
/// so they need no mark.
const ONCE_IN_THOUSAND: usize = 150;

/// The kinds of transaction, with how often each comes. A new feature of the engine (a declared index, say) gets its
/// kinds here, and its rules in the model.
const KINDS: &[(usize, Kind)] = &[
    (10, Kind::Append),
    (8, Kind::AppendByHand),
    (8, Kind::ReadLists),
    (8, Kind::AppendAfterReadingOther),
    (6, Kind::AppendIfFew),
    (8, Kind::Increment),
    (8, Kind::IncrementByHand),
    (6, Kind::Create),
    (8, Kind::Patch),
    (6, Kind::Conditional),
    (6, Kind::Delete),
    (4, Kind::Restore),
    (5, Kind::Bulk),
    (6, Kind::Summarise),
    (6, Kind::CreateIfFew),
    (8, Kind::Transfer),
    (6, Kind::ReadAccounts),
    (10, Kind::ReadThings),
    (1, Kind::Truncate),
    (5, Kind::Several),
    (8, Kind::Scratch),
    (8, Kind::OwnWrites),
    (12, Kind::Owners),
];

#[derive(Clone, Copy)]
enum Kind {
    Append,
    AppendByHand,
    ReadLists,
    AppendAfterReadingOther,
    AppendIfFew,
    Increment,
    IncrementByHand,
    Create,
    Patch,
    Conditional,
    Delete,
    Restore,
    Bulk,
    Summarise,
    CreateIfFew,
    Transfer,
    ReadAccounts,
    ReadThings,
    Truncate,
    Several,
    Scratch,
    OwnWrites,
    Owners,
}

/// Draws the plans of one client.
pub struct Generator {
    world: World,
    client: usize,
    random: Random,
    /// Numbers the client's transactions, and with the client's number makes their values unique.
    number: usize,
    items: i64,
}

impl Generator {
    /// The plans of a client of a world.
    pub fn new(world: World, client: usize, random: &Random) -> Generator {
        Generator {
            world,
            client,
            random: random.stream(client as u64),
            number: 0,
            items: 0,
        }
    }

    /// The next transaction of the client, and its number.
    pub fn next_plan(&mut self) -> (usize, Plan) {
        self.number += 1;
        let kind = self.random.weighted(KINDS);
        let mut plan = Plan {
            style: Style::Transaction,
            first: Vec::new(),
            reads: Vec::new(),
            guard: None,
            writes: Vec::new(),
            mark: None,
        };
        self.fill(kind, &mut plan);
        if plan.writes.is_empty() {
            if self.random.coin() {
                plan.style = Style::Snapshot;
            }
        } else if self.random.in_thousand(ONCE_IN_THOUSAND) {
            plan.style = Style::Once;
        } else if !self.random.in_thousand(self.world.unmarked_in_thousand) {
            plan.mark = Some(format!("c{}-{}", self.client, self.number));
        }
        (self.number, plan)
    }

    fn fill(&mut self, kind: Kind, plan: &mut Plan) {
        match kind {
            Kind::Append => {
                for list in self.some_lists() {
                    self.push(&list, &mut plan.writes);
                }
            }
            Kind::AppendByHand => {
                for (read, list) in self.some_lists().into_iter().enumerate() {
                    plan.reads
                        .push(document(Collection::Lists, &list, Field::List));
                    let item = self.item();
                    plan.writes.push(append_to(read, &list, item));
                }
            }
            Kind::ReadLists => plan.reads = self.list_reads(),
            Kind::AppendAfterReadingOther => {
                // Two of these crosswise are write skew, unless what was read is validated.
                let (read, written) = (self.list(), self.list());
                plan.reads
                    .push(document(Collection::Lists, &read, Field::List));
                self.push(&written, &mut plan.writes);
            }
            Kind::AppendIfFew => {
                let all = Query::all(Collection::Lists, Look::At(vec![Field::List]));
                plan.reads.push(Read::Page(all));
                plan.guard = Some(Guard {
                    read: 0,
                    condition: Condition::RowsBelow(self.world.lists + self.random.below(2)),
                    otherwise: Otherwise::WriteNothing,
                });
                let list = self.list();
                self.push(&list, &mut plan.writes);
            }
            Kind::Increment => {
                let changes = vec![Change::Add(Field::Number, self.amount())];
                let write = self.patch_thing(changes);
                plan.writes.push(Intention::Fixed(write));
            }
            Kind::IncrementByHand => {
                let id = self.thing();
                let read = if self.random.coin() {
                    document(Collection::Things, &id, Field::Number)
                } else {
                    self.whole(&id)
                };
                plan.reads.push(read);
                plan.writes.push(Intention::AddTo {
                    read: 0,
                    collection: Collection::Things,
                    id,
                    field: Field::Number,
                    by: self.amount(),
                });
            }
            Kind::Create => {
                let (id, members) = (self.thing(), self.members());
                let write = if self.random.coin() {
                    Write::Create(Collection::Things, id, members)
                } else {
                    Write::Put(Collection::Things, id, members)
                };
                plan.writes.push(Intention::Fixed(write));
            }
            Kind::Patch => {
                let changes = self.changes();
                let write = self.patch_thing(changes);
                plan.writes.push(Intention::Fixed(write));
            }
            Kind::Conditional => self.conditional(plan),
            Kind::Delete => {
                let write = self.delete();
                plan.writes.push(Intention::Fixed(write));
            }
            Kind::Restore => {
                let write = Write::Restore(Collection::Things, self.thing());
                plan.writes.push(Intention::Fixed(write));
            }
            Kind::Bulk => {
                let mut query = self.query();
                query.total = false;
                plan.reads.push(Read::Page(query));
                let changes = self.changes();
                plan.writes.push(Intention::ForEach {
                    read: 0,
                    collection: Collection::Things,
                    changes,
                });
            }
            Kind::Summarise => {
                let mut query = self.query();
                query.look = Look::At(vec![Field::Number]);
                plan.reads.push(Read::Page(query));
                plan.writes.push(Intention::Summarise {
                    read: 0,
                    field: Field::Number,
                    collection: Collection::Things,
                    id: self.thing(),
                });
            }
            Kind::CreateIfFew => self.create_if_few(plan),
            Kind::Transfer => self.transfer(plan),
            Kind::ReadAccounts => {
                let look = Look::At(vec![Field::Balance]);
                let all = Query::all(Collection::Accounts, look);
                plan.reads.push(Read::Page(all));
            }
            Kind::ReadThings => {
                for _ in 0..self.random.between(1, 4) {
                    let read = if self.random.coin() {
                        let id = self.thing();
                        let look = self.look();
                        Read::Document {
                            collection: Collection::Things,
                            id,
                            look,
                        }
                    } else {
                        Read::Page(self.query())
                    };
                    plan.reads.push(read);
                }
            }
            Kind::Truncate => {
                plan.writes
                    .push(Intention::Fixed(Write::Truncate(Collection::Things)));
                if self.random.coin() {
                    let (id, members) = (self.thing(), self.members());
                    let write = Write::Create(Collection::Things, id, members);
                    plan.writes.push(Intention::Fixed(write));
                }
            }
            Kind::Scratch => self.scratch(plan),
            Kind::OwnWrites => self.own_writes(plan),
            Kind::Owners => self.owners(plan),
            Kind::Several => {
                let list = self.list();
                self.push(&list, &mut plan.writes);
                for _ in 0..self.random.between(1, 3) {
                    let changes = self.changes();
                    let write = self.patch_thing(changes);
                    plan.writes.push(Intention::Fixed(write));
                }
                if self.random.coin() {
                    let id = self.thing();
                    let write = Write::Put(Collection::Things, id, self.members());
                    plan.writes.push(Intention::Fixed(write));
                }
            }
        }
    }

    /// Dropping a collection, and what comes between that and its coming to be again.
    fn scratch(&mut self, plan: &mut Plan) {
        let all = || {
            Read::Page(Query::all(
                Collection::Scratch,
                Look::At(vec![Field::Number]),
            ))
        };
        let (id, members) = (self.thing(), self.members());
        match self.random.below(6) {
            0 => {
                let drop = Write::Drop(Collection::Scratch);
                plan.writes.push(Intention::Fixed(drop));
            }
            1 => plan.reads.push(all()),
            2 => {
                let create = Write::Create(Collection::Scratch, id, members);
                plan.writes.push(Intention::Fixed(create));
            }
            3 => {
                // What a transaction saw of a collection that is dropped before it commits.
                plan.reads.push(all());
                plan.writes.push(Intention::Summarise {
                    read: 0,
                    field: Field::Number,
                    collection: Collection::Things,
                    id,
                });
            }
            4 => {
                plan.reads.push(all());
                plan.guard = Some(Guard {
                    read: 0,
                    condition: Condition::RowsBelow(self.random.between(1, 3)),
                    otherwise: Otherwise::WriteNothing,
                });
                let put = Write::Put(Collection::Scratch, id, members);
                plan.writes.push(Intention::Fixed(put));
            }
            _ => {
                let put = Write::Put(Collection::Scratch, id, members);
                plan.writes.push(Intention::Fixed(put));
            }
        }
    }

    /// Writes, reads what that made of the documents, and writes what follows from it.
    fn own_writes(&mut self, plan: &mut Plan) {
        let things = Collection::Things;
        if self.random.in_thousand(60) {
            plan.first.push(Write::Truncate(things));
        }
        for _ in 0..self.random.between(1, 3) {
            let (id, members) = (self.thing(), self.members());
            plan.first.push(match self.random.below(6) {
                0 => Write::Put(things, id, members),
                1 => Write::Create(things, id, members),
                2 => self.delete(),
                3 => Write::Restore(things, id),
                _ => {
                    let changes = self.changes();
                    self.patch_thing(changes)
                }
            });
        }
        let id = self.thing();
        if self.random.coin() {
            plan.reads.push(document(things, &id, Field::Number));
            plan.writes.push(Intention::AddTo {
                read: 0,
                collection: things,
                id,
                field: Field::Number,
                by: self.amount(),
            });
            return;
        }
        let mut query = self.query();
        query.total = false;
        query.look = Look::At(vec![Field::Number]);
        plan.reads.push(Read::Page(query));
        plan.writes.push(if self.random.coin() {
            let changes = self.changes();
            Intention::ForEach {
                read: 0,
                collection: things,
                changes,
            }
        } else {
            Intention::Summarise {
                read: 0,
                field: Field::Number,
                collection: things,
                id,
            }
        });
    }

    /// A write that needs a certain version: the one that was read, or some number.
    fn conditional(&mut self, plan: &mut Plan) {
        let id = self.thing();
        plan.reads.push(self.whole(&id));
        let collection = Collection::Things;
        let write = match self.random.below(3) {
            0 => Write::Replace(collection, id, self.members(), None),
            1 => Write::Delete {
                collection,
                id,
                permanent: false,
                if_version: None,
            },
            _ => Write::Patch {
                collection,
                id,
                changes: self.changes(),
                if_version: None,
                otherwise: None,
            },
        };
        if self.random.in_thousand(700) {
            plan.writes.push(Intention::IfUnchanged { read: 0, write });
            return;
        }
        // Without a read nothing makes it run again: the version alone decides.
        plan.reads.clear();
        let version = 1 + self.random.below(6) as u64;
        let write = match write {
            Write::Replace(collection, id, members, _) => {
                Write::Replace(collection, id, members, Some(version))
            }
            Write::Delete {
                collection,
                id,
                permanent,
                ..
            } => Write::Delete {
                collection,
                id,
                permanent,
                if_version: Some(version),
            },
            other => other,
        };
        plan.writes.push(Intention::Fixed(write));
    }

    /// Keeps the number of documents of a group below a bound: a promise that only range validation keeps.
    fn create_if_few(&mut self, plan: &mut Plan) {
        let group = self.group();
        let query = Query {
            filter: Filter::Equals(Field::Group, group.clone()),
            ..Query::all(Collection::Things, Look::At(Vec::new()))
        };
        plan.reads.push(Read::Page(query));
        plan.guard = Some(Guard {
            read: 0,
            condition: Condition::RowsBelow(self.random.between(1, 3)),
            otherwise: if self.random.coin() {
                Otherwise::Refuse
            } else {
                Otherwise::WriteNothing
            },
        });
        let mut members = self.members();
        members.set(Field::Group, group);
        let write = Write::Put(Collection::Things, self.thing(), members);
        plan.writes.push(Intention::Fixed(write));
    }

    fn transfer(&mut self, plan: &mut Plan) {
        let from = self.random.below(self.world.accounts);
        let to = (from + 1 + self.random.below(self.world.accounts - 1)) % self.world.accounts;
        let (from, to) = (account_id(from), account_id(to));
        let amount = i64::try_from(self.random.between(1, 40)).unwrap_or(1);
        plan.reads
            .push(document(Collection::Accounts, &from, Field::Balance));
        plan.guard = Some(Guard {
            read: 0,
            condition: Condition::AtLeast(Field::Balance, amount),
            otherwise: if self.random.coin() {
                Otherwise::Refuse
            } else {
                Otherwise::WriteNothing
            },
        });
        let by_hand = self.random.coin();
        if by_hand {
            plan.reads
                .push(document(Collection::Accounts, &to, Field::Balance));
        }
        for (read, (id, by)) in [(from, -amount), (to, amount)].into_iter().enumerate() {
            plan.writes.push(if by_hand {
                Intention::AddTo {
                    read,
                    collection: Collection::Accounts,
                    id,
                    field: Field::Balance,
                    by,
                }
            } else {
                Intention::Fixed(Write::Patch {
                    collection: Collection::Accounts,
                    id,
                    changes: vec![Change::Add(Field::Balance, by)],
                    if_version: None,
                    otherwise: None,
                })
            });
        }
    }
}

fn document(collection: Collection, id: &str, field: Field) -> Read {
    Read::Document {
        collection,
        id: id.to_owned(),
        look: Look::At(vec![field]),
    }
}

fn append_to(read: usize, list: &str, item: i64) -> Intention {
    Intention::AppendTo {
        read,
        collection: Collection::Lists,
        id: list.to_owned(),
        item,
    }
}
