#!/usr/bin/env bash
# run.sh: `make bench`. Measures daybookd against its peers on the same two cores in the same run, and checks the bars
# that Daybook holds itself to. Prints one report; exits 1 when a bar is missed.
#
# Options, by environment:
#   SUITE          core: plain events, against a bare gRPC echo server and UmaDB; model: the realistic load, conditions,
#                  streams of appends, queries, a long fill, against UmaDB and Redis; sdk: the C SDK as a client, against
#                  gRPC core by hand and gRPC's C++; overload: more than the daemon can carry, alone; or all (all)
#   PARTS          only these parts: appends reads (core); realistic condition many tag filter flat (model); calls streams
#                  (sdk) overload
#   PEERS          which servers, by default "echo umadb daybook redis"
#   ROUNDS         rounds; the servers take turns in each, and the median counts (3)
#   ROUND_SECONDS  length of one append measurement (5)
#   BENCH_DIR      where the data directories go, on a real disk (/var/tmp); all parts together need 20 GB
#   UMADB          UmaDB's daemon (from PATH, ~/.cargo/bin or /opt/bench/umadb/bin; `cargo install umadb`)
#   DAYBOOKD       Daybook's daemon (built by bazel)
#   RESULTS        a file that gets every single measurement, one a line (none)
# and those of each suite: suite_core.sh, suite_model.sh. With the defaults, about 3 minutes for core, 9 for model and 5 for
# sdk on an idle machine; on a busy one the ratios are noise, which the column of others' cores shows.
# It stops only processes that it has started, and removes only the folder that it has made.
set -euo pipefail

cd "$(dirname "$0")/../.."
suite=${SUITE:-all}
peers=${PEERS:-echo umadb daybook redis}
rounds=${ROUNDS:-3}
round_seconds=${ROUND_SECONDS:-5}
bench_dir=${BENCH_DIR:-/var/tmp}

. tests/bench/server.sh
. tests/bench/peer_redis.sh
. tests/bench/suite_core.sh
. tests/bench/suite_model.sh
. tests/bench/suite_sdk.sh
. tests/bench/suite_overload.sh

case $suite in
core) parts=${PARTS:-$core_parts} ;;
model) parts=${PARTS:-$model_parts} ;;
sdk) parts=${PARTS:-$sdk_parts} ;;
overload) parts=${PARTS:-$overload_parts} ;;
all) parts=${PARTS:-$core_parts $model_parts $sdk_parts $overload_parts} ;;
*) die "there is no suite '$suite': core, model, sdk, overload or all" ;;
esac
for part in $parts; do
    case " $core_parts $model_parts $sdk_parts $overload_parts " in *" $part "*) ;; *) die "there is no part '$part'" ;; esac
done
part=

report() {
    reported=1
    [ -z "${RESULTS:-}" ] || cp "$work/results" "$RESULTS"
    awk -f tests/bench/report.awk -f tests/bench/report_core.awk -f tests/bench/report_model.awk \
        -f tests/bench/report_sdk.awk -f tests/bench/report_overload.awk "$work/results"
}

# A run that fails after a quarter of an hour still tells what it has measured.
finish() {
    local code=$?
    stop_server
    if [ -z "$reported" ] && [ -s "$work/results" ]; then
        say "bench: ended early; this is what was measured until then"
        report || true
    fi
    [ -z "$work" ] || rm -rf "$work"
    exit "$code"
}
reported=
trap finish EXIT
trap 'exit 130' INT TERM

find_peers
build
pin_cores
work=$(mktemp -d "$bench_dir/daybook-bench.XXXXXX")
note_machine
for part in $parts; do "part_$part"; done
report
