//! `just soak-real`: a crowd on the real server that joins, talks, stalls, vanishes, reconnects and
//! misbehaves at random, and checks on those who stay and on the server afterwards.
//!
//! `SOAK_SECONDS` and `SOAK_MEMBERS` set how long it takes and how many take part. With the same `SOAK_SEED`
//! everybody does the same at the same times; the scheduling of the machine still differs.
#![cfg(target_os = "linux")]

mod chronicle;
#[path = "../support"]
mod support {
    pub mod process;
    pub mod random;
    pub mod server;
    pub mod wait;
}

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use chronicle::Chronicle;
use commonroom::client::{self, Config, Connection, Disconnected, Event, JoinError};
use commonroom::net::{Connect, ResettingTcp};
use commonroom::protocol::{Heard, Nickname};
use commonroom::tools::usage::resident_bytes;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::random::SplitMix64;
use support::server::Server;
use support::wait::{POLL_INTERVAL, wait_for};
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Limits short enough to be reached, and none of those that a crowd from one address would reach.
const SERVER_ARGUMENTS: &[&str] = &[
    "--quiet",
    "--rate=0",
    "--max-per-address=0",
    "--metrics=127.0.0.1:0",
    "--retention=1",
    "--write-timeout=2",
    "--ping-timeout=3",
    "--registration-timeout=3",
];

/// The seed of a run without `SOAK_SEED`.
const SEED: u64 = 1;

/// One of this many members stays from the beginning to the end.
const ONE_STAYS_OF: usize = 5;

/// How long the last members may take to leave when it is over.
const AFTERMATH: Duration = Duration::from_secs(60);

/// How much more memory the server may hold at the end than at the beginning: its transcript, and what the
/// allocator keeps.
const GROWN_BYTES: u64 = 12 << 20;

/// How many lines a member says at once if it has much to say.
const BURST_LINES: usize = 200;

const BEGIN: &str = "the soak begins";
const END: &str = "the soak ends";

/// How long a leaving member waits for the busy server.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(30);

type Client = Connection<<ResettingTcp as Connect>::Stream>;

#[test]
fn a_crowd_comes_and_goes_and_nothing_is_lost_or_left_behind() {
    let seed = setting("SOAK_SEED", SEED);
    let plan = (setting("SOAK_SECONDS", 3), usize::try_from(setting("SOAK_MEMBERS", 100)).unwrap());
    println!("SOAK_SEED={seed} SOAK_SECONDS={} SOAK_MEMBERS={}", plan.0, plan.1);
    let mut server = Server::start_program(cargo_bin!("chat-server"), SERVER_ARGUMENTS);
    let metrics = server.running.stderr.expect("metrics on ");
    let metrics = metrics.trim_start_matches("chat-server: metrics on http://").trim_end_matches("/metrics");
    let metrics = metrics.parse().expect("an address");
    let id = server.running.child.id();
    let (descriptors, memory) = (descriptors(id), resident_bytes(id).expect("Linux tells"));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lines = runtime.block_on(soak(server.address, metrics, seed, Duration::from_secs(plan.0), plan.1));

    wait_for("the end of all connections", || value(metrics, "chat_connections ") == 0);
    assert_eq!(value(metrics, "chat_members "), 0);
    wait_for("the descriptors", || self::descriptors(id) <= descriptors);
    let grown = resident_bytes(id).expect("Linux tells").saturating_sub(memory);
    assert!(grown < GROWN_BYTES, "{grown} bytes more than at the beginning");
    let evicted = |cause: &str| value(metrics, &format!("chat_evictions_total{{cause=\"{cause}\"}} "));
    println!(
        "{lines} lines, {} deliveries; {} stalled, {} too slow, {} timed out; {descriptors} descriptors and {} KiB \
         at the beginning, {} KiB more at the end",
        value(metrics, "chat_deliveries_total "),
        evicted("stalled"),
        evicted("too_slow"),
        evicted("timed_out"),
        memory / 1_024,
        grown / 1_024,
    );
    server.running.signal(Signal::TERM);
    assert_eq!(server.running.wait().code(), Some(0));
    assert_eq!(
        server.running.stderr.seen.len(),
        1,
        "only where the metrics are: {:#?}",
        server.running.stderr.seen
    );
    assert!(!server.log().contains(" - ERROR - "), "a session has panicked");
}

/// Runs the crowd. Returns how many lines the stayers have seen.
async fn soak(
    server: SocketAddr,
    metrics: SocketAddr,
    seed: u64,
    duration: Duration,
    members: usize,
) -> usize {
    let staying = members.div_ceil(ONE_STAYS_OF);
    let end = Instant::now() + duration;
    let common = Arc::new(Common {
        server: server.to_string(),
        end,
        staying,
        chronicle: Mutex::default(),
        together: Barrier::new(staying),
        begun: Notify::new(),
        over: Notify::new(),
    });
    let mut stayers = JoinSet::new();
    for index in 0..staying {
        stayers.spawn(stay(Arc::clone(&common), index, Dice::of(seed, index)));
    }
    timeout(AFTERMATH, common.begun.notified()).await.expect("those who stay join");
    let mut others = JoinSet::new();
    for index in staying..members {
        others.spawn(come_and_go(Arc::clone(&common), index, Dice::of(seed, index)));
    }
    let aftermath = async {
        while let Some(ended) = others.join_next().await {
            ended.expect("nobody fails");
        }
    };
    timeout(duration + AFTERMATH, aftermath).await.expect("everybody comes to an end");
    let alone = async {
        let count = staying as u64;
        while [value(metrics, "chat_members "), value(metrics, "chat_connections ")] != [count; 2] {
            sleep(POLL_INTERVAL).await;
        }
    };
    timeout(AFTERMATH, alone).await.expect("only those who stay are left");
    common.over.notify_one();
    let gone = async {
        while let Some(ended) = stayers.join_next().await {
            ended.expect("nobody fails");
        }
    };
    timeout(AFTERMATH, gone).await.expect("everybody hears the end");
    let chronicle = common.chronicle.lock().unwrap();
    chronicle.check();
    chronicle.lines.len()
}

struct Common {
    server: String,
    end: Instant,
    /// The number of stayers.
    staying: usize,
    chronicle: Mutex<Chronicle>,
    /// Where the stayers wait for each other.
    together: Barrier,
    /// The stayers are here, and record the lines that they hear.
    begun: Notify,
    /// Everybody else is gone.
    over: Notify,
}

/// A stayer hears everything, says something now and then, and leaves at the end.
async fn stay(common: Arc<Common>, index: usize, mut dice: Dice) {
    let name = format!("stays{index}");
    let mut client = join(&common.server, &name).await.expect("the server lets it in");
    common.together.wait().await;
    if index == 0 {
        say(&mut client, BEGIN);
    }
    let (mut said, mut place, mut next_talk) = (0, None, Instant::now());
    let (begin_line, end_line) = (format!("stays0: {BEGIN}"), format!("stays0: {END}"));
    loop {
        tokio::select! {
            biased;
            event = client.next() => {
                let Event::Line(line) = event.expect("the connection lives") else { continue };
                let Heard::Everyone(line) = Heard::parse(&line) else { continue };
                if line == end_line {
                    break;
                } else if let Some(place) = &mut place {
                    common.chronicle.lock().unwrap().hear(*place, line);
                    *place += 1;
                } else if line == begin_line {
                    place = Some(0);
                    common.begun.notify_one();
                }
            }
            () = common.over.notified(), if index == 0 => say(&mut client, END),
            () = sleep_until(next_talk), if place.is_some() && next_talk < common.end => {
                said += 1;
                say(&mut client, &dice.talk(said, false));
                next_talk = Instant::now() + dice.pause(5_000);
            }
        }
    }
    common.chronicle.lock().unwrap().said.insert(name, said);
    if index == 0 {
        check_roster(&mut client, common.staying).await;
    }
    // Nobody leaves before the roster has been checked.
    common.together.wait().await;
    leave(client).await.expect("the connection lives");
}

async fn check_roster(client: &mut Client, staying: usize) {
    say(client, "/who");
    while let Some(event) = client.next().await {
        if let Event::Line(line) = event
            && let Some(names) = line.strip_prefix(&format!("-- Here now ({staying}): "))
        {
            assert!(
                names.split([',', ' ']).filter(|name| name.starts_with("stays")).count() >= staying.min(100)
            );
            return;
        }
    }
    panic!("the roster is not that of those who stay");
}

/// A member that comes and goes until the end, under another nickname each time.
async fn come_and_go(common: Arc<Common>, index: usize, mut dice: Dice) {
    sleep(dice.pause(1_000)).await;
    for visit in 0.. {
        if Instant::now() >= common.end {
            break;
        }
        let name = format!("m{index}v{visit}");
        match dice.below(10) {
            0 => misbehave(&common.server, &mut dice).await.expect("the server is there"),
            1 => read_nothing(&common, &name, &mut dice).await.expect("the server is there"),
            _ => visit_for_a_while(&common.server, &name, &mut dice)
                .await
                .expect("nobody is dropped without a cause"),
        }
        sleep(dice.pause(1_000)).await;
    }
}

async fn visit_for_a_while(server: &str, name: &str, dice: &mut Dice) -> io::Result<()> {
    let mut client = join(server, name).await.map_err(io::Error::other)?;
    let mut said = 0;
    for _ in 0..dice.below(6) {
        // Now and then somebody has much to say, so that members that read nothing stall.
        let lines = if dice.below(50) == 0 { BURST_LINES } else { 1 };
        hear_for(&mut client, dice.pause(3_000)).await?;
        match dice.below(10) {
            // It reads nothing for a while.
            0 => sleep(dice.pause(1_500)).await,
            1 => say(&mut client, "one\u{7}bell"),
            2 => say(&mut client, &"long".repeat(2_000)),
            3 => say(&mut client, "/who"),
            _ => {
                for _ in 0..lines {
                    said += 1;
                    say(&mut client, &dice.talk(said, lines > 1));
                }
            }
        }
        client.flush().await?;
    }
    match dice.below(4) {
        // It vanishes: the connection is reset.
        0 => Ok(()),
        // It pings once and falls silent, so that the server drops it.
        1 => {
            say(&mut client, "/ping still there?");
            while client.next().await.is_some() {}
            Ok(())
        }
        _ => leave(client).await,
    }
}

async fn hear_for(client: &mut Client, duration: Duration) -> io::Result<()> {
    let hearing = async {
        loop {
            if let Some(Event::Disconnected(_)) | None = client.next().await {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    };
    timeout(duration, hearing).await.unwrap_or(Ok(()))
}

/// Connects without becoming a member.
async fn misbehave(server: &str, dice: &mut Dice) -> io::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    let nonsense: &[u8] = match dice.below(5) {
        0 => b"",
        1 => b"half a nickna",
        2 => b"two words\n:\n-\n",
        3 => b"\xff\xfe\n\0\n",
        _ => b"stays0\nstays1\nstays0\n",
    };
    stream.write_all(nonsense)?;
    sleep(dice.pause(4_000)).await;
    Ok(())
}

/// Joins with a socket that takes little, and never reads from it.
async fn read_nothing(common: &Common, name: &str, dice: &mut Dice) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4_096)?;
    let server: SocketAddr = common.server.parse().expect("an address");
    socket.connect(&server.into())?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(format!("{name}\n").as_bytes())?;
    sleep_until((Instant::now() + dice.pause(60_000)).min(common.end)).await;
    Ok(())
}

/// Joins with a client that pings only on request.
async fn join(server: &str, name: &str) -> Result<Client, JoinError> {
    let nickname = Nickname::parse(name).expect("a valid nickname");
    client::join(&ResettingTcp, server, Config::new(nickname).without_heartbeat()).await
}

fn say(client: &mut Client, line: &str) {
    client.send_line(line).expect("it is in the room, and what it has to say fits");
}

async fn leave(mut client: Client) -> io::Result<()> {
    client.begin_leaving(LEAVE_TIMEOUT);
    loop {
        match client.next().await {
            Some(Event::Disconnected(Disconnected::Left)) => return Ok(()),
            Some(Event::Disconnected(how)) => return Err(io::Error::other(format!("{how:?}"))),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A member's random choices.
struct Dice(SplitMix64);

impl Dice {
    fn of(seed: u64, index: usize) -> Self {
        let first = SplitMix64::seeded(seed).draw();
        Self(SplitMix64::seeded(first ^ (index as u64).rotate_left(32)))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.draw() % bound
    }

    fn pause(&mut self, at_most_milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(at_most_milliseconds))
    }

    /// A numbered line, now and then a long one.
    fn talk(&mut self, number: u64, long: bool) -> String {
        let padding = if self.below(3) == 0 || long { 900 } else { 10 };
        format!("{number} {}", "x".repeat(padding))
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("the server lives").count()
}

/// A number from the server's metrics.
fn value(metrics: SocketAddr, name: &str) -> u64 {
    let mut stream = TcpStream::connect(metrics).expect("the metrics are there");
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("they are asked for");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("they are answered");
    let found = answer.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    found.unwrap_or_else(|| panic!("{name}is not told: {answer}"))
}
