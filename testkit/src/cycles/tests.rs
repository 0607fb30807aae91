use crate::history::{Outcome, Refusal};
use crate::samples::{Sample, expectations, transaction, untimed};

use super::*;

/// All at the same time, so that real time decides nothing.
const TOGETHER: (u64, u64) = (0, 100);

#[track_caller]
fn finds(kind: Kind, samples: Vec<Sample>) {
    let found = check(&untimed(samples), &expectations());
    let anomaly = found.expect_err("the anomaly is found");
    assert_eq!(anomaly.kind, kind, "{anomaly}");
}

#[track_caller]
fn accepts(samples: Vec<Sample>) {
    if let Err(anomaly) = check(&untimed(samples), &expectations()) {
        panic!("{anomaly}");
    }
}

#[test]
fn a_serial_history_is_accepted() {
    accepts(vec![
        transaction(1, (0, 1)).read("x", &[]).append("x", 1),
        transaction(2, (2, 3)).read("x", &[1]).append("y", 2),
        transaction(3, (4, 5)).read_all(&[("x", &[1]), ("y", &[2])]),
    ]);
}

#[test]
fn what_overlaps_may_come_in_any_order() {
    accepts(vec![
        transaction(1, TOGETHER).append("x", 1),
        transaction(2, TOGETHER).append("x", 2),
        transaction(3, TOGETHER).read("x", &[2]),
        transaction(4, TOGETHER).read("x", &[]),
        transaction(5, (101, 102)).read("x", &[2, 1]),
    ]);
}

#[test]
fn a_lost_answer_may_mean_either() {
    for seen in [&[1_i64][..], &[]] {
        let lost = Outcome::Unknown("the connection broke".to_owned());
        accepts(vec![
            transaction(1, (0, u64::MAX)).append("x", 1).ended(lost),
            transaction(2, (2, 3)).read("x", seen),
        ]);
    }
}

#[test]
fn a_lost_answer_cannot_mean_both() {
    let lost = Outcome::Unknown("the connection broke".to_owned());
    finds(
        Kind::RealTimeViolated,
        vec![
            transaction(1, (0, u64::MAX)).append("x", 1).ended(lost),
            transaction(2, (2, 3)).read("x", &[1]),
            transaction(3, (4, 5)).read("x", &[]),
        ],
    );
}

#[test]
fn lost_updates_are_found() {
    finds(
        Kind::SingleAntiDependency,
        vec![
            transaction(1, TOGETHER).read("x", &[]).append("x", 1),
            transaction(2, TOGETHER).read("x", &[]).append("x", 2),
            transaction(3, TOGETHER).read("x", &[1, 2]),
        ],
    );
    // Written over, rather than appended after.
    finds(
        Kind::AntiDependencyCycle,
        vec![
            transaction(1, TOGETHER)
                .read("x", &[])
                .append_to_read(0, "x", 1),
            transaction(2, TOGETHER)
                .read("x", &[])
                .append_to_read(0, "x", 2),
            transaction(3, TOGETHER).read("x", &[2]),
        ],
    );
}

#[test]
fn write_skew_is_found() {
    finds(
        Kind::AntiDependencyCycle,
        vec![
            transaction(1, TOGETHER).read("x", &[]).append("y", 1),
            transaction(2, TOGETHER).read("y", &[]).append("x", 2),
            transaction(3, (101, 102)).read_all(&[("x", &[2]), ("y", &[1])]),
        ],
    );
}

#[test]
fn a_cycle_of_writes_is_found() {
    finds(
        Kind::WriteCycle,
        vec![
            transaction(1, TOGETHER).append("x", 1).append("y", 2),
            transaction(2, TOGETHER).append("x", 3).append("y", 4),
            transaction(3, TOGETHER).read("x", &[1, 3]),
            transaction(4, TOGETHER).read("y", &[4, 2]),
        ],
    );
}

#[test]
fn reads_of_what_was_never_committed_are_found() {
    let outcomes = [
        Outcome::Failed("not written".to_owned()),
        Outcome::Refused(Refusal::Guard),
    ];
    for outcome in outcomes {
        finds(
            Kind::AbortedRead,
            vec![
                transaction(1, TOGETHER).append("x", 1).ended(outcome),
                transaction(2, TOGETHER).read("x", &[1]),
            ],
        );
    }
}

#[test]
fn reads_of_half_a_transaction_are_found() {
    finds(
        Kind::IntermediateRead,
        vec![
            transaction(1, TOGETHER).append("x", 1).append("x", 2),
            transaction(2, TOGETHER).read("x", &[1]),
        ],
    );
    finds(
        Kind::IntermediateRead,
        vec![
            transaction(1, TOGETHER).append("x", 1).append("x", 2),
            transaction(2, TOGETHER).append("x", 3),
            transaction(3, TOGETHER).read("x", &[1, 3, 2]),
        ],
    );
}

#[test]
fn circular_information_is_found() {
    finds(
        Kind::CircularInformation,
        vec![
            transaction(1, TOGETHER).read("y", &[2]).append("x", 1),
            transaction(2, TOGETHER).read("x", &[1]).append("y", 2),
        ],
    );
}

#[test]
fn fractured_reads_are_found() {
    finds(
        Kind::SingleAntiDependency,
        vec![
            transaction(1, TOGETHER).append("x", 1).append("y", 2),
            transaction(2, TOGETHER).read("x", &[1]).read("y", &[]),
        ],
    );
}

#[test]
fn phantoms_are_found() {
    finds(
        Kind::AntiDependencyCycle,
        vec![
            transaction(1, TOGETHER).read_all(&[]).append("x", 1),
            transaction(2, TOGETHER).read_all(&[]).append("y", 2),
            transaction(3, TOGETHER).read_all(&[("x", &[1]), ("y", &[2])]),
        ],
    );
}

#[test]
fn stale_reads_and_lost_writes_are_found() {
    finds(
        Kind::RealTimeViolated,
        vec![
            transaction(1, (0, 1)).append("x", 1),
            transaction(2, (2, 3)).read("x", &[]),
        ],
    );
    finds(
        Kind::RealTimeViolated,
        vec![
            transaction(1, (0, 1)).append("x", 1),
            transaction(2, (2, 3)).append("x", 2),
            transaction(3, (4, 5)).read("x", &[2]),
        ],
    );
    // Over two others, none of which has anything to do with the lists.
    finds(
        Kind::RealTimeViolated,
        vec![
            transaction(1, (0, 1)).append("x", 1),
            transaction(2, (2, 3)),
            transaction(3, (4, 5)),
            transaction(4, (6, 7)).read("x", &[]),
        ],
    );
}

#[test]
fn items_twice_of_nobody_or_in_two_orders_are_found() {
    let append = |item| transaction(usize::try_from(item).unwrap(), TOGETHER).append("x", item);
    let read = |number, items: &[i64]| transaction(number, TOGETHER).read("x", items);
    finds(Kind::DuplicateItem, vec![append(1), read(9, &[1, 1])]);
    finds(Kind::GarbageRead, vec![append(1), read(9, &[1, 7])]);
    finds(
        Kind::GarbageRead,
        vec![append(1), transaction(9, TOGETHER).read("y", &[1])],
    );
    finds(
        Kind::IncompatibleOrders,
        vec![append(1), append(2), read(8, &[1, 2]), read(9, &[2, 1])],
    );
}

#[test]
fn a_sum_that_changes_is_found() {
    let mut history = untimed(vec![transaction(1, TOGETHER).read_all(&[])]);
    let look = crate::document::Look::At(vec![Field::Balance]);
    let all = crate::plan::Query::all(Collection::Accounts, look);
    let mut plan = (*history[0].plan).clone();
    plan.reads = vec![Read::Page(all)];
    history[0].plan = std::sync::Arc::new(plan);
    let mut told = |balances: [i64; 2]| {
        let row = |balance| Seen::Part(vec![(Field::Balance, Some(Item::Int(balance)))]);
        history[0].outcome = Outcome::Done {
            ts: 1,
            reads: vec![Observation::Page {
                rows: balances.map(|it| (it.to_string(), row(it))).to_vec(),
                beyond: None,
                total: None,
            }],
            steps: Vec::new(),
        };
        let expectations = Expectations {
            lists: Vec::new(),
            balance_sum: 100,
        };
        check(&history, &expectations).map_err(|anomaly| anomaly.kind)
    };
    assert_eq!(told([60, 40]), Ok(()));
    assert_eq!(told([60, 41]), Err(Kind::BrokenSum));
}
