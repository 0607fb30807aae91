//! When the applier acts, as a table.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

/// Nothing to do.
fn idle() -> Pending {
    Pending {
        pace: Pace {
            bytes: 1000,
            after: SECOND,
            idle: SECOND / 2,
        },
        has_work: false,
        frozen: false,
        active_bytes: 0,
        active_age: Duration::ZERO,
        active_idle: Duration::ZERO,
        wanted: false,
        closing: false,
        failed_since: None,
        short_of_segments: false,
        no_room_since: None,
    }
}

/// A small layer that has just begun.
fn some() -> Pending {
    Pending {
        has_work: true,
        active_bytes: 10,
        active_age: TENTH,
        ..idle()
    }
}

#[test]
fn it_acts_when_there_is_enough_to_do_or_somebody_waits() {
    let cases = [
        ("nothing", idle(), Err(None)),
        ("little", some(), Err(Some(SECOND / 2))),
        (
            "little, and it will soon be old",
            Pending {
                active_age: SECOND - TENTH,
                ..some()
            },
            Err(Some(TENTH)),
        ),
        (
            "little, and no more is coming",
            Pending {
                active_idle: SECOND / 2,
                ..some()
            },
            Ok(Task::Apply),
        ),
        (
            "much",
            Pending {
                active_bytes: 1000,
                ..some()
            },
            Ok(Task::Apply),
        ),
        (
            "old",
            Pending {
                active_age: SECOND,
                ..some()
            },
            Ok(Task::Apply),
        ),
        (
            "wanted",
            Pending {
                wanted: true,
                ..some()
            },
            Ok(Task::Apply),
        ),
        (
            "wanted, but there is nothing",
            Pending {
                wanted: true,
                ..idle()
            },
            Err(None),
        ),
        (
            "no spare segment",
            Pending {
                short_of_segments: true,
                ..some()
            },
            Ok(Task::TopUp),
        ),
        (
            "no room for a spare segment",
            Pending {
                short_of_segments: true,
                no_room_since: Some(TENTH),
                ..some()
            },
            Err(Some(SECOND / 2)),
        ),
        (
            "room for a spare segment perhaps",
            Pending {
                short_of_segments: true,
                no_room_since: Some(SECOND),
                ..some()
            },
            Ok(Task::TopUp),
        ),
    ];
    for (name, pending, expected) in cases {
        assert_eq!(decide(&pending), expected, "{name}");
    }
}

#[test]
fn after_a_failure_it_pauses_unless_somebody_waits() {
    let failed = |since| Pending {
        frozen: true,
        failed_since: Some(since),
        ..some()
    };
    assert_eq!(decide(&failed(TENTH)), Err(Some(SECOND - TENTH)));
    assert_eq!(decide(&failed(SECOND)), Ok(Task::Apply));
    let wanted = Pending {
        wanted: true,
        ..failed(TENTH)
    };
    assert_eq!(decide(&wanted), Ok(Task::Apply));
}

#[test]
fn closing_applies_what_is_left_once() {
    let closing = |pending| Pending {
        closing: true,
        ..pending
    };
    assert_eq!(decide(&closing(idle())), Ok(Task::End));
    assert_eq!(decide(&closing(some())), Ok(Task::Apply));
    let failed = Pending {
        failed_since: Some(TENTH),
        ..some()
    };
    assert_eq!(decide(&closing(failed)), Ok(Task::End));
}
