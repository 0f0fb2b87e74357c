//! The cases, and which servers they fit.

use crate::kind::Kind;

/// A crowd and what it does.
pub struct Case {
    pub name: String,
    pub receivers: u32,
    pub senders: u32,
    pub load: Load,
    pub line_bytes: u32,
    /// How many additional members never read.
    pub stalled: u32,
    /// Whether the members have sessions, which all resume at the end.
    pub sessions: bool,
    /// Whether an additional member floods the server, which then limits the rate of senders as by default.
    pub flooded: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Load {
    /// Lines of each sender in flight.
    Window(u32),
    /// Deliveries a second.
    Rate(u32),
    Idle,
}

/// More than one, so that the server always has something to read.
const SENDERS: u32 = 4;

/// The report's server writes to one client after the other, each on a thread of its own: beyond
/// this the run takes minutes.
const PYTHON_RECEIVERS: u32 = 100;

/// Reading 1,024 bytes at a time, it tears lines of several senders unless each waits for its echo.
const PYTHON_WINDOW: u32 = 1;

/// The longest line that fits into IRC, in bytes.
const IRC_LINE_BYTES: u32 = 400;

/// One server has a backlog of ten connections, and the other delays each by a second: 1,000 take up to two
/// minutes to join.
const IRC_RECEIVERS: u32 = 100;

/// A crowd of this size is large.
const CROWD: u32 = 5_000;

/// All cases, in the order of the tables.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for receivers in [10, 100, 1_000, 5_000] {
        for window in [1, 64, 1_024] {
            cases.push(Case::new(format!("n{receivers}-w{window}"), receivers, Load::Window(window)));
        }
    }
    for receivers in [100, 1_000] {
        let alone = Case::new(format!("n{receivers}-w1-alone"), receivers, Load::Window(1));
        cases.push(Case { senders: 1, ..alone });
    }
    cases.push(Case { line_bytes: 512, ..Case::new("n1000-512b-w64".to_owned(), 1_000, Load::Window(64)) });
    for rate in [10_000, 100_000] {
        cases.push(Case::new(format!("n1000-rate{rate}"), 1_000, Load::Rate(rate)));
    }
    cases.push(Case { stalled: 1, ..Case::new("n100-w64-stalled".to_owned(), 100, Load::Window(64)) });
    // Together with four senders, a stalled member and a flooding one they are a hundred.
    let calm = || Case::new("n94-rate10000".to_owned(), 94, Load::Rate(10_000));
    cases.push(calm());
    cases.push(Case { name: "n94-rate10000-flooded".to_owned(), stalled: 1, flooded: true, ..calm() });
    for receivers in [1_000, 5_000] {
        let idle = || Case::new(format!("n{receivers}-idle"), receivers, Load::Idle);
        cases.push(idle());
        cases.push(Case { name: format!("n{receivers}-idle-sessions"), sessions: true, ..idle() });
    }
    cases
}

impl Case {
    fn new(name: String, receivers: u32, load: Load) -> Self {
        Self {
            name,
            receivers,
            senders: SENDERS,
            load,
            line_bytes: 64,
            stalled: 0,
            sessions: false,
            flooded: false,
        }
    }

    /// Whether it can be measured on this kind of server.
    pub fn fits(&self, kind: Kind) -> bool {
        match kind {
            _ if self.flooded || self.sessions => kind == Kind::ChatServer,
            Kind::Python => self.receivers <= PYTHON_RECEIVERS && self.load == Load::Window(PYTHON_WINDOW),
            Kind::Ngircd | Kind::Inspircd => {
                self.line_bytes <= IRC_LINE_BYTES && self.receivers <= IRC_RECEIVERS
            }
            Kind::Floor | Kind::ChatServer | Kind::Redis | Kind::Nats => true,
        }
    }

    /// The factor by which it is measured longer. The measurement must be long compared to the time that a slow
    /// server needs for one window of a large crowd.
    pub fn longer(&self) -> f64 {
        if self.receivers >= CROWD && self.load != Load::Idle { 2.0 } else { 1.0 }
    }

    /// The arguments for `chat-load`.
    pub fn arguments(&self, seconds: f64, warm_up: f64) -> Vec<String> {
        let mut arguments = vec![
            format!("--receivers={}", self.receivers),
            format!("--senders={}", self.senders),
            format!("--bytes={}", self.line_bytes),
            format!("--stalled={}", self.stalled),
            format!("--seconds={}", seconds * self.longer()),
            format!("--warm-up={warm_up}"),
        ];
        arguments.push(match self.load {
            Load::Window(lines) => format!("--window={lines}"),
            Load::Rate(rate) => format!("--rate={rate}"),
            Load::Idle => "--idle".to_owned(),
        });
        arguments.extend(self.sessions.then(|| "--sessions".to_owned()));
        arguments
    }
}
