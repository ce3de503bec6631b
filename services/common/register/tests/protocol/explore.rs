//! The same world under stateright, which takes every step there is, breadth first.

use std::time::Duration;

use stateright::{Checker as _, HasDiscoveries, Model, Property};

use crate::op::Status;
use crate::step::Step;
use crate::story;
use crate::world::{Setup, World};

struct Explored {
    setup: Setup,
    from: World,
}

impl Model for Explored {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.from.clone()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        world.steps(&self.setup, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        let changed = next.apply(&self.setup, step);
        next.prune(&self.setup);
        changed.then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(EXPLAINED, |_, world: &World| !world.bad),
            Property::sometimes(ANSWERED, |_, world: &World| {
                world.ops.iter().all(|op| matches!(op.status, Status::Answered(_)))
            }),
        ]
    }
}

const EXPLAINED: &str = "what clients are told can be explained";
const ANSWERED: &str = "every operation is answered";

/// What an exploration found.
#[derive(Debug)]
pub(crate) struct Exploration {
    pub(crate) states: usize,
    /// Nothing was left unexplored.
    pub(crate) complete: bool,
    /// Every operation could be answered at once.
    pub(crate) answered: bool,
    /// The shortest way to what cannot be explained, told.
    pub(crate) violation: Option<String>,
}

/// Explores everything after `from` breadth first, up to about `steps` steps or `seconds`.
pub(crate) fn explore(setup: &Setup, from: World, steps: usize, seconds: u64) -> Exploration {
    let checker = Explored { setup: setup.clone(), from: from.clone() }
        .checker()
        .threads(1)
        .target_state_count(steps)
        .timeout(Duration::from_secs(seconds))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let path = checker.discovery(EXPLAINED);
    Exploration {
        states: checker.unique_state_count(),
        complete: path.is_none() && checker.state_count() < steps && checker.is_done(),
        answered: checker.discovery(ANSWERED).is_some(),
        violation: path.map(|path| story::tell(setup, from, &path.into_actions())),
    }
}
