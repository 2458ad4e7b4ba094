#!/usr/bin/env bash
# The worked examples of the DCB specification, each on a Daybook of its own.
#
#   examples/dcb/demo.sh [EXAMPLE...]
#
# `bazel build //service:daybookd //examples/dcb/...` comes before. Fails when an invariant does not hold.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || set -- course_subscriptions unique_username invoice_number opt_in_token dynamic_product_price
work=$(mktemp -d)
daemon=
daemon_stop() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=
}
finish() {
  daemon_stop
  rm -rf "$work"
}
trap finish EXIT

# Waits for the daemon's port, at most a minute.
await_port() {
  local tries=0
  until grep -qs 'serving port=' "$1"; do
    tries=$((tries + 1))
    if [ "$tries" -ge 6000 ] || ! kill -0 "$daemon" 2>/dev/null; then cat "$1" >&2; exit 1; fi
    sleep 0.01
  done
}

for example in "$@"; do
  printf '\n== %s\n' "$example"
  bazel-bin/service/daybookd --data "$work/$example" --listen 127.0.0.1:0 2>"$work/$example.log" &
  daemon=$!
  await_port "$work/$example.log"
  port=$(sed -n 's/.*serving port=\([0-9]*\).*/\1/p' "$work/$example.log")
  "bazel-bin/examples/dcb/$example" "127.0.0.1:$port"
  daemon_stop
done
