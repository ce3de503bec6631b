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
        Mutation::NoFence => (Walked::Family(Family::Layout, 451), AfterItsSchedule),
        Mutation::NoFutureGuard | Mutation::DuplicateRefused | Mutation::OldEpochStored => {
            (Walked::Never, Explored::Never)
        }
        Mutation::PromiseBelowPromise => (Directed(73), AfterItsSchedule),
        Mutation::AcceptBelowPromise => (Directed(49), AfterItsSchedule),
        Mutation::AbsorbBelowPromise => (Walked::Never, AfterItsSchedule),
        Mutation::WriteBackBelowPromise => (Walked::Family(Family::Plain, 2_930), AfterItsSchedule),
        Mutation::WriteBackCountsNewer => (Directed(1764), AfterItsSchedule),
        Mutation::PromiseNotSynced => (Directed(4897), AfterItsSchedule),
        Mutation::AcceptNotSynced => (Directed(28), FromTheStart),
        Mutation::LearnBelowFloor => (Walked::Never, AfterItsSchedule),
        Mutation::RedeliverBelowPromise => (Directed(41896), AfterItsSchedule),
        Mutation::DropWithoutFloor => (Directed(7030), AfterItsSchedule),
        Mutation::DropUnchecked => (Walked::Never, AfterItsSchedule),
        Mutation::CollectAtMajority => (Directed(30257), AfterItsSchedule),
        Mutation::FloorIsNothing => (Walked::Never, AfterItsSchedule),
        Mutation::JoinedIsNothing => (Walked::Never, AfterItsSchedule),
        Mutation::GateIgnored => (Directed(2425), AfterItsSchedule),
        Mutation::GateNotRead => (Directed(9), AfterItsSchedule),
        Mutation::GoneAfterSend => (Directed(3029), AfterItsSchedule),
        Mutation::HalfIsQuorum => (Directed(9), FromTheStart),
        Mutation::RepliesCounted => (Directed(1833), FromTheStart),
        Mutation::WriteWithoutQuery => (Directed(37), FromTheStart),
        Mutation::RetryHigher => (Directed(15_034), AfterItsSchedule),
        Mutation::ReapplyOverNewer => (Directed(2_894), AfterItsSchedule),
        Mutation::FloorIsOverwrite => (Walked::Family(Family::Collected, 3_447), AfterItsSchedule),
        Mutation::OverwrittenUnsettled => (Directed(964), Explored::Never),
        Mutation::LineageIgnored => (Directed(1), FromTheStart),
        Mutation::NewerChainJudged => (Walked::Family(Family::Plain, 1_585), AfterItsSchedule),
        Mutation::TrimmedIgnored => (Walked::Never, AfterItsSchedule),
        Mutation::RefusedUnsettled => (Directed(295), FromTheStart),
        Mutation::NoRowTrusted => (Walked::Never, AfterItsSchedule),
        Mutation::AgreeByValue => (Walked::Never, AfterItsSchedule),
        Mutation::AgreeInOneLayout => (Walked::Family(Family::Layout, 13_821), AfterItsSchedule),
        Mutation::ReadUnsettled => (Directed(78), FromTheStart),
        Mutation::OldEpochWrittenBack => (Directed(377342), Explored::Never),
        Mutation::LineageLost => (Directed(196), AfterItsSchedule),
        Mutation::PrepareOneLayout => (Directed(60165), Explored::Never),
        Mutation::CompleteWithoutBase => (Directed(9), AfterItsSchedule),
        Mutation::CompleteFloorIgnored => (Directed(3013), AfterItsSchedule),
        Mutation::CompleteTrimmedIgnored => (Walked::Never, AfterItsSchedule),
    }
}
