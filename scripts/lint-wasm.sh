#!/usr/bin/env bash
# Clippy over what only wasm32-wasip2 compiles: the guests, and the SDK's half for capsules. Where
# the toolchain for that target has no clippy, says so. `just lint` comes here.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! scripts/wasm-toolchain.sh clippy --version >/dev/null; then
    echo "lint: NOT LINTED: the guests and the SDK's WebAssembly half; wasm32-wasip2's toolchain has no clippy" >&2
    [ "${CI-}" != true ] || exit 1
    exit 0
fi
# A tool owns its input, whether it needs to or not.
scripts/wasm-toolchain.sh clippy --target-dir target/wasm --no-deps --keep-going --lib --examples \
    --package soma-guests --features soma-guests/component \
    --package soma-sdk --package example-hello --package example-weather -- \
    -D warnings -A clippy::needless_pass_by_value
