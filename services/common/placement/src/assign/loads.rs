//! How many replicas each member holds.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A member, as far as its load depends on it.
pub(super) struct Claim {
    /// In bytes; 0 holds nothing.
    pub capacity: u64,
    /// Members with the same number are in one zone.
    pub zone: usize,
    /// Its load in the previous ring; decides ties, so that little moves.
    pub before: u64,
}

/// What the loads together must keep to.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The sum of all loads.
    pub replicas: u64,
    /// The load of one member at most: it holds one replica of each partition.
    pub partitions: u64,
    /// Replicas, over all zones, above the first one each zone holds of a partition.
    pub doubled: u64,
}

/// The fairest loads: each replica in turn goes to the member that would then have the most capacity for each of
/// its replicas, unless the limits refuse it.
///
/// Loads within the limits are the independent sets of a polymatroid (they are what flows from partitions to
/// members can carry), so the greedy choice makes the smallest capacity per replica as large as possible, then the
/// next, and so on; and what is refused once is refused for good.
pub(super) fn loads(claims: &[Claim], limits: Limits) -> Vec<u64> {
    let mut loads = vec![0; claims.len()];
    let mut in_zone = vec![0_u64; claims.len()];
    let mut doubled = 0;
    let mut left = limits.replicas;
    let mut bids: BinaryHeap<Bid> = claims
        .iter()
        .enumerate()
        .filter(|(_, claim)| claim.capacity > 0)
        .map(|(member, claim)| Bid::new(member, claim, 0))
        .collect();
    while left > 0 {
        let Some(Bid { member, .. }) = bids.pop() else { break };
        let claim = &claims[member];
        let zone_is_full = in_zone[claim.zone] >= limits.partitions;
        if loads[member] == limits.partitions || (zone_is_full && doubled == limits.doubled) {
            continue;
        }
        doubled += u64::from(zone_is_full);
        in_zone[claim.zone] += 1;
        loads[member] += 1;
        left -= 1;
        bids.push(Bid::new(member, claim, loads[member]));
    }
    loads
}

/// An offer to take one more replica; the greatest has the most capacity for each replica it would then hold.
struct Bid {
    member: usize,
    capacity: u64,
    /// Its load with this replica.
    load: u64,
    /// It held as many before.
    held: bool,
}

impl Bid {
    const fn new(member: usize, claim: &Claim, load: u64) -> Self {
        Self { member, capacity: claim.capacity, load: load + 1, held: load < claim.before }
    }
}

impl Ord for Bid {
    fn cmp(&self, other: &Self) -> Ordering {
        let mine = u128::from(self.capacity) * u128::from(other.load);
        let theirs = u128::from(other.capacity) * u128::from(self.load);
        mine.cmp(&theirs).then(self.held.cmp(&other.held)).then(other.member.cmp(&self.member))
    }
}

impl PartialOrd for Bid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bid {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Bid {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(members: &[(u64, usize)], replication: u64, redundancy: u64, expected: &[u64]) {
        let claims: Vec<Claim> =
            members.iter().map(|(capacity, zone)| Claim { capacity: *capacity, zone: *zone, before: 0 }).collect();
        let limits = Limits { replicas: 12 * replication, partitions: 12, doubled: 12 * (replication - redundancy) };
        assert_eq!(loads(&claims, limits), expected);
    }

    #[test]
    fn loads_follow_capacity() {
        check(&[(10, 0), (20, 0), (30, 0)], 1, 1, &[2, 4, 6]);
    }

    #[test]
    fn one_member_holds_a_partition_once() {
        check(&[(10, 0), (1_000, 1), (10, 2)], 2, 2, &[6, 12, 6]);
    }

    #[test]
    fn zones_bound_loads() {
        check(&[(10, 0), (10, 0), (10, 1), (10, 2)], 3, 3, &[6, 6, 12, 12]);
        check(&[(10, 0), (10, 0), (10, 0), (10, 1)], 2, 1, &[6, 6, 6, 6]);
    }

    #[test]
    fn members_without_capacity_hold_nothing() {
        check(&[(0, 0), (5, 1)], 1, 1, &[0, 12]);
    }
}
