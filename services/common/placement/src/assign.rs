//! Which members hold which partitions: a pure, deterministic function of a request and the ring it replaces.
//!
//! Two steps. [`loads`] says how many replicas each member holds: the loads that give every replica the largest
//! possible share of its member's capacity. A minimum-cost flow then finds an assignment with exactly these
//! loads that copies the fewest replicas.
//!
//! - **P1** Every partition has `replication` replicas on distinct members (test `replicas_are_distinct`).
//! - **P2** They span at least `zone_redundancy` zones (test `zones_are_distinct`).
//! - **P3** No assignment that keeps P1 and P2 has a larger usable capacity (test `usable_capacity_is_the_bound`).
//! - **P4** No assignment with these loads copies fewer replicas (tests `nothing_could_move_less`,
//!   `joining_moves_little`, `leaving_moves_little`).
//! - **P5** The order in which members are named changes nothing (test `order_of_members_does_not_matter`).

mod flow;
mod loads;

use std::collections::{BTreeMap, BTreeSet};

use cairn_types::{NodeName, PartitionId, StoreId, ZoneName};

use crate::{LayoutError, Member, Ring};
use flow::{Arc, Network, Vertex};

/// What a ring should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingRequest {
    /// Replicas of each partition.
    pub replication: u8,
    /// Distinct zones each partition spans; at most `replication`.
    pub zone_redundancy: u8,
    /// The ring has 2^`partition_bits` partitions; at most 16.
    pub partition_bits: u8,
    /// In any order. One whose capacity is 0 holds nothing.
    pub members: Vec<Member>,
}

/// Why there is no such ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    #[error("a ring has at least one replica and one zone, and at most as many zones as replicas")]
    Replication,
    #[error("{replication} replicas need {replication} nodes with capacity; there are {nodes}")]
    TooFewNodes { replication: u8, nodes: usize },
    #[error("replicas in {redundancy} zones need nodes with capacity in as many; there are {zones}")]
    TooFewZones { redundancy: u8, zones: usize },
    #[error("two nodes are named {0}")]
    RepeatedName(NodeName),
    #[error("two nodes have the store id {0}")]
    RepeatedStore(StoreId),
    #[error("a ring has at most {max} members, not {0}", max = u16::MAX)]
    TooManyMembers(usize),
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Places the partitions of a ring, moving as little as possible from `previous`.
///
/// Members are recognised by their store ids: a new store under an old name starts empty. A previous ring with
/// another number of partitions counts as none. Takes well under a second for 100 members and 1,024 partitions.
pub fn assign(request: &RingRequest, previous: Option<&Ring>) -> Result<Ring, AssignError> {
    let problem = Problem::new(request, previous)?;
    let loads = loads::loads(&problem.claims(), problem.limits());
    let assignment = problem.place(&loads);
    let bits = request.partition_bits;
    Ok(Ring::new(request.replication, request.zone_redundancy, bits, problem.members, assignment)?)
}

/// A checked request, its members sorted by name and numbered.
struct Problem {
    members: Vec<Member>,
    /// For each member, the number of its zone.
    zone_of: Vec<usize>,
    /// For each zone, its members that can hold something.
    zones: Vec<Vec<usize>>,
    /// For each partition, the members that hold it in the previous ring.
    held: Vec<BTreeSet<usize>>,
    replication: u8,
    zone_redundancy: u8,
}

impl Problem {
    fn new(request: &RingRequest, previous: Option<&Ring>) -> Result<Self, AssignError> {
        let RingRequest { replication, zone_redundancy, partition_bits, ref members } = *request;
        if zone_redundancy == 0 || zone_redundancy > replication {
            return Err(AssignError::Replication);
        }
        if partition_bits > 16 {
            return Err(LayoutError::PartitionBits(partition_bits).into());
        }
        let members = sorted(members)?;
        let (zone_of, zones) = number_zones(&members);
        let nodes = zones.iter().map(Vec::len).sum();
        if nodes < usize::from(replication) {
            return Err(AssignError::TooFewNodes { replication, nodes });
        }
        if zones.len() < usize::from(zone_redundancy) {
            return Err(AssignError::TooFewZones { redundancy: zone_redundancy, zones: zones.len() });
        }
        let previous = previous.filter(|ring| ring.partition_bits() == partition_bits);
        let held = held_before(&members, 1 << partition_bits, previous);
        Ok(Self { members, zone_of, zones, held, replication, zone_redundancy })
    }

    fn limits(&self) -> loads::Limits {
        let partitions = self.held.len() as u64;
        loads::Limits {
            replicas: partitions * u64::from(self.replication),
            partitions,
            doubled: partitions * u64::from(self.replication - self.zone_redundancy),
        }
    }

    fn claims(&self) -> Vec<loads::Claim> {
        let mut before = vec![0; self.members.len()];
        for member in self.held.iter().flatten() {
            before[*member] += 1;
        }
        let claim = |index: usize| loads::Claim {
            capacity: self.members[index].capacity_bytes,
            zone: self.zone_of[index],
            before: before[index],
        };
        (0..self.members.len()).map(claim).collect()
    }

    /// The assignment with these loads that keeps the most of what is held already.
    ///
    /// For each partition `first` gives replicas to distinct zones, `second` gives the rest to any. Each arc into a
    /// member costs 1 where the replica would be a copy.
    fn place(&self, loads: &[u64]) -> Vec<u16> {
        let mut network = Network::default();
        let (source, sink) = (network.vertex(), network.vertex());
        let members: Vec<Vertex> = loads
            .iter()
            .map(|load| {
                let vertex = network.vertex();
                network.arc(vertex, sink, u32::try_from(*load).unwrap_or(u32::MAX), 0);
                vertex
            })
            .collect();
        let arcs: Vec<Vec<(usize, Arc)>> =
            (0..self.held.len()).map(|p| self.add_partition(p, &mut network, source, &members, loads)).collect();
        network.run(source, sink);
        arcs.iter().enumerate().flat_map(|(p, arcs)| self.replicas(p, arcs, &network)).collect()
    }

    /// Adds one partition to the network; answers its arcs into members.
    fn add_partition(
        &self,
        partition: usize,
        network: &mut Network,
        source: Vertex,
        members: &[Vertex],
        loads: &[u64],
    ) -> Vec<(usize, Arc)> {
        let redundancy = usize::from(self.zone_redundancy);
        let weight = |zone: &[usize]| zone.iter().map(|member| loads[*member]).sum();
        let (first, second) = (network.vertex(), network.vertex());
        network.arc(source, first, u32::from(self.zone_redundancy), 0);
        network.arc(source, second, u32::from(self.replication - self.zone_redundancy), 0);
        let mut zones: Vec<(Vertex, &Vec<usize>)> = self.zones.iter().map(|zone| (network.vertex(), zone)).collect();
        zones.sort_by_cached_key(|(_, zone)| self.rank(partition, zone[0], weight(zone)));
        for (zone, _) in &zones {
            network.arc(first, *zone, 1, 0);
        }
        // Zones that have no replica yet come first, then second replicas in each zone, and so on.
        for nth in 0..usize::from(self.replication - self.zone_redundancy) {
            let order = zones[redundancy..].iter().chain(&zones[..redundancy]);
            for (zone, _) in order.filter(|(_, members)| members.len() > nth) {
                network.arc(second, *zone, 1, 0);
            }
        }
        let mut arcs = Vec::new();
        for (zone, inside) in zones {
            let mut inside = inside.clone();
            inside.sort_by_cached_key(|member| self.rank(partition, *member, loads[*member]));
            for member in inside {
                let cost = u8::from(!self.held[partition].contains(&member));
                arcs.push((member, network.arc(zone, members[member], 1, cost)));
            }
        }
        arcs
    }

    /// The members a partition's flow went to, in an order that makes each member first about equally often.
    fn replicas(&self, partition: usize, arcs: &[(usize, Arc)], network: &Network) -> Vec<u16> {
        let mut replicas: Vec<usize> =
            arcs.iter().filter(|(_, arc)| network.is_used(*arc)).map(|(member, _)| *member).collect();
        replicas.sort_by_cached_key(|member| self.rank(partition, *member, 1));
        replicas.into_iter().filter_map(|member| u16::try_from(member).ok()).collect()
    }

    /// Draws an order of members anew for each partition, in which one of twice the weight is twice as often first
    /// (Efraimidis, Spirakis 2006: the least -log(u) / weight). So every member shares partitions with many others,
    /// the loss of one is made good by all, and the flow finds nearly the right loads at its first try.
    fn rank(&self, partition: usize, member: usize, weight: u64) -> u128 {
        let [low, high] = [0, 8].map(|at| {
            let mut half = [0; 8];
            half.copy_from_slice(&self.members[member].store.as_bytes()[at..at + 8]);
            u64::from_be_bytes(half)
        });
        let drawn = mix(low ^ mix(high ^ mix(partition as u64)));
        (u128::from(minus_log2(drawn)) << 32) / u128::from(weight.max(1))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): spreads every input bit over all output bits.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// -log2(`value` / 2^64) in units of 2^-32, straight between powers of two: the same on every machine, unlike a float.
const fn minus_log2(value: u64) -> u64 {
    let zeros = value.leading_zeros() as u64;
    let below_the_top_bit = if zeros < 63 { (value << (zeros + 1)) >> 32 } else { 0 };
    ((zeros + 1) << 32) - below_the_top_bit
}

fn sorted(members: &[Member]) -> Result<Vec<Member>, AssignError> {
    if members.len() > usize::from(u16::MAX) {
        return Err(AssignError::TooManyMembers(members.len()));
    }
    let mut members = members.to_vec();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = members.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(AssignError::RepeatedName(pair[0].name.clone()));
    }
    let mut stores = BTreeSet::new();
    match members.iter().find(|member| !stores.insert(member.store)) {
        Some(member) => Err(AssignError::RepeatedStore(member.store)),
        None => Ok(members),
    }
}

/// The zone of each member, and the members of each zone that have capacity.
fn number_zones(members: &[Member]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut by_name: BTreeMap<&ZoneName, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate().filter(|(_, member)| member.capacity_bytes > 0) {
        by_name.entry(&member.zone).or_default().push(index);
    }
    let mut zone_of = vec![usize::MAX; members.len()];
    let zones: Vec<Vec<usize>> = by_name.into_values().collect();
    for (zone, inside) in zones.iter().enumerate() {
        for member in inside {
            zone_of[*member] = zone;
        }
    }
    (zone_of, zones)
}

fn held_before(members: &[Member], partitions: usize, previous: Option<&Ring>) -> Vec<BTreeSet<usize>> {
    let by_store: BTreeMap<StoreId, usize> =
        members.iter().enumerate().map(|(index, member)| (member.store, index)).collect();
    let mut held = vec![BTreeSet::new(); partitions];
    let Some(previous) = previous else { return held };
    for (partition, held) in (0..=u16::MAX).zip(&mut held) {
        let replicas = previous.replicas(PartitionId(partition));
        held.extend(replicas.filter_map(|member| by_store.get(&member.store)));
    }
    held
}
