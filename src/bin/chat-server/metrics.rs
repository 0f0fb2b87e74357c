//! `--metrics`: the statistics of an [`Observer`] in the text format of Prometheus, over a minimum of HTTP.
//!
//! Nothing is counted here: each request asks the observer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use commonroom::net::{Listener, Stream};
use commonroom::server::{Observer, SessionCounters, StoreCounters};

/// How many connections may request metrics at the same time. Beyond that the oldest is closed, so that
/// unfinished requests keep nobody out.
pub const SCRAPING_CONNECTIONS: usize = 8;

/// How long a request may take to arrive.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client may take to receive the answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest request.
pub const REQUEST_BYTES: usize = 8 * 1_024;

/// How long accepting pauses when the operating system refuses, as when it has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Answers requests for metrics until it is dropped. No client holds up another one.
pub async fn serve<L: Listener>(mut listener: L, observer: Observer) {
    let mut scrapes = JoinSet::new();
    let mut oldest_first = VecDeque::<AbortHandle>::new();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_) = scrapes.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                oldest_first.retain(|scrape| !scrape.is_finished());
                if oldest_first.len() >= SCRAPING_CONNECTIONS
                    && let Some(oldest) = oldest_first.pop_front()
                {
                    oldest.abort();
                }
                oldest_first.push_back(scrapes.spawn(scrape(stream, observer.clone())));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Reads one request, and answers it. A client that takes too long for either is closed.
async fn scrape<S: Stream>(mut stream: S, observer: Observer) {
    if let Ok(Ok(request)) = timeout(REQUEST_TIMEOUT, read_request(&mut stream)).await {
        let answer = answer(&request, observer);
        let _ = timeout(ANSWER_TIMEOUT, write_answer(&mut stream, &answer)).await;
    }
}

/// Reads a request up to its blank line, and returns its first line.
async fn read_request<S: Stream>(stream: &mut S) -> io::Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 1_024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

async fn write_answer<S: Stream>(stream: &mut S, answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The answer to a request with this first line.
fn answer(line: &str, observer: Observer) -> String {
    let (method, rest) = line.split_once(' ').unwrap_or_default();
    let path = rest.split([' ', '?']).next().unwrap_or_default();
    let (status, kind, body) = match (path, method) {
        ("/metrics", "GET" | "HEAD") => match metrics(observer) {
            Ok(metrics) => ("200 OK", OPEN_METRICS, metrics),
            Err(fmt::Error) => ("500 Internal Server Error", PLAIN, String::new()),
        },
        ("/metrics", _) => (
            "405 Method Not Allowed\r\nAllow: GET, HEAD",
            PLAIN,
            "The metrics can only be read.\n".to_owned(),
        ),
        _ => ("404 Not Found", PLAIN, "The metrics are at /metrics.\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if method == "HEAD" { head } else { head + &body }
}

const PLAIN: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn metrics(observer: Observer) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("chat");
    registry.register_collector(Box::new(Observed(observer)));
    let mut metrics = String::new();
    text::encode(&mut metrics, &registry)?;
    Ok(metrics)
}

/// The registry and the encoder add prefixes and suffixes to the names here, as in `chat_lines_total` and
/// `chat_log_position_bytes`.
#[derive(Debug)]
struct Observed(Observer);

impl Collector for Observed {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metrics = Encoder(encoder);
        let now = self.0.statistics();
        let (connections, members, away) = (now.connections as u64, now.members as u64, now.away as u64);
        metrics.gauge("connections", "Connections that are open, members or not", None, connections)?;
        metrics.gauge("members", "Members in the room", None, members)?;
        metrics.gauge("away", "Members without a connection, who may come back", None, away)?;
        metrics.sessions(now.counters.sessions)?;
        let StoreCounters { records, batches, .. } = now.counters.store;
        metrics.counter("stored_records", "Changes of the room that the store has", None, records)?;
        metrics.counter("stored_batches", "The writes in which they came", None, batches)?;
        metrics.counter("lines", "Lines that were for everyone", None, now.counters.lines)?;
        let deliveries = now.counters.deliveries;
        metrics.counter(
            "deliveries",
            "Lines, each once for every member that it was for",
            None,
            deliveries,
        )?;
        let taken = now.counters.taken_bytes;
        metrics.counter("delivered", "Bytes that members' sockets have taken", Some(&Unit::Bytes), taken)?;
        metrics.causes("evictions", "Members that were dropped, by the cause", &now.counters.evictions)?;
        metrics.causes(
            "refusals",
            "Nicknames, messages and connections refused, by cause",
            &now.counters.refusals,
        )?;
        let position = now.position_bytes;
        metrics.gauge("log_position", "The end of the room's log", Some(&Unit::Bytes), position)?;
        let lag = now.largest_lag_bytes;
        metrics.gauge("largest_lag", "How far the slowest member is behind", Some(&Unit::Bytes), lag)
    }
}

struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, unit, MetricType::Counter)?)
    }

    fn sessions(&mut self, sessions: SessionCounters) -> fmt::Result {
        self.counter("sessions_detached", "Connections that sessions have lost", None, sessions.detached)?;
        self.counter("sessions_resumed", "Sessions that went on in another one", None, sessions.resumed)?;
        self.counter("sessions_expired", "Sessions that did not in time", None, sessions.expired)?;
        let replayed = sessions.replayed_lines;
        self.counter("lines_replayed", "Lines that were sent again, since they were missed", None, replayed)
    }

    fn causes(&mut self, name: &str, help: &str, causes: &BTreeMap<&'static str, u64>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (&cause, &count) in causes {
            ConstCounter::new(count).encode(family.encode_family(&[("cause", cause)])?)?;
        }
        Ok(())
    }
}
