//! Which rules hold: all of them, unless a test drops one.

/// All rules of REGISTER.md, or in builds with the feature `mutations` all but one.
///
/// Without that feature this is empty and no rule can be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Rules {
    #[cfg(feature = "mutations")]
    pub(crate) dropped: Option<Mutation>,
}

/// Whether the rule named is dropped: a constant `false` in builds without the feature `mutations`.
macro_rules! dropped {
    ($rules:expr, $mutation:ident) => {{
        let rules: $crate::rules::Rules = $rules;
        #[cfg(feature = "mutations")]
        let dropped = rules.dropped == Some($crate::rules::Mutation::$mutation);
        #[cfg(not(feature = "mutations"))]
        let dropped = {
            let $crate::rules::Rules {} = rules;
            false
        };
        dropped
    }};
}
pub(crate) use dropped;

/// Declares the rules that can be dropped, and the list of them.
#[cfg(feature = "mutations")]
macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule that a test can drop; each names the rule and, where there is one, the counterexample of REGISTER §13.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Mutation {
            $($(#[$doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

#[cfg(feature = "mutations")]
mutations! {
    /// A1: a request of an older epoch is judged (X16).
    NoFence,
    /// A2: a ballot from the future is taken, and burns the key.
    NoFutureGuard,
    /// A4: a promise is given below an older one.
    PromiseBelowPromise,
    /// A5.1: a duplicate is refused (X3).
    DuplicateRefused,
    /// A5.2: a row is stored in spite of a higher promise.
    AcceptBelowPromise,
    /// A5.3: a blind row is absorbed whatever was promised between (X5).
    AbsorbBelowPromise,
    /// A6: a write-back ignores the promise (X15).
    WriteBackBelowPromise,
    /// A6: something newer counts as an acknowledgement of a write-back (X5b).
    WriteBackCountsNewer,
    /// A8, S3: an unsettled row of an older epoch is stored, by a joiner too (X18).
    OldEpochStored,
    /// D1: a promise is answered before it is synced (X20).
    PromiseNotSynced,
    /// D1: a row is acknowledged before it is synced.
    AcceptNotSynced,
    /// S2: a settled row is learned below the floor (X11b).
    LearnBelowFloor,
    /// S3: a late row is stored in spite of a higher promise (X15).
    RedeliverBelowPromise,
    /// T4: the row goes, the floor stays (X11).
    DropWithoutFloor,
    /// T4: the row goes although something newer was promised or stored.
    DropUnchecked,
    /// T3: a majority suffices to drop a tombstone (X10).
    CollectAtMajority,
    /// T5: a chain begun after a collection has no floor for its root (X13).
    FloorIsNothing,
    /// T6: a joiner takes "no row" for "never written" (X13b).
    JoinedIsNothing,
    /// Gate: new values are stored under it.
    GateIgnored,
    /// Gate: a re-proposal or a read answers without looking at it (X28).
    GateNotRead,
    /// Gate: `Gone` is said although a value was sent (X29).
    GoneAfterSend,
    /// §1: half the replicas are a quorum.
    HalfIsQuorum,
    /// A0: replies are counted, not stores.
    RepliesCounted,
    /// W1: the ballot is not above what a majority has seen (X2b).
    WriteWithoutQuery,
    /// W4: an unanswered write is sent again under a higher ballot (X1, X2).
    RetryHigher,
    /// W4 b: the write is applied again over a newer chain.
    ReapplyOverNewer,
    /// W4 c: a floor is taken for a write that came after.
    FloorIsOverwrite,
    /// W4 d: "overwritten" is answered before the newer row is settled (X4).
    OverwrittenUnsettled,
    /// C2: the own id in the lineage is not looked for (X8).
    LineageIgnored,
    /// C3: a newer chain is judged as if nothing had been sent (X8).
    NewerChainJudged,
    /// C3: ids that fell out of the lineage are forgotten.
    TrimmedIgnored,
    /// C5: a refusal is answered from unsettled state (X6).
    RefusedUnsettled,
    /// G2: "no row" is taken at its word (X12).
    NoRowTrusted,
    /// G3: replies agree when their values do (X7).
    AgreeByValue,
    /// G3: a majority of one layout settles a row of two (X18b).
    AgreeInOneLayout,
    /// G4: the newest row is answered without write-back.
    ReadUnsettled,
    /// G4, A8: a row of an older epoch is written back as it is, to a joiner too (X18).
    OldEpochWrittenBack,
    /// A re-proposal forgets the lineage (X9).
    LineageLost,
    /// E8: promises come from one layout (X17b).
    PrepareOneLayout,
    /// Complete: whatever is there is built upon (X26).
    CompleteWithoutBase,
    /// Complete: "no row" is "no row", whatever was collected since (X26).
    CompleteFloorIgnored,
    /// Complete: the base moves on although the id may have fallen out of the lineage.
    CompleteTrimmedIgnored,
}
