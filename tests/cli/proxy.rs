//! The proxy of the tests does what it says, and nothing else.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::support::proxy::{Direction, FOR_EVER, Fault, Planned, Proxy, draw};
use super::support::random::SplitMix64;
use super::support::{DEADLINE, wait_for};

const MORE_THAN_SOCKETS_HOLD: usize = 32 << 20;

/// The two ends of a connection through a proxy.
struct Ends {
    proxy: Proxy,
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    fn connect() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap());
        let client = TcpStream::connect(proxy.address).unwrap();
        let server = listener.accept().unwrap().0;
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.set_write_timeout(Some(DEADLINE)).unwrap();
        }
        Self { proxy, client, server }
    }

    fn plan(&self, fault: Fault, direction: Direction, after_bytes: u64) {
        self.proxy.plan(vec![Planned { fault, direction, after_bytes }]);
    }
}

/// Everything that comes, and whether the end was in order.
fn read_all(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => (bytes, true),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (bytes, false),
        Err(error) => panic!("neither an end nor a reset: {error}"),
    }
}

#[track_caller]
fn expect(stream: &mut TcpStream, wanted: &str) {
    let mut bytes = vec![0; wanted.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
}

#[test]
fn without_faults_bytes_and_both_ends_go_through_unchanged() {
    let Ends { proxy, mut client, mut server } = Ends::connect();
    let mut random = SplitMix64::seeded(1);
    let bytes: Vec<u8> = (0..1 << 17).flat_map(|_| random.draw().to_ne_bytes()).collect();
    std::thread::scope(|scope| {
        for (mut writing, mut reading) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap()),
            (server.try_clone().unwrap(), client.try_clone().unwrap()),
        ] {
            let bytes = &bytes;
            scope.spawn(move || {
                writing.write_all(bytes).unwrap();
                writing.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let (read, in_order) = read_all(&mut reading);
                assert!(in_order);
                assert!(read == *bytes, "{} of {} bytes, or others", read.len(), bytes.len());
            });
        }
    });
    assert_eq!((client.read(&mut [0]).unwrap(), server.read(&mut [0]).unwrap()), (0, 0));
    assert!(proxy.happened().is_empty());
}

#[test]
fn a_side_that_sends_nothing_more_is_still_sent_what_the_other_says() {
    let Ends { proxy: _proxy, mut client, mut server } = Ends::connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server), (vec![], true));
    server.write_all(b"goodbye").unwrap();
    expect(&mut client, "goodbye");
}

#[test]
fn a_side_that_resets_its_connection_resets_the_other() {
    let Ends { proxy: _proxy, client, mut server } = Ends::connect();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert!(!read_all(&mut server).1);
}

#[test]
fn a_connection_that_is_closed_at_a_byte_ends_in_order_for_both_after_that_byte() {
    for (direction, seen) in [(Direction::Up, ["", "hello\nwo"]), (Direction::Down, ["hello\nwo", ""])] {
        let mut ends = Ends::connect();
        ends.plan(Fault::Close, direction, 8);
        let from = if direction == Direction::Up { &mut ends.client } else { &mut ends.server };
        from.write_all(b"hello\nworld\n").unwrap();
        for (stream, seen) in [&mut ends.client, &mut ends.server].into_iter().zip(seen) {
            let (bytes, in_order) = read_all(stream);
            assert_eq!((String::from_utf8(bytes).unwrap().as_str(), in_order), (seen, true), "{direction:?}");
            // What is sent after the end of the other side is lost, and no cause for a reset.
            stream.write_all(&vec![b'x'; MORE_THAN_SOCKETS_HOLD]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let happened = ends.proxy.happened();
        assert_eq!(happened.len(), 1);
        assert!(happened[0].inside_line && happened[0].direction == direction, "{happened:?}");
    }
}

#[test]
fn a_connection_that_is_reset_at_a_byte_is_reset_for_both_and_nothing_after_it_comes() {
    for direction in [Direction::Up, Direction::Down] {
        let mut ends = Ends::connect();
        ends.plan(Fault::Reset, direction, 6);
        let Ends { proxy, client, server } = &mut ends;
        let (from, to) = if direction == Direction::Up { (client, server) } else { (server, client) };
        from.write_all(b"hello\nworld\n").unwrap();
        let (bytes, in_order) = read_all(to);
        // A reset may overtake what was sent before it.
        assert!(b"hello\n".starts_with(&bytes) && !in_order, "{direction:?}: {bytes:?}");
        assert_eq!(read_all(from), (vec![], false), "{direction:?}");
        let happened = proxy.happened();
        assert_eq!(happened.len(), 1);
        assert!(!happened[0].inside_line, "the cut was between two lines: {happened:?}");
    }
}

#[test]
fn a_stall_holds_what_comes_after_its_byte_and_the_other_direction_goes_on() {
    let mut ends = Ends::connect();
    ends.plan(Fault::Stall(FOR_EVER), Direction::Up, 2);
    ends.client.write_all(b"hello").unwrap();
    expect(&mut ends.server, "he");
    wait_for("the rest to be held", || ends.proxy.is_holding(Direction::Up));
    ends.server.write_all(b"meanwhile").unwrap();
    expect(&mut ends.client, "meanwhile");
    assert!(ends.proxy.is_holding(Direction::Up));
}

#[test]
fn a_stall_ends_after_its_time_and_loses_nothing() {
    const TIME: Duration = Duration::from_millis(50);
    for (fault, both) in [(Fault::Stall(TIME), false), (Fault::StallBoth(TIME), true)] {
        let mut ends = Ends::connect();
        ends.plan(fault, Direction::Up, 2);
        let begin = Instant::now();
        ends.client.write_all(b"hello").unwrap();
        expect(&mut ends.server, "he");
        wait_for("the stall", || !ends.proxy.happened().is_empty());
        if both {
            ends.server.write_all(b"down").unwrap();
            expect(&mut ends.client, "down");
            assert!(begin.elapsed() >= TIME, "held for {:?}", begin.elapsed());
        }
        expect(&mut ends.server, "llo");
        assert!(begin.elapsed() >= TIME, "held for {:?}", begin.elapsed());
    }
}

#[test]
fn a_stalled_connection_that_its_server_loses_is_lost_for_the_client_at_once() {
    let mut ends = Ends::connect();
    ends.plan(Fault::Stall(FOR_EVER), Direction::Up, 0);
    ends.client.write_all(b"held").unwrap();
    wait_for("the bytes to be held", || ends.proxy.is_holding(Direction::Up));
    socket2::SockRef::from(&ends.server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(ends.server);
    assert_eq!(read_all(&mut ends.client), (vec![], false));
}

#[test]
fn a_server_that_does_not_accept_is_a_connection_that_ends() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(address);
    let mut client = TcpStream::connect(proxy.address).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(read_all(&mut client).0, b"");
}

#[test]
fn a_drawn_plan_follows_from_its_seed_and_has_every_kind_of_fault_in_both_directions() {
    let plan = |seed| draw(&mut SplitMix64::seeded(seed), 50, 10, 1_000, 5_000);
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
    for direction in [Direction::Up, Direction::Down] {
        let bytes = if direction == Direction::Up { 1_000 } else { 5_000 };
        let count = |is_kind: fn(Fault) -> bool| {
            let is_one = |planned: &&Planned| {
                planned.direction == direction && is_kind(planned.fault) && planned.after_bytes < bytes
            };
            plan(1).iter().filter(is_one).count()
        };
        assert!(count(|fault| fault == Fault::Close) >= 12);
        assert!(count(|fault| fault == Fault::Reset) >= 12);
        assert!(count(|fault| matches!(fault, Fault::Stall(_))) >= 2);
        assert!(count(|fault| matches!(fault, Fault::StallBoth(_))) >= 2);
    }
    let cuts = plan(1).iter().filter(|planned| matches!(planned.fault, Fault::Close | Fault::Reset)).count();
    assert_eq!((cuts, plan(1).len()), (50, 60));
}
