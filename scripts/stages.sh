#!/usr/bin/env bash
# Runs the Justfile's recipes named, one after another, and tells how many minutes each took.
set -euo pipefail

took=()
report() {
    printf '\nminutes per stage:'
    printf '  %s' "${took[@]}"
    printf '\n'
}

for stage in "$@"; do
    printf '\n==> %s\n' "$stage"
    # The times stand before the last stage, so that a run ends in its test runner's own lines.
    [ "$stage" != "${*: -1}" ] || [ ${#took[@]} = 0 ] || report
    began=$SECONDS
    just "$stage"
    took+=("$stage $(awk "BEGIN { printf \"%.1f\", ($SECONDS - $began) / 60 }")")
done
report
