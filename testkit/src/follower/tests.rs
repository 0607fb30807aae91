use crate::history::Outcome;
use crate::samples::{timed, transaction};

use super::*;

/// Two commits to the list `x`, and the states that they lead to.
fn states() -> Vec<(u64, Model)> {
    let history = timed(vec![
        transaction(1, (0, 1)).append("x", 1).at(10),
        transaction(2, (2, 3)).append("x", 2).at(20),
    ]);
    let mut states = vec![(0, Model::default())];
    for attempt in &history {
        let Outcome::Done { ts, reads, .. } = &attempt.outcome else {
            panic!("it succeeded");
        };
        let (_, model) = states.last().expect("a state");
        let written = model.write(&attempt.plan, reads, *ts).expect("written");
        states.push((*ts, written.model));
    }
    states
}

fn told(place: usize) -> Told {
    let states = states();
    let image = |place: usize| {
        let (_, model) = &states[place];
        model
            .get(Collection::Lists, "x")
            .map(|image| (**image).clone())
    };
    Told {
        ts: states[place].0,
        changes: vec![(
            Collection::Lists,
            "x".to_owned(),
            image(place - 1),
            image(place),
        )],
        emptied: Vec::new(),
    }
}

fn finds(commits: Vec<Told>) -> bool {
    let stretch = Stretch {
        after: 0,
        until: 20,
        commits,
    };
    check(&stretch, &states()).is_err()
}

#[test]
fn exactly_the_commits_in_their_order_are_accepted() {
    assert!(!finds(vec![told(1), told(2)]));
    assert!(finds(vec![told(1)]));
    assert!(finds(vec![told(2)]));
    assert!(finds(vec![told(2), told(1)]));
    assert!(finds(vec![told(1), told(2), told(2)]));
}

#[test]
fn a_stretch_is_only_asked_for_its_own() {
    let stretch = Stretch {
        after: 10,
        until: 20,
        commits: vec![told(2)],
    };
    check(&stretch, &states()).expect("the first commit came before it");
}

#[test]
fn a_commit_that_is_told_wrongly_is_found() {
    let mut other_image = told(2);
    other_image.changes[0].3 = None;
    assert!(finds(vec![told(1), other_image]));
    let mut no_before = told(2);
    no_before.changes[0].2 = None;
    assert!(finds(vec![told(1), no_before]));
    let mut too_few = told(2);
    too_few.changes.clear();
    too_few.emptied = vec![Collection::Things];
    assert!(finds(vec![told(1), too_few]));
}
