//! What one line costs between the sockets: the decoder, the append, the read from a cursor, one
//! line of `server.log`.

use std::hint::black_box;
use std::io;

use commonroom::journal::{self, LogFormat};
use commonroom::protocol::{Decoder, Framing, Timestamp};
use commonroom::room::Transcript;
use commonroom::server::limits::{READ_BYTES, RETENTION_BYTES, WRITE_BYTES};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tracing_subscriber::layer::SubscriberExt as _;

/// As it arrives, with its newline: 64 bytes.
const LINE: &str = "s00001: 10000000xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";

const NOW: Timestamp = Timestamp(0);

criterion_group!(hot_path, decode, append, read, log);
criterion_main!(hot_path);

/// All lines of one full read.
fn decode(criterion: &mut Criterion) {
    let lines = READ_BYTES / LINE.len();
    let bytes = LINE.repeat(lines);
    let mut decoder = Decoder::with_framing(Framing::Lines);
    let mut group = criterion.benchmark_group("decoder");
    group.throughput(Throughput::Elements(lines as u64));
    group.bench_function("a read of lines", |bencher| {
        bencher.iter(|| {
            decoder.push(bytes.as_bytes());
            while let Some(message) = decoder.next_message() {
                let _ = black_box(message);
            }
        });
    });
    group.finish();
}

/// Appends one line to a log of full length.
fn append(criterion: &mut Criterion) {
    let mut log = full_log();
    let line = LINE.trim_end();
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(1));
    group.bench_function("append", |bencher| bencher.iter(|| log.append(NOW, black_box(line))));
    group.finish();
}

/// Reads as much as one write takes, from the middle of the log.
fn read(criterion: &mut Criterion) {
    let log = full_log();
    let middle = log.end() - RETENTION_BYTES as u64 / 2;
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Bytes(WRITE_BYTES as u64));
    group.bench_function("read from a cursor", |bencher| {
        bencher.iter(|| log.read(black_box(middle), log.end(), WRITE_BYTES));
    });
    group.finish();
}

/// Logs one message as an event, up to the write to the disk.
fn log(criterion: &mut Criterion) {
    let layer = journal::layer(LogFormat::Report, jiff::Zoned::now, io::sink);
    let text = &LINE.trim_end()["s00001: ".len()..];
    let mut group = criterion.benchmark_group("server.log");
    group.throughput(Throughput::Elements(1));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        group.bench_function("a line", |bencher| {
            bencher.iter(|| {
                tracing::info!(
                    target: "commonroom",
                    event = "message", nickname = "s00001", text, "Message: s00001: {text}"
                );
            });
        });
    });
    group.finish();
}

fn full_log() -> Transcript {
    let mut log = Transcript::new(RETENTION_BYTES);
    for _ in 0..=RETENTION_BYTES / LINE.len() {
        log.append(NOW, LINE.trim_end());
    }
    log
}
