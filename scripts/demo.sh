#!/usr/bin/env bash
# A marketplace and a host on temporary folders: publishes the sample capsules in the one, installs
# them on the other, calls one, and shows the answer. Then both go on serving until they are stopped;
# with --exit it stops there. `./dev demo` comes here.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
    '') stay=true ;;
    --exit) stay=false ;;
    *) echo "usage: ./dev demo [--exit]" >&2; exit 2 ;;
esac

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { say "soma $*"; $soma "$@"; }

data=$(mktemp -d -t soma-demo.XXXXXX)
servers=()
stop() {
    for server in "${servers[@]}"; do kill "$server" 2>/dev/null && wait "$server" || true; done
    rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM

serve() { # the file that has its address once it listens, then soma's arguments
    local file=$1
    shift
    $soma "$@" --listen 127.0.0.1:0 &
    servers+=($!)
    until [ -s "$file" ]; do
        kill -0 "${servers[-1]}" 2>/dev/null || { echo "demo: soma $1 did not start" >&2; exit 1; }
        sleep 0.1
    done
}

# Nothing of whoever runs this: an author's keys and logins of its own.
export SOMA_DATA=$data/host XDG_CONFIG_HOME=$data/author SOMA_PASSPHRASE=demonstration
unset SOMA_KEY SOMA_HOST SOMA_TOKEN SOMA_MARKETPLACE SOMA_KEY_FILE SOMA_SIGNING_KEY SOMA_KEYS
soma=target/debug/soma
page=https://example.com
market=$data/marketplace
export SOMA_LOG=warn
serve "$market/marketplace.url" marketplace serve --data "$market" --origin demo.example/log
serve "$SOMA_DATA/host.url" serve --allow-http $page
market_url=$(<"$market/marketplace.url")
url=$(<"$SOMA_DATA/host.url")

run marketplace add "$market_url" --key "$(<"$market/log.vkey")"
run keys new
run login --account soma
for capsule in target/capsules/*.wasm; do run publish "$capsule" --yes; done
run search read
run install soma/jq soma/web

input='{"filter": "map(select(.stars > 3) | .name)", "input": [{"name": "jq", "stars": 5}, {"name": "web", "stars": 4}, {"name": "old", "stars": 1}]}'
say "soma call soma/jq jq '$input'"
$soma call soma/jq jq "$input"

$stay || exit 0

say "Serving until you press Ctrl-C. Some lines to try in another terminal:"
cat <<LINES

curl -s -H "Authorization: Bearer \$(cat $SOMA_DATA/keys/invoke.key)" $url/v1/tools

curl -s -H "Authorization: Bearer \$(cat $SOMA_DATA/keys/invoke.key)" -H 'Content-Type: application/json' $url/v1/capsules/soma/jq/tools/jq -d '{"filter": ".[] * 2", "input": [1, 2, 3]}'

curl -s -H "Authorization: Bearer \$(cat $SOMA_DATA/keys/invoke.key)" -H 'Content-Type: application/json' $url/v1/capsules/soma/web/tools/read -d '{"url": "$page/"}'

SOMA_DATA=$SOMA_DATA $soma verify soma/jq

curl -s $market_url/v1/packages/soma/jq

LINES
wait "${servers[@]}"
