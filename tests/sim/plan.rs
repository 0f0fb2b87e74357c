//! A plan is data: it determines a run completely, so a failing one can shrink.

use std::time::Duration;

use commonroom::net::{Bind, Identity, TlsServer, Trust};
use commonroom::protocol::{Framing, Timestamp};
use commonroom::server::limits::UNSTORED_BYTES;
use commonroom::server::{Clock, Config, Limits, Rate, StoreLimits};
use serde::{Deserialize, Serialize};

use super::cut::{Cut, Direction};
use super::fault::{Change, Fault};
use super::history::Terms;
use super::member::{Act, Fresh, Member};
use super::network::{Pieces, Simulated};
use super::store::SimulatedStore;
use super::tokens::sessions;
use super::world::{Physics, SKEW, World, seconds};

/// When every fault ends. None begins later.
pub const HEALED: Duration = seconds(20);

/// How long after that, at most, everyone must hear everyone, and the roster must be right.
const LIVENESS: Duration = seconds(60);

/// The same if members have sessions: nothing of what they have said is given up, and a connection that only
/// seems to be there takes 30 s to notice.
const LIVENESS_OF_SESSIONS: Duration = seconds(150);

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
    /// How long the server keeps a session without a connection; 0 means that it gives none.
    #[serde(default)]
    pub grace_milliseconds: u64,
    /// The store that outlives the server, if it has one.
    #[serde(default)]
    pub store: Option<StorePlan>,
    /// The largest piece in which connections deliver data, in bytes, if all members are line-framed.
    pub largest_piece: Option<usize>,
    pub members: Vec<MemberPlan>,
    /// When each begins, and for how many milliseconds it lasts.
    pub faults: Vec<(u64, u64, Fault)>,
}

/// A store, and how much a server gives it at a time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StorePlan {
    /// How long an append takes at most, unless the store is slow.
    pub longest_append_milliseconds: u64,
    /// After how many records it is given a snapshot.
    pub snapshot_records: u64,
    /// How many bytes of entries wait for it before senders do.
    pub unstored_bytes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberPlan {
    pub report_framed: bool,
    /// It asks for the one nickname that all such members ask for.
    pub races: bool,
    /// It wants a session that outlives its connections.
    #[serde(default)]
    pub keeps: bool,
    pub connects_milliseconds: u64,
    pub acts: Vec<(u64, Act)>,
}

impl Plan {
    pub fn physics(&self, traced: bool) -> Physics {
        Physics {
            seed: self.seed,
            tick: SKEW,
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
            store: self.store_limits(),
            ..Limits::default()
        };
        let config = Config {
            history_lines: self.history_lines,
            sessions: Some(sessions(!self.seed, self.grace())),
            limits,
            clock: age_of_the_world(),
            ..Config::default()
        };
        let network = Simulated { descriptors: world.descriptors(), ..Simulated::cut_into(self.pieces()) };
        world.start_service(wrapped(network), config, self.store());
        for index in 0..self.members.len() {
            world.add(Member { tls: tls.cloned(), ..self.member(index) });
        }
        world
    }

    fn store(&self) -> Option<SimulatedStore> {
        let longest = Duration::from_millis(self.store?.longest_append_milliseconds);
        Some(SimulatedStore::new(self.seed, longest))
    }

    fn store_limits(&self) -> StoreLimits {
        let default = StoreLimits::default();
        self.store.map_or(default, |StorePlan { snapshot_records, unstored_bytes, .. }| StoreLimits {
            snapshot_records,
            unstored_bytes,
            ..default
        })
    }

    /// Whether senders hardly ever wait for a store.
    fn stores_at_once(&self) -> bool {
        self.store.is_none_or(|store| store.unstored_bytes >= UNSTORED_BYTES)
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_milliseconds)
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

    /// How long after the healing everything must be right.
    pub fn liveness(&self) -> Duration {
        if self.has_sessions() { LIVENESS_OF_SESSIONS } else { LIVENESS }
    }

    fn has_sessions(&self) -> bool {
        self.members.iter().any(|member| member.keeps)
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
            grace: self.grace(),
            calm: self.faults.is_empty()
                && self.pieces().is_none()
                && self.retention_bytes > 1 << 20
                && self.messages_per_second == 0
                && self.stores_at_once(),
        }
    }

    pub fn host(&self, index: usize) -> String {
        format!("member{}", index % self.members.len())
    }

    /// In the report's framing a half of a message is one.
    pub fn may_be_cut(&self, index: usize, cut: Cut) -> bool {
        cut.direction == Direction::FromServer || !self.members[index % self.members.len()].report_framed
    }

    fn pieces(&self) -> Option<Pieces> {
        let lines_only = self.members.iter().all(|member| !member.report_framed);
        let largest = self.largest_piece.filter(|_| lines_only)?;
        // Members with sessions give up nothing, so what they say must get through before the end.
        let least = match (self.has_sessions(), self.segments < many_segments()) {
            (false, _) => 1,
            (true, false) => 8,
            (true, true) => 32,
        };
        Some(Pieces { seed: self.seed, largest: largest.max(least) })
    }

    fn member(&self, index: usize) -> Member {
        let plan = &self.members[index];
        let host = self.host(index);
        let mut acts: Vec<(Duration, Act)> =
            plan.acts.iter().map(|(at, act)| (Duration::from_millis(*at), act.clone())).collect();
        acts.sort_by_key(|&(at, _)| at);
        Member {
            nickname: nickname(index, plan),
            framing: if plan.report_framed { Framing::Report } else { Framing::Lines },
            connects: Duration::from_millis(plan.connects_milliseconds),
            pieces: self.pieces().map(|pieces| Pieces { seed: pieces.seed ^ (index as u64 + 1), ..pieces }),
            returns: true,
            keeps: plan.keeps.then_some(self.seed ^ (index as u64 + 1)),
            contacts: self
                .members
                .iter()
                .enumerate()
                .map(|(index, member)| nickname(index, member))
                .collect(),
            fresh: Some(Fresh { begin: HEALED, every: FRESH_EVERY }),
            acts,
            ..Member::new(&host)
        }
    }
}

/// A clock that begins with the world.
fn age_of_the_world() -> Clock {
    let now = || {
        let age = turmoil::sim_elapsed().unwrap_or_default();
        Timestamp(age.as_millis().try_into().unwrap_or(u64::MAX))
    };
    Clock::new(now, |at| at.to_string())
}

/// The nickname that a member asks for. One whose nickname is taken appends a number, so those of two never
/// collide.
fn nickname(index: usize, member: &MemberPlan) -> String {
    if member.races { "Same".to_owned() } else { format!("Nick{index}x") }
}

/// The default of turmoil.
pub fn many_segments() -> usize {
    64
}

/// The nickname of a stranger that never sends a complete valid message.
pub const PROBER: &str = "Prober";
