#!/usr/bin/env bash
# Serves the sample capsules on a temporary data folder, calls one, and shows the answer. Then it
# goes on serving until it is stopped; with --exit it stops there. `./dev demo` comes here.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
    '') stay=true ;;
    --exit) stay=false ;;
    *) echo "usage: ./dev demo [--exit]" >&2; exit 2 ;;
esac

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

data=$(mktemp -d -t soma-demo.XXXXXX)
server=
stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM

export SOMA_DATA=$data
soma=target/debug/soma
page=https://example.com
$soma serve --listen 127.0.0.1:0 --allow-http $page --log warn &
server=$!
until [ -s "$data/host.url" ]; do
    kill -0 $server 2>/dev/null || { echo "demo: the server did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(<"$data/host.url")

for capsule in target/capsules/*.wasm; do $soma install "$capsule"; done

input='{"filter": "map(select(.stars > 3) | .name)", "input": [{"name": "jq", "stars": 5}, {"name": "web", "stars": 4}, {"name": "old", "stars": 1}]}'
say "soma call soma/jq jq '$input'"
$soma call soma/jq jq "$input"

$stay || exit 0

say "Serving on $url until you press Ctrl-C. Three lines to try in another terminal:"
cat <<LINES

curl -s -H "Authorization: Bearer \$(cat $data/keys/invoke.key)" $url/v1/tools

curl -s -H "Authorization: Bearer \$(cat $data/keys/invoke.key)" -H 'Content-Type: application/json' $url/v1/capsules/soma/jq/tools/jq -d '{"filter": ".[] * 2", "input": [1, 2, 3]}'

curl -s -H "Authorization: Bearer \$(cat $data/keys/invoke.key)" -H 'Content-Type: application/json' $url/v1/capsules/soma/web/tools/read -d '{"url": "$page/"}'

LINES
wait $server
