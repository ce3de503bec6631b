//! Drives coordinators of the layout record against real voters (REGISTER E1).

use std::sync::Arc;
use std::time::Duration;

use cairn_placement::LayoutRecord;
use cairn_register::voters::{Action, Coordinator, Message, Outcome};
use cairn_rpc::CallError;
use cairn_types::StoreId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use crate::disk::Record;
use crate::membership::Membership;
use crate::peers::{invalid, jittered};
use crate::wire::{Vote, VoteAnswer, decode_answer, encode_vote};

/// A voter that has not answered by then counts as lost.
const VOTE_TIMEOUT: Duration = Duration::from_secs(2);
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

type Answered = (u32, StoreId, Result<VoteAnswer, CallError>);

impl Membership {
    /// The newest record, confirmed by a majority of its voters. This daemon knows it from then on.
    pub(crate) async fn read_newest(&self, deadline: Instant) -> Result<Record, CallError> {
        let known = self.chosen().ok_or_else(no_record)?;
        let coordinator = Coordinator::read(known, self.parts.entropy.next_u64());
        match self.drive(coordinator, deadline).await {
            Outcome::Newest(newest) => {
                self.learn(newest.clone()).await.map_err(closed)?;
                Ok(newest)
            }
            outcome @ (Outcome::Chosen(_) | Outcome::Passed(_) | Outcome::Unknown(_) | Outcome::NoMajority(_)) => {
                let view = self.keep_view(&outcome).await?;
                Err(no_majority(&view))
            }
        }
    }

    /// Proposes `record` on `base`. Once it is chosen, this daemon and all voters, old and new, are told.
    ///
    /// # Errors
    /// `Conflict`: another record was chosen for its number. `Unavailable`: nothing was proposed. `Internal`: nobody knows.
    pub(crate) async fn propose(
        self: &Arc<Self>,
        base: &Record,
        record: LayoutRecord,
        deadline: Instant,
    ) -> Result<Record, CallError> {
        let record = crate::disk::voters_record(Arc::new(record));
        let coordinator = Coordinator::propose(base.clone(), record.clone(), self.parts.entropy.next_u64());
        let mut outcome = self.drive(coordinator, deadline).await;
        if let Outcome::Unknown(_) = outcome {
            // Whoever cannot know looks.
            self.keep_view(&outcome).await?;
            if let Ok(newest) = self.read_newest(deadline + VOTE_TIMEOUT).await
                && newest.number == record.number
            {
                outcome = if newest.op == record.op { Outcome::Chosen(newest) } else { Outcome::Passed(newest) };
            }
        }
        let view = self.keep_view(&outcome).await?;
        match outcome {
            Outcome::Chosen(chosen) => {
                self.announce(base, &chosen);
                Ok(chosen)
            }
            Outcome::Passed(newest) | Outcome::Newest(newest) => Err(CallError::Conflict(format!(
                "another change came first: record {} is in force now; look, and apply again",
                newest.number
            ))),
            Outcome::NoMajority(_) => Err(no_majority(&view)),
            Outcome::Unknown(_) => Err(CallError::Internal(format!(
                "the outcome is unknown: no majority of voters answered after record {} was sent; look at the layout",
                record.number
            ))),
        }
    }

    /// Every outcome names a record that is known to be chosen.
    async fn keep_view(&self, outcome: &Outcome<Arc<LayoutRecord>>) -> Result<Record, CallError> {
        let (Outcome::Newest(view)
        | Outcome::Chosen(view)
        | Outcome::Passed(view)
        | Outcome::Unknown(view)
        | Outcome::NoMajority(view)) = outcome;
        self.learn(view.clone()).await.map_err(closed)?;
        Ok(view.clone())
    }

    /// Tells all voters concerned that `chosen` is; who does not hear it asks later.
    fn announce(self: &Arc<Self>, base: &Record, chosen: &Record) {
        let voters = base.voters.stores().iter().chain(chosen.voters.stores());
        for store in voters.copied().filter(|store| *store != self.store).collect::<std::collections::BTreeSet<_>>() {
            let (membership, chosen) = (self.clone(), chosen.clone());
            drop(self.tasks.spawn(async move {
                if let Err(error) = membership.ask(store, Message::Learn { chosen }).await {
                    debug!(%store, %error, "a voter did not hear of the new record");
                }
            }));
        }
    }

    /// Runs a coordinator to its outcome, or until `deadline`.
    async fn drive(
        &self,
        mut coordinator: Coordinator<Arc<LayoutRecord>>,
        deadline: Instant,
    ) -> Outcome<Arc<LayoutRecord>> {
        let mut calls: JoinSet<Answered> = JoinSet::new();
        let mut backoff = BACKOFF_MIN;
        let mut resume_at: Option<Instant> = None;
        let mut action = Some(coordinator.start());
        loop {
            match action.take() {
                Some(Action::Done(outcome)) => return outcome,
                Some(Action::Send { round, targets, message }) => {
                    resume_at = None;
                    for store in targets {
                        drop(calls.spawn(self.vote_call(round, store, message.clone())));
                    }
                }
                Some(Action::Backoff) => {
                    resume_at = Some(Instant::now() + jittered(backoff, &*self.parts.entropy));
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
                None => {}
            }
            action = tokio::select! {
                () = sleep_until(deadline) => return coordinator.give_up(),
                () = self.closing.cancelled() => return coordinator.give_up(),
                () = sleep_until(resume_at.unwrap_or(deadline)), if resume_at.is_some() => Some(coordinator.resume()),
                Some(answered) = calls.join_next() => match answered {
                    Ok((round, store, Ok(answer))) => coordinator.on_answer(round, store, answer),
                    Ok((round, store, Err(error))) => {
                        debug!(%store, %error, "a voter is lost to this round");
                        coordinator.on_lost(round, store)
                    }
                    // Only aborted with the set itself.
                    Err(_) => None,
                },
            };
        }
    }

    /// One vote, as a task of its own.
    fn vote_call(&self, round: u32, store: StoreId, vote: Vote) -> impl Future<Output = Answered> + Send + 'static {
        let local = (store == self.store).then(|| self.keeper.clone());
        let remote = self.remote(store, &vote);
        async move {
            let answer = match local {
                Some(keeper) => crate::membership::vote_in(&keeper, vote).await.map_err(closed),
                None => remote.call(vote).await,
            };
            (round, store, answer)
        }
    }

    /// Asks a voter that is not this daemon.
    async fn ask(&self, store: StoreId, vote: Vote) -> Result<VoteAnswer, CallError> {
        self.remote(store, &vote).call(vote).await
    }

    fn remote(&self, store: StoreId, vote: &Vote) -> Remote {
        let records: Vec<&LayoutRecord> = match vote {
            Message::Query => Vec::new(),
            Message::Prepare { base, .. } => vec![&base.content],
            Message::Accept { base, record, .. } => vec![&record.content, &base.content],
            Message::Learn { chosen } => vec![&chosen.content],
        };
        let known = self.chosen();
        let records: Vec<&LayoutRecord> =
            records.into_iter().chain(known.iter().map(|known| &*known.content)).collect();
        let client = self.address_of(store, &records).map(|address| self.channels.client(&address));
        Remote { store, client }
    }
}

/// A voter elsewhere, if its address is known.
struct Remote {
    store: StoreId,
    client: Option<crate::peers::Client>,
}

impl Remote {
    async fn call(self, vote: Vote) -> Result<VoteAnswer, CallError> {
        let store = self.store;
        let mut client =
            self.client.ok_or_else(|| CallError::Unreachable(format!("no address of {store} is known")))?;
        let answered = timeout(VOTE_TIMEOUT, client.vote(encode_vote(store, &vote))).await;
        let answer = answered.map_err(|_| CallError::Deadline)??.into_inner();
        // A0: a quorum counts stores, so an answer must come from the one that was asked.
        let actual = StoreId::try_from(answer.store_id.as_ref()).map_err(invalid)?;
        if actual != store {
            return Err(CallError::WrongStore { actual });
        }
        decode_answer(answer).map_err(invalid)
    }
}

pub(crate) fn closed(error: crate::keeper::Closed) -> CallError {
    CallError::Unavailable(error.to_string())
}

pub(crate) fn no_record() -> CallError {
    CallError::Unavailable("this daemon has not heard of its cluster yet".to_owned())
}

fn no_majority(view: &Record) -> CallError {
    let names: Vec<&str> = view.content.voters.iter().map(|voter| voter.name.as_str()).collect();
    let number = view.number;
    CallError::Unavailable(format!("no majority of the voters of record {number} ({}) answers", names.join(", ")))
}
