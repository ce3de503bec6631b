//! Who votes on layout records after the change (DESIGN §3).

use std::collections::BTreeSet;

use cairn_placement::{Role, Voter};
use cairn_types::ZoneName;

use super::{PlanError, Situation};
use crate::nodes::NodeRecord;
use crate::staged::Change;

/// The voters an operator staged; else those in force, grown to 3 and then 5 as daemons in distinct zones are there.
pub(super) fn after(situation: &Situation<'_>) -> Result<Vec<Voter>, PlanError> {
    let staged = situation.staged.iter().find_map(|change| match change {
        Change::Voters { names } => Some(names),
        Change::Set { .. } | Change::Remove { .. } | Change::Replication { .. } => None,
    });
    let Some(names) = staged else { return Ok(grown(situation)) };
    let mut voters: Vec<Voter> = names
        .iter()
        .map(|name| {
            let record = situation.nodes.named(name, Role::Membership, situation.now);
            record.map(voter).ok_or_else(|| PlanError::UnknownVoter(name.clone()))
        })
        .collect::<Result<_, _>>()?;
    // Who stays keeps its entry, so that naming the same voters again changes nothing.
    for voter in &mut voters {
        if let Some(same) = situation.record.voters.iter().find(|same| same.store == voter.store) {
            *voter = same.clone();
        }
    }
    voters.sort_by_key(|voter| voter.store);
    Ok(voters)
}

fn voter(record: &NodeRecord) -> Voter {
    let info = &record.info;
    Voter { store: info.store, name: info.name.clone(), zone: info.zone.clone(), address: info.address.clone() }
}

/// Five where five living daemons stand in five zones, else three where there are three, else as now; never fewer.
fn grown(situation: &Situation<'_>) -> Vec<Voter> {
    let mut voters = situation.record.voters.clone();
    let alive = |record: &&NodeRecord| {
        record.info.role == Role::Membership && situation.nodes.is_alive(record.info.store, situation.now)
    };
    let mut candidates: Vec<Voter> = situation.nodes.iter().filter(alive).map(voter).collect();
    candidates.retain(|candidate| voters.iter().all(|voter| voter.store != candidate.store));
    let all = || voters.iter().chain(&candidates);
    let zones: BTreeSet<&ZoneName> = all().map(|voter| &voter.zone).collect();
    let target = match all().count() {
        5.. if zones.len() >= 5 => 5,
        3.. => 3,
        _ => return voters,
    };
    if voters.len() >= target {
        return voters;
    }
    candidates.sort_by(|one, other| (&one.name, one.store).cmp(&(&other.name, other.store)));
    while voters.len() < target {
        let new_zone = candidates.iter().position(|one| voters.iter().all(|voter| voter.zone != one.zone));
        voters.push(candidates.remove(new_zone.unwrap_or(0)));
    }
    voters.sort_by_key(|voter| voter.store);
    voters
}
