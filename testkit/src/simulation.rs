//! One simulation: clients, faults and crashes from a seed, and the verdict on what the clients saw.
//!
//! A store has several *lives*: in each, an engine is opened on it, everything is read once, and the clients work until the
//! power goes off, the engine stops because a batch's outcome is unknown, or it is restarted. The next life finds what
//! the last one left.

mod stepped;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use thalweg_engine::{Clock, Engine, EngineOptions, EngineStepper};
use thalweg_storage::Backend;

use crate::anomaly::Anomaly;
use crate::client::{self, Answers, Collections, Session};
use crate::clock::SimulatedClock;
use crate::cycles::{self, Expectations};
use crate::faulty::{FaultRates, FaultyBackend};
use crate::follower::Stretch;
use crate::generator::{Generator, World};
use crate::history::{Attempt, History, Outcome};
use crate::pause::pause;
use crate::plan::{Plan, Style};
use crate::random::Random;
use crate::replay;
use crate::store::{Store, StoreKind};

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// On what.
    pub store: StoreKind,
    /// How many transactions the clients make, together.
    pub transactions: usize,
    /// Who decides what happens next.
    pub mode: Mode,
}

/// Who decides what happens next in a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The seed: everything runs on one thread, step by step, and a run can be repeated.
    Stepped,
    /// The operating system: every client is a thread, and the engine runs as it does in production.
    Threads,
}

/// What a simulation in which nothing was wrong has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Transactions that wrote.
    pub committed: usize,
    /// Transactions that only read.
    pub read_only: usize,
    /// Transactions that were refused.
    pub refused: usize,
    /// Transactions that failed without having written.
    pub failed: usize,
    /// Transactions whose answer was lost.
    pub unknown: usize,
    /// How often an engine was opened.
    pub lives: usize,
}

impl Summary {
    fn of(history: &[Attempt], lives: usize) -> Summary {
        let mut summary = Summary {
            lives,
            ..Summary::default()
        };
        for attempt in history {
            let count = match &attempt.outcome {
                Outcome::Done { steps, .. } if steps.is_empty() => &mut summary.read_only,
                Outcome::Done { .. } => &mut summary.committed,
                Outcome::Refused(_) => &mut summary.refused,
                Outcome::Failed(_) => &mut summary.failed,
                Outcome::Unknown(_) => &mut summary.unknown,
            };
            *count += 1;
        }
        summary
    }

    /// Adds another simulation's numbers.
    pub fn add(&mut self, other: Summary) {
        self.committed += other.committed;
        self.read_only += other.read_only;
        self.refused += other.refused;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.lives += other.lives;
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary {
            committed,
            read_only,
            refused,
            failed,
            unknown,
            lives,
        } = self;
        write!(
            formatter,
            "{committed} transactions committed, {read_only} only read, {refused} refused, {failed} failed, \
             {unknown} lost their answer, {lives} openings"
        )
    }
}

/// Why a simulation did not end well.
#[derive(Debug)]
pub enum Failure {
    /// What the clients saw cannot be.
    Anomaly(Anomaly),
    /// The engine or the store failed in a way that no fault explains.
    Broken(anyhow::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Anomaly(anomaly) => anomaly.fmt(formatter),
            Failure::Broken(error) => write!(formatter, "{error:#}"),
        }
    }
}

/// The client that sets up and audits.
const AUDITOR: usize = 0;

/// A simulated day begins here: 2026-01-01.
const CLOCK_AT_FIRST: u64 = 1_767_225_600_000_000;

/// The client of one thread of activity: who makes which plans.
struct Client {
    number: usize,
    generator: Generator,
    /// How many transactions it still makes.
    left: usize,
    /// One with an idempotency key whose answer it waits for: it is sent again in the next life.
    unanswered: Option<Attempt>,
}

impl Client {
    fn is_done(&self) -> bool {
        self.left == 0 && self.unanswered.is_none()
    }
}

/// Everything of a simulation that outlives an engine.
struct Run<'w> {
    settings: Settings,
    wrap: Wrap<'w>,
    random: Random,
    world: World,
    options: EngineOptions,
    rates: FaultRates,
    /// Whether the engine must reckon with other servers on its store.
    seems_shared: bool,
    clock: Arc<SimulatedClock>,
    history: Arc<History>,
    answers: Arc<Answers>,
    /// What those who followed the commits were told.
    followed: Vec<Stretch>,
    clients: Vec<Client>,
    audits: usize,
    lives: usize,
}

/// A life, and what drives its engine, if that has no threads.
struct Begun {
    life: Life,
    stepper: Option<EngineStepper>,
}

/// What the clients of one life share: an engine that is open, and what is under it.
struct Life {
    session: Session,
    /// A second server on the same store, which follows the first one.
    follower: Option<Session>,
    backend: Arc<FaultyBackend>,
    /// Set when clients are to begin nothing new.
    is_over: AtomicBool,
    /// Whether a transaction may fail: because of faults, or because another engine has taken the store over.
    may_fail: AtomicBool,
    /// Whether a batch's outcome became unknown, after which the engine writes nothing more.
    is_in_doubt: AtomicBool,
    /// The first transaction that failed for no reason.
    unexplained: Mutex<Option<String>>,
}

impl Life {
    /// Where a client runs a plan: one in two reads from the follower, if there is one.
    fn session_for(&self, client: usize, plan: &Plan) -> &Session {
        match &self.follower {
            Some(follower) if client.is_multiple_of(2) && plan.writes.is_empty() => follower,
            _ => &self.session,
        }
    }

    fn close(&self) {
        for session in self.follower.iter().chain([&self.session]) {
            session.engine.close();
        }
    }

    /// A batch that was refused is no reason to write nothing more, unless what is stored could not be read after it.
    fn check_ready(&self) -> Result<()> {
        let may_stop = self.is_in_doubt.load(Ordering::SeqCst) || self.backend.rates().snapshot > 0;
        self.backend.set_rates(FaultRates::default());
        match self.session.engine.ready() {
            Err(error) if !may_stop => Err(error).context("the engine has stopped writing"),
            _ => Ok(()),
        }
    }
}

/// How a life ended.
enum End {
    /// The power went off, or the engine stopped, or everybody is done.
    Left,
    /// Another engine has taken over the store, and is in use already.
    TakenOver(Box<Begun>),
}

/// Runs one simulation and checks it.
pub fn simulate(settings: &Settings) -> Result<Summary, Failure> {
    simulate_on(settings, &|backend| backend)
}

/// Puts a backend around another one.
pub type Wrap<'w> = &'w dyn Fn(Arc<dyn Backend>) -> Arc<dyn Backend>;

/// Runs one simulation with something between the faults and the store, and checks it.
pub fn simulate_on(settings: &Settings, wrap: Wrap<'_>) -> Result<Summary, Failure> {
    let mut run = Run::new(*settings, wrap);
    run.live_all().map_err(Failure::Broken)?;
    let history = run.history.attempts();
    let expectations = Expectations {
        lists: run.world.list_ids(),
        balance_sum: run.world.balance_sum(),
    };
    // The account of the exact check is the more precise one, so it goes first.
    replay::check(&history, &run.followed)
        .and_then(|()| cycles::check(&history, &expectations))
        .map_err(Failure::Anomaly)?;
    Ok(Summary::of(&history, run.lives))
}

impl<'w> Run<'w> {
    fn new(settings: Settings, wrap: Wrap<'w>) -> Run<'w> {
        let random = Random::new(settings.seed);
        let mut draw = random.stream(u64::MAX);
        let rates = draw_rates(&mut draw);
        let world = World::new(&mut draw, rates.may_lose_answers());
        let options = draw_options(&mut draw);
        let count = draw.between(2, 8);
        let seems_shared = draw.in_thousand(300);
        let clients = (1..=count)
            .map(|number| Client {
                number,
                generator: Generator::new(world.clone(), number, &random),
                left: settings.transactions / count,
                unanswered: None,
            })
            .collect();
        Run {
            settings,
            wrap,
            random,
            world,
            options,
            rates,
            seems_shared,
            clock: Arc::new(SimulatedClock::new(CLOCK_AT_FIRST)),
            history: Arc::new(History::default()),
            answers: Arc::default(),
            followed: Vec::new(),
            clients,
            audits: 0,
            lives: 0,
        }
    }

    fn live_all(&mut self) -> Result<()> {
        let mut store = self
            .settings
            .store
            .new_store(self.random.stream(3_000_000))?;
        let mut backend = self.open(&mut *store)?;
        let mut begun = self.begin(Arc::clone(&backend))?;
        while !self.clients.iter().all(Client::is_done) {
            let end = match self.settings.mode {
                Mode::Threads => {
                    threads::live(self, &begun.life);
                    End::Left
                }
                Mode::Stepped => stepped::live(self, &mut begun, &backend)?,
            };
            if let Some(attempt) = begun.life.unexplained.lock().take() {
                bail!("nothing was made to fail, but {attempt}");
            }
            if let End::TakenOver(next) = end {
                begun = *next;
                continue;
            }
            if begun.life.backend.is_off() {
                store.crash()?;
            } else {
                begun.life.check_ready()?;
            }
            begun.life.close();
            drop((begun, backend));
            backend = self.open(&mut *store)?;
            begun = self.begin(Arc::clone(&backend))?;
        }
        // What was acknowledged last must be there in a life of its own.
        begun.life.backend.power_off();
        store.crash()?;
        begun.life.close();
        drop((begun, backend));
        let backend = self.open(&mut *store)?;
        self.begin(backend)?.life.close();
        Ok(())
    }

    fn open(&self, store: &mut dyn Store) -> Result<Arc<dyn Backend>> {
        let backend = store.open().context("the store does not open")?;
        Ok((self.wrap)(backend))
    }

    /// Opens an engine, and looks at everything. Nothing fails meanwhile.
    fn begin(&mut self, inner: Arc<dyn Backend>) -> Result<Begun> {
        let random = self.random.stream(1_000_000 + self.lives as u64);
        let mut backend = FaultyBackend::new(inner, FaultRates::default(), random);
        if self.seems_shared {
            backend = backend.seemingly_shared();
        }
        let backend = Arc::new(backend);
        let below = Arc::clone(&backend) as Arc<dyn Backend>;
        let (options, clock) = (self.options.clone(), Arc::clone(&self.clock));
        let clock = clock as Arc<dyn Clock>;
        let opened = match self.settings.mode {
            Mode::Stepped => Engine::open_stepped(Arc::clone(&below), options, clock)
                .map(|(engine, stepper)| (engine, Some(stepper))),
            Mode::Threads => Engine::open_with_clock(Arc::clone(&below), options, clock)
                .map(|engine| (engine, None)),
        };
        let (engine, mut stepper) = opened.context("the engine does not open")?;
        // Whatever was on its way has been fenced off.
        self.history.settle_unknown();
        if self.lives == 0 {
            alone(&mut stepper, Collections::create(&engine))??;
        }
        let collections = Collections::of(&engine)?;
        let session = Session {
            engine,
            collections,
            answers: Arc::clone(&self.answers),
        };
        let life = Life {
            session,
            follower: None,
            backend,
            is_over: AtomicBool::new(false),
            may_fail: AtomicBool::new(self.rates != FaultRates::default()),
            is_in_doubt: AtomicBool::new(false),
            unexplained: Mutex::default(),
        };
        let mut begun = Begun { life, stepper };
        if self.lives == 0 {
            self.attempt_alone(&mut begun, self.world.setup())?;
        }
        self.lives += 1;
        self.attempt_alone(&mut begun, World::audit())?;
        if self.settings.mode == Mode::Threads && below.is_shared() && !self.seems_shared {
            let (options, clock) = (self.options.clone(), Arc::clone(&self.clock));
            let engine = Engine::open_with_clock(below, options, clock as Arc<dyn Clock>)
                .context("a second server does not start")?;
            begun.life.follower = Some(Session {
                engine,
                ..begun.life.session.clone()
            });
            // A transaction that reaches the committer of a server that has none is refused.
            begun.life.may_fail.store(true, Ordering::SeqCst);
        }
        begun.life.backend.set_rates(self.rates);
        Ok(begun)
    }

    /// Runs a plan while nobody else does anything; it must succeed.
    fn attempt_alone(&mut self, begun: &mut Begun, plan: Plan) -> Result<()> {
        let Begun { life, stepper } = begun;
        let plan = Arc::new(plan);
        let number = self.audits;
        self.audits += 1;
        let invoked = self.history.now();
        let running = client::run(&life.session, "alone", &plan);
        let outcome = alone(stepper, running)?;
        if !matches!(outcome, Outcome::Done { .. }) {
            bail!("with nobody else around and nothing failing, a transaction came to {outcome:?}");
        }
        let responded = self.history.now();
        self.history.push(Attempt {
            client: AUDITOR,
            number,
            plan,
            invoked,
            responded,
            outcome,
        });
        Ok(())
    }
}

/// Waits for a future, driving the engine if it has to be driven.
fn alone<T>(stepper: &mut Option<EngineStepper>, future: impl Future<Output = T>) -> Result<T> {
    match stepper {
        Some(stepper) => stepped::drive(stepper, future),
        None => Ok(threads::block_on(future)),
    }
}

/// What a client does in one life: one transaction after the other, until it has made all, or cannot go on.
async fn work(history: &History, life: &Life, client: &mut Client, mut before_each: impl FnMut()) {
    let may_go_on = || !life.is_over.load(Ordering::SeqCst) && !life.backend.is_off();
    while !client.is_done() && may_go_on() {
        before_each();
        let mut noted = Noted::begin(history, client);
        let plan = noted.plan();
        let session = life.session_for(noted.attempt.client, &plan);
        let outcome = client::run(session, &noted.attempt.name(), &plan).await;
        if matches!(outcome, Outcome::Failed(_)) && !life.may_fail.load(Ordering::SeqCst) {
            let attempt = format!("{} came to {outcome:?}", noted.attempt.name());
            life.unexplained.lock().get_or_insert(attempt);
        }
        // After a batch in doubt the engine writes nothing more until it is opened again.
        let is_in_doubt = matches!(outcome, Outcome::Unknown(_));
        // What is sent again and fails is sent again in the next life: in this one the engine may have stopped for good.
        let is_put_off = noted.is_repeated && matches!(outcome, Outcome::Failed(_));
        noted.attempt.outcome = outcome;
        drop(noted);
        if is_in_doubt {
            life.is_in_doubt.store(true, Ordering::SeqCst);
        }
        if is_in_doubt || is_put_off {
            break;
        }
        pause().await;
    }
}

/// An attempt that is noted in any case when this is dropped: also when its client is cut off in the middle of it.
struct Noted<'h> {
    history: &'h History,
    attempt: Attempt,
    /// Whether it has been sent in a life before, and so may have been committed whatever becomes of it now.
    is_repeated: bool,
    unanswered: &'h mut Option<Attempt>,
}

impl<'h> Noted<'h> {
    fn begin(history: &'h History, client: &'h mut Client) -> Noted<'h> {
        let repeated = client.unanswered.take();
        let is_repeated = repeated.is_some();
        let attempt = repeated.unwrap_or_else(|| {
            client.left -= 1;
            let (number, plan) = client.generator.next_plan();
            Attempt {
                client: client.number,
                number,
                plan: Arc::new(plan),
                invoked: history.now(),
                responded: u64::MAX,
                outcome: Outcome::Unknown("cut off".to_owned()),
            }
        });
        Noted {
            history,
            attempt,
            is_repeated,
            unanswered: &mut client.unanswered,
        }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.attempt.plan)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        let mut attempt = self.attempt.clone();
        let is_open = match attempt.outcome {
            Outcome::Unknown(_) => true,
            Outcome::Failed(_) => self.is_repeated,
            Outcome::Done { .. } | Outcome::Refused(_) => false,
        };
        if is_open && attempt.plan.style == Style::Once {
            attempt.outcome = Outcome::Unknown("cut off".to_owned());
            *self.unanswered = Some(attempt);
            return;
        }
        if !is_open {
            attempt.responded = self.history.now();
        }
        self.history.push(attempt);
    }
}

/// A third of the simulations are calm, so that what only shows without faults does show.
fn draw_rates(random: &mut Random) -> FaultRates {
    if random.in_thousand(333) {
        return FaultRates::default();
    }
    let mut rate = |rates: &[usize]| *random.pick(rates);
    FaultRates {
        refuse: rate(&[0, 0, 20, 100]),
        unknown: rate(&[0, 0, 5, 20]),
        power_off: rate(&[0, 5, 20, 40]),
        slow: rate(&[0, 0, 100, 500]),
        snapshot: rate(&[0, 0, 5, 20]),
    }
}

fn draw_options(random: &mut Random) -> EngineOptions {
    EngineOptions {
        group_transactions_max: *random.pick(&[1, 2, 3, 8, 1024, 1024]),
        optimistic_attempts_max: *random.pick(&[0, 1, 3, 3, 3]),
        recent_commits_bytes_max: *random.pick(&[0, 4 << 10, 64 << 20, 64 << 20]),
        recovery_window: Duration::from_micros(*random.pick(&[0, 1_000, 1_000_000, 600_000_000])),
        ..EngineOptions::default()
    }
}

/// How far the clock jumps: mostly a little ahead, sometimes far in either direction.
fn draw_jump(random: &mut Random) -> i64 {
    let micros = i64::try_from(random.between(1, 2_000_000)).unwrap_or(1);
    match random.below(10) {
        0 => -micros,
        1 => -micros * 1000,
        2 | 3 => micros,
        _ => micros / 1000,
    }
}
