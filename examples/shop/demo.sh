#!/usr/bin/env bash
# The shop: a catalog records sales, an inventory reacts; they know nothing of each other but the events.
#
#   examples/shop/demo.sh [FILE.csv]
#
# The inventory is killed on the way and started again; at the end its levels must equal those computed from the file.
set -euo pipefail
cd "$(dirname "$0")/../.."

csv=${1:-examples/shop/sample.csv}
[ -r "$csv" ] || { echo "demo: $csv cannot be read" >&2; exit 66; }
work=$(mktemp -d)
daemon= inventory= catalog=
finish() {
  [ -z "$catalog" ] || kill "$catalog" 2>/dev/null || true
  [ -z "$inventory" ] || kill -9 "$inventory" 2>/dev/null || true
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
# Waits for a condition, at most a minute.
await() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 6000 ] || { echo "demo: waited in vain for: $*" >&2; cat "$work"/*.log >&2; exit 1; }
    sleep 0.01
  done
}
position() { awk '/^position/ { print $2 }' "$work/stock" 2>/dev/null || true; }
has_port() { grep -q 'serving port=' "$work/daemon.log"; }
has_reached() { local at; at=$(position); [ "${at:-0}" -ge "$1" ]; }

say "A Daybook on an empty directory"
bazel-bin/service/daybookd --data "$work/data" --listen 127.0.0.1:0 2>"$work/daemon.log" &
daemon=$!
await has_port
server=127.0.0.1:$(sed -n 's/.*serving port=\([0-9]*\).*/\1/p' "$work/daemon.log")
echo "daybookd listens on $server"

say "The inventory service starts to follow the orders"
bazel-bin/examples/shop/inventory "$server" "$work/stock" 2>"$work/inventory.log" &
inventory=$!

say "The catalog service sells: $csv"
bazel-bin/examples/shop/catalog "$server" "$csv" >"$work/catalog.log" &
catalog=$!
await has_reached $(($(wc -l <"$csv") / 3))

say "The inventory service is killed (kill -9) while the catalog goes on selling"
{ kill -9 "$inventory" && wait "$inventory" || true; } 2>/dev/null
inventory=
killed_at=$(position)
wait "$catalog"
catalog=
cat "$work/catalog.log"
head=$(bazel-bin/sdk/cli/daybook head --server "$server")
echo "the inventory had come to position $killed_at of $head"

say "The inventory service starts again and goes on where it was"
bazel-bin/examples/shop/inventory "$server" "$work/stock" "$head" >"$work/levels" 2>"$work/inventory2.log"
cat "$work/inventory2.log"

say "Stock levels, from the events and straight from the file"
LC_ALL=C awk -f examples/shop/expected_stock.awk "$csv" | LC_ALL=C sort >"$work/expected"
LC_ALL=C sort "$work/levels" >"$work/actual"
if ! cmp -s "$work/expected" "$work/actual"; then
  diff "$work/expected" "$work/actual" | head -n 20
  echo "demo: the levels differ"
  exit 1
fi
head -n 5 "$work/actual"
echo "... $(wc -l <"$work/actual") products, $head events: the levels are the same."
