//! A layout: who holds which partition of each ring (DESIGN §3).

use cairn_types::{NodeName, PartitionId, StoreId, ZoneName};

/// The two rings; each has its own members and assignment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RingKind {
    Table,
    Block,
}

/// A storage node's place in a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub name: NodeName,
    pub store: StoreId,
    pub zone: ZoneName,
    /// Weight in the ring, in bytes.
    pub capacity_bytes: u64,
    pub tags: Vec<String>,
}

/// Why a ring is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error(
        "a ring of 2^{bits} partitions with {replication} replicas needs {expected} assignment entries, not {actual}"
    )]
    AssignmentLength { bits: u8, replication: u8, expected: usize, actual: usize },
    #[error("partition {partition} names member {index}, but there are {members}")]
    NoSuchMember { partition: u16, index: u16, members: usize },
    #[error("partition {0} names one member twice")]
    Repeated(u16),
    #[error("partition bits must be at most 16, not {0}")]
    PartitionBits(u8),
}

/// One ring: its members and, for each partition, the R of them that hold it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ring {
    replication: u8,
    zone_redundancy: u8,
    partition_bits: u8,
    members: Vec<Member>,
    /// `replication` member indices a partition, partitions in order.
    assignment: Vec<u16>,
}

impl Ring {
    /// Checks the parts and puts them together.
    pub fn new(
        replication: u8,
        zone_redundancy: u8,
        partition_bits: u8,
        members: Vec<Member>,
        assignment: Vec<u16>,
    ) -> Result<Self, LayoutError> {
        if partition_bits > 16 {
            return Err(LayoutError::PartitionBits(partition_bits));
        }
        let expected = (1_usize << partition_bits) * usize::from(replication);
        if assignment.len() != expected {
            let actual = assignment.len();
            return Err(LayoutError::AssignmentLength { bits: partition_bits, replication, expected, actual });
        }
        for (partition, replicas) in (0_u16..).zip(assignment.chunks(usize::from(replication.max(1)))) {
            for (at, index) in replicas.iter().enumerate() {
                if usize::from(*index) >= members.len() {
                    return Err(LayoutError::NoSuchMember { partition, index: *index, members: members.len() });
                }
                if replicas[..at].contains(index) {
                    return Err(LayoutError::Repeated(partition));
                }
            }
        }
        Ok(Self { replication, zone_redundancy, partition_bits, members, assignment })
    }

    #[must_use]
    pub const fn replication(&self) -> u8 {
        self.replication
    }

    #[must_use]
    pub const fn zone_redundancy(&self) -> u8 {
        self.zone_redundancy
    }

    #[must_use]
    pub const fn partition_bits(&self) -> u8 {
        self.partition_bits
    }

    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    #[must_use]
    pub fn assignment(&self) -> &[u16] {
        &self.assignment
    }

    /// The members that hold `partition`, `replication` of them; none for a partition that does not exist.
    pub fn replicas(&self, partition: PartitionId) -> impl Iterator<Item = &Member> {
        let width = usize::from(self.replication);
        let at = usize::from(partition.0) * width;
        self.assignment.get(at..at + width).unwrap_or_default().iter().map(|index| &self.members[usize::from(*index)])
    }

    /// Partitions of the ring, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        (0..=u16::MAX).take(1 << self.partition_bits).map(PartitionId)
    }

    /// For each member, the number of partitions it holds.
    #[must_use]
    pub fn loads(&self) -> Vec<u64> {
        let mut loads = vec![0; self.members.len()];
        for member in &self.assignment {
            loads[usize::from(*member)] += 1;
        }
        loads
    }

    /// How large a partition can become before its smallest holder, capacity taken by load, is full.
    #[must_use]
    pub fn partition_capacity_bytes(&self) -> u64 {
        let shares = self.members.iter().zip(self.loads()).filter(|(_, load)| *load > 0);
        shares.map(|(member, load)| member.capacity_bytes / load).min().unwrap_or(0)
    }

    /// The partitions that `store` holds, in order.
    pub fn held_by(&self, store: StoreId) -> impl Iterator<Item = PartitionId> {
        self.partitions().filter(move |partition| self.replicas(*partition).any(|member| member.store == store))
    }

    /// The replicas that are here and not in `previous`: what has to be copied.
    pub fn copies<'a>(&'a self, previous: Option<&'a Ring>) -> impl Iterator<Item = (PartitionId, &'a Member)> {
        let held = move |partition, store| {
            previous.is_some_and(|ring| ring.replicas(partition).any(|member| member.store == store))
        };
        self.partitions()
            .flat_map(|partition| self.replicas(partition).map(move |member| (partition, member)))
            .filter(move |(partition, member)| !held(*partition, member.store))
    }

    /// Whether both rings send every key to the same stores: then going from one to the other moves nothing.
    #[must_use]
    pub fn places_as(&self, other: &Ring) -> bool {
        let stores = |ring: &Ring, partition| {
            let mut stores: Vec<StoreId> = ring.replicas(partition).map(|member| member.store).collect();
            stores.sort_unstable();
            stores
        };
        self.partition_bits == other.partition_bits
            && self.partitions().all(|partition| stores(self, partition) == stores(other, partition))
    }
}

/// Both rings, as one layout record names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    pub version: u32,
    pub table: Ring,
    pub block: Ring,
}

impl Layout {
    #[must_use]
    pub const fn ring(&self, kind: RingKind) -> &Ring {
        match kind {
            RingKind::Table => &self.table,
            RingKind::Block => &self.block,
        }
    }
}
