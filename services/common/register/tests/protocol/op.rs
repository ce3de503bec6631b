//! What clients do, and the coordinators that do it for them.

use cairn_placement::Quorums;
use cairn_register::{
    Action, Base, Cas, CasFailure, Change, Collect, Complete, Completed, Event, Failure, Found, Message, Mutation, Now,
    Read, Row, Write,
};
use cairn_types::{Ballot, OpId};

/// Values are unique: each says which operation wrote it.
pub(crate) type V = u8;

/// The two rows of the world: the key, and the gate of its bucket.
pub(crate) const KEY: usize = 0;
pub(crate) const GATE: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Write(V),
    Delete,
    Cas {
        expected: Option<V>,
        new: V,
    },
    /// Expects what this client observed last.
    CasLast {
        new: V,
    },
    Read,
    /// Deletes the bucket if the key, its only one, is absent.
    DropBucket,
    /// Completes upload `upload`. Operations with the same upload help each other: one effect.
    Complete {
        upload: u8,
        new: V,
    },
    /// Completes it if the key is absent. One coordinator an upload.
    CompleteAbsent {
        upload: u8,
        new: V,
    },
    /// Housekeeping: collects the key's tombstone, if that is what it holds.
    Collect,
    /// Housekeeping: a node of the old layout hands its row to the new one (E4).
    Settle(u8),
}

impl Kind {
    /// Whether a client is told the result.
    pub(crate) const fn is_housekeeping(self) -> bool {
        matches!(self, Kind::Collect | Kind::Settle(_))
    }

    pub(crate) const fn value(self) -> Option<V> {
        match self {
            Kind::Write(value) => Some(value),
            Kind::Cas { new, .. }
            | Kind::CasLast { new }
            | Kind::Complete { new, .. }
            | Kind::CompleteAbsent { new, .. } => Some(new),
            Kind::Delete | Kind::Read | Kind::DropBucket | Kind::Collect | Kind::Settle(_) => None,
        }
    }
}

/// A client runs its operations one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Spec {
    pub(crate) client: u8,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer {
    Done,
    Refused,
    Value(Option<V>),
    /// NoSuchBucket.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Status {
    NotYet,
    Running,
    Answered(Answer),
    /// It may have happened, or happen yet.
    Unknown,
    /// It did not happen, and will not.
    Failed(Failure),
}

/// The conditional writes of the world, as values: states are compared and hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Edit {
    Swap { expected: Option<V>, new: V },
    Close,
    Reopen(V),
    Seal(V),
}

/// The gate's value: 2g is open(g), 2g + 1 closing(g); no row is open(0).
pub(crate) const SEALED: V = 255;

impl Change<V> for Edit {
    /// The value met.
    type Refusal = Option<V>;

    fn change(&mut self, current: Option<&V>) -> Result<Option<V>, Option<V>> {
        let met = current.copied();
        let gate = met.unwrap_or(0);
        match *self {
            Edit::Swap { expected, new } if expected == met => Ok(Some(new)),
            Edit::Close if gate != SEALED => Ok(Some(gate | 1)),
            Edit::Reopen(closing) if gate == closing => Ok(Some(closing + 1)),
            Edit::Seal(closing) if gate == closing => Ok(Some(SEALED)),
            _ => Err(met),
        }
    }
}

/// How a coordinator ended, whichever it was.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum End {
    Written,
    Applied(Option<V>),
    Refused(Option<V>),
    Found(Found<V>),
    Completed,
    Moved(Row<V>),
    Collected,
    Failed(Failure),
}

#[allow(clippy::large_enum_variant, reason = "one a line, and never moved about")]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Machine {
    Write(Write<V>),
    Cas(Cas<V, Edit>),
    Read(Read<V>),
    Complete(Complete<V>),
    Collect(Collect<V>),
}

/// What coordinators are made with.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    pub(crate) quorums: Quorums,
    pub(crate) earlier: Option<Quorums>,
    pub(crate) tries: u32,
    pub(crate) mutation: Option<Mutation>,
}

macro_rules! made {
    ($making:expr, $machine:expr) => {
        $machine.with_tries($making.tries).with_earlier($making.earlier.clone()).without($making.mutation)
    };
}

impl Machine {
    pub(crate) fn write(making: &Making) -> Self {
        Self::Write(made!(making, Write::new(making.quorums.clone(), 0)))
    }

    pub(crate) fn cas(op: OpId, edit: Edit, making: &Making) -> Self {
        Self::Cas(made!(making, Cas::new(op, edit, making.quorums.clone(), 0)))
    }

    pub(crate) fn read(making: &Making) -> Self {
        Self::Read(made!(making, Read::new(making.quorums.clone())))
    }

    pub(crate) fn complete(op: OpId, base: Base, value: V, conditional: bool, making: &Making) -> Self {
        Self::Complete(made!(making, Complete::new(op, base, value, conditional, making.quorums.clone(), 0)))
    }

    pub(crate) fn collect(making: &Making) -> Self {
        Self::Collect(made!(making, Collect::new(making.quorums.clone())))
    }

    pub(crate) fn start(&mut self, now: &Now<'_>) -> Vec<Action<V, End>> {
        match self {
            Self::Write(machine) => ended(machine.start(now), written),
            Self::Cas(machine) => ended(machine.start(now), applied),
            Self::Read(machine) => ended(machine.start(now), found),
            Self::Complete(machine) => ended(machine.start(now), completed),
            Self::Collect(machine) => ended(machine.start(now), collected),
        }
    }

    pub(crate) fn on_event(&mut self, event: Event<V>, now: &Now<'_>) -> Vec<Action<V, End>> {
        match self {
            Self::Write(machine) => ended(machine.on_event(event, now), written),
            Self::Cas(machine) => ended(machine.on_event(event, now), applied),
            Self::Read(machine) => ended(machine.on_event(event, now), found),
            Self::Complete(machine) => ended(machine.on_event(event, now), completed),
            Self::Collect(machine) => ended(machine.on_event(event, now), collected),
        }
    }

    pub(crate) fn propose(&mut self, op: OpId, value: Option<V>, now: &Now<'_>) -> Vec<Action<V, End>> {
        match self {
            Self::Write(machine) => ended(machine.propose(op, value, now), written),
            _ => Vec::new(),
        }
    }

    pub(crate) fn quorums(&self) -> &Quorums {
        match self {
            Self::Write(machine) => machine.quorums(),
            Self::Cas(machine) => machine.quorums(),
            Self::Read(machine) => machine.quorums(),
            Self::Complete(machine) => machine.quorums(),
            Self::Collect(machine) => machine.quorums(),
        }
    }
}

fn ended<T>(actions: Vec<Action<V, T>>, end: fn(T) -> End) -> Vec<Action<V, End>> {
    let convert = |action| match action {
        Action::Send { round, targets, message } => Action::Send { round, targets, message },
        Action::Tell { targets, message } => Action::Tell { targets, message },
        Action::Backoff { attempt } => Action::Backoff { attempt },
        Action::ReadGate => Action::ReadGate,
        Action::Done(outcome) => Action::Done(end(outcome)),
    };
    actions.into_iter().map(convert).collect()
}

fn written(outcome: Result<cairn_register::Written, Failure>) -> End {
    outcome.map_or_else(End::Failed, |_| End::Written)
}

fn applied(outcome: Result<cairn_register::Applied<V>, CasFailure<Option<V>>>) -> End {
    match outcome {
        Ok(applied) => End::Applied(applied.value),
        Err(CasFailure::Refused(met)) => End::Refused(met),
        Err(CasFailure::Failed(failure)) => End::Failed(failure),
    }
}

fn found(outcome: Result<Found<V>, Failure>) -> End {
    outcome.map_or_else(End::Failed, End::Found)
}

fn completed(outcome: Result<Completed<V>, Failure>) -> End {
    match outcome {
        Ok(Completed::Applied { .. } | Completed::Overwritten { .. }) => End::Completed,
        Ok(Completed::Moved { onto }) => End::Moved(onto),
        Err(failure) => End::Failed(failure),
    }
}

fn collected(outcome: Result<cairn_register::Collected, Failure>) -> End {
    outcome.map_or_else(End::Failed, |_| End::Collected)
}

/// What a line waits for besides replies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Due {
    Nothing,
    Resume,
    Gate,
}

/// One coordinator at work.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Line {
    pub(crate) machine: Machine,
    pub(crate) key: usize,
    /// Tells this coordinator's messages from those of the operation's other ones.
    pub(crate) run: u8,
    pub(crate) round: u32,
    pub(crate) due: Due,
    /// The deleter's list counts only replicas that show this gate (X27).
    pub(crate) only_under: Option<u64>,
}

/// Where an operation of several steps stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stage {
    Plain,
    Closing,
    Listing(V),
    Reopening,
    Sealing,
    /// Reading the head that a completion is to be based on.
    Basing,
    Completing(Base),
    /// Reading whether the row that came upon the base is settled.
    Judging {
        from: Base,
        onto: (Ballot, OpId),
    },
    /// Handing a row to the new layout; the stores that have it.
    Learning(u8),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Op {
    pub(crate) status: Status,
    /// Operations answered before this one began.
    pub(crate) before: u32,
    /// What a conditional write expects.
    pub(crate) expected: Option<V>,
    /// This coordinator's clock, in milliseconds.
    pub(crate) clock_ms: u64,
    pub(crate) stage: Stage,
    pub(crate) runs: u8,
    /// The operation itself, and the coordinator that looks at the gate for it.
    pub(crate) main: Option<Line>,
    pub(crate) aside: Option<Line>,
    /// The value of a write is still to come.
    pub(crate) body_flows: bool,
}

impl Op {
    pub(crate) const fn new() -> Self {
        Self {
            status: Status::NotYet,
            before: 0,
            expected: None,
            clock_ms: 0,
            stage: Stage::Plain,
            runs: 0,
            main: None,
            aside: None,
            body_flows: false,
        }
    }

    pub(crate) fn line(&mut self, aside: bool) -> &mut Option<Line> {
        if aside { &mut self.aside } else { &mut self.main }
    }
}

/// What travels.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Wire {
    Request(Message<V>),
    Reply(cairn_register::Reply<V>),
    Stale,
}
