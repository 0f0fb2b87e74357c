//! The kinds of servers.

use crate::machine::on_path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Floor,
    ChatServer,
    Redis,
    Nats,
    Ngircd,
    Inspircd,
    Python,
}

/// In the order of the tables; the floor first, because the others are measured against it.
pub const KINDS: [Kind; 7] =
    [Kind::Floor, Kind::ChatServer, Kind::Redis, Kind::Nats, Kind::Ngircd, Kind::Inspircd, Kind::Python];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::ChatServer => "chat-server",
            Self::Redis => "redis-server",
            Self::Nats => "nats-server",
            Self::Ngircd => "ngircd",
            Self::Inspircd => "inspircd",
            Self::Python => "server.py",
        }
    }

    /// For `--protocol`.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Floor | Self::ChatServer | Self::Python => "report",
            Self::Redis => "redis",
            Self::Nats => "nats",
            Self::Ngircd | Self::Inspircd => "irc",
        }
    }

    /// Whether it can be run on this machine.
    pub fn is_here(self) -> bool {
        match self {
            Self::Floor => cfg!(target_os = "linux"),
            Self::ChatServer => true,
            Self::Python => on_path("python3").is_some(),
            other => on_path(other.name()).is_some(),
        }
    }
}
