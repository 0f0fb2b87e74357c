//! A world: one server, its members with what they do and when, and what everybody saw.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commonroom::client::{Event, Receiver, Sender, connect};
use commonroom::journal::{self, LogFormat};
use commonroom::net::{Network, Stream};
use commonroom::protocol::{Framing, Nickname};
use commonroom::server::{Config, serve};
use jiff::civil::DateTime;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

use super::network::Simulated;

/// The name under which the server is reached.
pub const SERVER: &str = "server";

const PORT: u16 = 5555;

/// Where the server is, as seen from the members.
pub fn address() -> String {
    format!("{SERVER}:{PORT}")
}

/// How long a message is on its way. Fixed, so that a scenario can say when something arrives.
pub const LATENCY: Duration = Duration::from_millis(1);

/// What a member does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Types a line.
    Say(&'static str),
    /// Reads nothing for so long, whatever comes.
    Ignore(Duration),
    /// Closes the connection in order.
    Leave,
    /// Is gone without a word: the connection is dropped with input unread.
    Vanish,
}

/// A member: who it is, and what it does how long after the beginning.
#[derive(Clone, Debug)]
pub struct Member {
    pub host: &'static str,
    pub nickname: &'static str,
    pub framing: Framing,
    /// When it connects.
    pub connects: Duration,
    /// In the order of time.
    pub acts: Vec<(Duration, Act)>,
}

impl Member {
    /// A line-framed member that connects at the beginning and does nothing.
    pub fn new(nickname: &'static str) -> Self {
        Self { host: nickname, nickname, framing: Framing::Lines, connects: Duration::ZERO, acts: Vec::new() }
    }

    pub fn on_host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub fn report_framed(self) -> Self {
        Self { framing: Framing::Report, ..self }
    }

    pub fn connects(self, at: Duration) -> Self {
        Self { connects: at, ..self }
    }

    pub fn then(mut self, at: Duration, act: Act) -> Self {
        self.acts.push((at, act));
        self
    }
}

pub struct World {
    sim: turmoil::Sim<'static>,
    /// Takes the events of the world's own simulation, and no other's.
    dispatch: Dispatch,
    log: Captured,
    screens: BTreeMap<&'static str, Screen>,
}

impl World {
    /// A world whose clock shows `begin` at its beginning.
    pub fn new(seed: u64, begin: DateTime) -> Self {
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(std::time::UNIX_EPOCH)
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(LATENCY)
            .max_message_latency(LATENCY)
            .simulation_duration(Duration::from_secs(24 * 60 * 60))
            .build();
        let log = Captured::default();
        let target = log.clone();
        let clock = move || {
            let elapsed = turmoil::sim_elapsed().unwrap_or_default();
            let now = begin.checked_add(elapsed).expect("a simulation does not last for ever");
            now.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has every time")
        };
        let journal = journal::layer(LogFormat::Report, clock, move || target.clone());
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(journal));
        Self { sim, dispatch, log, screens: BTreeMap::new() }
    }

    /// Puts the server into the world. It starts with the first step.
    pub fn start_server(&mut self, config: Config) {
        self.start_server_on(Simulated, config);
    }

    /// The same, on a network that is not quite the simulated one.
    pub fn start_server_on<N: Network>(&mut self, network: N, config: Config) {
        self.within(|sim| {
            sim.host(SERVER, move || {
                let (network, config) = (network.clone(), config.clone());
                async move {
                    let listener = network.bind(&format!("0.0.0.0:{PORT}")).await?;
                    serve(listener, config, std::future::pending()).await;
                    Ok(())
                }
            });
        });
    }

    /// Puts a member into the world, on a host of its own.
    pub fn add(&mut self, member: Member) {
        let screen = Screen::default();
        self.screens.insert(member.host, screen.clone());
        self.within(|sim| {
            sim.host(member.host, move || {
                let (member, screen) = (member.clone(), screen.clone());
                async move {
                    // How the connection ended, as the report's client says it.
                    if live(member, &screen).await.is_err() {
                        screen.show("Connection lost!".to_owned());
                    }
                    Ok(())
                }
            });
        });
    }

    /// Lets time go by until it is `at`.
    pub fn run_until(&mut self, at: Duration) {
        self.within(|sim| {
            while sim.elapsed() < at {
                sim.step().expect("no host fails");
            }
        });
    }

    /// Does something to the network or the hosts.
    pub fn within<T>(&mut self, change: impl FnOnce(&mut turmoil::Sim<'static>) -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, || change(&mut self.sim))
    }

    /// What `server.log` holds by now.
    pub fn server_log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).expect("the log is UTF-8")
    }

    /// What the member on a host has seen by now, one line each.
    pub fn screen(&self, host: &str) -> Vec<String> {
        self.screens[host].0.lock().unwrap().clone()
    }
}

/// What a member has seen; shared between its host and the test.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<String>>>);

impl Screen {
    fn show(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

/// What the journal has written; shared between the simulation and the test.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The life of a member, on its host.
async fn live(member: Member, screen: &Screen) -> io::Result<()> {
    // The host was there from the beginning, so its own clock shows the time of the world.
    let begin = Instant::now();
    sleep_until(begin + member.connects).await;
    let (mut receiver, mut sender) = connect(&Simulated, &address(), member.framing).await?;
    let nickname = Nickname::parse(member.nickname).expect("the plan has a valid nickname");
    for (at, act) in member.acts {
        hear_until(&mut receiver, &mut sender, &nickname, screen, begin + at).await?;
        match act {
            Act::Say(text) => {
                sender.line(text);
                sender.flush().await?;
            }
            Act::Ignore(duration) => sleep(duration).await,
            Act::Leave => {
                sender.end().await?;
                receiver.drain().await;
                return Ok(());
            }
            Act::Vanish => return Ok(()),
        }
    }
    let for_ever = begin + Duration::from_secs(24 * 60 * 60);
    hear_until(&mut receiver, &mut sender, &nickname, screen, for_ever).await
}

/// Shows what comes until it is time for something else.
async fn hear_until<S: Stream>(
    receiver: &mut Receiver<S>,
    sender: &mut Sender<S>,
    nickname: &Nickname,
    screen: &Screen,
    until: Instant,
) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = sleep_until(until) => return Ok(()),
            event = receiver.next() => match event? {
                Some(Event::NicknameRequest) => {
                    sender.name(nickname);
                    sender.flush().await?;
                }
                Some(Event::Line(line)) => screen.show(line),
                Some(Event::Unreadable(refusal)) => panic!("something that cannot be shown: {refusal}"),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

/// Compares with what has been reviewed; the snapshots lie together at the top of the repository.
#[track_caller]
pub fn snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
