//! Listings: against a model, on replicas that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cairn_quorum::{Cluster, ListRequest, Listing, Op};
use cairn_register::Row;
use cairn_testkit::linear::{Operation, Sequential, Verdict, check};
use cairn_types::{Ballot, OpId, Table};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::network::Mode;
use crate::support::{World, get, id, key, put, value};

pub(crate) fn request(prefix: &str, delimiter: &str, limit: usize) -> ListRequest {
    ListRequest {
        table: Table::Object,
        partition_key: Bytes::from_static(b"bucket"),
        prefix: Bytes::copy_from_slice(prefix.as_bytes()),
        start: Bytes::new(),
        limit,
        delimiter: Bytes::copy_from_slice(delimiter.as_bytes()),
        with_data: false,
    }
}

/// Everything under `prefix`, page by page: keys and common prefixes in one order.
async fn list(world: &World, cluster: &Cluster, prefix: &str, delimiter: &str, limit: usize) -> Vec<String> {
    let mut request = request(prefix, delimiter, limit);
    let mut all = Vec::new();
    loop {
        let Listing { entries, prefixes, next } = cluster.list(&world.op(), request.clone()).await.unwrap();
        assert!(entries.len() + prefixes.len() <= limit);
        let names = entries.into_iter().map(|entry| entry.sort_key).chain(prefixes);
        let mut page: Vec<String> = names.map(|name| String::from_utf8(name.to_vec()).unwrap()).collect();
        page.sort_unstable();
        assert!(all.last() < page.first() || page.is_empty(), "{all:?} {page:?}");
        all.extend(page);
        match next {
            Some(next) => request.start = next,
            None => return all,
        }
    }
}

pub(crate) async fn names(world: &World, cluster: &Cluster, prefix: &str, delimiter: &str) -> Vec<String> {
    list(world, cluster, prefix, delimiter, 1000).await
}

/// What a listing of `keys` shows.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<String> {
    let fold = |key: &String| {
        let rest = key.strip_prefix(prefix)?;
        let at = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        Some(at.map_or_else(|| key.clone(), |at| key[..prefix.len() + at + delimiter.len()].to_owned()))
    };
    let names: BTreeSet<String> = keys.iter().filter_map(fold).collect();
    names.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn pages_agree_with_the_model() {
    let world = World::new(21);
    let cluster = world.process(Some(0));
    let keys: BTreeSet<String> =
        ["a", "a/", "a/1", "a/2/x", "b", "b/1", "c//", "dir/sub/1", "dir/sub/2", "dir0", "z"].map(str::to_owned).into();
    for key in &keys {
        put(&world, &cluster, key, "1").await;
    }
    for prefix in ["", "a", "a/", "dir/", "dir/sub/", "nothing"] {
        for delimiter in ["", "/", "//", "sub"] {
            for limit in [1, 2, 3, 100] {
                let listed = list(&world, &cluster, prefix, delimiter, limit).await;
                assert_eq!(listed, model(&keys, prefix, delimiter), "{prefix:?} {delimiter:?} {limit}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_listing_is_one_round() {
    let world = World::new(22);
    let cluster = world.gateway();
    for at in 0..20 {
        put(&world, &cluster, &format!("k{at:02}"), "1").await;
    }
    cluster.drain(Duration::from_secs(1)).await;
    world.network.take_calls();
    assert_eq!(names(&world, &cluster, "", "").await.len(), 20);
    assert_eq!(world.network.take_calls(), BTreeMap::from([("range", 2)]));
}

/// A row that only some replica holds.
fn row(time: u64, text: Option<&str>) -> Row<cairn_model::Envelope> {
    let accepted = Ballot { epoch: 1, time, proposer: 9 };
    let op = OpId([u8::try_from(time).unwrap(); 16]);
    Row {
        accepted,
        root: accepted,
        root_is_floor: false,
        blind: true,
        op,
        lineage: vec![op],
        value: text.map(value),
        ..Row::missing(Ballot::ZERO)
    }
}

#[tokio::test(start_paused = true)]
async fn prefixes_need_a_settled_witness() {
    // Chosen at 1 and 2 is the object; at 0 stands the tombstone of a delete that was never acknowledged.
    let world = World::new(23);
    for (at, row) in [(0, row(7, None)), (1, row(5, Some("x"))), (2, row(5, Some("x")))] {
        world.tables[at].force(key("dir/a"), row);
    }
    for down in 0..3 {
        world.network.set(world.table_store(down), Mode::Down);
        let cluster = world.gateway();
        let listed = names(&world, &cluster, "", "/").await;
        let exists = get(&world, &cluster, "dir/a").await.is_some();
        assert_eq!(!listed.is_empty(), exists, "without {down}: the listing and a read after it agree");
        world.network.set(world.table_store(down), Mode::Up);
    }
    // All keys are deleted at a majority: the prefix goes, though one replica shows a witness.
    let world = World::new(24);
    for (at, row) in [(0, row(5, Some("x"))), (1, row(7, None)), (2, row(7, None))] {
        world.tables[at].force(key("dir/a"), row);
    }
    assert_eq!(names(&world, &world.gateway(), "", "/").await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn many_tombstones_are_passed_over() {
    let world = World::new(25);
    let cluster = world.gateway();
    for at in 0..300 {
        for table in &world.tables {
            table.force(key(&format!("k{at:03}")), row(5, if at == 299 { Some("x") } else { None }));
        }
    }
    assert_eq!(list(&world, &cluster, "", "", 1).await, ["k299"]);
}

/// One operation of a random history: on which key, with whom down.
#[derive(Clone, Debug)]
struct Step {
    key: usize,
    delete: bool,
    /// Loss, in a thousand.
    loss: u32,
    down: Option<usize>,
    /// How long the writer lives.
    patience_ms: u64,
}

const KEYS: [&str; 6] = ["a", "a/1", "a/2", "b/x/y", "c/1", "d/1"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let loss = prop::sample::select(vec![0_u32, 200, 500]);
    let patience = prop::sample::select(vec![2_u64, 4, 6, 10_000]);
    let step = (0..KEYS.len(), any::<bool>(), loss, prop::option::of(0..3_usize), patience)
        .prop_map(|(key, delete, loss, down, patience_ms)| Step { key, delete, loss, down, patience_ms });
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever half-done writes left behind: acknowledged writes are listed, deleted keys are not, and reads that
    /// follow, of other replicas, take nothing back that the listing said.
    #[test]
    fn lists_agree_with_the_model(
        seed: u64,
        steps in steps(),
        absent in prop::option::of((0..3_usize, 0..3_usize)),
        limit in 1..4_usize,
        delimiter in prop::sample::select(vec!["", "/"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_list(seed, steps, absent, limit, delimiter));
    }
}

/// All keys as one object, so that a listing is one operation. Nothing runs at the same time but writes whose writers
/// gave up, which may take effect whenever somebody settles them.
struct Bucket;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Input {
    Put(&'static str),
    Delete(&'static str),
    Get(&'static str),
    /// With this delimiter.
    List(&'static str),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Output {
    Done,
    Exists(bool),
    Names(Vec<String>),
}

impl Sequential for Bucket {
    type State = BTreeSet<String>;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> Self::State {
        BTreeSet::new()
    }

    fn step(&self, state: &Self::State, input: &Input, output: Option<&Output>) -> Option<Self::State> {
        let mut after = state.clone();
        let expected = match input {
            Input::Put(key) => {
                after.insert((*key).to_owned());
                Output::Done
            }
            Input::Delete(key) => {
                after.remove(*key);
                Output::Done
            }
            Input::Get(key) => Output::Exists(state.contains(*key)),
            Input::List(delimiter) => Output::Names(model(state, "", delimiter)),
        };
        output.is_none_or(|output| *output == expected).then_some(after)
    }
}

async fn check_list(
    seed: u64,
    steps: Vec<Step>,
    absent: Option<(usize, usize)>,
    limit: usize,
    delimiter: &'static str,
) {
    let world = World::new(seed);
    let gateways = [world.gateway(), world.gateway()];
    let mut history = Vec::new();
    // Nothing but what was left open overlaps, so any rising numbers are times.
    let mut push = |input, output: Option<Output>| {
        let called = 2 * u64::try_from(history.len()).unwrap();
        history.push(Operation { called, returned: output.map(|output| (called + 1, output)), input });
    };
    for (at, step) in steps.into_iter().enumerate() {
        world.network.hurt(Duration::from_millis(3), step.loss);
        if let Some(down) = step.down {
            world.network.set(world.table_store(down), Mode::Down);
        }
        let (cluster, name) = (&gateways[at % 2], KEYS[step.key]);
        let value = (!step.delete).then(|| value(&at.to_string()));
        let op = Op { deadline: Instant::now() + Duration::from_millis(step.patience_ms), ..world.op() };
        let outcome = cluster.write(&op, key(name), id(cluster), value).await;
        let input = if step.delete { Input::Delete(name) } else { Input::Put(name) };
        match outcome {
            Ok(_) => push(input, Some(Output::Done)),
            Err(error) if error.not_applied() => {}
            Err(_) => push(input, None),
        }
        if let Some(down) = step.down {
            world.network.set(world.table_store(down), Mode::Up);
        }
    }
    for cluster in &gateways {
        cluster.drain(Duration::from_secs(60)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await; // what is on its way arrives
    world.network.hurt(Duration::from_millis(3), 0);
    if let Some((absent, _)) = absent {
        world.network.set(world.table_store(absent), Mode::Down);
    }
    let listed = list(&world, &gateways[0], "", delimiter, limit).await;
    push(Input::List(delimiter), Some(Output::Names(listed)));
    if let Some((absent, next)) = absent {
        world.network.set(world.table_store(absent), Mode::Up);
        world.network.set(world.table_store(next), Mode::Down);
    }
    for name in KEYS {
        let exists = get(&world, &gateways[1], name).await.is_some();
        push(Input::Get(name), Some(Output::Exists(exists)));
    }
    assert_eq!(check(&Bucket, &history, 3_000_000), Verdict::Linearizable, "{history:#?}");
}
