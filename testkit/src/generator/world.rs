//! The world in which the clients meet, how it begins, and how all of it is read.

use thalweg_engine::Deleted;

use crate::document::{Collection, Field, Item, Look, Members};
use crate::plan::{Intention, Plan, Query, Read, Style, Write};
use crate::random::Random;

/// How large the world is in which the clients meet.
#[derive(Clone, Debug)]
pub struct World {
    /// How many ids there are in [`Collection::Things`].
    pub things: usize,
    /// How many lists there are.
    pub lists: usize,
    /// How many accounts there are.
    pub accounts: usize,
    /// How many of a thousand writing transactions leave no mark. Zero where answers can be lost: without a mark, nobody
    /// could tell afterwards whether such a transaction was committed.
    pub unmarked_in_thousand: usize,
}

/// What an account holds at first.
pub const BALANCE_AT_FIRST: i64 = 100;

/// How many values [`Field::Group`] has.
pub(super) const GROUPS: usize = 4;

impl World {
    /// A world from a seed.
    pub fn new(random: &mut Random, may_lose_answers: bool) -> World {
        World {
            things: random.between(2, 12),
            lists: random.between(1, 5),
            accounts: random.between(2, 6),
            unmarked_in_thousand: if may_lose_answers { 0 } else { 500 },
        }
    }

    /// The ids of all lists.
    pub fn list_ids(&self) -> Vec<String> {
        (0..self.lists).map(list_id).collect()
    }

    /// The sum of all balances.
    pub fn balance_sum(&self) -> i64 {
        i64::try_from(self.accounts).unwrap_or(0) * BALANCE_AT_FIRST
    }

    /// The plan that opens the accounts and creates half of the things.
    pub fn setup(&self) -> Plan {
        let accounts = (0..self.accounts).map(|account| {
            let members = Members(vec![(Field::Balance, Item::Int(BALANCE_AT_FIRST))]);
            Write::Create(Collection::Accounts, account_id(account), members)
        });
        let things = (0..self.things).step_by(2).map(|thing| {
            let group = i64::try_from(thing % GROUPS).unwrap_or(0);
            let members = Members(vec![
                (Field::Group, Item::Int(group)),
                (Field::Number, Item::Int(0)),
            ]);
            Write::Create(Collection::Things, thing_id(thing), members)
        });
        Plan {
            style: Style::Transaction,
            first: Vec::new(),
            reads: Vec::new(),
            guard: None,
            writes: accounts.chain(things).map(Intention::Fixed).collect(),
            mark: Some("setup".to_owned()),
        }
    }

    /// The plan that looks at everything there is, deleted or not, on one snapshot.
    pub fn audit() -> Plan {
        let everything = |collection| {
            Read::Page(Query {
                deleted: Deleted::Include,
                total: true,
                ..Query::all(collection, Look::Everything)
            })
        };
        let mut reads: Vec<Read> = Collection::ALL.into_iter().map(everything).collect();
        // The number that the statistics hold, without a scan.
        reads.extend(Collection::ALL.into_iter().map(|collection| {
            Read::Page(Query {
                limit: 0,
                total: true,
                ..Query::all(collection, Look::At(Vec::new()))
            })
        }));
        Plan {
            style: Style::Snapshot,
            first: Vec::new(),
            reads,
            guard: None,
            writes: Vec::new(),
            mark: None,
        }
    }
}

pub(super) fn thing_id(number: usize) -> String {
    format!("t{number:02}")
}

pub(super) fn list_id(number: usize) -> String {
    format!("l{number}")
}

pub(super) fn account_id(number: usize) -> String {
    format!("a{number}")
}
