use crate::document::Look;
use crate::history::{Reason, Refusal, StepSeen};
use crate::plan::Query;
use crate::samples::{Sample, mark_image, timed, transaction};

use super::*;

const TOGETHER: (u64, u64) = (0, 100);

#[track_caller]
fn finds(kind: Kind, history: &[Attempt]) {
    let anomaly = check(history, &[]).expect_err("the anomaly is found");
    assert_eq!(anomaly.kind, kind, "{anomaly}");
}

#[track_caller]
fn accepts(history: &[Attempt]) {
    if let Err(anomaly) = check(history, &[]) {
        panic!("{anomaly}");
    }
}

fn increment(first: Sample, second: Sample) -> Vec<Attempt> {
    timed(vec![
        transaction(1, TOGETHER).append("x", 1).at(10),
        first.at(20),
        second.at(30),
    ])
}

#[test]
fn a_serial_history_is_accepted() {
    accepts(&increment(
        transaction(2, TOGETHER)
            .read("x", &[1])
            .append_to_read(0, "x", 2),
        transaction(3, TOGETHER)
            .read("x", &[1, 2])
            .append_to_read(0, "x", 3),
    ));
}

#[test]
fn lost_updates_are_found() {
    finds(
        Kind::WrongRead,
        &increment(
            transaction(2, TOGETHER)
                .read("x", &[1])
                .append_to_read(0, "x", 2),
            transaction(3, TOGETHER)
                .read("x", &[1])
                .append_to_read(0, "x", 3),
        ),
    );
}

#[test]
fn write_skew_and_phantoms_are_found() {
    finds(
        Kind::WrongRead,
        &timed(vec![
            transaction(1, TOGETHER).read("x", &[]).append("y", 1).at(1),
            transaction(2, TOGETHER).read("y", &[]).append("x", 2).at(2),
        ]),
    );
    finds(
        Kind::WrongRead,
        &timed(vec![
            transaction(1, TOGETHER).read_all(&[]).append("x", 1).at(1),
            transaction(2, TOGETHER).read_all(&[]).append("y", 2).at(2),
        ]),
    );
}

#[test]
fn reads_of_another_state_than_that_of_their_timestamp_are_found() {
    let write = || {
        transaction(1, TOGETHER)
            .append("x", 1)
            .append("y", 2)
            .at(10)
    };
    let read = |x: &[i64], y: &[i64], ts| {
        timed(vec![
            write(),
            transaction(2, TOGETHER).read("x", x).read("y", y).at(ts),
        ])
    };
    accepts(&read(&[1], &[2], 10));
    accepts(&read(&[1], &[2], 11));
    accepts(&read(&[], &[], 9));
    finds(Kind::WrongRead, &read(&[1], &[], 10));
    finds(Kind::WrongRead, &read(&[], &[], 10));
    finds(Kind::WrongRead, &read(&[1], &[2], 9));
}

#[test]
fn timestamps_against_real_time_are_found() {
    let write = || transaction(1, (0, 1)).append("x", 1).at(10);
    finds(
        Kind::RealTimeViolated,
        &timed(vec![write(), transaction(2, (2, 3)).append("x", 2).at(9)]),
    );
    // A stale read: right for its timestamp, which is too early.
    finds(
        Kind::RealTimeViolated,
        &timed(vec![write(), transaction(2, (2, 3)).read("x", &[]).at(9)]),
    );
    // A read of the future.
    finds(
        Kind::RealTimeViolated,
        &timed(vec![
            transaction(2, (0, 1)).read("x", &[1]).at(10),
            transaction(1, (2, 3)).append("x", 1).at(10),
        ]),
    );
}

#[test]
fn a_timestamp_for_two_is_found() {
    finds(
        Kind::TimestampReused,
        &timed(vec![
            transaction(1, TOGETHER).append("x", 1).at(10),
            transaction(2, TOGETHER).append("y", 2).at(10),
        ]),
    );
}

#[test]
fn a_write_that_did_something_else_is_found() {
    let mut history = timed(vec![transaction(1, TOGETHER).append("x", 1).at(10)]);
    accepts(&history);
    let Outcome::Done { steps, .. } = &mut history[0].outcome else {
        panic!("it succeeded");
    };
    steps[0].after.as_mut().expect("an image").version = 2;
    finds(Kind::WrongWrite, &history);
}

fn create(number: usize, when: (u64, u64), outcome: Outcome) -> Attempt {
    let mut history = timed(vec![transaction(number, when).ended(outcome)]);
    let mut attempt = history.remove(0);
    let mut plan = (*attempt.plan).clone();
    let write = crate::plan::Write::Create(
        Collection::Things,
        "t".to_owned(),
        crate::document::Members::default(),
    );
    plan.writes = vec![crate::plan::Intention::Fixed(write)];
    attempt.plan = std::sync::Arc::new(plan);
    attempt
}

fn created(ts: u64) -> Outcome {
    let image = crate::document::Image {
        commit_ts: ts,
        created_at: ts,
        version: 1,
        deleted_at: None,
        members: crate::document::Members::default(),
    };
    Outcome::Done {
        ts,
        reads: Vec::new(),
        steps: vec![StepSeen {
            before: None,
            after: Some(image),
            changed: true,
        }],
    }
}

#[test]
fn refusals_need_a_reason_in_their_time() {
    let refused = |reason| Outcome::Refused(Refusal::Write { step: 0, reason });
    let first = create(1, (10, 20), created(5));
    let second = |when, reason| vec![first.clone(), create(2, when, refused(reason))];
    accepts(&second((30, 40), Reason::AlreadyExists));
    accepts(&second((15, 40), Reason::AlreadyExists));
    // Before the other was made.
    finds(
        Kind::UnexplainedRefusal,
        &second((0, 5), Reason::AlreadyExists),
    );
    finds(
        Kind::UnexplainedRefusal,
        &second((30, 40), Reason::NotANumber),
    );
}

#[test]
fn what_must_be_refused_must_not_be_committed() {
    let first = create(1, (10, 20), created(5));
    let second = create(2, (30, 40), created(6));
    finds(Kind::UnexplainedCommit, &[first, second]);
}

#[test]
fn a_lost_answer_is_settled_by_the_mark() {
    let lost = || Outcome::Unknown("cut off".to_owned());
    let history = |mark: Option<u64>, seen: &[i64]| {
        let read = transaction(2, (5, 6)).read("x", seen).at(20);
        let mut history = timed(vec![
            transaction(1, (0, 4))
                .append("x", 1)
                .marked("m")
                .ended(lost()),
            read,
        ]);
        let audit = Query::all(Collection::Marks, Look::Everything);
        let mut auditor = timed(vec![transaction(3, (7, 8)).at(20)]).remove(0);
        let mut plan = (*auditor.plan).clone();
        plan.reads = vec![Read::Page(audit)];
        auditor.plan = std::sync::Arc::new(plan);
        auditor.outcome = Outcome::Done {
            ts: 20,
            reads: vec![Observation::Page {
                rows: mark
                    .map(|ts| ("m".to_owned(), mark_image(ts)))
                    .into_iter()
                    .collect(),
                beyond: None,
                total: None,
            }],
            steps: Vec::new(),
        };
        history.push(auditor);
        history
    };
    accepts(&history(Some(10), &[1]));
    accepts(&history(None, &[]));
    // The mark is there and the rest is not, and the other way round.
    finds(Kind::WrongRead, &history(Some(10), &[]));
    finds(Kind::WrongRead, &history(None, &[1]));
}
