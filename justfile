export RUSTDOCFLAGS := "-D warnings"

# List the recipes
default:
    @just --list --unsorted

# Run the server; arguments are passed on: just run --history 20
run *arguments:
    cargo run --release --bin chat-server -- {{arguments}}

# Run a client; arguments are passed on: just client --nickname Dinesh
client *arguments:
    cargo run --release --bin chat-client -- {{arguments}}

# A server and three scripted members: their screens beside server.log
demo:
    @cargo run --quiet --example demo

# Everything that CI checks: formatting, lints, all tests, the demo, the documentation
test:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo test --locked
    cargo run --locked --quiet --example demo
    cargo doc --locked --no-deps

# Look at snapshots that have changed, and accept or reject them
review:
    cargo install cargo-insta --locked
    cargo insta review
