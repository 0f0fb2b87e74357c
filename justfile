export RUSTDOCFLAGS := "-D warnings"

windows_target := "x86_64-pc-windows-gnu"

# More than there are cores: most tests wait for a process or a socket.
test_threads := "8"

# List the recipes
default:
    @just --list --unsorted

# Run the server; arguments are passed on: just run --history 20
run *arguments:
    cargo run --release --bin chat-server -- {{arguments}}

# Run a client; arguments are passed on: just client --nickname Dinesh
client *arguments:
    cargo run --release --bin chat-client -- {{arguments}}

# A server and three scripted members: their screens next to server.log
demo:
    @cargo run --quiet --example demo

# Simulated scenarios: all of them, one by its name, or one with another seed and everything that happens in it
sim scenario="" seed="":
    @{{ if scenario == "" { "cargo test --quiet --test sim -- --skip sweep:: --skip determinism::" } \
        else { (if seed == "" { "" } else { "SIM_SEED=" + seed + " " }) \
            + "cargo test --quiet --test sim -- --nocapture --test-threads 1 " + scenario + "::" } }}

# Sweep this many seeds of simulated faults, of the network and of the disk
soak seeds="1000":
    SIM_SEEDS={{seeds}} cargo test --release --quiet --test sim -- --nocapture sweep:: log_faults::

# A random crowd on the real server, for a minute: just soak-real 600 2000; SOAK_SEED=42 just soak-real
soak-real seconds="60" members="500":
    SOAK_SECONDS={{seconds}} SOAK_MEMBERS={{members}} cargo test --release --locked --quiet --test soak -- --nocapture

# Real faults of the network between real binaries, on Linux as root: less than three minutes
netfaults:
    @cargo test --locked --quiet --test netfaults -- --nocapture

# Redraw the pictures of the named scenarios
timelines:
    SIM_DRAW=1 cargo test --quiet --test sim -- --skip sweep:: --skip determinism::

# Compare the server with the peers on PATH and the floor: just bench --quick; just bench --only n1000
bench *arguments:
    cargo build --release --locked --quiet --bins --target-dir target/bench
    BENCH_PROGRAMS=target/bench/release cargo bench --locked --quiet --bench peers -- {{arguments}}

# CPU a delivery and memory a member at N=1,000, compared with the floor and redis-server: two minutes
compare *arguments: (bench "--only" "n1000-w" "--only" "n1000-idle" "--peer" "redis" "--rounds" "3" "--seconds" "1" arguments)

# Check that deliberately broken servers are caught
broken:
    cargo test --test broken -- --nocapture

# Fuzz the room or the client for this many executions; needs cargo-fuzz
fuzz target executions="1000000":
    mkdir -p fuzz/corpus/{{target}}
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none --no-trace-compares {{target}} fuzz/corpus/{{target}} fuzz/seeds/{{target}} -- \
        -runs={{executions}} -max_len=512

# Check licences, advisories, duplicate and foreign dependencies; needs cargo-deny
deny:
    cargo deny check

# Formatting, lints, all tests, the demo, the documentation: everything that CI checks except `broken` and `windows`
test:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --no-default-features -- -D warnings
    cargo test --locked --test sim -- determinism::
    RUST_TEST_THREADS={{test_threads}} cargo test --locked -- --skip determinism::
    cargo run --locked --quiet --example demo
    cargo doc --locked --no-deps

# Lints for Windows; needs the target x86_64-pc-windows-gnu of rustup, and gcc-mingw-w64-x86-64
windows:
    @if rustc --print target-libdir --target {{windows_target}} | xargs test -d && command -v x86_64-w64-mingw32-gcc >/dev/null; \
    then cargo clippy --locked --target {{windows_target}} --all-targets -- -D warnings; \
    else echo "skipped: Windows, because the target {{windows_target}} or x86_64-w64-mingw32-gcc is missing"; fi

# Review snapshots that have changed, and accept or reject them
review:
    cargo install cargo-insta --locked
    cargo insta review
