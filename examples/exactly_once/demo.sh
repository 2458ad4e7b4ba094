#!/usr/bin/env bash
# Exactly-once processing: the consumer is killed (kill -9) again and again, at times two of it run at once, and in the end each
# order has one invoice, in order, and no number is left out.
#
#   examples/exactly_once/demo.sh [ROUNDS]     (20 when not given)
#
# `bazel build //service:daybookd //sdk/cli:daybook //examples/exactly_once/...` comes before. The seed is printed;
# DAYBOOK_TEST_SEED makes the same choices again (the machine's own timing is not in it).
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-20}
orders_a_round=50
seed=${DAYBOOK_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((seed % 32768))
work=$(mktemp -d)
daemon= producer=
consumers=()
finish() {
  [ ${#consumers[@]} -eq 0 ] || kill -9 "${consumers[@]}" 2>/dev/null || true
  [ -z "$producer" ] || kill "$producer" 2>/dev/null || true
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
fail() {
  echo "demo: $*" >&2
  tail -n 5 "$work"/*.log >&2
  exit 1
}
# Waits for a condition, at most a minute.
await() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 6000 ] || fail "waited in vain for: $*"
    sleep 0.01
  done
}
has_port() { grep -qs 'serving port=' "$work/daemon.log"; }
head_now() { bazel-bin/sdk/cli/daybook head --server "$server"; }
has_reached() { [ "$(head_now)" -ge "$1" ]; }

last=0 # the newest order that somebody has been told to record
orders_begin() {
  bazel-bin/examples/exactly_once/orders "$server" $((last + 1)) $((last + orders_a_round)) >>"$work/orders.log" &
  producer=$!
  last=$((last + orders_a_round))
}
orders_end() {
  wait "$producer" || fail "the producer has failed"
  producer=
}
consumer_begin() {
  bazel-bin/examples/exactly_once/invoicing "$server" 2>>"$work/invoicing.log" &
  consumers+=($!)
}
# Kills one of the consumers; a consumer never ends by itself here.
consumer_kill() {
  local index=$((RANDOM % ${#consumers[@]}))
  local victim=${consumers[$index]}
  kill -9 "$victim" || fail "a consumer had ended by itself"
  wait "$victim" 2>/dev/null || true
  unset "consumers[$index]"
  consumers=(${consumers[@]+"${consumers[@]}"})
  kills=$((kills + 1))
}

say "A Daybook on an empty directory; seed $seed"
bazel-bin/service/daybookd --data "$work/data" --listen 127.0.0.1:0 2>"$work/daemon.log" &
daemon=$!
await has_port
server=127.0.0.1:$(sed -n 's/.*serving port=\([0-9]*\).*/\1/p' "$work/daemon.log")

say "$rounds rounds: orders come in, one or two consumers issue invoices, one is killed at a random moment"
kills=0
for ((round = 1; round <= rounds; round++)); do
  before=$(head_now)
  orders_begin
  consumer_begin
  [ ${#consumers[@]} -gt 1 ] || [ $((RANDOM % 3)) -gt 0 ] || consumer_begin
  if [ $((RANDOM % 2)) -eq 0 ]; then
    await has_reached $((before + RANDOM % (2 * orders_a_round - 20)))
  else
    sleep "0.0$((RANDOM % 90 + 10))" # the moment of the kill, not a wait for anything
  fi
  consumer_kill
  [ ${#consumers[@]} -eq 0 ] || [ $((RANDOM % 2)) -eq 0 ] || consumer_kill
  orders_end
done
while [ ${#consumers[@]} -gt 0 ]; do consumer_kill; done
echo "$kills consumers were killed"

say "Two at once, of which one expects to be alone"
consumer_begin
bazel-bin/examples/exactly_once/invoicing "$server" --alone 2>"$work/alone.log" &
alone=$!
consumers+=("$alone")
for ((batch = 0; batch < 200; batch++)); do
  kill -0 "$alone" 2>/dev/null || break
  orders_begin
  orders_end
done
[ "$batch" -lt 200 ] || fail "the two have not met in $((200 * orders_a_round)) orders"
code=0
wait "$alone" || code=$?
[ "$code" -eq 3 ] || fail "the one that expects to be alone ended with $code, not 3"
consumers=("${consumers[0]}")
cat "$work/alone.log"

say "The last consumer goes on until every order has its invoice"
consumer_kill
bazel-bin/examples/exactly_once/invoicing "$server" "$(head_now)" 2>"$work/last.log" || fail "the last consumer has failed"
cat "$work/last.log"
echo "why appends were refused on the way:"
cat "$work"/{invoicing,alone,last}.log | sed -n 's/.*the checkpoint is [0-9]*: /  /p' | sort | uniq -c

say "Invoices and orders, as they are in the log"
bazel-bin/sdk/cli/daybook read --server "$server" --json >"$work/log.json"
LC_ALL=C awk -f examples/exactly_once/check.awk "$work/log.json" || fail "with seed $seed"
