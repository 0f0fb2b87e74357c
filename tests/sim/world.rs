//! A world: one server, its members with their schedules, and the lines that everybody saw.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use commonroom::journal::{self, Clock, LogFormat};
use commonroom::net::Bind;
use commonroom::server::Config;
use jiff::civil::{DateTime, date};
use tokio::sync::Notify;
use tracing::Dispatch;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::actor::live;
use super::captured::{Captured, VirtualTime};
use super::cut::Scissors;
use super::member::Member;
use super::network::{Descriptors, Simulated};
use super::picture;
use super::recording::Recording;
use super::service::Service;
use super::store::SimulatedStore;
use super::stranger::Script;
use super::timeline::{Shade, ShadeKind, Timeline};
use super::witness::{Ending, Membership, Witness};

/// The host name of the server.
pub const SERVER: &str = "server";

const PORT: u16 = 5555;

/// The latency of a message in a scenario: fixed, so that the scenario can say when something arrives.
pub const LATENCY: Duration = Duration::from_millis(1);

/// How far the clocks of two hosts can be apart: by a tick of the sweep.
pub const SKEW: Duration = Duration::from_millis(10);

/// The resolution of time, and the latency of messages.
#[derive(Clone, Copy, Debug)]
pub struct Physics {
    pub seed: u64,
    pub begin: DateTime,
    pub tick: Duration,
    pub latency: (Duration, Duration),
    /// How many segments a connection holds before a writer has to wait.
    pub segments: usize,
    /// Whether every event and every delivered byte is kept.
    pub traced: bool,
    /// Whether a picture is drawn.
    pub recorded: bool,
}

impl Default for Physics {
    fn default() -> Self {
        Self {
            seed: 0,
            begin: date(2026, 2, 23).at(3, 0, 0, 0),
            tick: Duration::from_millis(1),
            latency: (LATENCY, LATENCY),
            segments: 64,
            traced: false,
            recorded: false,
        }
    }
}

pub struct World {
    sim: turmoil::Sim<'static>,
    /// Takes the events of the world's own simulation, and no other's.
    dispatch: Dispatch,
    log: Captured,
    notable: Captured,
    witnesses: BTreeMap<String, Witness>,
    /// What cuts the connections of each host.
    scissors: BTreeMap<String, Scissors>,
    physics: Physics,
    /// The network traffic, if a picture is drawn.
    recording: Option<Recording>,
    /// The faults of the network and the hosts, for the picture.
    shades: Vec<Shade>,
    descriptors: Descriptors,
    store: Option<SimulatedStore>,
    /// Asks the server to end.
    stop: Arc<Notify>,
    asked_to_stop: Option<Duration>,
    /// The scripts of the strangers.
    scripts: Vec<Script>,
}

/// The address of the server, for its members.
pub fn address() -> String {
    format!("{SERVER}:{PORT}")
}

/// The address that it listens on, on its own host.
pub fn listen_address() -> String {
    format!("0.0.0.0:{PORT}")
}

/// The time of the world, which begins at `begin`, for `server.log`.
pub fn clock(begin: DateTime) -> impl Clock + Clone {
    move || {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        let now = begin.checked_add(elapsed).expect("a simulation does not last for ever");
        now.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has every time")
    }
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    pub fn with(physics: Physics) -> Self {
        Self::with_log(physics, io::sink)
    }

    /// The same, with the lines of `server.log` also written to `log`.
    pub fn with_log<W>(physics: Physics, log: W) -> Self
    where
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        let sim = turmoil::Builder::new()
            .rng_seed(physics.seed)
            .epoch(std::time::UNIX_EPOCH)
            .tick_duration(physics.tick)
            .min_message_latency(physics.latency.0)
            .max_message_latency(physics.latency.1)
            .tcp_capacity(physics.segments)
            .simulation_duration(Duration::from_secs(24 * 60 * 60))
            .enable_random_order()
            .build();
        let (said, notable) = (Captured::default(), Captured::default());
        let level = if physics.traced { LevelFilter::TRACE } else { LevelFilter::DEBUG };
        let inside = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_timer(VirtualTime)
            .with_writer(notable.writer())
            .with_filter(Targets::new().with_target("commonroom", level).with_target("network", level));
        let journal = journal::layer(LogFormat::Report, clock(physics.begin), said.writer().and(log));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(journal).with(inside));
        let recording = physics.recorded.then(Recording::default);
        Self {
            sim,
            dispatch,
            log: said,
            notable,
            witnesses: BTreeMap::new(),
            scissors: BTreeMap::new(),
            physics,
            recording,
            shades: Vec::new(),
            descriptors: Descriptors::default(),
            store: None,
            stop: Arc::default(),
            asked_to_stop: None,
            scripts: Vec::new(),
        }
    }

    /// Puts the server into the world. It starts with the first step.
    pub fn start_server(&mut self, config: Config) {
        self.start_server_on(Simulated::default(), config);
    }

    /// The same, on a network that is not quite the simulated one.
    pub fn start_server_on<N: Bind + Clone>(&mut self, network: N, config: Config) {
        self.start_service(network, config, None);
    }

    /// The same, with a store that outlives it if there is one.
    pub fn start_service<N>(&mut self, network: N, config: Config, store: Option<SimulatedStore>)
    where
        N: Bind + Clone,
    {
        self.store.clone_from(&store);
        let service = Service { network, config, store, stop: Arc::clone(&self.stop) };
        self.within(|sim| {
            sim.host(SERVER, move || {
                let running = service.clone().run();
                async move { Ok(running.await?) }
            });
        });
    }

    /// The store of the server, if it has one.
    pub fn store(&self) -> Option<SimulatedStore> {
        self.store.clone()
    }

    /// Asks the server to end in good order, if it runs.
    pub fn stop_server(&mut self) {
        self.asked_to_stop = Some(self.sim.elapsed());
        self.stop.notify_waiters();
    }

    /// When the server was last asked to end.
    pub fn asked_to_stop(&self) -> Option<Duration> {
        self.asked_to_stop
    }

    /// Puts a member into the world, on a host of its own.
    pub fn add(&mut self, member: Member) {
        let witness = self.witnesses.entry(member.host.clone()).or_default().clone();
        let scissors = self.scissors(&member.host);
        self.within(|sim| {
            sim.host(member.host.clone(), move || {
                let alive = live(member.clone(), witness.clone(), scissors.clone());
                async move { Ok(alive.await?) }
            });
        });
    }

    /// Puts another program into the world, on a host of its own. It records the lines that it sees itself.
    pub fn add_program<F>(&mut self, host: &str, program: impl Fn(Witness) -> F + 'static)
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let witness = self.witnesses.entry(host.to_owned()).or_default().clone();
        self.within(|sim| {
            sim.host(host, move || {
                let running = program(witness.clone());
                async move { Ok(running.await?) }
            });
        });
    }

    /// Puts strangers into the world, on a host of their own. Their script must end before the world does.
    pub fn add_strangers<F>(&mut self, host: &str, script: impl Fn() -> F + 'static)
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let script = self.within(|sim| Script::begin(sim, host, script));
        self.scripts.push(script);
    }

    /// The server's descriptors, which a test can exhaust.
    pub fn descriptors(&self) -> Descriptors {
        self.descriptors.clone()
    }

    /// What cuts the connections that a member makes.
    pub fn scissors(&mut self, host: &str) -> Scissors {
        self.scissors.entry(host.to_owned()).or_default().clone()
    }

    /// Kills the process of a member, for good.
    pub fn kill(&mut self, host: &str) {
        if self.within(|sim| sim.is_host_running(host)) {
            self.within(|sim| sim.crash(host));
            let at = self.begin_shade(ShadeKind::Crash, host, host);
            self.witnesses[host].killed(at);
        }
    }

    /// Silently drops everything between the server and a member.
    pub fn partition(&mut self, host: &str) {
        self.begin_shade(ShadeKind::Partition, SERVER, host);
        self.within(|sim| sim.partition(SERVER, host));
    }

    /// Ends a partition. The messages that it dropped stay lost.
    pub fn repair(&mut self, host: &str) {
        self.end_shade(host);
        self.within(|sim| sim.repair(SERVER, host));
    }

    /// Holds back everything between the server and a member.
    pub fn hold(&mut self, host: &str) {
        self.begin_shade(ShadeKind::Hold, SERVER, host);
        self.within(|sim| sim.hold(SERVER, host));
    }

    /// Ends a hold: everything that was held back arrives at once.
    pub fn release(&mut self, host: &str) {
        self.end_shade(host);
        self.within(|sim| sim.release(SERVER, host));
    }

    /// Kills the server's process, which logs nothing about it.
    pub fn crash_server(&mut self) {
        self.begin_shade(ShadeKind::Crash, SERVER, SERVER);
        self.within(|sim| sim.crash(SERVER));
    }

    /// Starts it again.
    pub fn restart_server(&mut self) {
        self.end_shade(SERVER);
        self.within(|sim| sim.bounce(SERVER));
    }

    /// Notes for the picture that the server's disk has failed.
    pub fn disk_fails(&mut self, how: &'static str) {
        self.begin_shade(ShadeKind::Disk(how), SERVER, SERVER);
    }

    /// Notes for the picture that the disk works again.
    pub fn disk_works(&mut self) {
        self.end_shade(SERVER);
    }

    fn begin_shade(&mut self, kind: ShadeKind, one: &str, other: &str) -> Duration {
        let begin = self.sim.elapsed();
        self.shades.push(Shade { between: (one.to_owned(), other.to_owned()), begin, end: None, kind });
        begin
    }

    fn end_shade(&mut self, host: &str) {
        let now = self.sim.elapsed();
        let open = self.shades.iter_mut().rev().find(|shade| shade.between.1 == host && shade.end.is_none());
        if let Some(shade) = open {
            shade.end = Some(now);
        }
    }

    /// Runs the simulation until the time is `at`.
    pub fn run_until(&mut self, at: Duration) {
        self.within(|sim| {
            while sim.elapsed() < at {
                sim.step().expect("no host fails");
            }
        });
    }

    /// Does something to the network or the hosts.
    pub fn within<T>(&mut self, change: impl FnOnce(&mut turmoil::Sim<'static>) -> T) -> T {
        Recording::during(&mut self.recording, || {
            tracing::dispatcher::with_default(&self.dispatch, || change(&mut self.sim))
        })
    }

    /// The picture of the run so far, if it is recorded.
    pub fn timeline(&self) -> Option<Timeline> {
        let recording = self.recording.as_ref()?;
        let host = |address: SocketAddr| self.sim.reverse_lookup(address.ip());
        let (log, memberships) = (self.server_log(), self.memberships());
        Some(picture::draw(self.physics.begin, &log, &memberships, recording, &self.shades, host))
    }

    /// The content of `server.log` so far.
    pub fn server_log(&self) -> String {
        self.server_log_from(0)
    }

    /// The same without the first `offset` bytes.
    pub fn server_log_from(&self, offset: usize) -> String {
        self.log.text_from(offset)
    }

    /// The events so far: from `DEBUG` up, and all of them if the world is traced.
    pub fn events(&self) -> String {
        self.events_from(0)
    }

    /// The same without the first `offset` bytes.
    pub fn events_from(&self, offset: usize) -> String {
        self.notable.text_from(offset)
    }

    /// Every connection that any member has had so far.
    pub fn memberships(&self) -> Vec<Membership> {
        self.witnesses.values().flat_map(Witness::memberships).collect()
    }

    /// The lines that everybody has heard so far, with their times.
    pub fn heard(&self) -> BTreeMap<String, Vec<(Duration, String)>> {
        let heard =
            |witness: &Witness| witness.memberships().into_iter().flat_map(|membership| membership.heard);
        self.witnesses.iter().map(|(host, witness)| (host.clone(), heard(witness).collect())).collect()
    }

    /// The lines on the screen of the member on a host so far.
    pub fn screen(&self, host: &str) -> Vec<String> {
        let mut screen = Vec::new();
        for membership in self.witnesses[host].memberships() {
            screen.extend(membership.heard.into_iter().map(|(_, line)| line));
            if let Some((_, Ending::Lost)) = membership.ended {
                screen.push("Connection lost!".to_owned());
            }
        }
        screen
    }
}
