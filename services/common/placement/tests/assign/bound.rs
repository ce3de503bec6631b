//! What no assignment can exceed, found without the code under test.

use std::collections::{BTreeMap, VecDeque};

use cairn_placement::{Ring, RingRequest};
use cairn_types::{PartitionId, StoreId};

/// The largest partition size, in bytes, that some assignment has room for: binary search over a maximum flow.
pub(crate) fn partition_capacity(request: &RingRequest) -> u64 {
    let (mut fits, mut too_large) = (0, request.members.iter().map(|member| member.capacity_bytes).max().unwrap() + 1);
    while fits + 1 < too_large {
        let size = u64::midpoint(fits, too_large);
        if carries(request, size) { fits = size } else { too_large = size }
    }
    fits
}

/// Whether partitions of `size` bytes can all be placed.
fn carries(request: &RingRequest, size: u64) -> bool {
    let room: Vec<i64> =
        request.members.iter().map(|member| i64::try_from(member.capacity_bytes / size).unwrap()).collect();
    let (replicas, _) = network(request, &room, |_, _| 0).run();
    replicas == usize::from(request.replication) << request.partition_bits
}

/// The fewest replicas that any assignment with the loads of `next` copies, coming from `previous`.
pub(crate) fn fewest_copies(request: &RingRequest, previous: &Ring, next: &Ring) -> i64 {
    let loads: BTreeMap<StoreId, u64> = next.members().iter().map(|member| member.store).zip(next.loads()).collect();
    let room: Vec<i64> = request.members.iter().map(|member| i64::try_from(loads[&member.store]).unwrap()).collect();
    let held = |partition: u16, member: usize| {
        let store = request.members[member].store;
        previous.replicas(PartitionId(partition)).any(|replica| replica.store == store)
    };
    let (_, copies) = network(request, &room, |partition, member| i64::from(!held(partition, member))).run();
    copies
}

/// Source -> partition (shares that must and need not lie in distinct zones) -> zone of the partition -> member, at
/// `cost` -> sink.
fn network(request: &RingRequest, room: &[i64], cost: impl Fn(u16, usize) -> i64) -> Flow {
    let partitions = 1_u16 << request.partition_bits;
    let mut zones = BTreeMap::new();
    for member in &request.members {
        let number = zones.len();
        zones.entry(member.zone.clone()).or_insert(number);
    }
    let width = 2 + zones.len();
    let member_at = |member: usize| 2 + usize::from(partitions) * width + member;
    let mut flow = Flow(vec![BTreeMap::new(); member_at(request.members.len())]);
    for (number, room) in room.iter().enumerate() {
        flow.add(member_at(number), 1, *room, 0);
    }
    let (distinct, spare) = (request.zone_redundancy, request.replication - request.zone_redundancy);
    for partition in 0..partitions {
        let at = 2 + usize::from(partition) * width;
        flow.add(0, at, i64::from(distinct), 0);
        flow.add(0, at + 1, i64::from(spare), 0);
        for zone in zones.values() {
            flow.add(at, at + 2 + zone, 1, 0);
            flow.add(at + 1, at + 2 + zone, i64::from(spare), 0);
        }
        for (number, member) in request.members.iter().enumerate() {
            flow.add(at + 2 + zones[&member.zone], member_at(number), 1, cost(partition, number));
        }
    }
    flow
}

/// For each vertex, the room and cost of its arcs. Flow goes from vertex 0 to vertex 1.
struct Flow(Vec<BTreeMap<usize, (i64, i64)>>);

impl Flow {
    fn add(&mut self, from: usize, to: usize, room: i64, cost: i64) {
        self.0[from].insert(to, (room, cost));
        self.0[to].insert(from, (0, -cost));
    }

    /// One unit at a time along a cheapest path; answers units and cost.
    fn run(mut self) -> (usize, i64) {
        let (mut units, mut total) = (0, 0);
        while let Some((before, cost)) = self.path() {
            let mut at = 1;
            while at != 0 {
                let from = before[at];
                self.0[from].get_mut(&at).unwrap().0 -= 1;
                self.0[at].get_mut(&from).unwrap().0 += 1;
                at = from;
            }
            units += 1;
            total += cost;
        }
        (units, total)
    }

    /// Bellman and Ford, with a queue.
    fn path(&self) -> Option<(Vec<usize>, i64)> {
        let mut before = vec![usize::MAX; self.0.len()];
        let mut costs = vec![i64::MAX; self.0.len()];
        let mut queue = VecDeque::from([0]);
        costs[0] = 0;
        while let Some(at) = queue.pop_front() {
            for (to, (room, cost)) in &self.0[at] {
                if *room > 0 && costs[at] + cost < costs[*to] {
                    costs[*to] = costs[at] + cost;
                    before[*to] = at;
                    queue.push_back(*to);
                }
            }
        }
        (costs[1] != i64::MAX).then_some((before, costs[1]))
    }
}

/// Each member's share of all replicas by capacity alone, in the order of the ring's members.
pub(crate) fn fair_shares(request: &RingRequest) -> Vec<f64> {
    let total: u64 = request.members.iter().map(|member| member.capacity_bytes).sum();
    let replicas = f64::from(1_u32 << request.partition_bits) * f64::from(request.replication);
    request.members.iter().map(|member| member.capacity_bytes as f64 / total as f64 * replicas).collect()
}

/// Whether these shares keep every rule with this part of the room it gives, so that all members fill at once.
pub(crate) fn lets_all_fill(request: &RingRequest, shares: &[f64], part: f64) -> bool {
    let partitions = f64::from(1_u32 << request.partition_bits);
    let mut zones: BTreeMap<&str, f64> = BTreeMap::new();
    for (member, share) in request.members.iter().zip(shares) {
        *zones.entry(member.zone.as_str()).or_default() += share;
    }
    let doubled: f64 = zones.values().map(|zone| (zone - partitions * part).max(0.0)).sum();
    let spare = f64::from(request.replication - request.zone_redundancy) * partitions;
    doubled <= spare * part && shares.iter().all(|share| *share <= partitions * part)
}
