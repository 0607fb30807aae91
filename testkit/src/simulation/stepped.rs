//! Everything on one thread, step by step, in an order that the seed decides.
//!
//! What can happen next: a client that has been woken goes on, the engine takes one request, closes a group, or writes
//! one; the clock jumps, the power goes off, the engine is restarted or another one takes the store over.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use anyhow::{Result, anyhow, bail};
use thalweg_engine::{EngineStepper, Stage};
use thalweg_storage::Backend;

use crate::client::Session;
use crate::follower::Follower;
use crate::random::Random;

use super::{Begun, End, Run, draw_jump, work};

const STAGES: [Stage; 3] = [Stage::Order, Stage::HandOver, Stage::Write];

/// How often the clock jumps, in a thousand steps.
const JUMPS_IN_THOUSAND: usize = 30;

const STEPS_PER_TRANSACTION_MAX: usize = 1000;

/// A client on its way.
struct Task<'t> {
    /// `None` once it has ended.
    future: Option<Pin<Box<dyn Future<Output = ()> + 't>>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Task<'_> {
    fn is_ready(&self) -> bool {
        self.future.is_some() && self.woken.0.load(Ordering::SeqCst)
    }

    fn poll(&mut self) {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        if let Some(future) = &mut self.future
            && future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        {
            self.future = None;
        }
    }
}

#[derive(Clone, Copy)]
enum Next {
    Client(usize),
    Engine(Stage),
}

/// How eager each part is, which decides how large groups become and how much is on its way at once.
struct Eagerness {
    client: usize,
    stages: [usize; STAGES.len()],
    /// In ten thousand steps: that the power goes off, that the engine is restarted, that another one takes over.
    power_off: usize,
    restart: usize,
    take_over: usize,
}

impl Eagerness {
    fn draw(random: &mut Random, may_lose_answers: bool) -> Eagerness {
        let mut one = |of: &[usize]| *random.pick(of);
        Eagerness {
            client: one(&[1, 3, 10]),
            stages: [one(&[1, 3, 10]), one(&[1, 3, 10]), one(&[1, 3, 10])],
            power_off: if may_lose_answers {
                one(&[0, 10, 50])
            } else {
                0
            },
            restart: one(&[0, 0, 10]),
            take_over: one(&[0, 0, 20]),
        }
    }
}

/// Lets all clients work until they are done or the life is over.
pub(super) fn live(
    run: &mut Run<'_>,
    begun: &mut Begun,
    backend: &Arc<dyn Backend>,
) -> Result<End> {
    let mut random = run.random.stream(2_000_000 + run.lives as u64);
    let eager = Eagerness::draw(&mut random, run.rates.may_lose_answers());
    let Begun { life, stepper } = begun;
    let stepper = stepper.as_mut().expect("a stepped engine is driven");
    let mut clients = std::mem::take(&mut run.clients);
    let mut next_life = None;
    let Session {
        engine,
        collections,
        ..
    } = &life.session;
    let mut follower = Follower::new(engine, *collections);
    let result = {
        let life = &*life;
        let history = Arc::clone(&run.history);
        let mut tasks: Vec<Task<'_>> = clients
            .iter_mut()
            .map(|client| Task {
                future: Some(Box::pin(work(&history, life, client, || {}))),
                woken: Arc::new(Woken(AtomicBool::new(true))),
            })
            .collect();
        // A transaction takes a few steps. One that takes this many is never answered.
        let mut steps_left = STEPS_PER_TRANSACTION_MAX * run.settings.transactions;
        loop {
            if steps_left == 0 {
                break Err(anyhow!("the clients and the engine go on for ever"));
            }
            steps_left -= 1;
            if life.backend.is_off() || tasks.iter().all(|task| task.future.is_none()) {
                break Ok(());
            }
            if random.in_thousand(JUMPS_IN_THOUSAND) {
                run.clock.jump(draw_jump(&mut random));
            }
            match random.below(10_000) {
                at if at < eager.power_off => life.backend.power_off(),
                at if at < eager.power_off + eager.restart => {
                    life.is_over.store(true, Ordering::SeqCst);
                }
                at if at < eager.power_off + eager.restart + eager.take_over
                    && next_life.is_none() =>
                {
                    next_life = Some(run.begin(Arc::clone(backend))?);
                    life.may_fail.store(true, Ordering::SeqCst);
                    life.is_over.store(true, Ordering::SeqCst);
                }
                _ => {}
            }
            if life.backend.is_off() {
                continue;
            }
            match choose(&mut random, &eager, &tasks, stepper) {
                Some(Next::Client(client)) => tasks[client].poll(),
                Some(Next::Engine(stage)) => {
                    stepper.step(stage);
                    follower.look(engine);
                }
                None => break stuck(),
            }
        }
    };
    run.clients = clients;
    run.followed.extend(follower.into_stretches());
    result?;
    Ok(next_life.map_or(End::Left, |next| End::TakenOver(Box::new(next))))
}

fn choose(
    random: &mut Random,
    eager: &Eagerness,
    tasks: &[Task<'_>],
    stepper: &EngineStepper,
) -> Option<Next> {
    let clients = tasks.iter().enumerate().filter(|(_, task)| task.is_ready());
    let clients = clients.map(|(client, _)| (eager.client, Next::Client(client)));
    let stages = STAGES.into_iter().zip(eager.stages);
    let stages = stages
        .filter(|(stage, _)| stepper.can_step(*stage))
        .map(|(stage, weight)| (weight, Next::Engine(stage)));
    let all: Vec<(usize, Next)> = clients.chain(stages).collect();
    (!all.is_empty()).then(|| random.weighted(&all))
}

fn stuck<T>() -> Result<T> {
    bail!("clients wait for answers, and the engine has nothing left to do")
}

/// Waits for a future with nobody else around.
pub(super) fn drive<T>(stepper: &mut EngineStepper, future: impl Future<Output = T>) -> Result<T> {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        if woken.0.swap(false, Ordering::SeqCst)
            && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return Ok(value);
        }
        let stepped = STAGES.into_iter().filter(|stage| stepper.step(*stage));
        if stepped.count() == 0 && !woken.0.load(Ordering::SeqCst) {
            return stuck();
        }
    }
}
