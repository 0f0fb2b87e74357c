//! How plans are drawn from seeds.

use std::time::Duration;

use commonroom::server::limits::{SNAPSHOT_RECORDS, UNSTORED_BYTES};
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::cut::{Cut, Direction, How};
use super::fault::Fault;
use super::member::Act;
use super::plan::{MemberPlan, PROBER, Plan, StorePlan, many_segments};

/// All plans. They are drawn swarm style: each plan first draws the kinds of faults and of acts that it
/// may contain, so some plans consist of nothing but, say, crashes and races.
pub fn plans() -> impl Strategy<Value = Plan> {
    stores()
        .prop_flat_map(|store| {
            let further = if store.is_some() { &STORE_FAULT_KINDS[..] } else { &[] };
            let fault_kinds = subsequence([&FAULT_KINDS[..], further].concat(), 0..=3);
            (Just(store), fault_kinds, subsequence(ACT_KINDS.to_vec(), 1..=ACT_KINDS.len()))
        })
        .prop_flat_map(|(store, fault_kinds, act_kinds)| {
            let members = proptest::collection::vec(member_plans(act_kinds), 1..=5);
            let how_many = if fault_kinds.is_empty() { 0..=0 } else { 0..=6 };
            let faults = proptest::collection::vec(faults(fault_kinds), how_many);
            let segments = prop_oneof![Just(many_segments()), Just(16)];
            (world_plans(), members, faults, rates(), segments, graces(), Just(store))
        })
        .prop_map(|(plan, members, faults, (burst_messages, messages_per_second), segments, grace, store)| {
            Plan {
                segments,
                grace_milliseconds: grace,
                burst_messages,
                messages_per_second,
                members,
                faults,
                store,
                ..plan
            }
        })
}

fn world_plans() -> impl Strategy<Value = Plan> {
    let retention = prop_oneof![3 => Just(8 << 20), 1 => Just(64 << 10), 1 => Just(4 << 10)];
    let connections = prop_oneof![5 => Just(100_usize), 1 => 2..5_usize];
    let pieces = prop_oneof![1 => Just(None), 2 => (1..60_usize).prop_map(Some)];
    (any::<u64>(), 0..100_u64, retention, 0..4_usize, connections, pieces).prop_map(
        |(seed, latency_milliseconds, retention_bytes, history_lines, connections, largest_piece)| Plan {
            seed,
            latency_milliseconds,
            retention_bytes,
            history_lines,
            connections,
            segments: many_segments(),
            burst_messages: 0,
            messages_per_second: 0,
            grace_milliseconds: 0,
            store: None,
            largest_piece,
            members: Vec::new(),
            faults: Vec::new(),
        },
    )
}

/// Mostly unlimited, so that bursts are bursts; otherwise low enough to slow every burst down, and high
/// enough for everything to be said before the end.
fn rates() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![2 => Just((0, 0)), 1 => (1..30_u32, 100..300_u32)]
}

/// In many worlds the room outlives its server. Snapshots are frequent, so that a start finds one, or do not come
/// at all.
fn stores() -> impl Strategy<Value = Option<StorePlan>> {
    let snapshots = prop_oneof![1 => 1..4_u64, 2 => 4..200_u64, 1 => Just(SNAPSHOT_RECORDS)];
    let unstored = prop_oneof![1 => 1_000..8_000_usize, 2 => Just(UNSTORED_BYTES)];
    let store = (0..60_u64, snapshots, unstored).prop_map(
        |(longest_append_milliseconds, snapshot_records, unstored_bytes)| StorePlan {
            longest_append_milliseconds,
            snapshot_records,
            unstored_bytes,
        },
    );
    proptest::option::weighted(0.4, store)
}

/// Sometimes no sessions at all; otherwise some that soon end, or some that outlast all faults.
fn graces() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 3 => 1_000..5_000_u64, 4 => Just(30_000)]
}

fn member_plans(act_kinds: Vec<usize>) -> impl Strategy<Value = MemberPlan> {
    let acts = proptest::collection::vec((1_000..19_000_u64, acts(act_kinds)), 0..8);
    let framings =
        prop_oneof![3 => Just((true, false)), 7 => Just((false, false)), 10 => Just((false, true))];
    (framings, proptest::bool::weighted(0.3), 0..3_000_u64, acts).prop_map(
        |((report_framed, keeps), races, connects_milliseconds, acts)| MemberPlan {
            report_framed,
            races,
            keeps,
            connects_milliseconds,
            acts,
        },
    )
}

/// Indices into the strategies of [`acts`].
const ACT_KINDS: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

fn acts(kinds: Vec<usize>) -> impl Strategy<Value = Act> {
    let strategies: [BoxedStrategy<Act>; ACT_KINDS.len()] = [
        (1..20_usize, 0..100_usize).prop_map(|(lines, padding)| Act::Talk { lines, padding }).boxed(),
        (100..300_usize, 0..300_usize).prop_map(|(lines, padding)| Act::Talk { lines, padding }).boxed(),
        (100..8_000_u64).prop_map(|length| Act::Ignore(Duration::from_millis(length))).boxed(),
        garbage().prop_map(Act::Probe).boxed(),
        Just(Act::Leave).boxed(),
        Just(Act::Vanish).boxed(),
        (50..300_usize).prop_map(Act::TalkAndLeave).boxed(),
        (500..2_500_u64).prop_map(|length| Act::IgnoreAndLeave(Duration::from_millis(length))).boxed(),
        (0..5_usize, 1..50_usize).prop_map(|(to, lines)| Act::Whisper { to, lines }).boxed(),
        any::<bool>().prop_map(|shared| Act::Rename { shared }).boxed(),
        Just(Act::Restart).boxed(),
        (0..60_usize).prop_map(Act::Duplicate).boxed(),
    ];
    proptest::sample::select(kinds).prop_flat_map(move |kind| strategies[kind].clone())
}

/// Input that no client should send, with and without a nickname before it.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(Vec::new()),
        Just(vec![b'x'; 5_000]),
        Just([PROBER.as_bytes(), b"\n\xff\n\x1b[2J\n"].concat()),
        Just(b"Same\nSame\nSame\n".to_vec()),
        Just([PROBER.as_bytes(), b"\nhalf a li"].concat()),
    ]
}

const FAULT_KINDS: [fn(usize, Cut) -> Fault; 13] = [
    |index, _| Fault::Hold(index),
    |index, _| Fault::Partition(index),
    |index, _| Fault::PartitionToServer(index),
    |index, _| Fault::PartitionFromServer(index),
    |index, _| Fault::LatencySpike(index),
    |index, _| Fault::KillMember(index),
    |_, _| Fault::CrashServer,
    |_, _| Fault::StopServer,
    |_, _| Fault::NoDescriptors,
    // Several times, since it is many kinds in one, and soon over.
    Fault::Cut,
    Fault::Cut,
    Fault::Cut,
    Fault::Cut,
];

/// Those of a store, and once more what makes a server read it.
const STORE_FAULT_KINDS: [fn(usize, Cut) -> Fault; 8] = [
    |_, _| Fault::CrashServer,
    |_, _| Fault::CrashInAppend,
    |_, _| Fault::CrashInAppend,
    |_, _| Fault::FullStore,
    |_, _| Fault::FullStore,
    |_, _| Fault::SlowStore,
    |_, _| Fault::FailedSync,
    |_, _| Fault::RestoreStore,
];

fn faults(kinds: Vec<fn(usize, Cut) -> Fault>) -> BoxedStrategy<(u64, u64, Fault)> {
    if kinds.is_empty() {
        return Just((0, 0, Fault::Hold(0))).boxed();
    }
    let fault =
        (proptest::sample::select(kinds), 0..5_usize, cuts()).prop_map(|(kind, index, cut)| kind(index, cut));
    (500..19_000_u64, 100..15_000_u64, fault).boxed()
}

/// Mostly within one of the next lines.
fn cuts() -> impl Strategy<Value = Cut> {
    let how = prop_oneof![
        1 => Just((Direction::ToServer, How::Orderly)),
        1 => Just((Direction::ToServer, How::Reset)),
        2 => Just((Direction::ToServer, How::Late)),
        1 => Just((Direction::FromServer, How::Orderly)),
        1 => Just((Direction::FromServer, How::Reset)),
    ];
    (how, prop_oneof![3 => 0..100_usize, 1 => 0..5_000_usize]).prop_map(|((direction, how), bytes)| Cut {
        direction,
        how,
        bytes,
    })
}
