#!/usr/bin/env bash
# Builds and packs every sample capsule.
#
#   scripts/capsules.sh [SOMA [FOLDER]]   with this `soma` into this folder; target/debug/soma
#                                         and target/capsules where not told
set -euo pipefail
cd "$(dirname "$0")/.."

soma=${1:-target/debug/soma}
folder=${2:-target/capsules}

mkdir -p "$folder"
for manifest in capsules/*/capsule.toml; do
    project=$(dirname "$manifest")
    "$soma" build "$project" --out "$folder/$(basename "$project").wasm"
done
