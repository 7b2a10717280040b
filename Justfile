# Each recipe is what CI runs too. On a machine that lacks something, go through `./dev`.

set positional-arguments

wasm := "scripts/wasm-toolchain.sh"
# As `soma build` does it: small first, with 1 MiB of heap from the start.
capsule_build := "--profile capsule --target-dir target/wasm --config 'target.wasm32-wasip2.rustflags=[\"-Clink-arg=--initial-heap=1048576\"]'"

_default:
    @just --list --unsorted

# Build, serve the sample capsules, call one, show the answer; `--exit` stops there
demo *flags: build capsules
    @scripts/demo.sh "$@"

# Prove the project: quick, or everything with SOMA_TEST=full
test:
    @scripts/stages.sh lint ${SOMA_TEST:+deny ops} build guests capsules unit integration

# Format every file
fmt:
    cargo fmt --all

# rustfmt and clippy, nothing let through
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    @scripts/lint-wasm.sh

# Everything native, `soma` among it
build:
    cargo build --workspace --all-targets

# The components that the tests run
guests:
    {{wasm}} build {{capsule_build}} -p soma-guests --features component --examples

# The sample capsules, packed, into target/capsules
capsules: build
    @scripts/capsules.sh

# Unit and documentation tests
unit:
    cargo test --workspace --doc
    cargo test --workspace --lib --bins

# Alerts, dashboards and runbooks (needs promtool, jq); with URLs of /metrics, every metric they name
ops *urls:
    @scripts/ops.sh "$@"

# The integration tests: every public surface, every guest, both databases
integration *filter:
    cargo test --workspace --test '*' -- "$@"

# What a real Vault says to the host: RustyVault, in target/tools
vault: build guests
    cargo test --workspace --test integration -- --ignored rusty

# What SomaGent costs, as ratios, built as `just dist` ships it; all parts, or those named: instance, post, policy, fair …
bench *parts: guests
    cargo build --profile dist --package soma --package soma-bench
    @scripts/capsules.sh target/dist/soma
    target/dist/soma-bench "$@"

# A tarball for people who will not compile wasmtime: the binary and the sample capsules
dist:
    @scripts/dist.sh

# Licences, bans and sources of every dependency (needs cargo-deny; advisories need a network)
deny *checks="licenses bans sources":
    cargo deny check {{checks}}
