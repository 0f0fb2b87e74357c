//! Reports which sockets are ready.
//!
//! Edge-triggered through mio, on every system: a change is reported once. Level-triggered, on Linux
//! only and through epoll itself, since mio does not offer it: a socket is reported as long as it is
//! readable.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Trigger;

/// How many sockets are reported at once.
const EVENTS: usize = 1_024;

pub(super) struct Poller {
    system: System,
    ready: Vec<Ready>,
}

enum System {
    Edge {
        poll: Poll,
        events: Events,
    },
    #[cfg(target_os = "linux")]
    Level(level::Epoll),
}

/// What one socket is ready for.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) index: usize,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Poller {
    pub(super) fn new(trigger: Trigger) -> io::Result<Self> {
        let system = match trigger {
            Trigger::Edge => System::Edge { poll: Poll::new()?, events: Events::with_capacity(EVENTS) },
            #[cfg(target_os = "linux")]
            Trigger::Level => System::Level(level::Epoll::new()?),
            #[cfg(not(target_os = "linux"))]
            Trigger::Level => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { system, ready: Vec::with_capacity(EVENTS) })
    }

    /// Waits until a socket is ready or the timeout has passed. [`Poller::ready`] returns the ready sockets.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.ready.clear();
        match &mut self.system {
            System::Edge { poll, events } => {
                poll.poll(events, Some(timeout))?;
                self.ready.extend(events.iter().map(|event| Ready {
                    index: event.token().0,
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                }));
                Ok(())
            }
            #[cfg(target_os = "linux")]
            System::Level(epoll) => epoll.wait(timeout, &mut self.ready),
        }
    }

    /// One of the sockets that were ready when [`Poller::wait`] returned.
    pub(super) fn ready(&self, number: usize) -> Option<Ready> {
        self.ready.get(number).copied()
    }

    /// Reports the socket from now on; until it is connected, also when it becomes writable.
    pub(super) fn add(&self, stream: &mut TcpStream, index: usize) -> io::Result<()> {
        match &self.system {
            System::Edge { poll, .. } => {
                poll.registry().register(stream, Token(index), Interest::READABLE | Interest::WRITABLE)
            }
            #[cfg(target_os = "linux")]
            System::Level(epoll) => epoll.add(stream, index),
        }
    }

    /// Sets whether writability is reported. Edge-triggered sockets always report it.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(unused_variables, clippy::unnecessary_wraps, reason = "there are only edges")
    )]
    pub(super) fn report_room(&self, stream: &TcpStream, index: usize, wanted: bool) -> io::Result<()> {
        match &self.system {
            System::Edge { .. } => Ok(()),
            #[cfg(target_os = "linux")]
            System::Level(epoll) => epoll.report_room(stream, index, wanted),
        }
    }

    /// Stops reporting the socket.
    pub(super) fn remove(&self, stream: &mut TcpStream) -> io::Result<()> {
        match &self.system {
            System::Edge { poll, .. } => poll.registry().deregister(stream),
            #[cfg(target_os = "linux")]
            System::Level(epoll) => epoll.remove(stream),
        }
    }
}

#[cfg(target_os = "linux")]
mod level {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use mio::net::TcpStream;
    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

    use super::{EVENTS, Ready};

    pub(super) struct Epoll {
        epoll: OwnedFd,
        events: Vec<Event>,
    }

    impl Epoll {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS) })
        }

        pub(super) fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
            self.events.clear();
            let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
            epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout))?;
            let failed = EventFlags::ERR | EventFlags::HUP;
            ready.extend(self.events.iter().map(|event| Ready {
                index: usize::try_from({ event.data }.u64()).unwrap_or(usize::MAX),
                readable: { event.flags }.intersects(EventFlags::IN | failed),
                writable: { event.flags }.intersects(EventFlags::OUT | failed),
            }));
            Ok(())
        }

        pub(super) fn add(&self, stream: &TcpStream, index: usize) -> io::Result<()> {
            Ok(epoll::add(&self.epoll, stream, data(index), EventFlags::IN | EventFlags::OUT)?)
        }

        pub(super) fn report_room(&self, stream: &TcpStream, index: usize, wanted: bool) -> io::Result<()> {
            let room = if wanted { EventFlags::OUT } else { EventFlags::empty() };
            Ok(epoll::modify(&self.epoll, stream, data(index), EventFlags::IN | room)?)
        }

        pub(super) fn remove(&self, stream: &TcpStream) -> io::Result<()> {
            Ok(epoll::delete(&self.epoll, stream)?)
        }
    }

    fn data(index: usize) -> EventData {
        EventData::new_u64(index as u64)
    }
}
