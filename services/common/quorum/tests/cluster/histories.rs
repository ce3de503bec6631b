//! Concurrent histories on a network that delays, loses and stops, checked for linearizability.

use std::sync::Arc;
use std::time::Duration;

use cairn_model::Envelope;
use cairn_quorum::{Cluster, OpError, UpdateError};
use cairn_register::Mutation;
use cairn_testkit::linear::{Operation, Sequential, Verdict, check};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use crate::support::network::Mode;
use crate::support::{World, id, key, value, views};

const KEYS: [&str; 2] = ["x", "y"];
const CLIENTS: u64 = 6;
const STEPS: u64 = 12;

/// One key: a register with compare-and-swap on its value.
struct Register;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    Write(Option<String>),
    /// Create where there is nothing.
    Create(String),
    /// Replace the value read before.
    Swap(Option<String>, String),
    Read,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Done,
    Refused,
    Value(Option<String>),
}

impl Sequential for Register {
    type State = Option<String>;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        let applied = match input {
            Input::Write(value) => Some(value.clone()),
            Input::Create(value) => state.is_none().then(|| Some(value.clone())),
            Input::Swap(expected, value) => (state == expected).then(|| Some(value.clone())),
            Input::Read => Some(state.clone()),
        };
        match output {
            None => applied,
            Some(Output::Done) => applied,
            Some(Output::Refused) => applied.is_none().then(|| state.clone()),
            Some(Output::Value(value)) => (value == state).then(|| state.clone()),
        }
    }
}

/// What was done so far, and by which clients' time.
pub(crate) type History = Arc<Mutex<Vec<(&'static str, Operation<Input, Output>)>>>;

/// Answers with nothing where the outcome is unknown, and none where the operation certainly was not applied.
async fn perform(world: &World, cluster: &Cluster, name: &str, input: &Input) -> Option<Option<Output>> {
    let op = world.op();
    let new = id(cluster);
    let swapped = |result: Result<_, UpdateError<()>>| match result {
        Ok(_) => Some(Some(Output::Done)),
        Err(UpdateError::Refused(())) => Some(Some(Output::Refused)),
        Err(UpdateError::Failed(error)) => open(&error),
    };
    let is = |current: Option<&Envelope>, expected: &Option<String>| {
        current.map(|current| current.value.as_ref()) == expected.as_ref().map(String::as_bytes)
    };
    match input {
        Input::Write(text) => {
            let text = text.as_deref().map(value);
            match cluster.write(&op, key(name), new, text).await {
                Ok(_) => Some(Some(Output::Done)),
                Err(error) => open(&error),
            }
        }
        Input::Create(text) => {
            let change = |current: Option<&Envelope>| if current.is_none() { Ok(Some(value(text))) } else { Err(()) };
            swapped(cluster.update(&op, key(name), new, change).await.map(drop))
        }
        Input::Swap(expected, text) => {
            let change =
                |current: Option<&Envelope>| if is(current, expected) { Ok(Some(value(text))) } else { Err(()) };
            swapped(cluster.update(&op, key(name), new, change).await.map(drop))
        }
        Input::Read => match cluster.read(&op, key(name)).await {
            Ok(found) => {
                let text = found.map(|found| String::from_utf8(found.envelope.value.to_vec()).unwrap());
                Some(Some(Output::Value(text)))
            }
            Err(_) => None,
        },
    }
}

fn open(error: &OpError) -> Option<Option<Output>> {
    if error.not_applied() { None } else { Some(None) }
}

/// Microseconds since a run began, the same for all its clients.
pub(crate) type Stopwatch = Arc<dyn Fn() -> u64 + Send + Sync>;

fn since(start: Instant) -> Stopwatch {
    Arc::new(move || u64::try_from(start.elapsed().as_micros()).unwrap())
}

pub(crate) async fn client(world: Arc<World>, cluster: Cluster, seed: u64, micros: Stopwatch, history: History) {
    let mut random = StdRng::seed_from_u64(seed);
    // What this client last knew of each key.
    let mut last: [Option<String>; KEYS.len()] = Default::default();
    for step in 0..STEPS {
        let at = random.random_range(0..KEYS.len());
        let text = format!("{seed}-{step}");
        let input = match random.random_range(0..12) {
            0 | 1 => Input::Write(Some(text.clone())),
            2 => Input::Write(None),
            3 => Input::Create(text.clone()),
            4..8 => Input::Swap(last[at].clone(), text.clone()),
            _ => Input::Read,
        };
        let called = micros();
        let done = perform(&world, &cluster, KEYS[at], &input).await;
        if let Some(output) = done {
            match (&output, &input) {
                (Some(Output::Value(value)), _) => last[at].clone_from(value),
                (Some(Output::Done), Input::Write(value)) => last[at].clone_from(value),
                (Some(Output::Done), Input::Create(_) | Input::Swap(..)) => last[at] = Some(text),
                _ => {}
            }
            let returned = output.map(|output| (micros(), output));
            history.lock().push((KEYS[at], Operation { called, returned, input }));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..15))).await;
    }
}

/// Stops a replica, lets it go on, stops another; loses messages now and then.
async fn nemesis(world: Arc<World>, seed: u64) {
    let mut random = StdRng::seed_from_u64(!seed);
    loop {
        let victim = world.table_store(random.random_range(0..3));
        let mode = [Mode::Down, Mode::Frozen, Mode::Slow(Duration::from_millis(200))][random.random_range(0..3)];
        world.network.set(victim, mode);
        world.network.hurt(Duration::from_millis(random.random_range(1..20)), random.random_range(0..120));
        tokio::time::sleep(Duration::from_millis(random.random_range(10..400))).await;
        world.network.set(victim, Mode::Up);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
    }
}

/// The kind of trouble a run has beside the nemesis.
#[derive(Clone, Copy)]
enum Trouble {
    None,
    EpochChange,
    /// The replicas do not keep a rule.
    Dropped(Mutation),
}

/// Whether the history of this seed is linearizable; answers one that is not.
async fn run(seed: u64, trouble: Trouble) -> Result<(), String> {
    let world = Arc::new(World::with_nodes(seed, 4));
    if let Trouble::Dropped(rule) = trouble {
        world.tables.iter().for_each(|table| table.drop_rule(rule));
    }
    let gateways = [world.gateway(), world.process(Some(0)), world.process(Some(1)), world.gateway()];
    let (stopwatch, history) = (since(Instant::now()), History::default());
    let mut clients = tokio::task::JoinSet::new();
    for at in 0..CLIENTS {
        let cluster = gateways[usize::try_from(at).unwrap() % gateways.len()].clone();
        clients.spawn(client(
            world.clone(),
            cluster,
            seed.wrapping_mul(100).wrapping_add(at),
            stopwatch.clone(),
            history.clone(),
        ));
    }
    let nemesis = tokio::spawn(nemesis(world.clone(), seed));
    if matches!(trouble, Trouble::EpochChange) {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let newer = views::view(4, 2, &[&[0, 1, 2], &[1, 2, 3]]);
        world.tables[usize::try_from(seed % 3).unwrap()].adopt(newer);
    }
    clients.join_all().await;
    nemesis.abort();
    judge(seed, &history)
}

/// Checks each key's part of a history on its own.
pub(crate) fn judge(seed: u64, history: &History) -> Result<(), String> {
    let history = history.lock();
    for name in KEYS {
        let one: Vec<_> =
            history.iter().filter(|(at, _)| *at == name).map(|(_, operation)| operation.clone()).collect();
        match check(&Register, &one, 5_000_000) {
            Verdict::Linearizable => {}
            verdict => return Err(format!("seed {seed}, key {name}: {verdict:?} {one:#?}")),
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn histories_are_linearizable() {
    for seed in 0..60 {
        run(seed, Trouble::None).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn histories_are_linearizable_while_the_epoch_changes() {
    for seed in 1000..1040 {
        run(seed, Trouble::EpochChange).await.unwrap();
    }
}

/// A harness that never failed proves nothing.
#[tokio::test(start_paused = true)]
async fn a_dropped_rule_is_noticed() {
    for rule in [Mutation::PromiseBelowPromise, Mutation::AcceptBelowPromise, Mutation::WriteBackCountsNewer] {
        let mut seed = 0;
        while run(seed, Trouble::Dropped(rule)).await.is_ok() {
            seed += 1;
            assert!(seed < 500, "{rule:?} was dropped, and nobody noticed");
        }
    }
}
