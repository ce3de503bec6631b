use cairn_types::{ClusterId, NodeName, OpId, ZoneName};
use proptest::prelude::*;

use super::*;

fn name(index: u8) -> NodeName {
    format!("node-{index}").parse().unwrap()
}

fn zone(index: u8) -> ZoneName {
    format!("zone-{index}").parse().unwrap()
}

fn ring(members: u8, bits: u8) -> Ring {
    let replication = members.min(3);
    let list = (0..members).map(|index| Member {
        name: name(index),
        store: StoreId([index; 16]),
        zone: zone(index),
        capacity_bytes: 1 << 40,
        tags: vec!["ssd".to_owned()],
    });
    let assignment = (0..1_u16 << bits)
        .flat_map(|partition| (0..u16::from(replication)).map(move |at| (partition + at) % u16::from(members)));
    Ring::new(replication, replication, bits, list.collect(), assignment.collect()).unwrap()
}

pub(crate) fn view(members: u8, bits: u8, step: Step) -> ClusterView {
    let layouts = match step {
        Step::Empty => 0,
        Step::Stable => 1,
        Step::ReadOld | Step::ReadNew => 2,
    };
    let layout = |version| Arc::new(Layout { version, table: ring(members, bits), block: ring(members, bits) });
    let node = |index: u8| NodeInfo {
        store: StoreId([index; 16]),
        role: Role::Block,
        name: name(index),
        zone: zone(index),
        address: format!("127.0.0.1:{index}"),
        s3_url: String::new(),
        capacity_bytes: 7,
        tags: Vec::new(),
        status: NodeStatus { bytes_used: 1, bytes_free: 2, has_data: true, epoch: Epoch(3), ready: true },
        alive: true,
        last_heard_ms: 4,
        placed: true,
    };
    ClusterView {
        cluster: ClusterId([9; 16]),
        record: LayoutRecord {
            number: 4,
            epoch: Epoch(3),
            step,
            layouts: (1..=layouts).map(layout).collect(),
            voters: vec![Voter { store: StoreId([1; 16]), name: name(1), zone: zone(1), address: "a:1".to_owned() }],
            op: OpId([5; 16]),
        },
        nodes: (0..members).map(|index| (StoreId([index; 16]), node(index))).collect::<BTreeMap<_, _>>(),
        revision: 11,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn views_round_trip(members in 1..9_u8, bits in 0..8_u8, step in prop::sample::select(vec![
        Step::Empty, Step::Stable, Step::ReadOld, Step::ReadNew,
    ])) {
        let view = view(members, bits, step);
        prop_assert_eq!(decode_view_bytes(encode_view_bytes(&view)), Ok(view));
    }

    #[test]
    fn damaged_views_are_refused(at in 0..4000_usize, byte in any::<u8>()) {
        let view = view(3, 4, Step::Stable);
        let mut bytes = encode_view_bytes(&view).to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = decode_view_bytes(bytes.into()) {
            for layout in &read.record.layouts {
                prop_assert!(layout.table.assignment().iter().all(|index| usize::from(*index) < layout.table.members().len()));
            }
        }
    }
}

#[test]
fn layouts_must_fit_their_step() {
    let mut record = encode_record(&view(3, 4, Step::ReadNew).record);
    record.layouts.pop();
    assert!(matches!(decode_record(record), Err(WireError::Malformed { .. })));
    let mut twins = encode_view(&view(3, 4, Step::Stable));
    twins.nodes.push(twins.nodes[0].clone());
    assert!(matches!(decode_view(twins), Err(WireError::Malformed { .. })));
}
