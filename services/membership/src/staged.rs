//! Changes of the layout that wait to be applied.
//!
//! The list is one last-writer-wins value, merged between membership daemons: an operator may stage at one and apply at
//! another. Nothing but `apply` acts on it, and that goes through the register.

use cairn_proto::membership::v1;
use cairn_types::{NameError, NodeName, ZoneName};

/// Changes that may be staged at once.
const MAX_CHANGES: usize = 1000;
/// Tags of one node, and characters of one.
const MAX_TAGS: usize = cairn_model::view::MAX_TAGS;
const MAX_TAG: usize = cairn_model::view::MAX_TEXT;

/// One staged change.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Change {
    /// Places a node, or changes what is said of it; none: as the node says.
    Set {
        name: NodeName,
        zone: Option<ZoneName>,
        capacity_bytes: Option<u64>,
        tags: Vec<String>,
    },
    Remove {
        name: NodeName,
    },
    /// Zones none: as many as there are, up to the replication.
    Replication {
        replication: u8,
        zone_redundancy: Option<u8>,
    },
    Voters {
        names: Vec<NodeName>,
    },
}

/// Why a change is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("a change must say what to change")]
    Nothing,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("replication must be 1, 3, 5 or 7, not {0}: an even number stops when half of the replicas do")]
    Replication(u32),
    #[error("zone redundancy must be between 1 and the replication, not {0}")]
    ZoneRedundancy(u32),
    #[error("there must be 1, 3 or 5 voters, all different, not {0}")]
    Voters(usize),
    #[error("a node has at most {MAX_TAGS} tags of at most {MAX_TAG} characters")]
    Tags,
    #[error("at most {MAX_CHANGES} changes can be staged at once")]
    TooMany,
}

impl Change {
    pub(crate) fn decode(wire: v1::LayoutChange) -> Result<Self, ChangeError> {
        use v1::layout_change::Change as Wire;
        match wire.change.ok_or(ChangeError::Nothing)? {
            Wire::Set(v1::SetNode { name, zone, capacity_bytes, tags }) => {
                if tags.len() > MAX_TAGS || tags.iter().any(|tag| tag.len() > MAX_TAG) {
                    return Err(ChangeError::Tags);
                }
                let zone = if zone.is_empty() { None } else { Some(zone.parse()?) };
                let capacity_bytes = (capacity_bytes > 0).then_some(capacity_bytes);
                Ok(Change::Set { name: name.parse()?, zone, capacity_bytes, tags })
            }
            Wire::Remove(v1::RemoveNode { name }) => Ok(Change::Remove { name: name.parse()? }),
            Wire::Replication(v1::SetReplication { replication, zone_redundancy }) => {
                let number = u8::try_from(replication).ok().filter(|number| [1, 3, 5, 7].contains(number));
                let number = number.ok_or(ChangeError::Replication(replication))?;
                let zones = u8::try_from(zone_redundancy).ok().filter(|zones| *zones <= number);
                let zones = zones.ok_or(ChangeError::ZoneRedundancy(zone_redundancy))?;
                Ok(Change::Replication { replication: number, zone_redundancy: (zones > 0).then_some(zones) })
            }
            Wire::Voters(v1::SetVoters { names }) => {
                let mut names: Vec<NodeName> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
                let count = names.len();
                names.sort();
                names.dedup();
                let all_different = names.len() == count;
                (all_different && [1, 3, 5].contains(&count))
                    .then_some(Change::Voters { names })
                    .ok_or(ChangeError::Voters(count))
            }
        }
    }

    pub(crate) fn encode(&self) -> v1::LayoutChange {
        use v1::layout_change::Change as Wire;
        let change = match self {
            Change::Set { name, zone, capacity_bytes, tags } => Wire::Set(v1::SetNode {
                name: name.to_string(),
                zone: zone.as_ref().map(ToString::to_string).unwrap_or_default(),
                capacity_bytes: capacity_bytes.unwrap_or_default(),
                tags: tags.clone(),
            }),
            Change::Remove { name } => Wire::Remove(v1::RemoveNode { name: name.to_string() }),
            Change::Replication { replication, zone_redundancy } => Wire::Replication(v1::SetReplication {
                replication: u32::from(*replication),
                zone_redundancy: zone_redundancy.map(u32::from).unwrap_or_default(),
            }),
            Change::Voters { names } => {
                Wire::Voters(v1::SetVoters { names: names.iter().map(ToString::to_string).collect() })
            }
        };
        v1::LayoutChange { change: Some(change) }
    }

    /// Whether `later` makes this one void.
    fn is_replaced_by(&self, later: &Change) -> bool {
        match (self, later) {
            (
                Change::Set { name, .. } | Change::Remove { name },
                Change::Set { name: other, .. } | Change::Remove { name: other },
            ) => name == other,
            (Change::Replication { .. }, Change::Replication { .. })
            | (Change::Voters { .. }, Change::Voters { .. }) => true,
            _ => false,
        }
    }
}

/// The list, and how often it was changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Staged {
    pub(crate) version: u64,
    pub(crate) changes: Vec<Change>,
}

impl Staged {
    pub(crate) fn decode(wire: v1::StagedLayout) -> Result<Self, ChangeError> {
        if wire.changes.len() > MAX_CHANGES {
            return Err(ChangeError::TooMany);
        }
        let changes = wire.changes.into_iter().map(Change::decode).collect::<Result<_, _>>()?;
        Ok(Self { version: wire.version, changes })
    }

    pub(crate) fn encode(&self) -> v1::StagedLayout {
        v1::StagedLayout { version: self.version, changes: self.changes.iter().map(Change::encode).collect() }
    }

    /// Adds changes; each takes the place of an earlier one of the same thing.
    pub(crate) fn add(&mut self, changes: Vec<Change>) -> Result<(), ChangeError> {
        let mut list = self.changes.clone();
        for change in changes {
            list.retain(|earlier| !earlier.is_replaced_by(&change));
            list.push(change);
        }
        if list.len() > MAX_CHANGES {
            return Err(ChangeError::TooMany);
        }
        *self = Self { version: self.version.saturating_add(1), changes: list };
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { version: self.version.saturating_add(1), changes: Vec::new() };
    }

    /// Takes in another daemon's list if it is later. Of two lists of one version the greater stays, everywhere.
    pub(crate) fn join(&mut self, other: Staged) -> bool {
        let later = other > *self;
        if later {
            *self = other;
        }
        later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, capacity: u64) -> Change {
        let capacity_bytes = (capacity > 0).then_some(capacity);
        Change::Set { name: name.parse().unwrap(), zone: None, capacity_bytes, tags: vec!["ssd".to_owned()] }
    }

    fn remove(name: &str) -> Change {
        Change::Remove { name: name.parse().unwrap() }
    }

    #[test]
    fn changes_round_trip() {
        let names = ["a", "b", "c"].map(|name| name.parse().unwrap()).to_vec();
        let all = [
            set("a", 5),
            set("b", 0),
            remove("c"),
            Change::Replication { replication: 3, zone_redundancy: Some(2) },
            Change::Replication { replication: 1, zone_redundancy: None },
            Change::Voters { names },
        ];
        for change in all {
            assert_eq!(Change::decode(change.encode()), Ok(change));
        }
    }

    #[test]
    fn impossible_changes_are_refused() {
        let replication = |replication, zone_redundancy| {
            let change = v1::layout_change::Change::Replication(v1::SetReplication { replication, zone_redundancy });
            Change::decode(v1::LayoutChange { change: Some(change) })
        };
        assert_eq!(replication(2, 0), Err(ChangeError::Replication(2)));
        assert_eq!(replication(3, 4), Err(ChangeError::ZoneRedundancy(4)));
        let voters = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Change::decode(v1::LayoutChange {
                change: Some(v1::layout_change::Change::Voters(v1::SetVoters { names })),
            })
        };
        assert_eq!(voters(&["a", "b"]), Err(ChangeError::Voters(2)));
        assert_eq!(voters(&["a", "b", "a"]), Err(ChangeError::Voters(3)));
        assert_eq!(voters(&[]), Err(ChangeError::Voters(0)));
        assert!(matches!(voters(&["a b"]), Err(ChangeError::Name(_))));
        assert_eq!(Change::decode(v1::LayoutChange { change: None }), Err(ChangeError::Nothing));
    }

    #[test]
    fn a_later_change_of_the_same_thing_replaces_an_earlier_one() {
        let mut staged = Staged::default();
        staged.add(vec![set("a", 1), set("b", 2)]).unwrap();
        staged.add(vec![remove("a"), Change::Replication { replication: 3, zone_redundancy: None }]).unwrap();
        assert_eq!(staged.version, 2);
        assert_eq!(staged.changes[..2], [set("b", 2), remove("a")]);
        assert_eq!(Staged::decode(staged.encode()), Ok(staged));
    }

    #[test]
    fn the_later_list_wins_everywhere() {
        let (mut one, mut other) = (Staged::default(), Staged::default());
        one.add(vec![set("a", 1)]).unwrap();
        other.add(vec![set("b", 1)]).unwrap();
        other.clear();
        let (first, second) = (one.clone(), other.clone());
        assert!(one.join(second.clone()));
        assert!(!other.join(first));
        assert_eq!((one, other), (second.clone(), second));
    }
}
