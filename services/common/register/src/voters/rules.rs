//! Which parts of E1 hold: all of them, unless a test drops one.

/// All parts, or in builds with the feature `mutations` all but one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Rules {
    #[cfg(feature = "mutations")]
    pub(super) dropped: Option<Mutation>,
}

/// Whether the part named is dropped: a constant `false` in builds without the feature `mutations`.
macro_rules! without {
    ($rules:expr, $mutation:ident) => {{
        let rules: $crate::voters::rules::Rules = $rules;
        #[cfg(feature = "mutations")]
        let dropped = rules.dropped == Some($crate::voters::rules::Mutation::$mutation);
        #[cfg(not(feature = "mutations"))]
        let dropped = {
            let $crate::voters::rules::Rules {} = rules;
            false
        };
        dropped
    }};
}
pub(super) use without;

/// A part of E1 that a test can drop.
#[cfg(feature = "mutations")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mutation {
    /// Accepted by the new voters alone (X22).
    OldMajority,
    /// Accepted by the old voters alone (X22b).
    NewMajority,
    /// The new voters promise, not the old ones (X22).
    PrepareAtOld,
    /// Ballots do not begin with the record's number (X22c).
    Fence,
    /// Somebody else's open record is built upon (X23).
    SettleFirst,
    /// A newer record is looked for, and completed, at the voters of the record one came from (X24).
    SameTargets,
    /// A new voter counts before it accepted (X22b).
    RealAccept,
    /// An open record is answered (X24b).
    OnlyChosen,
    /// The first answer to a Query is believed.
    AskMajority,
}
