//! The network between gateways and replicas: delays, loses, stops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_rpc::{CallContext, CallError};
use cairn_types::StoreId;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// How a store answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Up,
    /// Refuses connections.
    Down,
    /// Takes calls and never answers, like a stopped process. What it was sent is done when it goes on.
    Frozen,
    Slow(Duration),
    Full,
}

pub(crate) struct Network(Mutex<State>);

struct State {
    random: StdRng,
    modes: BTreeMap<StoreId, Mode>,
    /// One way, at most, but for the late ones.
    delay: Duration,
    /// Lost messages and lost replies, in a thousand each.
    loss: u32,
    /// Calls that arrived, by kind.
    calls: BTreeMap<&'static str, u32>,
}

/// What becomes of one call.
struct Fate {
    mode: Mode,
    there: Duration,
    back: Duration,
    request_lost: bool,
    reply_lost: bool,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let delay = Duration::from_millis(2);
        Self(Mutex::new(State { random, modes: BTreeMap::new(), delay, loss: 0, calls: BTreeMap::new() }))
    }

    pub(crate) fn set(&self, store: StoreId, mode: Mode) {
        self.0.lock().modes.insert(store, mode);
    }

    pub(crate) fn hurt(&self, delay: Duration, loss: u32) {
        let mut state = self.0.lock();
        (state.delay, state.loss) = (delay, loss);
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u32) -> u32 {
        self.0.lock().random.random_range(0..bound)
    }

    pub(crate) fn count(&self, kind: &'static str) {
        *self.0.lock().calls.entry(kind).or_default() += 1;
    }

    /// Calls of one kind that arrived.
    pub(crate) fn calls(&self, kind: &'static str) -> u32 {
        self.0.lock().calls.get(kind).copied().unwrap_or(0)
    }

    /// Calls that arrived since this was asked last.
    pub(crate) fn take_calls(&self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.0.lock().calls)
    }

    /// Carries one call to `context.store`, runs `act` there, and carries the answer back. As with a session, the call
    /// gets on whether or not anybody looks at it, and what was sent may be done after the caller went away.
    pub(crate) async fn carry<T: Send + 'static>(
        self: &Arc<Self>,
        context: &CallContext,
        act: impl FnOnce() -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let (network, context) = (self.clone(), context.clone());
        tokio::spawn(async move { network.deliver(&context, act).await }).await.unwrap()
    }

    async fn deliver<T>(
        &self,
        context: &CallContext,
        act: impl FnOnce() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let fate = self.fate(context.store);
        let unreachable = || CallError::Unreachable("lost".to_owned());
        match fate.mode {
            Mode::Up => {}
            Mode::Down => return Err(unreachable()),
            Mode::Full => return Err(CallError::Full("no room".to_owned())),
            Mode::Slow(by) => tokio::time::sleep(by).await,
            Mode::Frozen => self.thaw(context).await?,
        }
        tokio::time::sleep(fate.there).await;
        if fate.request_lost {
            return Err(unreachable());
        }
        let answer = act();
        tokio::time::sleep(fate.back).await;
        if fate.reply_lost { Err(unreachable()) } else { answer }
    }

    async fn thaw(&self, context: &CallContext) -> Result<(), CallError> {
        loop {
            if self.0.lock().modes.get(&context.store) != Some(&Mode::Frozen) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= context.deadline {
                return Err(CallError::Deadline);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn fate(&self, store: StoreId) -> Fate {
        let mut state = self.0.lock();
        let State { random, modes, delay, loss, .. } = &mut *state;
        let mut wait =
            || Duration::from_micros(random.random_range(0..u64::try_from(delay.as_micros()).unwrap().max(1)));
        let (there, back) = (wait(), wait());
        Fate {
            mode: modes.get(&store).copied().unwrap_or(Mode::Up),
            there,
            back,
            request_lost: random.random_range(0..1000) < *loss,
            reply_lost: random.random_range(0..1000) < *loss,
        }
    }
}
