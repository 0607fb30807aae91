//! Dependencies between transactions, and the shortest cycle of them.

use std::collections::{HashMap, VecDeque};

/// Why one transaction must come before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edge {
    WriteWrite,
    WriteRead,
    ReadWrite,
    RealTime,
}

/// A step of a cycle: from which transaction to which, and why.
pub(crate) type Step = (usize, usize, Edge, String);

/// Transactions are the first nodes; behind them come moments, which carry the order of real time: a transaction that
/// was answered leads to the moment of its answer, moments to later ones, and a moment to the transactions that were
/// made after it. So real time costs as many edges as there are transactions, not their square.
pub(crate) struct Graph {
    transactions: usize,
    edges: Vec<HashMap<usize, (Edge, String)>>,
}

impl Graph {
    pub(crate) fn new(transactions: usize) -> Graph {
        Graph {
            transactions,
            edges: vec![HashMap::new(); transactions],
        }
    }

    /// Adds an edge, unless there is one between the two already. A transaction depends on itself as it likes.
    pub(crate) fn add(&mut self, from: usize, to: usize, edge: Edge, why: impl FnOnce() -> String) {
        if from != to {
            self.edges[from].entry(to).or_insert_with(|| (edge, why()));
        }
    }

    /// Adds the order of real time between intervals: transaction, made, answered.
    pub(crate) fn add_real_time(&mut self, mut intervals: Vec<(usize, u64, u64)>) {
        let mut answers: Vec<(u64, usize)> = intervals
            .iter()
            .filter(|(_, _, answered)| *answered != u64::MAX)
            .map(|(transaction, _, answered)| (*answered, *transaction))
            .collect();
        answers.sort_unstable();
        intervals.sort_unstable_by_key(|(_, made, _)| *made);
        let mut answers = answers.into_iter().peekable();
        let mut newest: Option<usize> = None;
        for (transaction, made, _) in intervals {
            while let Some((_, before)) = answers.next_if(|(answered, _)| *answered < made) {
                let moment = self.edges.len();
                self.edges.push(HashMap::new());
                self.add(before, moment, Edge::RealTime, String::new);
                if let Some(newest) = newest {
                    self.add(newest, moment, Edge::RealTime, String::new);
                }
                newest = Some(moment);
            }
            if let Some(newest) = newest {
                self.add(newest, transaction, Edge::RealTime, String::new);
            }
        }
    }

    /// The cycle of the fewest steps, if there is any.
    pub(crate) fn shortest_cycle(&self) -> Option<Vec<Step>> {
        let component = self.components();
        let mut size = HashMap::new();
        for of in &component {
            *size.entry(of).or_insert(0_usize) += 1;
        }
        let mut shortest: Option<Vec<usize>> = None;
        for start in (0..self.transactions).filter(|node| size[&component[*node]] > 1) {
            if let Some(cycle) = self.cycle_through(start, &component)
                && shortest
                    .as_ref()
                    .is_none_or(|known| cycle.len() < known.len())
            {
                shortest = Some(cycle);
            }
        }
        shortest.map(|cycle| self.steps(&cycle))
    }

    /// The nodes of the shortest cycle through a node, which are all in its component.
    fn cycle_through(&self, start: usize, component: &[usize]) -> Option<Vec<usize>> {
        let mut reached_from: HashMap<usize, usize> = HashMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(node) = next.pop_front() {
            let mut targets: Vec<usize> = self.edges[node].keys().copied().collect();
            targets.sort_unstable();
            for target in targets {
                if target == start {
                    let mut cycle = vec![node];
                    while let Some(before) = reached_from.get(&cycle[cycle.len() - 1]) {
                        cycle.push(*before);
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if component[target] == component[start] && !reached_from.contains_key(&target) {
                    reached_from.insert(target, node);
                    next.push_back(target);
                }
            }
        }
        None
    }

    /// The steps between transactions: what leads over moments becomes one step.
    fn steps(&self, cycle: &[usize]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        // A cycle begins with a transaction, since moments only lead to later ones.
        let mut from = cycle[0];
        for (place, node) in cycle.iter().enumerate() {
            let to = cycle[(place + 1) % cycle.len()];
            let (edge, why) = self.edges[*node][&to].clone();
            if to >= self.transactions {
                continue;
            }
            let why = if edge == Edge::RealTime {
                "answered before the other was made".to_owned()
            } else {
                why
            };
            steps.push((from, to, edge, why));
            from = to;
        }
        steps
    }

    /// The strongly connected component of each node (Tarjan, without recursion).
    fn components(&self) -> Vec<usize> {
        const UNSEEN: usize = usize::MAX;
        let count = self.edges.len();
        let targets: Vec<Vec<usize>> = self
            .edges
            .iter()
            .map(|edges| edges.keys().copied().collect())
            .collect();
        let (mut index, mut low) = (vec![UNSEEN; count], vec![0; count]);
        let (mut component, mut open) = (vec![UNSEEN; count], Vec::new());
        let (mut indices, mut components) = (0, 0);
        for root in 0..count {
            if index[root] != UNSEEN {
                continue;
            }
            let mut path = vec![(root, 0)];
            while let Some((node, at)) = path.pop() {
                if at == 0 {
                    index[node] = indices;
                    low[node] = indices;
                    indices += 1;
                    open.push(node);
                }
                if let Some(&target) = targets[node].get(at) {
                    path.push((node, at + 1));
                    if index[target] == UNSEEN {
                        path.push((target, 0));
                    } else if component[target] == UNSEEN {
                        low[node] = low[node].min(index[target]);
                    }
                    continue;
                }
                if low[node] == index[node] {
                    while let Some(member) = open.pop() {
                        component[member] = components;
                        if member == node {
                            break;
                        }
                    }
                    components += 1;
                }
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
            }
        }
        component
    }
}
