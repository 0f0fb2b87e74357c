//! Members ask a server whose log the test itself is.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::*;
use crate::commit_log::{AppendError, Batch, CommitLog, Find, Finding, Recovered};
use crate::net::Listener;
use crate::protocol::{LogEpoch, Timestamp};
use crate::server::limits::QUESTIONS_AT_ONCE;
use crate::server::{Config, Randomness, Server, Sessions, Store};

const BUSY: &str = "-- Not sent: this cannot be looked up at the moment; try again later.";

/// How much waits in a connection at most.
const CONNECTION_BYTES: usize = 1_000;

/// A question that has come to the log, and where its answer goes.
type Asked = (Query, oneshot::Sender<Result<Vec<Line>, LogError>>);

pub(in crate::server) struct World {
    connections: mpsc::Sender<DuplexStream>,
    asked: mpsc::Receiver<Asked>,
    /// How many more batches are stored.
    pub(in crate::server) appends: Arc<Semaphore>,
}

impl World {
    /// Runs a server while `test` lasts.
    pub(in crate::server) async fn run<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let (connections, accepted) = mpsc::channel(1);
        let (questions, asked) = mpsc::channel(64);
        let appends = Arc::new(Semaphore::new(1_000));
        let log = Log { appends: Arc::clone(&appends), questions };
        let randomness = Randomness::new(|bytes| bytes.fill(7));
        let sessions = Sessions { grace: Duration::from_secs(120), plaintext: true, randomness };
        let config = Config { sessions: Some(sessions), ..Config::default() };
        let store = Store::recover(log, &config).await.expect("an empty log");
        let shutdown = test(Self { connections, asked, appends });
        let server = Server::new(config).run_with_store(store, Connections(accepted), shutdown);
        server.await.expect("the log works");
    }

    /// The same without a log.
    async fn run_in_memory<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let (connections, accepted) = mpsc::channel(1);
        let (_, asked) = mpsc::channel(1);
        let shutdown = test(Self { connections, asked, appends: Arc::new(Semaphore::new(0)) });
        Server::new(Config::default()).run(Connections(accepted), shutdown).await;
    }

    async fn connect(&self) -> Peer {
        let (ours, theirs) = tokio::io::duplex(CONNECTION_BYTES);
        self.connections.send(theirs).await.expect("the server accepts");
        let mut peer = Peer(BufReader::new(ours));
        peer.0.read_exact(&mut [0; 4]).await.expect("the request for a nickname");
        peer
    }

    pub(in crate::server) async fn join(&self, nickname: &str) -> Peer {
        let mut peer = self.connect().await;
        peer.send(nickname).await;
        peer.expect(&format!("{nickname} joined the chat!")).await;
        peer.expect("Connected to server!").await;
        peer
    }

    async fn question(&mut self) -> Asked {
        self.asked.recv().await.expect("the server runs")
    }
}

pub(in crate::server) struct Peer(BufReader<DuplexStream>);

impl Peer {
    pub(in crate::server) async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.expect("the server reads");
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("a line");
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(in crate::server) fn expect(&mut self, wanted: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move { assert_eq!(self.line().await, wanted, "at {caller}") }
    }

    /// Asks for a session. Returns the request to go on with it.
    pub(in crate::server) async fn begin_session(&mut self) -> String {
        self.send("/session").await;
        let begun = self.line().await;
        let (token, rest) =
            begun.strip_prefix("-- Session ").and_then(|rest| rest.split_once(", log ")).expect(&begun);
        self.line().await;
        let (epoch, lines) = rest.trim_end_matches('.').split_once(" at ").expect("a position");
        format!("/resume {token} {epoch} {lines} 0")
    }
}

struct Connections(mpsc::Receiver<DuplexStream>);

impl Listener for Connections {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(stream) => Ok((stream, ([127, 0, 0, 1], 5).into())),
            None => std::future::pending().await,
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

struct Log {
    appends: Arc<Semaphore>,
    questions: mpsc::Sender<Asked>,
}

struct Finder(mpsc::Sender<Asked>);

impl CommitLog for Log {
    async fn recover(&mut self, epoch: LogEpoch, _: usize) -> Result<Recovered, LogError> {
        Ok(Recovered { epoch, snapshot: None, lines: Vec::new(), records: Vec::new(), torn_pages: 0 })
    }

    async fn append(&mut self, _: Arc<Batch>) -> Result<(), AppendError> {
        self.appends.acquire().await.expect("it is not closed").forget();
        Ok(())
    }

    fn finder(&self) -> Arc<dyn Find> {
        Arc::new(Finder(self.questions.clone()))
    }
}

impl Find for Finder {
    fn find(&self, query: Query) -> Finding {
        let (answer, answered) = oneshot::channel();
        let questions = self.0.clone();
        Box::pin(async move {
            questions.send((query, answer)).await.expect("the test goes on");
            answered.await.unwrap_or_else(|_| Err(LogError("the test has dropped it".to_owned())))
        })
    }
}

fn line(text: &str) -> Line {
    Line { at: Timestamp(1_795_543_678_000), text: text.into() }
}

#[tokio::test(start_paused = true)]
async fn the_room_goes_on_while_a_question_is_open_and_the_asker_goes_on_after_the_answer() {
    World::run(async |mut world| {
        let mut dinesh = world.join("Dinesh").await;
        let mut alex = world.join("Alex").await;
        dinesh.expect("Alex joined the chat!").await;
        dinesh.send("/search Hello, world\nafter that").await;
        let (query, answer) = world.question().await;
        assert_eq!(query, Query { words: vec!["Hello".into(), "world".into()], at_most: 10 });
        alex.send("meanwhile").await;
        alex.expect("Alex: meanwhile").await;
        dinesh.expect("Alex: meanwhile").await;
        answer.send(Ok(vec![line("Max: hello world"), line("* Max greets the world: hello")])).unwrap();
        dinesh.expect("-- Found 2 lines:").await;
        dinesh.expect("-- 2026-11-24 18:07 Max: hello world").await;
        dinesh.expect("-- 2026-11-24 18:07 * Max greets the world: hello").await;
        dinesh.expect("Dinesh: after that").await;
        alex.expect("Dinesh: after that").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_log_is_asked_when_it_has_what_the_asker_has_said() {
    World::run(async |mut world| {
        let mut dinesh = world.join("Dinesh").await;
        world.appends.forget_permits(1_000);
        dinesh.send("hello\n/history").await;
        tokio::time::sleep(ANSWER_TIMEOUT / 2).await;
        assert!(world.asked.try_recv().is_err());
        world.appends.add_permits(1_000);
        let (query, answer) = world.question().await;
        assert_eq!(query, Query { words: Vec::new(), at_most: 10 });
        answer.send(Ok(vec![line("Dinesh: hello")])).unwrap();
        dinesh.expect("Dinesh: hello").await;
        dinesh.expect("-- Found 1 line:").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_a_few_questions_are_looked_up_at_once_and_none_is_open_for_ever() {
    World::run(async |mut world| {
        let begin = Instant::now();
        let mut members = Vec::new();
        for number in 0..QUESTIONS_AT_ONCE + 2 {
            members.push(world.join(&format!("member{number}")).await);
            let newest = &mut members[number];
            newest.send(&format!("/search {number}")).await;
        }
        let asked = |(query, _): &Asked| query.words[0].parse::<usize>().unwrap();
        let mut open = Vec::new();
        for _ in 0..QUESTIONS_AT_ONCE {
            open.push(world.question().await);
        }
        tokio::time::sleep(ANSWER_TIMEOUT / 2).await;
        assert!(world.asked.try_recv().is_err(), "the others wait for their turn");
        open.remove(0).1.send(Ok(Vec::new())).unwrap();
        let last = world.question().await;
        open.push(last);
        let mut unanswered: BTreeSet<usize> = open.iter().map(asked).collect();
        // The last one has no turn until the others are given up.
        unanswered.insert(QUESTIONS_AT_ONCE + 1);
        for (number, member) in members.iter_mut().enumerate() {
            let answer = loop {
                let line = member.line().await;
                if line.starts_with("-- ") {
                    break line;
                }
            };
            let wanted = if unanswered.contains(&number) { BUSY } else { "-- Nothing like that was said." };
            assert_eq!(answer, wanted, "{number}");
        }
        let longest = ANSWER_TIMEOUT..ANSWER_TIMEOUT + Duration::from_secs(1);
        assert!(longest.contains(&begin.elapsed()), "{:?}", begin.elapsed());
        // There are turns for the next, and an answer that comes too late is no answer.
        for (_, answer) in open {
            let _ = answer.send(Ok(vec![line("too late")]));
        }
        while world.asked.try_recv().is_ok() {}
        members[0].send("/search again").await;
        world.question().await.1.send(Ok(vec![line("Max: again")])).unwrap();
        members[0].expect("-- Found 1 line:").await;
    })
    .await;
}

#[cfg(feature = "journal")]
#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_look_tells_the_operator_why_and_the_member_that_it_cannot() {
    let (events, written) = io::pipe().expect("a pipe");
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.try_clone().unwrap());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    World::run(async |mut world| {
        let mut dinesh = world.join("Dinesh").await;
        dinesh.send("/search hello\nand on").await;
        let failed = LogError("room.db: page 7 is damaged".to_owned());
        world.question().await.1.send(Err(failed)).unwrap();
        dinesh.expect(BUSY).await;
        dinesh.expect("Dinesh: and on").await;
    })
    .await;
    drop(guard);
    let events = io::read_to_string(events).unwrap();
    let warnings: Vec<_> = events.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{events}");
    assert!(warnings[0].contains("page 7 is damaged") && warnings[0].contains("event=\"store\""), "{events}");
    assert!(!warnings[0].contains("hello"), "what somebody looks for is nobody's business");
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_once_when_its_session_goes_on_in_another_connection() {
    World::run(async |mut world| {
        let mut dinesh = world.join("Dinesh").await;
        let resume = dinesh.begin_session().await;
        dinesh.send("/n 1 /search hello\n/n 2 first").await;
        let (_, first) = world.question().await;
        // More than waits in a connection that nobody reads: it goes on after the other has come.
        let mut alex = world.join("Alex").await;
        let long = "x".repeat(CONNECTION_BYTES);
        alex.send(&long).await;
        alex.expect(&format!("Alex: {long}")).await;
        let mut again = world.connect().await;
        again.send(&format!("{resume}\n/n 1 /search hello\n/n 2 again\n/ping 3")).await;
        again.expect("-- Resumed as Dinesh at 3, 0 taken.").await;
        again.expect("Alex joined the chat!").await;
        again.expect(&format!("Alex: {long}")).await;
        let (_, second) = world.question().await;
        first.send(Ok(vec![line("Max: hello for the first")])).expect("it is waited for");
        alex.send("meanwhile").await;
        again.expect("Alex: meanwhile").await;
        second.send(Ok(vec![line("Max: hello for the second")])).unwrap();
        again.expect("-- Found 1 line:").await;
        again.expect("-- 2026-11-24 18:07 Max: hello for the second").await;
        again.expect("Dinesh: again").await;
        again.expect("-- pong 3 at 5, 2 taken.").await;
        let mut heard = String::new();
        dinesh.0.read_to_string(&mut heard).await.unwrap();
        assert!(heard.ends_with("-- Your session goes on in another connection. Goodbye.\n"), "{heard}");
        assert!(!heard.contains("Found"), "{heard}");

        let mut third = world.connect().await;
        third.send(&resume).await;
        third.expect("-- Resumed as Dinesh at 5, 2 taken.").await;
        third.expect("Alex joined the chat!").await;
        third.expect(&format!("Alex: {long}")).await;
        third.expect("Alex: meanwhile").await;
        third.expect("-- Found 1 line:").await;
        third.expect("-- 2026-11-24 18:07 Max: hello for the second").await;
        third.expect("Dinesh: again").await;
        third.send("/ping 4").await;
        third.expect("-- pong 4 at 5, 2 taken.").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn others_have_their_turn_while_much_is_searched_in_memory() {
    World::run_in_memory(async |world| {
        let mut dinesh = world.join("Dinesh").await;
        let text = "x".repeat(CONNECTION_BYTES);
        for _ in 0..3 * SEARCHED_AT_ONCE_BYTES / CONNECTION_BYTES {
            dinesh.send(&text).await;
            dinesh.expect(&format!("Dinesh: {text}")).await;
        }
        let mut asker = world.join("Asker").await;
        asker.send("/search nowhere").await;
        dinesh.send("and on").await;
        asker.expect("Dinesh: and on").await;
        asker.expect("-- Nothing like that was said.").await;
    })
    .await;
}

proptest! {
    #[test]
    fn an_answer_has_the_newest_lines_that_fit_and_not_one_less(
        lengths in prop::collection::vec(0..1_200_usize, 0..50),
        show in "[0-9: -]{0,20}",
    ) {
        let clock = Clock::new(Timestamp::default, move |_| show.clone());
        let lines: Vec<_> = (0..).zip(&lengths).map(|(number, length): (usize, _)| line(&format!("{number:0>length$}")))
            .collect();
        let of_last = |count: usize| newest_that_fit(&lines[lines.len() - count..], &clock).to_string();
        let answer = of_last(lines.len());
        prop_assert!(answer.len() <= ANSWER_BYTES);
        let shown = answer.lines().count().saturating_sub(1);
        prop_assert_eq!(&answer, &of_last(shown), "the last, in order");
        if shown < lines.len() {
            let next = lines[lines.len() - shown - 1].text.len() + clock.show(Timestamp(0)).len() + FURNITURE_BYTES;
            prop_assert!(answer.len() + next + HEADING_BYTES > ANSWER_BYTES);
        }
    }
}
