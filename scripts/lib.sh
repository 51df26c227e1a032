# shellcheck shell=bash
# lib.sh - what the scripts share; sourced by them after `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Never a terminal's language or an outer build's settings in what we parse and compare.
export LC_ALL=C.UTF-8

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "${0##*/}: $*"
    exit 1
}

# Runs a command with its output in a log; shows the log only when the command fails, and then fails like it.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

# A temporary folder that goes away with the script: make_scratch; echo "$scratch"
make_scratch() {
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/affinity.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
}
