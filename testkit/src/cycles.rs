//! The independent check: no timestamp of the engine's is believed, only what was read and when clients were answered.
//!
//! As Elle does (see the crate's documentation): the items of a list name their writers, and a list shows the order in
//! which they were written. From that follow dependencies between transactions:
//!
//! - *ww*: one appended directly after the other;
//! - *wr*: one read a list whose last item the other had appended;
//! - *rw*: one read a list to which the other then appended the next item;
//! - *rt*: one was answered before the other was made.
//!
//! In a strictly serializable history they have no cycle. A read of all lists at once reads those that are not there
//! as empty, so a phantom is a cycle like any other.
//!
//! Beside the cycles: items of aborted transactions, of nobody, or twice in a list; acknowledged items that a later
//! read of the list lacks; balances whose sum has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::anomaly::{Anomaly, Kind, describe};
use crate::document::{Collection, Field, Image, Item, Seen};
use crate::graph::{Edge, Graph};
use crate::history::{Attempt, Outcome};
use crate::plan::{Change, Decision, Filter, Intention, Observation, Plan, Read, Write, decide};

/// What a history is known to consist of.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// The ids of all lists.
    pub lists: Vec<String>,
    /// The sum of all balances, once there are accounts.
    pub balance_sum: i64,
}

/// One read of a list by one transaction.
struct ListRead<'h> {
    reader: usize,
    list: &'h str,
    items: Vec<i64>,
}

/// Checks a history by its dependencies.
pub fn check(history: &[Attempt], expectations: &Expectations) -> Result<(), Anomaly> {
    let appends = Appends::of(history)?;
    let reads = list_reads(history, expectations);
    check_items(history, &appends, &reads)?;
    check_sums(history, expectations)?;
    let orders = orders(history, &reads)?;
    let graph = graph(history, &appends, &reads, &orders);
    match graph.shortest_cycle() {
        None => Ok(()),
        Some(cycle) => Err(account_of(history, &cycle)),
    }
}

/// Who appended which item, and to which list.
#[derive(Default)]
struct Appends {
    writer: HashMap<i64, usize>,
    /// Per transaction and list, what it appended, in order.
    of: BTreeMap<(usize, String), Vec<i64>>,
}

impl Appends {
    fn of(history: &[Attempt]) -> Result<Appends, Anomaly> {
        let mut appends = Appends::default();
        for (number, attempt) in history.iter().enumerate() {
            for (list, item) in appended(attempt) {
                if appends.writer.insert(item, number).is_some() {
                    let account = vec![format!("the workload itself appends {item} twice")];
                    return Err(Anomaly::new(Kind::DuplicateItem, account));
                }
                appends.of.entry((number, list)).or_default().push(item);
            }
        }
        Ok(appends)
    }
}

/// What an attempt appended to lists; of one that did not succeed, what it would have.
fn appended(attempt: &Attempt) -> Vec<(String, i64)> {
    if let Outcome::Done { reads, .. } = &attempt.outcome {
        return match decide(&attempt.plan, reads) {
            Decision::Write(writes) => writes.iter().flat_map(pushed).collect(),
            Decision::Refuse => Vec::new(),
        }
        .into_iter()
        .chain(appended_by_hand(&attempt.plan, reads))
        .collect();
    }
    let meant = attempt.plan.writes.iter();
    meant
        .flat_map(|intention| match intention {
            Intention::Fixed(write) | Intention::IfUnchanged { write, .. } => pushed(write),
            Intention::AppendTo {
                collection: Collection::Lists,
                id,
                item,
                ..
            } => vec![(id.clone(), *item)],
            _ => Vec::new(),
        })
        .collect()
}

/// The lists that are set to what was read and one item more, if the plan writes at all.
fn appended_by_hand(plan: &Plan, reads: &[Observation]) -> Vec<(String, i64)> {
    if !matches!(decide(plan, reads), Decision::Write(writes) if !writes.is_empty()) {
        return Vec::new();
    }
    let by_hand = plan.writes.iter().filter_map(|intention| match intention {
        Intention::AppendTo {
            collection: Collection::Lists,
            id,
            item,
            ..
        } => Some((id.clone(), *item)),
        _ => None,
    });
    by_hand.collect()
}

fn pushed(write: &Write) -> Vec<(String, i64)> {
    match write {
        Write::Patch {
            collection: Collection::Lists,
            id,
            changes,
            ..
        } => changes
            .iter()
            .filter_map(|change| match change {
                Change::Push(Field::List, item) => Some((id.clone(), *item)),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Every list that a successful transaction saw: by reading it, by reading all, or as what its own first write found.
fn list_reads<'h>(history: &'h [Attempt], expectations: &'h Expectations) -> Vec<ListRead<'h>> {
    let mut all = Vec::new();
    for (reader, attempt) in history.iter().enumerate() {
        let Outcome::Done { reads, steps, .. } = &attempt.outcome else {
            continue;
        };
        for (read, seen) in attempt.plan.reads.iter().zip(reads) {
            match (read, seen) {
                (
                    Read::Document {
                        collection: Collection::Lists,
                        id,
                        ..
                    },
                    Observation::Document(seen),
                ) if seen.is_none() || look_shows_list(seen) => {
                    let items = seen
                        .as_ref()
                        .map_or(&[][..], |(_, seen)| seen.list(Field::List));
                    all.push(ListRead {
                        reader,
                        list: id,
                        items: items.to_vec(),
                    });
                }
                (Read::Page(query), Observation::Page { rows, .. })
                    if query.collection == Collection::Lists
                        && query.filter == Filter::All
                        && query.shows_all(rows.len())
                        && rows.iter().all(|(_, seen)| seen.shows(Field::List)) =>
                {
                    let rows: HashMap<&str, &Seen> =
                        rows.iter().map(|(id, seen)| (id.as_str(), seen)).collect();
                    all.extend(expectations.lists.iter().map(|list| {
                        ListRead {
                            reader,
                            list,
                            items: rows
                                .get(list.as_str())
                                .map_or_else(Vec::new, |seen| seen.list(Field::List).to_vec()),
                        }
                    }));
                }
                _ => {}
            }
        }
        let mut written = BTreeSet::new();
        if let Decision::Write(writes) = decide(&attempt.plan, reads) {
            for (write, step) in writes.iter().zip(steps) {
                if let Write::Patch {
                    collection: Collection::Lists,
                    id,
                    ..
                } = write
                    && step.changed
                    && written.insert(id.clone())
                    && let Some(list) = expectations.lists.iter().find(|list| *list == id)
                {
                    let items = step.before.as_ref().map(list_of).unwrap_or_default();
                    all.push(ListRead {
                        reader,
                        list,
                        items,
                    });
                }
            }
        }
    }
    all
}

fn look_shows_list(seen: &Option<(bool, Seen)>) -> bool {
    seen.as_ref()
        .is_some_and(|(_, seen)| seen.shows(Field::List))
}

fn list_of(image: &Image) -> Vec<i64> {
    match image.members.get(Field::List) {
        Some(Item::List(items)) => items.clone(),
        _ => Vec::new(),
    }
}

fn check_items(
    history: &[Attempt],
    appends: &Appends,
    reads: &[ListRead<'_>],
) -> Result<(), Anomaly> {
    for read in reads {
        let reader = &history[read.reader];
        let told = |kind, other: Option<&Attempt>, line: String| {
            let mut account = describe(reader);
            account.extend(other.map(describe).unwrap_or_default());
            account.push(line);
            Err(Anomaly::new(kind, account))
        };
        let mut before = BTreeSet::new();
        for (place, item) in read.items.iter().enumerate() {
            if !before.insert(item) {
                let line = format!("{} has {item} twice", read.list);
                return told(Kind::DuplicateItem, None, line);
            }
            let Some(&writer) = appends.writer.get(item) else {
                let line = format!("nobody appended {item} to {}", read.list);
                return told(Kind::GarbageRead, None, line);
            };
            let wrote = &history[writer];
            if matches!(wrote.outcome, Outcome::Failed(_) | Outcome::Refused(_)) {
                let line = format!("{item} in {} is of {}", read.list, wrote.name());
                return told(Kind::AbortedRead, Some(wrote), line);
            }
            let key = (writer, read.list.to_owned());
            let Some(its) = appends.of.get(&key) else {
                let line = format!("{item} was appended to another list than {}", read.list);
                return told(Kind::GarbageRead, Some(wrote), line);
            };
            let rest = its.iter().skip_while(|its| *its != item).skip(1);
            let following = read.items[place + 1..].iter();
            if writer != read.reader && !rest.eq(following.take(its_after(its, item))) {
                let line = format!(
                    "{} shows {item}, but not all that {} appended with it",
                    read.list,
                    wrote.name()
                );
                return told(Kind::IntermediateRead, Some(wrote), line);
            }
        }
    }
    Ok(())
}

/// How many items a transaction appended to a list after this one.
fn its_after(its: &[i64], item: &i64) -> usize {
    its.iter().skip_while(|its| *its != item).skip(1).count()
}

/// Every read of all accounts at once must show the same sum.
fn check_sums(history: &[Attempt], expectations: &Expectations) -> Result<(), Anomaly> {
    for attempt in history {
        let Outcome::Done { reads, .. } = &attempt.outcome else {
            continue;
        };
        for (read, seen) in attempt.plan.reads.iter().zip(reads) {
            let (Read::Page(query), Observation::Page { rows, .. }) = (read, seen) else {
                continue;
            };
            let all = query.collection == Collection::Accounts
                && query.filter == Filter::All
                && query.shows_all(rows.len())
                && rows.iter().all(|(_, seen)| seen.shows(Field::Balance));
            let sum: i64 = rows.iter().map(|(_, seen)| seen.int(Field::Balance)).sum();
            if all && !rows.is_empty() && sum != expectations.balance_sum {
                let mut account = describe(attempt);
                let expected = expectations.balance_sum;
                account.push(format!("the balances add up to {sum}, not to {expected}"));
                return Err(Anomaly::new(Kind::BrokenSum, account));
            }
        }
    }
    Ok(())
}

/// The longest version of each list that was read. All others must be its beginnings.
fn orders<'h>(
    history: &[Attempt],
    reads: &'h [ListRead<'h>],
) -> Result<BTreeMap<&'h str, &'h [i64]>, Anomaly> {
    let mut longest: BTreeMap<&str, &ListRead<'_>> = BTreeMap::new();
    for read in reads {
        let known = longest.entry(read.list).or_insert(read);
        if read.items.len() > known.items.len() {
            *known = read;
        }
    }
    for read in reads {
        let known = longest[read.list];
        if !known.items.starts_with(&read.items) {
            let mut account = describe(&history[known.reader]);
            account.extend(describe(&history[read.reader]));
            account.push(format!(
                "{}: {:?} does not begin with {:?}",
                read.list, known.items, read.items
            ));
            return Err(Anomaly::new(Kind::IncompatibleOrders, account));
        }
    }
    Ok(longest
        .into_iter()
        .map(|(list, read)| (list, read.items.as_slice()))
        .collect())
}

fn graph(
    history: &[Attempt],
    appends: &Appends,
    reads: &[ListRead<'_>],
    orders: &BTreeMap<&str, &[i64]>,
) -> Graph {
    let mut graph = Graph::new(history.len());
    let writer = |item: &i64| appends.writer.get(item).copied();
    for (list, items) in orders {
        for pair in items.windows(2) {
            if let (Some(first), Some(second)) = (writer(&pair[0]), writer(&pair[1])) {
                let why = || format!("{list}: {} before {}", pair[0], pair[1]);
                graph.add(first, second, Edge::WriteWrite, why);
            }
        }
    }
    for read in reads {
        if let Some(last) = read.items.last()
            && let Some(wrote) = writer(last)
        {
            let why = || format!("{}: {last} was read", read.list);
            graph.add(wrote, read.reader, Edge::WriteRead, why);
        }
        let order = orders[read.list];
        if let Some(next) = order.get(read.items.len()).and_then(writer) {
            let missed = order[read.items.len()];
            let why = || format!("{}: {missed} was not yet read", read.list);
            graph.add(read.reader, next, Edge::ReadWrite, why);
        }
        // Nobody has seen what follows an acknowledged append, so it comes after every version that was read.
        if read.items.len() == order.len() {
            for ((who, list), items) in appends
                .of
                .iter()
                .map(|(key, items)| ((key.0, &key.1), items))
            {
                let is_done = matches!(history[who].outcome, Outcome::Done { .. });
                if list == read.list && is_done && items.iter().all(|item| !order.contains(item)) {
                    let missed = items[0];
                    let why = || format!("{}: {missed} was never read", read.list);
                    graph.add(read.reader, who, Edge::ReadWrite, why);
                }
            }
        }
    }
    let intervals = history.iter().enumerate().filter_map(|(number, attempt)| {
        matches!(attempt.outcome, Outcome::Done { .. } | Outcome::Unknown(_)).then_some((
            number,
            attempt.invoked,
            attempt.responded,
        ))
    });
    graph.add_real_time(intervals.collect());
    graph
}

fn account_of(history: &[Attempt], cycle: &[(usize, usize, Edge, String)]) -> Anomaly {
    let count = |edge: Edge| cycle.iter().filter(|(_, _, it, _)| *it == edge).count();
    let kind = match (count(Edge::ReadWrite), count(Edge::WriteRead)) {
        _ if count(Edge::RealTime) > 0 => Kind::RealTimeViolated,
        (0, 0) => Kind::WriteCycle,
        (0, _) => Kind::CircularInformation,
        (1, _) => Kind::SingleAntiDependency,
        _ => Kind::AntiDependencyCycle,
    };
    let mut account = Vec::new();
    for (from, to, edge, why) in cycle {
        let (from, to) = (history[*from].name(), history[*to].name());
        account.push(format!("{from} must come before {to} ({edge:?}; {why})"));
    }
    for (from, _, _, _) in cycle {
        account.extend(describe(&history[*from]));
    }
    Anomaly::new(kind, account)
}

#[cfg(test)]
mod tests;
