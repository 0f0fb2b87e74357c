//! A TCP proxy that breaks the connections through it, as it is told to.
//!
//! A fault is planned at a byte of all that has gone in one direction, through whichever connection carries
//! that byte. So all faults of a plan happen as soon as enough bytes have passed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::random::SplitMix64;
use super::wait::{DEADLINE, POLL_INTERVAL};

/// How much is read from a socket at once.
const READ_BYTES: usize = 16 << 10;

/// The longest stall that is drawn.
const DRAWN_STALL_MILLISECONDS: u64 = 200;

/// A stall that ends with its connection or with the proxy.
pub const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A proxy on a port of this machine. When it is dropped, it resets all connections.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides are told that the other one has closed the connection in order. What is under way is lost.
    Close,
    /// Both sides are told that the connection was reset. What is under way is lost.
    Reset,
    /// What comes is held for this long, in this direction.
    Stall(Duration),
    /// The same in both directions.
    StallBoth(Duration),
}

/// A fault, and the byte before which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub fault: Fault,
    pub direction: Direction,
    /// How many bytes pass before it in its direction, through all connections, after the plan was given.
    pub after_bytes: u64,
}

/// A fault that has happened.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    pub fault: Fault,
    pub direction: Direction,
    /// Whether it cut a line in two.
    pub inside_line: bool,
}

impl Proxy {
    /// Starts a proxy for `server` that has no faults yet.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            server,
            ways: [const { Mutex::new(Way::NEW) }; 2],
            over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok).take_while(|_| !accepting.is_over()) {
                accepting.connect(client);
            }
        });
        Self { address, shared }
    }

    /// From now on, these faults happen, and no others.
    pub fn plan(&self, mut faults: Vec<Planned>) {
        faults.sort_by_key(|planned| planned.after_bytes);
        for direction in [Direction::Up, Direction::Down] {
            let mut way = self.shared.way(direction);
            way.passed_bytes = 0;
            way.planned = faults.iter().copied().filter(|planned| planned.direction == direction).collect();
        }
    }

    /// The faults that have happened, by direction and in their order.
    pub fn happened(&self) -> Vec<Happened> {
        [Direction::Up, Direction::Down]
            .iter()
            .flat_map(|way| self.shared.way(*way).happened.clone())
            .collect()
    }

    /// Whether a stall holds something that has come.
    pub fn is_holding(&self, direction: Direction) -> bool {
        self.shared.way(direction).holding > 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Its thread waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

/// Draws this many cuts (closed and reset, in both directions) and stalls (one-way and both ways) for the
/// next `up_bytes` and `down_bytes`.
pub fn draw(
    random: &mut SplitMix64,
    cuts: usize,
    stalls: usize,
    up_bytes: u64,
    down_bytes: u64,
) -> Vec<Planned> {
    let cut =
        |index: usize, _: &mut SplitMix64| if index.is_multiple_of(2) { Fault::Close } else { Fault::Reset };
    let stall = |index: usize, random: &mut SplitMix64| {
        let time = Duration::from_millis(random.draw() % DRAWN_STALL_MILLISECONDS);
        if index.is_multiple_of(2) { Fault::Stall(time) } else { Fault::StallBoth(time) }
    };
    let kinds = (0..cuts).map(|index| (index, true)).chain((0..stalls).map(|index| (index, false)));
    kinds
        .map(|(index, is_cut)| {
            let up = (index / 2).is_multiple_of(2);
            let (direction, bytes) =
                if up { (Direction::Up, up_bytes) } else { (Direction::Down, down_bytes) };
            let fault = if is_cut { cut(index, random) } else { stall(index, random) };
            Planned { fault, direction, after_bytes: random.draw() % bytes }
        })
        .collect()
}

struct Shared {
    server: SocketAddr,
    ways: [Mutex<Way>; 2],
    over: AtomicBool,
}

/// All traffic in one direction.
struct Way {
    planned: VecDeque<Planned>,
    happened: Vec<Happened>,
    passed_bytes: u64,
    /// How many connections hold something.
    holding: usize,
}

impl Way {
    const NEW: Self = Self { planned: VecDeque::new(), happened: Vec::new(), passed_bytes: 0, holding: 0 };

    /// How many of `bytes` pass before the next fault, and that fault if it is among them.
    fn pass(&mut self, bytes: &[u8]) -> (usize, Option<Happened>) {
        let before = self.planned.front().map(|next| next.after_bytes.saturating_sub(self.passed_bytes));
        let length =
            before.and_then(|before| usize::try_from(before).ok()).filter(|length| *length <= bytes.len());
        let passing = length.unwrap_or(bytes.len());
        self.passed_bytes += passing as u64;
        let Some(Planned { fault, direction, .. }) = length.and_then(|_| self.planned.pop_front()) else {
            return (passing, None);
        };
        let inside_line = bytes[..passing].last().is_some_and(|last| *last != b'\n');
        (passing, Some(Happened { fault, direction, inside_line }))
    }
}

impl Shared {
    fn way(&self, direction: Direction) -> MutexGuard<'_, Way> {
        self.ways[direction as usize].lock().expect("no thread panics with it")
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Serves a connection in threads of its own. It is reset if the server does not accept it.
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(link) = TcpStream::connect(self.server).and_then(|server| Link::new(client, server)) else {
            return;
        };
        let link = Arc::new(link);
        for direction in [Direction::Up, Direction::Down] {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            thread::spawn(move || shared.pump(&link, direction));
        }
    }

    /// Carries one direction of a connection, until its end.
    fn pump(&self, link: &Link, direction: Direction) {
        let (mut from, to) = link.ends(direction);
        let mut buffer = [0; READ_BYTES];
        loop {
            let read = from.read(&mut buffer);
            if self.is_over() {
                link.reset();
            }
            match (read, link.condition()) {
                (_, Condition::Reset) => return,
                (Err(error), _) if is_timeout(&error) => {}
                (Err(_), _) => return link.reset(),
                (Ok(0), _) => {
                    // There may be nobody left to tell.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                // What comes now is lost; it is read so that the connection ends in order.
                (Ok(_), Condition::Closed) => {}
                (Ok(length), Condition::Open) => self.forward(link, direction, &buffer[..length]),
            }
        }
    }

    /// Forwards what has come, up to a cut.
    fn forward(&self, link: &Link, direction: Direction, mut bytes: &[u8]) {
        let (_, mut to) = link.ends(direction);
        while !bytes.is_empty() {
            self.wait_while_stalled(link, direction);
            if link.condition() != Condition::Open {
                return;
            }
            let (length, fault) = self.way(direction).pass(bytes);
            let (passing, rest) = bytes.split_at(length);
            bytes = rest;
            if to.write_all(passing).is_err() {
                return link.reset();
            }
            if let Some(happened) = fault {
                link.suffer(happened.fault, direction);
                self.way(direction).happened.push(happened);
            }
        }
    }

    fn wait_while_stalled(&self, link: &Link, direction: Direction) {
        if !link.is_stalled(direction) {
            return;
        }
        self.way(direction).holding += 1;
        while link.is_stalled(direction) && !self.is_over() {
            thread::park_timeout(POLL_INTERVAL);
        }
        self.way(direction).holding -= 1;
    }
}

/// One connection of a client, and the one to the server that belongs to it.
struct Link {
    client: TcpStream,
    server: TcpStream,
    state: Mutex<LinkState>,
}

struct LinkState {
    condition: Condition,
    stalled_until: [Instant; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Open,
    /// Both sides have been told that it is closed.
    Closed,
    /// It ends by a reset as soon as both of its threads have let go of it.
    Reset,
}

impl Link {
    fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(POLL_INTERVAL))?;
            stream.set_write_timeout(Some(DEADLINE))?;
        }
        let state = LinkState { condition: Condition::Open, stalled_until: [Instant::now(); 2] };
        Ok(Self { client, server, state: Mutex::new(state) })
    }

    /// Where the bytes of this direction come from, and where they go.
    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::Up => (&self.client, &self.server),
            Direction::Down => (&self.server, &self.client),
        }
    }

    fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().expect("no thread panics with it")
    }

    fn condition(&self) -> Condition {
        self.state().condition
    }

    fn suffer(&self, fault: Fault, direction: Direction) {
        match fault {
            Fault::Close => self.close(),
            Fault::Reset => self.reset(),
            Fault::Stall(time) => self.stall(&[direction], time),
            Fault::StallBoth(time) => self.stall(&[Direction::Up, Direction::Down], time),
        }
    }

    fn close(&self) {
        self.state().condition = Condition::Closed;
        for stream in [&self.client, &self.server] {
            // The other side may be gone.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    fn reset(&self) {
        self.state().condition = Condition::Reset;
        for stream in [&self.client, &self.server] {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    fn stall(&self, directions: &[Direction], time: Duration) {
        for direction in directions {
            self.state().stalled_until[*direction as usize] = Instant::now() + time;
        }
    }

    fn is_stalled(&self, direction: Direction) -> bool {
        let state = self.state();
        state.condition == Condition::Open && Instant::now() < state.stalled_until[direction as usize]
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
