//! The floor: what fan-out costs when nothing else is done.
//!
//! It parses nothing, names nobody, logs nothing: it gathers whatever its members have sent, and
//! writes it to every socket at once. Only two things are asked of it beyond that: whoever sends
//! its first bytes is told that it is connected, and a line is not torn by another sender's.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1_024;
const READ_BYTES: usize = 256 * 1_024;
/// Who is further behind is dropped.
const PENDING_BYTES: usize = 64 * 1_024 * 1_024;

struct Member {
    stream: TcpStream,
    connected: bool,
    /// The beginning of a line whose end has not come.
    unfinished: Vec<u8>,
    /// What its socket did not take.
    pending: Vec<u8>,
}

/// Serves until something fails.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let mut listener = TcpListener::bind(address)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut members, mut accepted) = (BTreeMap::new(), 0);
    let (mut events, mut buffer, mut gathered) =
        (Events::with_capacity(EVENTS), vec![0; READ_BYTES], Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut members, &mut accepted)?;
            } else if let Some(member) = members.get_mut(&event.token().0)
                && handle(member, event, &mut buffer, &mut gathered).is_err()
            {
                members.remove(&event.token().0);
            }
        }
        if !gathered.is_empty() {
            members.retain(|_, member| !member.connected || send(member, &gathered).is_ok());
            gathered.clear();
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    members: &mut BTreeMap<usize, Member>,
    accepted: &mut usize,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        poll.registry().register(&mut stream, Token(*accepted), Interest::READABLE | Interest::WRITABLE)?;
        members.insert(*accepted, Member { stream, connected: false, unfinished: vec![], pending: vec![] });
        *accepted += 1;
    }
}

/// An error means that the member is gone.
fn handle(member: &mut Member, event: &Event, buffer: &mut [u8], gathered: &mut Vec<u8>) -> io::Result<()> {
    if event.is_writable() && !member.pending.is_empty() {
        let pending = std::mem::take(&mut member.pending);
        send(member, &pending)?;
    }
    while event.is_readable() {
        let length = match member.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        if !member.connected {
            member.connected = true;
            send(member, b"NICKConnected to server!\n")?;
            continue;
        }
        let end = buffer[..length].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if end > 0 {
            gathered.append(&mut member.unfinished);
        }
        gathered.extend_from_slice(&buffer[..end]);
        member.unfinished.extend_from_slice(&buffer[end..length]);
    }
    Ok(())
}

fn send(member: &mut Member, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    while member.pending.is_empty() && written < bytes.len() {
        match member.stream.write(&bytes[written..]) {
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    member.pending.extend_from_slice(&bytes[written..]);
    if member.pending.len() > PENDING_BYTES {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(())
}
