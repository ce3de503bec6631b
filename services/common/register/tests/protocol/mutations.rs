//! Which checker catches which dropped rule.
//!
//! Rules that guard against slowness rather than lies (A2, A5.1), and one that another rule covers (A8, by T6's floor and
//! the promises), are caught by schedules alone: `schedules.rs`.

use cairn_register::Mutation;

use crate::programs::Family;

/// Caught by random walks: of a family of programs, or of the mutation's own, from this seed on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Walked {
    Family(Family, u64),
    Directed(u64),
    Never,
}

/// Caught by stateright: from the start of the mutation's own program, or from the crucial step of its schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Explored {
    FromTheStart,
    AfterItsSchedule,
    Never,
}

pub(crate) fn caught_by(mutation: Mutation) -> (Walked, Explored) {
    use Explored::{AfterItsSchedule, FromTheStart};
    use Walked::Directed;
    match mutation {
        Mutation::NoFence => (Walked::Family(Family::Layout, 1), AfterItsSchedule),
        Mutation::NoFutureGuard | Mutation::DuplicateRefused | Mutation::OldEpochStored => {
            (Walked::Never, Explored::Never)
        }
        Mutation::PromiseBelowPromise => (Directed(1), AfterItsSchedule),
        Mutation::AcceptBelowPromise => (Directed(1), AfterItsSchedule),
        Mutation::AbsorbBelowPromise => (Walked::Never, AfterItsSchedule),
        Mutation::WriteBackBelowPromise => (Walked::Family(Family::Five, 1), AfterItsSchedule),
        Mutation::WriteBackCountsNewer => (Directed(1), AfterItsSchedule),
        Mutation::PromiseNotSynced => (Directed(1), AfterItsSchedule),
        Mutation::AcceptNotSynced => (Directed(1), FromTheStart),
        Mutation::LearnBelowFloor => (Walked::Never, AfterItsSchedule),
        Mutation::RedeliverBelowPromise => (Directed(1), AfterItsSchedule),
        Mutation::DropWithoutFloor => (Directed(1), AfterItsSchedule),
        Mutation::DropUnchecked => (Walked::Never, AfterItsSchedule),
        Mutation::CollectAtMajority => (Directed(1), AfterItsSchedule),
        Mutation::FloorIsNothing => (Walked::Never, AfterItsSchedule),
        Mutation::JoinedIsNothing => (Walked::Never, AfterItsSchedule),
        Mutation::GateIgnored => (Directed(1), AfterItsSchedule),
        Mutation::GateNotRead => (Directed(1), AfterItsSchedule),
        Mutation::GoneAfterSend => (Directed(1), AfterItsSchedule),
        Mutation::HalfIsQuorum => (Directed(1), FromTheStart),
        Mutation::RepliesCounted => (Directed(1), FromTheStart),
        Mutation::WriteWithoutQuery => (Directed(1), FromTheStart),
        Mutation::RetryHigher => (Walked::Family(Family::Plain, 1), AfterItsSchedule),
        Mutation::ReapplyOverNewer => (Walked::Family(Family::Collected, 1), AfterItsSchedule),
        Mutation::FloorIsOverwrite => (Walked::Family(Family::LayoutCollected, 1), AfterItsSchedule),
        Mutation::OverwrittenUnsettled => (Directed(1), Explored::Never),
        Mutation::LineageIgnored => (Directed(1), FromTheStart),
        Mutation::NewerChainJudged => (Walked::Family(Family::Plain, 1), AfterItsSchedule),
        Mutation::TrimmedIgnored => (Walked::Never, AfterItsSchedule),
        Mutation::RefusedUnsettled => (Directed(1), FromTheStart),
        Mutation::NoRowTrusted => (Walked::Never, AfterItsSchedule),
        Mutation::AgreeByValue => (Walked::Never, AfterItsSchedule),
        Mutation::AgreeInOneLayout => (Walked::Family(Family::Layout, 1), AfterItsSchedule),
        Mutation::ReadUnsettled => (Directed(1), FromTheStart),
        Mutation::OldEpochWrittenBack => (Directed(1), Explored::Never),
        Mutation::LineageLost => (Directed(1), AfterItsSchedule),
        Mutation::PrepareOneLayout => (Directed(1), Explored::Never),
        Mutation::CompleteWithoutBase => (Directed(1), AfterItsSchedule),
        Mutation::CompleteFloorIgnored => (Directed(1), AfterItsSchedule),
        Mutation::CompleteTrimmedIgnored => (Walked::Never, AfterItsSchedule),
    }
}
