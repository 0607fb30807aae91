//! The parts that transactions are made of: what they look for, what they change, which values they write.

use thalweg_engine::Deleted;

use crate::document::{Collection, Field, Item, Look, Members};
use crate::plan::{
    Change, Condition, Filter, Guard, Intention, Otherwise, Plan, Query, Read, Write,
};
use crate::random::Random;

use super::world::{GROUPS, list_id, thing_id};
use super::{Generator, document};

/// So many items a client can write before they are another's.
const ITEMS_OF_A_CLIENT: i64 = 1_000_000;

impl Generator {
    /// Owners who come and go, pets that name them, and who looks at both.
    pub(super) fn owners(&mut self, plan: &mut Plan) {
        let owner = self.owner();
        let members = Members(vec![
            (Field::Tag, self.tag()),
            (Field::Number, Item::Int(1)),
        ]);
        let mut writes = Vec::new();
        match self.random.below(10) {
            0 | 1 => writes.push(Write::Put(Collection::Owners, owner, members)),
            2 | 3 => writes.push(self.put_pet()),
            4 => {
                // A pet of an owner who was seen.
                plan.reads
                    .push(document(Collection::Owners, &owner, Field::Number));
                plan.guard = Some(Guard {
                    read: 0,
                    condition: Condition::AtLeast(Field::Number, 1),
                    otherwise: Otherwise::WriteNothing,
                });
                let members = Members(vec![(Field::Owner, Item::Text(owner))]);
                writes.push(Write::Put(Collection::Pets, self.pet(), members));
            }
            5 | 6 => writes.push(self.delete_owner(owner)),
            7 => {
                writes.push(self.delete_owner(owner));
                let write = match self.random.below(4) {
                    0 => self.put_pet(),
                    1 => Write::Delete {
                        collection: Collection::Pets,
                        id: self.pet(),
                        permanent: false,
                        if_version: None,
                    },
                    2 => Write::Put(Collection::Owners, self.owner(), members),
                    _ => {
                        let other = self.owner();
                        self.delete_owner(other)
                    }
                };
                writes.push(write);
            }
            8 if self.random.in_thousand(200) => {
                writes.push(Write::Truncate(Collection::Owners));
            }
            _ => {
                let all = |collection| Read::Page(Query::all(collection, Look::Everything));
                plan.reads = vec![all(Collection::Owners), all(Collection::Pets)];
            }
        }
        plan.writes = writes.into_iter().map(Intention::Fixed).collect();
    }

    fn delete_owner(&mut self, id: String) -> Write {
        Write::Delete {
            collection: Collection::Owners,
            id,
            permanent: self.random.coin(),
            if_version: None,
        }
    }

    fn put_pet(&mut self) -> Write {
        let mut members = Members(vec![(Field::Tag, self.tag())]);
        for (field, in_thousand) in [
            (Field::Owner, 600),
            (Field::Friend, 600),
            (Field::Warden, 150),
        ] {
            if self.random.in_thousand(in_thousand) {
                members.set(field, Item::Text(self.owner()));
            }
        }
        Write::Put(Collection::Pets, self.pet(), members)
    }

    fn owner(&mut self) -> String {
        format!("o{}", self.random.below(self.world.lists + 1))
    }

    fn pet(&mut self) -> String {
        format!("p{}", self.random.below(self.world.things))
    }

    pub(super) fn list_reads(&mut self) -> Vec<Read> {
        if self.random.coin() {
            let all = Query::all(Collection::Lists, Look::At(vec![Field::List]));
            return vec![Read::Page(all)];
        }
        let lists = self.some_lists();
        lists
            .iter()
            .map(|list| document(Collection::Lists, list, Field::List))
            .collect()
    }

    pub(super) fn query(&mut self) -> Query {
        let filter = self.filter(true);
        let order = match self.random.below(4) {
            0 => Some((Field::Number, self.random.coin())),
            1 => Some((Field::Group, self.random.coin())),
            2 => Some((Field::Tag, self.random.coin())),
            _ => None,
        };
        let bound = |random: &mut Random, things: usize| {
            (order.is_none() && random.in_thousand(300)).then(|| thing_id(random.below(things)))
        };
        let things = self.world.things;
        let (after, before) = (
            bound(&mut self.random, things),
            bound(&mut self.random, things),
        );
        Query {
            collection: Collection::Things,
            filter,
            deleted: *self.random.pick(&[
                Deleted::Exclude,
                Deleted::Exclude,
                Deleted::Include,
                Deleted::Only,
            ]),
            order,
            after,
            before,
            offset: if self.random.in_thousand(200) {
                self.random.between(1, 3)
            } else {
                0
            },
            limit: *self.random.pick(&[0, 1, 2, 3, 5, 1000]),
            from_end: self.random.in_thousand(300),
            total: self.random.coin(),
            look: self.look(),
        }
    }

    pub(super) fn filter(&mut self, may_nest: bool) -> Filter {
        match self.random.below(if may_nest { 7 } else { 5 }) {
            0 => Filter::All,
            1 => Filter::Equals(Field::Group, self.group()),
            2 => Filter::AtLeast(Field::Number, self.amount()),
            3 => Filter::Below(Field::Number, self.amount()),
            4 => {
                let client = i64::try_from(self.random.below(4)).unwrap_or(0);
                Filter::Holds(Field::List, client * ITEMS_OF_A_CLIENT + 1)
            }
            5 => Filter::Not(Box::new(self.filter(false))),
            _ => Filter::Both(Box::new((self.filter(false), self.filter(false)))),
        }
    }

    pub(super) fn look(&mut self) -> Look {
        let fields = [Field::Tag, Field::Number, Field::Group, Field::List];
        match self.random.below(4) {
            0 | 1 => Look::Everything,
            2 => Look::At(vec![*self.random.pick(&fields)]),
            _ => Look::At(Vec::new()),
        }
    }

    pub(super) fn whole(&self, id: &str) -> Read {
        Read::Document {
            collection: Collection::Things,
            id: id.to_owned(),
            look: Look::Everything,
        }
    }

    /// Changes of a thing, no field twice.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.random.coin() {
            changes.push(Change::Set(Field::Tag, self.tag()));
        }
        if self.random.coin() {
            let by = self.amount();
            changes.push(match self.random.below(8) {
                0 => Change::Remove(Field::Number),
                1 => Change::Set(Field::Number, Item::Int(by)),
                _ => Change::Add(Field::Number, by),
            });
        }
        if self.random.coin() {
            let item = self.item();
            let known = self.client_item();
            changes.push(match self.random.below(6) {
                0 => Change::AddToSet(Field::List, known),
                1 => Change::Pull(Field::List, known),
                2 => Change::Remove(Field::List),
                _ => Change::Push(Field::List, item),
            });
        }
        if self.random.in_thousand(300) || changes.is_empty() {
            changes.push(Change::Set(Field::Group, self.group()));
        }
        // Increments of what is no number, and pushes to what is no list.
        if self.random.in_thousand(30) {
            changes = vec![if self.random.coin() {
                Change::Add(Field::Tag, 1)
            } else {
                Change::Push(Field::Group, 1)
            }];
        }
        changes
    }

    pub(super) fn patch_thing(&mut self, changes: Vec<Change>) -> Write {
        Write::Patch {
            collection: Collection::Things,
            id: self.thing(),
            changes,
            if_version: None,
            otherwise: if self.random.in_thousand(250) {
                Some(self.members())
            } else {
                None
            },
        }
    }

    pub(super) fn delete(&mut self) -> Write {
        Write::Delete {
            collection: Collection::Things,
            id: self.thing(),
            permanent: self.random.in_thousand(400),
            if_version: None,
        }
    }

    pub(super) fn members(&mut self) -> Members {
        let mut members = vec![(Field::Tag, self.tag()), (Field::Group, self.group())];
        if self.random.coin() {
            members.push((Field::Number, Item::Int(self.amount())));
        }
        if self.random.in_thousand(300) {
            members.push((Field::List, Item::List(vec![self.item()])));
        }
        Members(members)
    }

    /// Appends as intents, which depend on nothing. Of two in one transaction nobody may see the first alone.
    pub(super) fn push(&mut self, list: &str, writes: &mut Vec<Intention>) {
        for _ in 0..self.random.weighted(&[(4, 1), (1, 2)]) {
            let item = self.item();
            writes.push(Intention::Fixed(Write::Patch {
                collection: Collection::Lists,
                id: list.to_owned(),
                changes: vec![Change::Push(Field::List, item)],
                if_version: None,
                otherwise: Some(Members(vec![(Field::List, Item::List(vec![item]))])),
            }));
        }
    }

    pub(super) fn some_lists(&mut self) -> Vec<String> {
        let all = self.world.lists;
        let (first, count) = (self.random.below(all), self.random.between(1, all.min(3)));
        (0..count)
            .map(|next| list_id((first + next) % all))
            .collect()
    }

    pub(super) fn list(&mut self) -> String {
        list_id(self.random.below(self.world.lists))
    }

    pub(super) fn thing(&mut self) -> String {
        thing_id(self.random.below(self.world.things))
    }

    pub(super) fn group(&mut self) -> Item {
        Item::Int(i64::try_from(self.random.below(GROUPS)).unwrap_or(0))
    }

    pub(super) fn amount(&mut self) -> i64 {
        i64::try_from(self.random.between(0, 9)).unwrap_or(0)
    }

    pub(super) fn tag(&self) -> Item {
        Item::Text(format!("c{}-{}", self.client, self.number))
    }

    /// An item that nobody else writes.
    pub(super) fn item(&mut self) -> i64 {
        self.items += 1;
        i64::try_from(self.client).unwrap_or(0) * ITEMS_OF_A_CLIENT + self.items
    }

    /// An item that this client may have written before.
    pub(super) fn client_item(&mut self) -> i64 {
        let written = usize::try_from(self.items).unwrap_or(0);
        let item = i64::try_from(self.random.below(written + 1)).unwrap_or(0);
        i64::try_from(self.client).unwrap_or(0) * ITEMS_OF_A_CLIENT + item
    }
}
