#!/usr/bin/env bash
# Checks what host/ops and docs/runbooks say to operators: the files are valid, every alert fires in one
# test and is silent in another, and has an entry in a runbook.
#
#   scripts/ops.sh [URL …]   the /metrics of a running host, and of a marketplace where one runs: every
#                            metric that rules and dashboards name must be there
#
# A counter with labels is in /metrics from its first event on: give it a host that has had some. SOMA_KEY
# is shown to it where set. Needs promtool and jq; for URLs, curl.
set -euo pipefail
cd "$(dirname "$0")/.."

ops=host/ops
failed=false
wrong() { printf 'ops: %s\n' "$*" >&2; failed=true; }

for program in promtool jq ${1:+curl}; do
    command -v "$program" >/dev/null ||
        { echo "ops: no $program here: apt-get install prometheus jq curl" >&2; exit 1; }
done

promtool check config $ops/prometheus.yml
promtool test rules $ops/tests/*.yml

# What an alert's test expects, as `Alert fires` and `Alert is silent`: a line `exp_alerts:` goes on
# below, or is empty.
tested=$(awk '$1 == "alertname:" { alert = $2 } $1 == "exp_alerts:" { print alert, ($2 == "[]" ? "silent" : "fires") }' $ops/tests/*.yml)
alerts=0
for file in $ops/alerts/*.yml; do
    runbook=docs/runbooks/$(basename "$file" .yml).md
    while read -r alert url; do
        alerts=$((alerts + 1))
        [ "$url" = "$runbook#${alert,,}" ] || wrong "$alert: its runbook_url is $url, not $runbook#${alert,,}"
        grep -qx "## $alert" "$runbook" || wrong "$alert has no entry in $runbook"
        for how in fires silent; do
            grep -qx "$alert $how" <<<"$tested" || wrong "$alert has no test in which it is: $how"
        done
    done < <(awk '$2 == "alert:" { alert = $3 } $1 == "runbook_url:" { print alert, $2 }' "$file")
    [ "$(grep -c ' alert: ' "$file")" = "$(grep -c 'runbook_url: ' "$file")" ] || wrong "$file has an alert without a runbook_url"
    while read -r entry; do
        grep -q " alert: $entry\$" "$file" || wrong "$runbook has an entry for $entry, which is no alert of $file"
    done < <(sed -n 's/^## //p' "$runbook")
done
$failed || echo "ops: $alerts alerts, each with a runbook entry and its tests"

for dashboard in $ops/grafana/dashboards/*.json; do
    jq -e '(.uid | length > 0) and ([.panels[].id] | length == (unique | length))
        and all(.panels[]; .title and .description and .fieldConfig.defaults.unit and (.targets | length > 0))' \
        "$dashboard" >/dev/null || wrong "$dashboard: a panel without title, description, unit or query, or an id twice"
done

# Every expression: rules as they are, without comments, and the dashboards' queries and variables.
expressions=$(
    grep -vh '^ *#' $ops/records.yml $ops/alerts/*.yml | grep -vE '(summary|description|runbook_url):'
    jq -r '(.panels[].targets[].expr), (.templating.list[].query.query)' $ops/grafana/dashboards/*.json
)
for record in $(grep -oE 'soma:[a-z_]+:[a-z0-9]+' <<<"$expressions" | sort -u); do
    grep -q "record: $record\$" $ops/records.yml || wrong "$record is used and not recorded"
done

if [ $# -gt 0 ]; then
    served=''
    for url in "$@"; do
        served+=$(curl -sSf ${SOMA_KEY:+-H "Authorization: Bearer $SOMA_KEY"} "$url")$'\n'
    done
    types=$(sed -n 's/^# TYPE //p' <<<"$served")
    named=$(grep -oE '\bsoma_[a-z0-9_]+' <<<"$expressions" | sort -u)
    # Nobody has asked a marketplace.
    grep -q '^soma_marketplace_' <<<"$types" || named=$(grep -v '^soma_marketplace_' <<<"$named")
    for metric in $named; do
        base=$(sed -E 's/_(bucket|sum|count)$//' <<<"$metric")
        grep -q "^$metric " <<<"$types" || grep -qx "$base histogram" <<<"$types" ||
            wrong "$metric is named, and not in $*"
    done
    echo "ops: $(wc -w <<<"$named") metrics looked up in $*"
fi

! $failed
