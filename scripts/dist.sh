#!/usr/bin/env bash
# Packs target/dist/soma-VERSION-HOST.tar.gz: the release binary, the sample capsules that it builds,
# README and licence. `just dist` comes here; nothing needs to have been built before.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --profile dist --package soma --bin soma
version=$(target/dist/soma --version | awk '{ print $2 }')
name=soma-$version-$(rustc -vV | sed -n 's/^host: //p')

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/$name"
cp target/dist/soma README.md LICENSE "$stage/$name/"
scripts/capsules.sh target/dist/soma "$stage/$name/capsules"
tar -C "$stage" --owner 0 --group 0 --sort name -czf "target/dist/$name.tar.gz" "$name"
echo "target/dist/$name.tar.gz"
