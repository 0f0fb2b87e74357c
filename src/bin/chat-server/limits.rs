//! The limits that an operator may set, with their defaults.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use commonroom::server::limits::{
    BURST_MESSAGES, CONNECTIONS, CONNECTIONS_PER_ADDRESS, MESSAGES_PER_SECOND, PING_TIMEOUT,
    REGISTRATION_TIMEOUT, RESUME_GRACE, RETENTION_BYTES, SHUTDOWN_GRACE, WRITE_TIMEOUT,
};
use commonroom::server::{Limits, Randomness, Rate, Sessions};

/// The longest timeout: a day.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=24 * 60 * 60;

/// The largest retention: a terabyte.
const MEBIBYTES: std::ops::RangeInclusive<u64> = 1..=1_024 * 1_024;

const BYTES_IN_MEBIBYTE: usize = 1_024 * 1_024;

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArguments {
    /// How many members there may be at once; 0 is as many as come
    #[arg(long, env = "CHAT_MAX_CLIENTS", value_name = "NUMBER", default_value_t = CONNECTIONS)]
    pub max_clients: usize,

    /// How many connections one address may have; 0 is as many as come
    #[arg(long, env = "CHAT_MAX_PER_ADDRESS", value_name = "NUMBER", default_value_t = CONNECTIONS_PER_ADDRESS)]
    max_per_address: usize,

    /// How many messages a second of one member are read, after a burst of --burst; 0 is as many as come
    #[arg(long, env = "CHAT_RATE", value_name = "NUMBER", default_value_t = MESSAGES_PER_SECOND)]
    rate: u32,

    /// How many messages a member may send at once before --rate applies
    #[arg(long, env = "CHAT_BURST", value_name = "NUMBER", default_value_t = BURST_MESSAGES)]
    burst: u32,

    /// How long a client may take to choose its nickname
    #[arg(long, env = "CHAT_REGISTRATION_TIMEOUT", value_name = "SECONDS", default_value_t = REGISTRATION_TIMEOUT.as_secs(), value_parser = seconds())]
    registration_timeout: u64,

    /// How long a member's connection may take nothing of what waits for it
    #[arg(long, env = "CHAT_WRITE_TIMEOUT", value_name = "SECONDS", default_value_t = WRITE_TIMEOUT.as_secs(), value_parser = seconds())]
    write_timeout: u64,

    /// How long a member that has once sent /ping may be silent; chat-client sends it every 20 seconds
    #[arg(long, env = "CHAT_PING_TIMEOUT", value_name = "SECONDS", default_value_t = PING_TIMEOUT.as_secs(), value_parser = seconds())]
    ping_timeout: u64,

    /// How long a member whose connection is lost stays in the room, to come back without a word; 0 is not at all
    #[arg(long, env = "CHAT_RESUME_GRACE", value_name = "SECONDS", default_value_t = RESUME_GRACE.as_secs(), value_parser = RangedU64ValueParser::<u64>::new().range(0..=*SECONDS.end()))]
    resume_grace: u64,

    /// Let members come back over connections that are neither encrypted nor on this machine, too: whoever can
    /// read those can speak in their names
    #[arg(long, env = "CHAT_RESUME_PLAINTEXT")]
    resume_plaintext: bool,

    /// How much of what was said is kept for those who are behind
    #[arg(long, env = "CHAT_RETENTION", value_name = "MIB", default_value_t = RETENTION_BYTES / BYTES_IN_MEBIBYTE, value_parser = mebibytes())]
    retention: usize,

    /// How long pending lines are still written when the server ends
    #[arg(long, env = "CHAT_SHUTDOWN_GRACE", value_name = "SECONDS", default_value_t = SHUTDOWN_GRACE.as_secs(), value_parser = seconds())]
    shutdown_grace: u64,
}

impl LimitArguments {
    pub fn sessions(&self) -> Sessions {
        // The source was tried when the server began, and does not fail after that.
        let randomness =
            Randomness::new(|bytes| getrandom::fill(bytes).expect("the system has random bytes"));
        let grace = Duration::from_secs(self.resume_grace);
        Sessions { grace, plaintext: self.resume_plaintext, randomness }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.max_clients,
            connections_per_address: self.max_per_address,
            rate: Rate { burst_messages: self.burst, messages_per_second: self.rate },
            registration_timeout: Duration::from_secs(self.registration_timeout),
            write_timeout: Duration::from_secs(self.write_timeout),
            ping_timeout: Duration::from_secs(self.ping_timeout),
            retention_bytes: self.retention * BYTES_IN_MEBIBYTE,
            shutdown_grace: Duration::from_secs(self.shutdown_grace),
            ..Limits::default()
        }
    }
}

fn seconds() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(SECONDS)
}

fn mebibytes() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(MEBIBYTES)
}
