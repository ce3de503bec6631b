//! A walk, told for the reader of a failure.

use cairn_register::{Message, Proposal, Reply, Row, Verdict};
use cairn_types::Ballot;

use crate::op::{GATE, V, Wire};
use crate::step::Step;
use crate::world::{Setup, World};

/// Takes the steps from `world` again, and tells them.
pub(crate) fn tell(setup: &Setup, mut world: World, steps: &[Step]) -> String {
    let mut story = format!("{setup:?}\n");
    for step in steps {
        let what = line(&world, *step);
        let before: Vec<_> = world.ops.iter().map(|op| op.status).collect();
        let announced = world.announced;
        world.apply(setup, *step);
        world.prune(setup);
        story += &what;
        if world.announced != announced {
            story += &format!(": epoch {}", world.announced + 1);
        }
        for (at, op) in world.ops.iter().enumerate().filter(|(at, op)| op.status != before[*at]) {
            story += &format!("\n    => op{at} {:?}: {:?}", setup.program[at].kind, op.status);
        }
        story.push('\n');
    }
    story
}

fn line(world: &World, step: Step) -> String {
    match step {
        Step::Deliver { packet, store, lost, keep } => {
            let packet = &world.net[usize::from(packet)];
            let (lost, keep) = (if lost { ", reply lost" } else { "" }, if keep { ", kept" } else { "" });
            let gate = if packet.key == GATE { " gate" } else { "" };
            format!("op{}{gate} e{} -> r{store} {}{lost}{keep}", packet.op, packet.epoch, wire(&packet.wire))
        }
        Step::Arrive(packet) => {
            let packet = &world.net[usize::from(packet)];
            let gate = if packet.key == GATE { " gate" } else { "" };
            format!("op{}{gate} <- r{} {}", packet.op, packet.to.trailing_zeros(), wire(&packet.wire))
        }
        other => format!("{other:?}"),
    }
}

fn ballot(ballot: Ballot) -> String {
    if ballot.is_zero() {
        return "-".into();
    }
    format!("{}:{}.{}+{}", ballot.epoch, ballot.millis(), ballot.time & 0xffff, ballot.proposer)
}

fn wire(wire: &Wire) -> String {
    match wire {
        Wire::Request(message) => request(message),
        Wire::Reply(reply) => answer(reply),
        Wire::Stale => "Stale".into(),
    }
}

fn request(message: &Message<V>) -> String {
    match message {
        Message::Query => "Query".into(),
        Message::Prepare { ballot: at } => format!("Prepare({})", ballot(*at)),
        Message::Accept { ballot: at, proposal: what, new_value } => {
            format!("Accept({}, {}{})", ballot(*at), proposal(what), if *new_value { ", new" } else { "" })
        }
        Message::WriteBack { ballot: at, proposal: what } => format!("WriteBack({}, {})", ballot(*at), proposal(what)),
        Message::Commit { ballot: at } => format!("Commit({})", ballot(*at)),
        Message::Learn { row: what } => format!("Learn({})", row(what)),
        Message::Redeliver { row: what } => format!("Redeliver({})", row(what)),
        Message::GcDrop { ballot: at } => format!("GcDrop({})", ballot(*at)),
    }
}

fn proposal(proposal: &Proposal<V>) -> String {
    let Proposal { root, root_is_floor, blind, value, lineage, .. } = proposal;
    let lineage: Vec<_> = lineage.iter().map(|op| (op.0[0].wrapping_sub(1), op.0[1])).collect();
    let (floor, blind) = (if *root_is_floor { " floor" } else { "" }, if *blind { " blind" } else { "" });
    format!("{value:?} root {}{floor}{blind} of {lineage:?}", ballot(*root))
}

fn row(row: &Row<V>) -> String {
    let Row { accepted, root, value, committed, lo, .. } = row;
    let committed = if *committed { " committed" } else { "" };
    format!("{value:?}@{} root {} lo {}{committed}", ballot(*accepted), ballot(*root), ballot(*lo))
}

fn answer(reply: &Reply<V>) -> String {
    let Reply { verdict, promised, floor, joined, gate, row: held, .. } = reply;
    let held = held.as_ref().map_or_else(String::new, |held| format!(", {}", row(held)));
    let verdict = match verdict {
        Verdict::Ack => "ack",
        Verdict::Absorbed => "absorbed",
        Verdict::Nack => "nack",
        Verdict::ClockSkew => "clock skew",
        Verdict::Sealed => "sealed",
        Verdict::NotHere => "not here",
    };
    format!("{verdict} p {} f {} j {} {gate:?}{held}", ballot(*promised), ballot(*floor), ballot(*joined))
}
