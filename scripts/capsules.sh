#!/usr/bin/env bash
# Builds and packs every sample capsule into target/capsules.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target/capsules
for manifest in capsules/*/capsule.toml; do
    folder=$(dirname "$manifest")
    target/debug/soma build "$folder" --out "target/capsules/$(basename "$folder").wasm"
done
