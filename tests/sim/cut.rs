//! Cuts: connections that end at a chosen byte.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the rest of a write is on its way, if the connection of its sender is cut meanwhile.
pub const LATE: Duration = Duration::from_secs(1);

/// The end of a connection, after some more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub direction: Direction,
    pub how: How,
    /// How many bytes still go through in that direction.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    ToServer,
    FromServer,
}

/// How the two ends notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// Both see an end in order.
    Orderly,
    /// Both see an error.
    Reset,
    /// The client sees an error at once. What it was writing still arrives, but late, and the server takes the
    /// connection for alive until then.
    Late,
}

impl Cut {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match (self.direction, self.how) {
            (Direction::ToServer, How::Orderly) => "cut to the server, in order",
            (Direction::ToServer, How::Reset) => "cut to the server, reset",
            (Direction::ToServer, How::Late) => "cut to the server, the rest late",
            (Direction::FromServer, How::Orderly) => "cut from the server, in order",
            (Direction::FromServer, How::Reset | How::Late) => "cut from the server, reset",
        }
    }
}

/// The cuts that wait for their byte, of all connections of one host.
#[derive(Clone, Debug, Default)]
pub struct Scissors(Arc<Mutex<BTreeMap<Direction, Cut>>>);

impl Scissors {
    /// Cuts the connection over which so many more bytes have gone first.
    pub fn arm(&self, cut: Cut) {
        self.0.lock().unwrap().insert(cut.direction, cut);
    }

    /// Cuts nothing any more.
    pub fn disarm(&self) {
        self.0.lock().unwrap().clear();
    }

    /// How many bytes still go through in a direction; `None` if there is no cut.
    pub fn left(&self, direction: Direction) -> Option<usize> {
        self.0.lock().unwrap().get(&direction).map(|cut| cut.bytes)
    }

    /// This many bytes have gone through.
    pub fn passed(&self, direction: Direction, bytes: usize) {
        if let Some(cut) = self.0.lock().unwrap().get_mut(&direction) {
            cut.bytes = cut.bytes.saturating_sub(bytes);
        }
    }

    /// Takes a cut whose byte has come.
    pub fn take(&self, direction: Direction) -> Option<How> {
        let mut cuts = self.0.lock().unwrap();
        cuts.get(&direction).filter(|cut| cut.bytes == 0)?;
        cuts.remove(&direction).map(|cut| cut.how)
    }
}
