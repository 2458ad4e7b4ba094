#!/usr/bin/env bash
# report_test.sh: the report of `make bench` on lines with known figures: which bars it holds, which it finds missed.
set -euo pipefail

failures=0
# report: reads lines, prints the report, then "exit N".
report() {
    local code=0
    awk -f tests/bench/report.awk -f tests/bench/report_core.awk -f tests/bench/report_model.awk \
        -f tests/bench/report_sdk.awk -f tests/bench/report_overload.awk || code=$?
    echo "exit $code"
}

# expect NAME TEXT PATTERN: a line of the text matches.
expect() {
    if ! grep -Eq -- "$3" <<<"$2"; then
        echo "$1: no line matches '$3' in"
        echo "$2"
        failures=$((failures + 1))
    fi
}

# load ROUND PEER PART REQUEST_EVENTS RATE [PAIR...]: a line of the phase workload.
load() {
    echo "phase=workload peer=$2 in_flight=64 events_per_second=$5 p50_us=1 p99_us=2 p999_us=3 max_us=4 server_us=300" \
        "client_us=50 others_cores=0.0 events_per_request=$4 conditional=${6:-0} part=$3"
}

# The median of the rounds' ratios (9, 8, 2), not the ratio of medians (3.2).
rounds=$(
    load 1 umadb realistic 100 10000; load 1 daybook realistic 100 90000
    load 2 umadb realistic 100 50000; load 2 daybook realistic 100 100000
    load 3 umadb realistic 100 5000; load 3 daybook realistic 100 40000
)
got=$(report <<<"$rounds")
expect "median of ratios" "$got" 'requests of 100: daybook / umadb +8\.00 +at least +8 +pass$'
expect "same tags" "$got" '100 a request: daybook / umadb +8\.00 +at least +1 +pass$'
expect "by event" "$got" '^  daybook, requests of 100 +90000 .* 3\.00 +0\.50 '
expect "all held" "$got" '^exit 0$'

got=$(report <<<"${rounds//90000/79000}")
expect "missed" "$got" 'requests of 100: daybook / umadb +7\.90 +at least +8 +MISSED$'
expect "missed" "$got" '^exit 1$'

got=$( { load 1 daybook condition 1 10000 0; load 1 daybook condition 1 8900 1; } | report)
expect "condition" "$got" 'conditional / unconditional append +0\.89 +at least +0\.9 +MISSED$'
expect "a peer that is not there" "$got" 'conditional append: daybook / umadb +skipped'

query() {
    echo "phase=query peer=daybook query=$1 matches=100 events=$2 pass=$3 in_flight=1 reads_per_second=1 p50_us=$4" \
        "p99_us=9 max_us=9 part=filter"
}
got=$( { query needle 10000 warm 100; query needle 1000000 warm 499; query needle-type 10000 first 100
    query needle-type 1000000 first 500; } | report)
expect "filter" "$got" '100 matches, needle, warm: of 1000000 / of 10000 +4\.99 +less than +5 +pass$'
expect "filter" "$got" '100 matches, needle-type, first: of 1000000 / of 10000 +5\.00 +less than +5 +MISSED$'

sdk() { echo "phase=sdk peer=$1 mode=$2 threads=8 per_second=$3 client_us=1 server_us=1 others_cores=0 part=calls"; }
got=$( { sdk core blocking 1000; sdk sdk blocking 900; sdk cpp blocking 901; sdk core pull 1000; sdk sdk pull 949; } | report)
expect "sdk by hand" "$got" 'SDK, blocking, threads: 8 / gRPC core by hand +0\.90 +at least +0\.9 +pass$'
expect "sdk and C\+\+" "$got" 'SDK, blocking, threads: 8 / gRPC C\+\+ +1\.00 +at least +1 +MISSED$'
expect "sdk streams" "$got" 'SDK, pull / gRPC core by hand +0\.95 +at least +0\.95 +MISSED$'
expect "sdk without C++" "$got" 'SDK, pull / gRPC C\+\+ +skipped'

# Pieces 1 to 4 at 1000 a second, 15 to 19 at 800; what is between and the first piece do not count.
flat() {
    local piece seconds
    for piece in $(seq 0 19); do
        seconds=7
        if [ "$piece" -ge 1 ] && [ "$piece" -le 4 ]; then seconds=1; fi
        if [ "$piece" -ge 15 ]; then seconds=1.25; fi
        echo "phase=flat peer=daybook piece=$piece events=1000 seconds=$seconds pause_max_us=$((piece == 7 ? $1 : 500))" \
            "stall_max_us=10 p50_us=1 p99_us=2 p999_us=3 max_us=4 part=flat"
    done
}
got=$(flat 99900 | report)
expect "flat" "$got" 'last quarter / of 1/20 to 1/4 +0\.80 +at least +0\.8 +pass$'
expect "pause" "$got" 'longest pause, ms +99\.9 +less than +100 +pass$'
got=$(flat 100000 | report)
expect "pause" "$got" 'longest pause, ms +100\.0 +less than +100 +MISSED$'

many() { echo "phase=$2 peer=$1 in_flight=256 events_per_second=$3 p50_us=1 p99_us=2 part=many $4"; }
got=$( { many umadb append 20000 server_us=1; many redis append 60000 ''; many daybook append-many 110000 \
    'server_us=1 answers_per_message=12'; } | report)
expect "many" "$got" "streams of appends / umadb's append +5\.50 +at least +5 +pass$"
expect "many" "$got" "streams of appends / redis' XADD +1\.83 +at least +2 +MISSED$"

# What the model measures is no figure of the core suite.
got=$( { echo 'phase=append peer=daybook in_flight=256 calls_per_second=50 events_per_second=50 part=appends'
    echo 'phase=append peer=echo in_flight=256 calls_per_second=100 events_per_second=100 part=appends'
    many umadb append 20000 ''; } | report)
expect "core" "$got" 'unary append, 256 in flight: daybook / echo +0\.50 +at least +0\.5 +pass$'
expect "core" "$got" 'unary append, 256 in flight: daybook / umadb +skipped'

[ "$failures" = 0 ]
