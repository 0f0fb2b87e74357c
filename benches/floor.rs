//! The floor: the least that fan-out can cost.
//!
//! It parses nothing, names nobody and logs nothing. It reads once from each readable socket, and then
//! writes everything to each member, once. Two things are added for the generator: a member is told that
//! it is connected after its first bytes, and no line is torn by another. Sockets are watched for input only,
//! level-triggered; only full ones are watched for room.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const LISTENER: u64 = u64::MAX;
const EVENTS: usize = 1_024;
const READ_BYTES: usize = 256 * 1_024;
/// Members that lag further are dropped.
const PENDING_BYTES: usize = 64 * 1_024 * 1_024;

struct Member {
    index: u64,
    stream: TcpStream,
    connected: bool,
    /// The beginning of a line whose end has not come.
    unfinished: Vec<u8>,
    /// The bytes that its socket has not taken.
    pending: Vec<u8>,
}

/// Serves until something fails.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    // Members keep their places; one that has gone leaves its place empty.
    let mut members: Vec<Option<Member>> = Vec::new();
    let (mut events, mut buffer, mut gathered) =
        (Vec::with_capacity(EVENTS), vec![0; READ_BYTES], Vec::new());
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let (flags, data) = (event.flags, event.data.u64());
            if data == LISTENER {
                accept(&listener, &epoll, &mut members)?;
                continue;
            }
            let place = usize::try_from(data).map_err(io::Error::other)?;
            keep(&mut members[place], |member| {
                if flags.contains(EventFlags::OUT) {
                    send_pending(member, &epoll)?;
                }
                if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
                    read(member, &epoll, &mut buffer, &mut gathered)?;
                }
                Ok(())
            });
        }
        if !gathered.is_empty() {
            for place in &mut members {
                keep(place, |member| if member.connected { send(member, &epoll, &gathered) } else { Ok(()) });
            }
            gathered.clear();
        }
    }
}

/// Calls a function with the member in this place, if any. An error means that the member is gone.
fn keep(place: &mut Option<Member>, act: impl FnOnce(&mut Member) -> io::Result<()>) {
    if let Some(member) = place
        && act(member).is_err()
    {
        *place = None;
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, members: &mut Vec<Option<Member>>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let index = members.len() as u64;
    epoll::add(epoll, &stream, EventData::new_u64(index), EventFlags::IN)?;
    members.push(Some(Member { index, stream, connected: false, unfinished: vec![], pending: vec![] }));
    Ok(())
}

fn read(member: &mut Member, epoll: &OwnedFd, buffer: &mut [u8], gathered: &mut Vec<u8>) -> io::Result<()> {
    let length = member.stream.read(buffer)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !member.connected {
        member.connected = true;
        return send(member, epoll, b"NICKConnected to server!\n");
    }
    let end = buffer[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    if end > 0 {
        gathered.append(&mut member.unfinished);
    }
    gathered.extend_from_slice(&buffer[..end]);
    member.unfinished.extend_from_slice(&buffer[end..length]);
    Ok(())
}

fn send_pending(member: &mut Member, epoll: &OwnedFd) -> io::Result<()> {
    let pending = std::mem::take(&mut member.pending);
    epoll::modify(epoll, &member.stream, EventData::new_u64(member.index), EventFlags::IN)?;
    send(member, epoll, &pending)
}

/// Writes once. The rest waits until the socket has room.
fn send(member: &mut Member, epoll: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let was_full = !member.pending.is_empty();
    let mut written = 0;
    if !was_full {
        written = match member.stream.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            written => written?,
        };
    }
    if written == bytes.len() {
        return Ok(());
    }
    member.pending.extend_from_slice(&bytes[written..]);
    if member.pending.len() > PENDING_BYTES {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    if !was_full {
        let data = EventData::new_u64(member.index);
        epoll::modify(epoll, &member.stream, data, EventFlags::IN | EventFlags::OUT)?;
    }
    Ok(())
}
