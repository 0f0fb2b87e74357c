//! Faults: what goes wrong on the way between the server and its members, or on a host.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cut::Cut;
use super::plan::Plan;
use super::store::{SimulatedStore, Trouble};
use super::world::{SERVER, World};

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
    /// The server is asked to end. It is started again soon after it has.
    StopServer,
    /// The server crashes in the middle of an append to its store.
    CrashInAppend,
    /// The store has no room for anything.
    FullStore,
    SlowStore,
    /// A sync of the store fails, which ends the server.
    FailedSync,
    /// The store is put back to where it was when this began.
    RestoreStore,
    /// The server is out of file descriptors: nobody is accepted, and the accept queue fills.
    NoDescriptors,
    /// A connection of a member ends at a byte.
    Cut(usize, Cut),
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
            Self::Begin(Fault::Cut(index, cut)) if plan.may_be_cut(index, cut) => {
                world.scissors(&plan.host(index)).arm(cut);
            }
            Self::End(Fault::Cut(index, _)) => world.scissors(&plan.host(index)).disarm(),
            Self::Begin(Fault::NoDescriptors) => world.descriptors().exhaust(true),
            Self::End(Fault::NoDescriptors) => world.descriptors().exhaust(false),
            Self::Begin(Fault::StopServer) => world.stop_server(),
            Self::Begin(fault) if fault.is_of_the_store() => {
                if let Some(store) = world.store() {
                    fault.begin_in(&store);
                }
            }
            Self::End(fault) if fault.is_of_the_store() => fault.end_in(world),
            Self::Begin(fault) => world.within(|sim| fault.begin(plan, sim)),
            Self::End(fault) => world.within(|sim| fault.end(plan, sim)),
            Self::HealEverything => {
                for index in 0..plan.members.len() {
                    world.scissors(&plan.host(index)).disarm();
                }
                if let Some(store) = world.store() {
                    store.heal();
                }
                world.within(|sim| heal(plan, sim));
            }
        }
    }
}

fn heal(plan: &Plan, sim: &mut turmoil::Sim<'static>) {
    for index in 0..plan.members.len() {
        sim.release(SERVER, plan.host(index));
        sim.repair(SERVER, plan.host(index));
    }
    if !sim.is_host_running(SERVER) {
        sim.bounce(SERVER);
    }
}

impl Fault {
    /// What all of them are called.
    pub const NAMES: [&str; 19] = [
        "hold",
        "partition",
        "partition to the server",
        "partition from the server",
        "latency spike",
        "killed member",
        "crash of the server",
        "stop of the server",
        "crash in an append",
        "full store",
        "slow store",
        "failed sync",
        "restored store",
        "no descriptors",
        "cut to the server, in order",
        "cut to the server, reset",
        "cut to the server, the rest late",
        "cut from the server, in order",
        "cut from the server, reset",
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Partition(_) => "partition",
            Self::PartitionToServer(_) => "partition to the server",
            Self::PartitionFromServer(_) => "partition from the server",
            Self::LatencySpike(_) => "latency spike",
            Self::KillMember(_) => "killed member",
            Self::CrashServer => "crash of the server",
            Self::StopServer => "stop of the server",
            Self::CrashInAppend => "crash in an append",
            Self::FullStore => "full store",
            Self::SlowStore => "slow store",
            Self::FailedSync => "failed sync",
            Self::RestoreStore => "restored store",
            Self::NoDescriptors => "no descriptors",
            Self::Cut(_, cut) => cut.name(),
        }
    }

    /// The member that it is about; `None` if it is about all.
    pub fn member(self) -> Option<usize> {
        match self {
            Self::Hold(index)
            | Self::Partition(index)
            | Self::PartitionToServer(index)
            | Self::PartitionFromServer(index)
            | Self::LatencySpike(index)
            | Self::KillMember(index)
            | Self::Cut(index, _) => Some(index),
            Self::CrashServer
            | Self::StopServer
            | Self::CrashInAppend
            | Self::FullStore
            | Self::SlowStore
            | Self::FailedSync
            | Self::RestoreStore
            | Self::NoDescriptors => None,
        }
    }

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
            _ => {}
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
            _ => {}
        }
    }

    /// The trouble that a store has meanwhile.
    fn trouble(self) -> Option<Trouble> {
        match self {
            Self::CrashInAppend => Some(Trouble::Crash),
            Self::FullStore => Some(Trouble::Full),
            Self::SlowStore => Some(Trouble::Slow),
            Self::FailedSync => Some(Trouble::FailedSync),
            _ => None,
        }
    }

    fn is_of_the_store(self) -> bool {
        self == Self::RestoreStore || self.trouble().is_some()
    }

    fn begin_in(self, store: &SimulatedStore) {
        match self.trouble() {
            Some(trouble) => store.begin(trouble),
            None => store.back_up(),
        }
    }

    fn end_in(self, world: &mut World) {
        let Some(store) = world.store() else { return };
        match self.trouble() {
            Some(trouble) => store.end(trouble),
            None => world.within(|sim| {
                let runs = sim.is_host_running(SERVER);
                if runs {
                    sim.crash(SERVER);
                }
                store.put_back();
                if runs {
                    sim.bounce(SERVER);
                }
            }),
        }
    }
}
