//! Reads, writes and conditional writes: what they cost, and what failures do to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::Envelope;
use cairn_placement::ClusterView;
use cairn_quorum::{Base, Cluster, Completed, Op, OpError, Traffic, UpdateError};
use cairn_rpc::ViewCell;
use cairn_types::OpId;
use tokio::time::Instant;

use crate::support::network::Mode;
use crate::support::{World, delete, get, id, key, put, value, views};

#[tokio::test(start_paused = true)]
async fn what_is_written_is_read() {
    let world = World::new(1);
    let (one, two) = (world.gateway(), world.process(Some(2)));
    assert_eq!(get(&world, &one, "a").await, None);
    put(&world, &one, "a", "1").await;
    assert_eq!(get(&world, &two, "a").await.as_deref(), Some("1"));
    put(&world, &two, "a", "2").await;
    assert_eq!(get(&world, &one, "a").await.as_deref(), Some("2"));
    delete(&world, &one, "a").await;
    assert_eq!(get(&world, &two, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_put_is_two_rounds_and_a_get_is_one() {
    let world = World::new(2);
    let cluster = world.process(Some(0));
    put(&world, &cluster, "a", "1").await;
    tokio::time::sleep(Duration::from_millis(20)).await; // the third Accept
    let put_calls = world.network.take_calls();
    assert_eq!(put_calls, BTreeMap::from([("batch", 5), ("query", 2), ("accept", 3)]));
    assert_eq!(cluster.traffic(), Traffic { table_rounds: 2, table_calls: 5, ..Traffic::default() });
    get(&world, &cluster, "a").await;
    assert_eq!(cluster.traffic(), Traffic { table_rounds: 3, table_calls: 7, ..Traffic::default() });
    assert_eq!(world.network.take_calls(), BTreeMap::from([("batch", 2), ("query", 2)]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.network.take_calls(), BTreeMap::from([("batch", 3), ("commit", 3)]), "hints travel by themselves");
    assert!(world.tables.iter().all(|table| table.row(&key("a")).unwrap().committed));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_no_unknown_outcome() {
    let world = World::new(5);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    world.tables[0].fill();
    put(&world, &cluster, "a", "2").await;
    world.tables[1].fill();
    let one_has_it = cluster.write(&world.op(), key("a"), id(&cluster), Some(value("3"))).await;
    assert!(matches!(one_has_it, Err(OpError::Unknown(_))), "{one_has_it:?}");
    world.tables[2].fill();
    let refused = cluster.write(&world.op(), key("b"), id(&cluster), Some(value("1"))).await;
    assert!(matches!(refused, Err(OpError::Full(_))), "{refused:?}");
    let change = |_: Option<&Envelope>| Ok::<_, ()>(Some(value("1")));
    let refused = cluster.update(&world.op(), key("b"), id(&cluster), change).await;
    assert!(matches!(refused, Err(UpdateError::Failed(OpError::Full(_)))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn hints_travel_with_the_next_write() {
    let world = World::new(3);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    put(&world, &cluster, "a", "2").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let calls = world.network.take_calls();
    assert_eq!((calls["batch"], calls["commit"]), (10, 3));
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_request_travel_together() {
    let world = World::new(4);
    let cluster = world.gateway();
    let names: Vec<String> = (0..50).map(|at| format!("key-{at}")).collect();
    let writes = names.iter().map(|name| (key(name), id(&cluster), Some(value(name)))).collect();
    let written = cluster.write_many(&world.op(), writes).await.unwrap();
    assert!(written.iter().all(Result::is_ok));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let calls = world.network.take_calls();
    assert_eq!((calls["query"], calls["accept"]), (100, 150));
    assert!(calls["batch"] <= 12, "{calls:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.network.take_calls();
    let read = cluster.read_many(&world.op(), names.iter().map(|name| key(name)).collect()).await.unwrap();
    assert!(read.iter().zip(&names).all(|(read, name)| read.as_ref().unwrap().envelope.value == name.as_bytes()));
    assert_eq!(world.network.take_calls(), BTreeMap::from([("batch", 2), ("query", 100)]));
}

#[tokio::test(start_paused = true)]
async fn the_query_runs_while_the_body_flows() {
    let world = World::new(5);
    let cluster = world.process(Some(1));
    let pending = cluster.begin_write(&world.op(), key("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await; // a long body; nobody looks at the write meanwhile
    assert_eq!(world.network.take_calls().get("query"), Some(&2));
    let began = Instant::now();
    pending.commit(id(&cluster), Some(value("1"))).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
    assert_eq!(world.network.take_calls().get("query"), None);
    assert_eq!(get(&world, &cluster, "a").await.as_deref(), Some("1"));
}

/// Runs one of each operation; each must end within `limit`.
async fn all_operations_within(world: &World, cluster: &Cluster, limit: Duration) {
    for round in 0..3 {
        let name = format!("key-{round}");
        let timed = async |what: &str, work: &mut (dyn Future<Output = ()> + Unpin)| {
            let began = Instant::now();
            work.await;
            assert!(began.elapsed() <= limit, "{what} took {:?}", began.elapsed());
        };
        timed("put", &mut Box::pin(put(world, cluster, &name, "1"))).await;
        timed("get", &mut Box::pin(async { assert_eq!(get(world, cluster, &name).await.as_deref(), Some("1")) })).await;
        let swap = async {
            let change = |_: Option<&Envelope>| Ok::<_, ()>(Some(value("2")));
            cluster.update(&world.op(), key(&name), id(cluster), change).await.unwrap();
        };
        timed("update", &mut Box::pin(swap)).await;
        timed("list", &mut Box::pin(async { drop(crate::lists::names(world, cluster, "", "").await) })).await;
        timed("delete", &mut Box::pin(delete(world, cluster, &name))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_replica_delays_nobody_for_long() {
    for stopped in 0..3 {
        for mode in [Mode::Down, Mode::Frozen, Mode::Slow(Duration::from_secs(20))] {
            let world = World::new(6);
            let cluster = world.gateway();
            put(&world, &cluster, "before", "1").await;
            world.network.set(world.table_store(stopped), mode);
            all_operations_within(&world, &cluster, Duration::from_secs(1)).await;
            // By now it is known not to answer: nobody waits for it at all.
            all_operations_within(&world, &cluster, Duration::from_millis(30)).await;
            world.network.set(world.table_store(stopped), Mode::Up);
            all_operations_within(&world, &cluster, Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stores_keep_their_health_across_views() {
    let world = World::new(20);
    let view = Arc::new(ViewCell::new(world.view.clone()));
    let cluster = world.process_with(None, view.clone());
    world.network.set(world.table_store(0), Mode::Frozen);
    all_operations_within(&world, &cluster, Duration::from_secs(1)).await;
    for revision in 100..110 {
        assert!(view.offer(ClusterView { revision, ..world.view.clone() }));
        all_operations_within(&world, &cluster, Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_nothing_is_claimed() {
    let world = World::new(7);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    world.network.set(world.table_store(0), Mode::Down);
    world.network.set(world.table_store(1), Mode::Down);
    let began = Instant::now();
    let read = cluster.read(&world.op(), key("a")).await;
    assert!(matches!(read, Err(OpError::NoQuorum(_))), "{read:?}");
    let write = cluster.write(&world.op(), key("a"), id(&cluster), Some(value("2"))).await;
    assert!(matches!(write, Err(OpError::NoQuorum(_))), "{write:?}");
    let change = |_: Option<&Envelope>| Ok::<_, ()>(None);
    let update = cluster.update(&world.op(), key("a"), id(&cluster), change).await;
    assert!(matches!(update, Err(UpdateError::Failed(OpError::NoQuorum(_)))), "{update:?}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    world.network.set(world.table_store(0), Mode::Up);
    assert_eq!(get(&world, &cluster, "a").await.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_sent_and_not_acknowledged_is_unknown() {
    let world = World::new(8);
    let cluster = world.gateway();
    let pending = cluster.begin_write(&world.op(), key("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.network.set(world.table_store(0), Mode::Frozen);
    world.network.set(world.table_store(1), Mode::Frozen);
    let outcome = pending.commit(id(&cluster), Some(value("1"))).await;
    assert!(matches!(outcome, Err(OpError::Unknown(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_deadline() {
    let world = World::new(9);
    let cluster = world.gateway();
    for store in 0..3 {
        world.network.set(world.table_store(store), Mode::Frozen);
    }
    let op = Op { deadline: Instant::now() + Duration::from_secs(2), ..world.op() };
    let read = cluster.read(&op, key("a")).await;
    assert!(matches!(read, Err(OpError::NoQuorum(_))), "{read:?}");
    assert!(cluster.list(&op, crate::lists::request("", "", 10)).await.is_err());
    assert!(Instant::now() <= op.deadline + Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_fails_is_refused() {
    let world = World::new(10);
    let cluster = world.gateway();
    let create = async |text: &str| {
        let change = |current: Option<&Envelope>| match current {
            None => Ok(Some(value(text))),
            Some(current) => Err(current.value.clone()),
        };
        cluster.update(&world.op(), key("lock"), id(&cluster), change).await
    };
    create("mine").await.unwrap();
    match create("yours").await {
        Err(UpdateError::Refused(holder)) => assert_eq!(holder, "mine"),
        other => panic!("{other:?}"),
    }
    delete(&world, &cluster, "lock").await;
    create("yours").await.unwrap();
    assert_eq!(get(&world, &cluster, "lock").await.as_deref(), Some("yours"));
}

#[tokio::test(start_paused = true)]
async fn one_of_many_creators_wins() {
    let world = World::new(11);
    let gateways = [world.gateway(), world.gateway(), world.gateway()];
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..30 {
        let (cluster, op) = (gateways[racer % 3].clone(), world.op());
        racers.spawn(async move {
            let change = |current: Option<&Envelope>| match current {
                None => Ok(Some(value(&racer.to_string()))),
                Some(_) => Err(()),
            };
            cluster.update(&op, key("lock"), id(&cluster), change).await
        });
    }
    let outcomes = racers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(UpdateError::Refused(())))).count();
    assert!(refused >= 20, "{refused} of 29 learned that they lost: {outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_gateway_learns_the_newer_view() {
    let world = World::with_nodes(12, 5);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    cluster.drain(Duration::from_secs(1)).await;
    let newer = views::view(5, 2, &[&[0, 1, 2], &[1, 2, 3]]);
    world.tables.iter().for_each(|table| table.adopt(newer.clone()));
    put(&world, &cluster, "a", "2").await;
    assert_eq!(cluster.view().epoch().0, 2);
    assert_eq!(get(&world, &cluster, "a").await.as_deref(), Some("2"));
    let holders = world.tables.iter().filter(|table| table.row(&key("a")).is_some_and(|row| row.accepted.epoch == 2));
    assert!(holders.count() >= 3, "written to a majority of both layouts");
}

#[tokio::test(start_paused = true)]
async fn a_replica_behind_is_shown_the_view() {
    let world = World::with_nodes(13, 5);
    let old = world.gateway();
    put(&world, &old, "a", "1").await;
    old.drain(Duration::from_secs(1)).await;
    let newer = views::view(5, 2, &[&[0, 1, 2], &[1, 2, 3]]);
    world.tables[0].adopt(newer);
    // Learns epoch 2 from table 0, and takes it to the others.
    world.network.set(world.table_store(1), Mode::Down);
    put(&world, &old, "a", "2").await;
    assert_eq!(old.view().epoch().0, 2);
    assert_eq!(get(&world, &old, "a").await.as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn values_beyond_the_bounds_are_refused_before_anything_is_sent() {
    let world = World::new(14);
    let cluster = world.gateway();
    let fat = Envelope { data: vec![0; cairn_model::wire::MAX_ENVELOPE + 1].into(), ..Envelope::default() };
    let write = cluster.write(&world.op(), key("a"), id(&cluster), Some(fat.clone())).await;
    assert!(matches!(write, Err(OpError::Invalid(_))), "{write:?}");
    let update = cluster.update(&world.op(), key("a"), id(&cluster), |_| Ok::<_, ()>(Some(fat.clone()))).await;
    assert!(matches!(update, Err(UpdateError::Failed(OpError::Invalid(_)))), "{update:?}");
    assert_eq!(get(&world, &cluster, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_layout_nothing_is_ready() {
    let mut world = World::new(15);
    world.view = views::view(3, 1, &[]);
    let cluster = world.gateway();
    assert!(matches!(cluster.read(&world.op(), key("a")).await, Err(OpError::NotReady)));
    assert!(matches!(cluster.begin_write(&world.op(), key("a")).await, Err(OpError::NotReady)));
}

#[tokio::test(start_paused = true)]
async fn one_replica_is_a_cluster() {
    let world = World::with_nodes(16, 1);
    let cluster = world.process(Some(0));
    all_operations_within(&world, &cluster, Duration::from_millis(100)).await;
    world.network.set(world.table_store(0), Mode::Down);
    assert!(matches!(cluster.read(&world.op(), key("a")).await, Err(OpError::NoQuorum(_))));
}

#[tokio::test(start_paused = true)]
async fn a_write_learns_the_usage_before_it_is_committed() {
    let world = World::new(17);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    put(&world, &cluster, "b", "2").await;
    let mut pending = cluster.begin_write(&world.op(), key("c")).await.unwrap();
    assert_eq!(pending.usage().await.unwrap().objects, 2);
    pending.commit(id(&cluster), Some(value("3"))).await.unwrap();
    assert_eq!(get(&world, &cluster, "c").await.as_deref(), Some("3"));
}

/// Completes an upload over the head "old", or over none.
async fn complete(world: &World, cluster: &Cluster, upload: OpId, base: Base) -> Completed<Envelope> {
    cluster.complete_head(&world.op(), key("a"), upload, base, value("whole"), false).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_completed_once() {
    for existing in [false, true] {
        let world = World::new(18);
        let (one, two) = (world.gateway(), world.gateway());
        if existing {
            put(&world, &one, "a", "old").await;
        }
        let base = Base::of(&one.read_row(&world.op(), key("a")).await.unwrap());
        let upload = id(&one);
        assert!(matches!(complete(&world, &one, upload, base).await, Completed::Applied { .. }));
        assert_eq!(get(&world, &two, "a").await.as_deref(), Some("whole"));
        // Somebody who goes on with the same upload finds it done.
        assert!(matches!(complete(&world, &two, upload, base).await, Completed::Applied { .. }));
        // Overwritten since: still done, and not done again.
        delete(&world, &two, "a").await;
        let again = one.complete_head(&world.op(), key("a"), upload, base, value("whole"), false).await;
        assert!(!matches!(again, Ok(Completed::Applied { .. })), "{again:?}");
        assert_eq!(get(&world, &two, "a").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_base_moved_on_says_so() {
    let world = World::new(19);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "old").await;
    let base = Base::of(&cluster.read_row(&world.op(), key("a")).await.unwrap());
    let change = |_: Option<&Envelope>| Ok::<_, ()>(Some(value("changed")));
    cluster.update(&world.op(), key("a"), id(&cluster), change).await.unwrap();
    let upload = id(&cluster);
    let Completed::Moved { onto } = complete(&world, &cluster, upload, base).await else {
        panic!("built on another base")
    };
    assert!(matches!(complete(&world, &cluster, upload, base.moved_to(&onto)).await, Completed::Applied { .. }));
    assert_eq!(get(&world, &cluster, "a").await.as_deref(), Some("whole"));
}
