//! A plan is data: it determines a run completely, so a failing one can shrink.

use std::time::Duration;

use commonroom::net::{Bind, Identity, TlsServer, Trust};
use commonroom::protocol::Framing;
use commonroom::server::{Config, Limits, Rate};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde::{Deserialize, Serialize};

use super::history::Terms;
use super::member::{Act, Fresh, Member};
use super::network::{Pieces, Simulated};
use super::world::{Physics, SERVER, World, seconds};

/// When every fault ends. None begins later.
pub const HEALED: Duration = seconds(20);

/// How long after that, at most, everyone must hear everyone, and the roster must be right.
pub const LIVENESS: Duration = seconds(60);

/// How often a live member says something fresh after everything has been healed.
const FRESH_EVERY: Duration = Duration::from_millis(200);

/// A run, from its seed to its last fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    /// The largest latency of a message; the smallest is 0.
    pub latency_milliseconds: u64,
    /// How much of the transcript the server keeps, sometimes hardly anything.
    pub retention_bytes: usize,
    pub history_lines: usize,
    /// How many connections the server accepts.
    pub connections: usize,
    /// How many segments a connection holds before a writer has to wait. turmoil bounds the queue of
    /// connections to be accepted by the same number, so it cannot be much smaller.
    #[serde(default = "many_segments")]
    pub segments: usize,
    /// How many messages of a member the server takes at once.
    #[serde(default)]
    pub burst_messages: u32,
    /// How many a second it takes after such a burst; 0 means no limit.
    #[serde(default)]
    pub messages_per_second: u32,
    /// The largest piece in which connections deliver data, in bytes, if all members are line-framed.
    pub largest_piece: Option<usize>,
    pub members: Vec<MemberPlan>,
    /// When each begins, and for how many milliseconds it lasts.
    pub faults: Vec<(u64, u64, Fault)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberPlan {
    pub report_framed: bool,
    /// It asks for the one nickname that all such members ask for.
    pub races: bool,
    pub connects_milliseconds: u64,
    pub acts: Vec<(u64, Act)>,
}

/// Something that goes wrong between the server and one member, given by its index, or on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    Hold(usize),
    Partition(usize),
    PartitionToServer(usize),
    PartitionFromServer(usize),
    LatencySpike(usize),
    KillMember(usize),
    CrashServer,
    /// The server is out of file descriptors: nobody is accepted, and the accept queue fills.
    NoDescriptors,
}

impl Plan {
    pub fn physics(&self, traced: bool) -> Physics {
        Physics {
            seed: self.seed,
            tick: Duration::from_millis(10),
            latency: (Duration::ZERO, Duration::from_millis(self.latency_milliseconds)),
            segments: self.segments,
            traced,
            ..Physics::default()
        }
    }

    /// The world at its beginning.
    pub fn world(&self, traced: bool) -> World {
        self.world_over(|network| network, None, traced)
    }

    /// The same over TLS.
    pub fn encrypted_world(&self, identity: Identity, trust: &Trust) -> World {
        self.world_over(|network| TlsServer::new(network, identity), Some(trust), false)
    }

    fn world_over<N: Bind + Clone>(
        &self,
        wrapped: impl FnOnce(Simulated) -> N,
        tls: Option<&Trust>,
        traced: bool,
    ) -> World {
        let mut world = World::with(self.physics(traced));
        let limits = Limits {
            registration_timeout: seconds(4),
            write_timeout: seconds(3),
            ping_timeout: seconds(8),
            retention_bytes: self.retention_bytes,
            connections: self.connections,
            // Several probes come from one host, and turmoil keeps closed connections for a while.
            connections_per_address: 0,
            rate: Rate { burst_messages: self.burst_messages, messages_per_second: self.messages_per_second },
            ..Limits::default()
        };
        let config = Config { history_lines: self.history_lines, limits, ..Config::default() };
        let network = Simulated { descriptors: world.descriptors(), ..Simulated::cut_into(self.pieces()) };
        world.start_server_on(wrapped(network), config);
        for index in 0..self.members.len() {
            world.add(Member { tls: tls.cloned(), ..self.member(index) });
        }
        world
    }

    /// The changes of the network and the hosts, in chronological order.
    pub fn changes(&self) -> Vec<(Duration, Change)> {
        let mut changes = Vec::new();
        for &(begin, length, fault) in &self.faults {
            let begin = Duration::from_millis(begin);
            let end = (begin + Duration::from_millis(length)).min(HEALED);
            changes.push((begin, Change::Begin(fault)));
            changes.push((end, Change::End(fault)));
        }
        changes.sort_by_key(|&(at, _)| at);
        changes.push((HEALED, Change::HealEverything));
        changes
    }

    /// The properties of the plan that the oracles need to know.
    pub fn terms(&self) -> Terms {
        let killed = |index| {
            let kills = |fault: &Fault| matches!(fault, Fault::KillMember(other) if self.host(*other) == self.host(index));
            self.faults.iter().any(|(_, _, fault)| kills(fault))
        };
        let alive = (0..self.members.len()).filter(|&index| !killed(index)).count();
        Terms {
            history_lines: self.history_lines,
            survivors: alive.min(self.connections),
            retention_bytes: self.retention_bytes,
            calm: self.faults.is_empty()
                && self.pieces().is_none()
                && self.retention_bytes > 1 << 20
                && self.messages_per_second == 0,
        }
    }

    pub fn host(&self, index: usize) -> String {
        format!("member{}", index % self.members.len())
    }

    fn pieces(&self) -> Option<Pieces> {
        let lines_only = self.members.iter().all(|member| !member.report_framed);
        let largest = self.largest_piece.filter(|_| lines_only)?;
        Some(Pieces { seed: self.seed, largest })
    }

    fn member(&self, index: usize) -> Member {
        let plan = &self.members[index];
        let host = self.host(index);
        let mut acts: Vec<(Duration, Act)> =
            plan.acts.iter().map(|(at, act)| (Duration::from_millis(*at), act.clone())).collect();
        acts.sort_by_key(|&(at, _)| at);
        Member {
            // A member whose name is taken appends a number, so the names of two never collide.
            nickname: if plan.races { "Same".to_owned() } else { format!("Nick{index}x") },
            framing: if plan.report_framed { Framing::Report } else { Framing::Lines },
            connects: Duration::from_millis(plan.connects_milliseconds),
            pieces: self.pieces().map(|pieces| Pieces { seed: pieces.seed ^ (index as u64 + 1), ..pieces }),
            returns: true,
            fresh: Some(Fresh { begin: HEALED, every: FRESH_EVERY }),
            acts,
            ..Member::new(&host)
        }
    }
}

/// Something that happens to the world.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Begin(Fault),
    End(Fault),
    HealEverything,
}

impl Change {
    pub fn apply(self, plan: &Plan, world: &mut World) {
        match self {
            Self::Begin(Fault::KillMember(index)) => world.kill(&plan.host(index)),
            Self::Begin(Fault::NoDescriptors) => world.descriptors().exhaust(true),
            Self::End(Fault::NoDescriptors) => world.descriptors().exhaust(false),
            Self::Begin(fault) => world.within(|sim| fault.begin(plan, sim)),
            Self::End(fault) => world.within(|sim| fault.end(plan, sim)),
            Self::HealEverything => world.within(|sim| {
                for index in 0..plan.members.len() {
                    sim.release(SERVER, plan.host(index));
                    sim.repair(SERVER, plan.host(index));
                }
                if !sim.is_host_running(SERVER) {
                    sim.bounce(SERVER);
                }
            }),
        }
    }
}

impl Fault {
    fn begin(self, plan: &Plan, sim: &mut turmoil::Sim<'static>) {
        match self {
            Self::Hold(index) => sim.hold(SERVER, plan.host(index)),
            Self::Partition(index) => sim.partition(SERVER, plan.host(index)),
            Self::PartitionToServer(index) => sim.partition_oneway(plan.host(index), SERVER),
            Self::PartitionFromServer(index) => sim.partition_oneway(SERVER, plan.host(index)),
            Self::LatencySpike(index) => {
                sim.set_link_latency(SERVER, plan.host(index), Duration::from_millis(1_500));
            }
            Self::CrashServer if sim.is_host_running(SERVER) => sim.crash(SERVER),
            Self::CrashServer | Self::KillMember(_) | Self::NoDescriptors => {}
        }
    }

    fn end(self, plan: &Plan, sim: &mut turmoil::Sim<'static>) {
        match self {
            Self::Hold(index) => sim.release(SERVER, plan.host(index)),
            Self::Partition(index) => sim.repair(SERVER, plan.host(index)),
            Self::PartitionToServer(index) => sim.repair_oneway(plan.host(index), SERVER),
            Self::PartitionFromServer(index) => sim.repair_oneway(SERVER, plan.host(index)),
            Self::LatencySpike(index) => {
                sim.set_link_latency(
                    SERVER,
                    plan.host(index),
                    Duration::from_millis(plan.latency_milliseconds),
                );
            }
            Self::CrashServer if !sim.is_host_running(SERVER) => sim.bounce(SERVER),
            Self::CrashServer | Self::KillMember(_) | Self::NoDescriptors => {}
        }
    }
}

/// All plans. They are drawn swarm style: each plan first draws the kinds of faults and of acts that it
/// may contain, so some plans consist of nothing but, say, crashes and races.
pub fn plans() -> impl Strategy<Value = Plan> {
    (subsequence(FAULT_KINDS.to_vec(), 0..=3), subsequence(ACT_KINDS.to_vec(), 1..=ACT_KINDS.len()))
        .prop_flat_map(|(fault_kinds, act_kinds)| {
            let members = proptest::collection::vec(member_plans(act_kinds), 1..=5);
            let how_many = if fault_kinds.is_empty() { 0..=0 } else { 0..=4 };
            let faults = proptest::collection::vec(faults(fault_kinds), how_many);
            (world_plans(), members, faults, rates(), prop_oneof![Just(many_segments()), Just(16)])
        })
        .prop_map(|(plan, members, faults, (burst_messages, messages_per_second), segments)| Plan {
            segments,
            burst_messages,
            messages_per_second,
            members,
            faults,
            ..plan
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
            largest_piece,
            members: Vec::new(),
            faults: Vec::new(),
        },
    )
}

/// The default of turmoil.
fn many_segments() -> usize {
    64
}

/// Mostly unlimited, so that bursts are bursts; otherwise low enough to slow every burst down, and high
/// enough for everything to be said before the end.
fn rates() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![2 => Just((0, 0)), 1 => (1..30_u32, 100..300_u32)]
}

fn member_plans(act_kinds: Vec<usize>) -> impl Strategy<Value = MemberPlan> {
    let acts = proptest::collection::vec((1_000..19_000_u64, acts(act_kinds)), 0..8);
    (proptest::bool::weighted(0.15), proptest::bool::weighted(0.3), 0..3_000_u64, acts).prop_map(
        |(report_framed, races, connects_milliseconds, acts)| MemberPlan {
            report_framed,
            races,
            connects_milliseconds,
            acts,
        },
    )
}

/// Indices into the strategies of [`acts`].
const ACT_KINDS: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

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
    ];
    proptest::sample::select(kinds).prop_flat_map(move |kind| strategies[kind].clone())
}

/// The nickname of a stranger that never sends a complete valid message.
pub const PROBER: &str = "Prober";

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

const FAULT_KINDS: [fn(usize) -> Fault; 8] = [
    Fault::Hold,
    Fault::Partition,
    Fault::PartitionToServer,
    Fault::PartitionFromServer,
    Fault::LatencySpike,
    Fault::KillMember,
    |_| Fault::CrashServer,
    |_| Fault::NoDescriptors,
];

fn faults(kinds: Vec<fn(usize) -> Fault>) -> BoxedStrategy<(u64, u64, Fault)> {
    if kinds.is_empty() {
        return Just((0, 0, Fault::Hold(0))).boxed();
    }
    let fault = (proptest::sample::select(kinds), 0..5_usize).prop_map(|(kind, index)| kind(index));
    (500..19_000_u64, 100..15_000_u64, fault).boxed()
}
