#!/usr/bin/env bash
# run.sh: `make bench`. Measures daybookd against a bare gRPC echo server and UmaDB, on the same two cores in the same
# run, and checks the bars that Daybook holds itself to. Prints one report; exits 1 when a bar is missed.
#
# Options, by environment:
#   PEERS          which servers, by default "echo umadb daybook"
#   ROUNDS         rounds; the servers take turns in each, and the median counts (3)
#   ROUND_SECONDS  length of one append measurement (5)
#   IN_FLIGHT      unary calls in flight; the bars hold the largest, the others are for information ("256")
#   EVENTS_COUNT   events of the store that is read and started on (1000000); the bars are meant for that many
#   EVENT_BYTES    encoded size of an event (200)
#   BENCH_DIR      where the data directories go, on a real disk (/var/tmp)
#   UMADB          UmaDB's daemon (from PATH, ~/.cargo/bin or /opt/bench/umadb/bin; `cargo install umadb`)
#   DAYBOOKD       Daybook's daemon (built by bazel)
#   RESULTS        a file that gets every single measurement, one a line (none)
# It stops only processes that it has started, and removes only the folder that it has made.
set -euo pipefail

cd "$(dirname "$0")/../.."
peers=${PEERS:-echo umadb daybook}
rounds=${ROUNDS:-3}
round_seconds=${ROUND_SECONDS:-5}
in_flight=${IN_FLIGHT:-256}
events_count=${EVENTS_COUNT:-1000000}
event_bytes=${EVENT_BYTES:-200}
bench_dir=${BENCH_DIR:-/var/tmp}
cores_max=2
fill_request_events=1000
# Requests are written before the clock starts; more than any server here answers.
calls_per_second_max=80000

load=bazel-bin/tests/bench/load
echo_server=bazel-bin/tests/bench/echo_server
daybookd=${DAYBOOKD:-bazel-bin/service/daybookd}
umadb=${UMADB:-}

work=
server_pid=
server_port=
server_started_us=

say() { printf '%s\n' "$*" >&2; }
die() { say "bench: $*"; exit 2; }

# Stops the server that runs, by the id it was started with, and waits for its end. One that does not stop is killed.
stop_server() {
    [ -n "$server_pid" ] || return 0
    local pid=$server_pid tries=0
    server_pid=
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" = 300 ]; then
            say "bench: process $pid does not stop on SIGTERM, killing it"
            kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.1
    done
    wait "$pid" 2>/dev/null || true
}

clean_up() {
    stop_server
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# start_server PEER DATA: starts it on a free port; it need not answer yet.
start_server() {
    local peer=$1 data=$2 address
    server_port=$("$load" free-port)
    address=127.0.0.1:$server_port
    mkdir -p "$data"
    local command
    case $peer in
    echo) command=("$echo_server" --listen "$address") ;;
    # Its fastest settings here: reads by mmap are 10 to 20 % faster than by its default, and appends no slower; the
    # pipelined writer and a page cache made it slower.
    umadb) command=("$umadb" --listen "$address" --db-path "$data" --read-method mmap) ;;
    daybook) command=("$daybookd" --data "$data" --listen "$address" --log-level warn) ;;
    *) die "there is no peer '$peer'" ;;
    esac
    server_started_us=$(date +%s%6N)
    "${command[@]}" >"$work/server.log" 2>&1 &
    server_pid=$!
}

# drive PHASE PEER [OPTION...]: lets the load generator act on the server that runs and keeps its line.
drive() {
    local phase=$1 peer=$2
    shift 2
    local limit=$((round_seconds + 300)) line
    if ! line=$(timeout "$limit" "$load" "$phase" --peer "$peer" --target "127.0.0.1:$server_port" \
        --server-pid "$server_pid" --event-bytes "$event_bytes" "$@"); then
        say "bench: $phase on $peer failed; the server's last lines:"
        tail -n 20 "$work/server.log" >&2
        exit 2
    fi
    printf '%s\n' "$line" >>"$work/results"
}

# note_memory PEER WHEN: what the server that runs has in memory, KiB; anonymous is what only it can free.
note_memory() {
    awk -v peer="$1" -v when="$2" '
        /^VmRSS:/ { resident = $2 } /^RssAnon:/ { anonymous = $2 } /^RssFile:/ { file = $2 }
        END { printf "phase=memory peer=%s when=%s resident_kib=%d anonymous_kib=%d file_kib=%d\n",
              peer, when, resident, anonymous, file }' "/proc/$server_pid/status" >>"$work/results"
}

has_peer() { case " $peers " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# The servers that store: those that can be filled and read.
stores() {
    local peer
    for peer in $peers; do [ "$peer" = echo ] || printf '%s\n' "$peer"; done
}

find_umadb() {
    has_peer umadb || return 0
    local candidate
    for candidate in "$umadb" "$(command -v umadb || true)" "${HOME:-/root}/.cargo/bin/umadb" \
        /opt/bench/umadb/bin/umadb; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            umadb=$candidate
            return 0
        fi
    done
    say "bench: UmaDB is not there, its bars are skipped (cargo install umadb, or UMADB=path)"
    peers=$(printf '%s\n' $peers | grep -v '^umadb$' | tr '\n' ' ')
}

build() {
    local targets=(//tests/bench:load //tests/bench:echo_server)
    if has_peer daybook && [ -z "${DAYBOOKD:-}" ]; then targets+=(//service:daybookd); fi
    bazel build "${targets[@]}" >&2
}

# Client and server share two cores, whatever the machine has.
pin_cores() {
    [ "$(nproc)" -gt "$cores_max" ] || return 0
    local first
    first=$(taskset -cp $$ | sed 's/.*: *//' | tr ',' '\n' |
        awk -F- '{ for (core = $1; core <= ($2 == "" ? $1 : $2); core++) print core }' | head -n "$cores_max" |
        paste -sd,)
    taskset -cp "$first" $$ >/dev/null
}

note_machine() {
    local type
    type=$(stat -f -c %T "$work")
    [ "$type" != tmpfs ] && [ "$type" != ramfs ] || die "$bench_dir is in memory; set BENCH_DIR to a real disk"
    {
        printf 'machine cores %s of %s\n' "$(nproc)" "$(getconf _NPROCESSORS_ONLN)"
        printf 'machine processor %s\n' "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
        printf 'machine kernel %s\n' "$(uname -sr)"
        printf 'machine disk %s\n' "$(df --output=fstype,source "$work" | awk 'NR == 2 { print $1 " on " $2 }')"
        printf 'machine peers %s\n' "$peers"
        printf 'machine load %s rounds of %s s, %s bytes an event\n' "$rounds" "$round_seconds" "$event_bytes"
        if has_peer umadb; then
            printf 'machine umadb %s, --read-method mmap, events with id and without tags, 4096 a message\n' \
                "$("$umadb" --version | tail -n 1)"
        fi
    } >>"$work/results"
}

# Appends one event a call, durable before each answer. Every measurement has a server and a store of its own.
measure_appends() {
    local round peer calls data
    for round in $(seq "$rounds"); do
        for peer in $peers; do
            for calls in $in_flight; do
                data=$work/append
                start_server "$peer" "$data"
                drive start "$peer" --started-us "$server_started_us"
                if [ "$round" = 1 ]; then note_memory "$peer" fresh; fi
                drive append "$peer" --in-flight "$calls" --window-ms $((round_seconds * 1000)) \
                    --requests $(((round_seconds + 1) * calls_per_second_max))
                stop_server
                rm -rf "$data"
            done
        done
        say "bench: appends, round $round of $rounds"
    done
}

# Fills each store with large appends. The servers stop and leave their stores.
fill_stores() {
    local peer
    for peer in $(stores); do
        start_server "$peer" "$work/$peer"
        drive start "$peer" --started-us "$server_started_us"
        drive fill "$peer" --events "$events_count" --events-per-request "$fill_request_events" --in-flight 8 \
            --requests $((events_count / fill_request_events))
        # What a server gives back when it rests is not idle memory.
        sleep 3
        note_memory "$peer" filled
        stop_server
        printf 'phase=disk peer=%s mib=%s\n' "$peer" "$(du -sm "$work/$peer" | cut -f1)" >>"$work/results"
        say "bench: filled $peer with $events_count events"
    done
}

# Starts each server on its full store, and reads everything on one stream, three times before the next server's turn.
measure_reads() {
    local round peer
    for round in $(seq "$rounds"); do
        for peer in $(stores); do
            start_server "$peer" "$work/$peer"
            drive start "$peer" --started-us "$server_started_us"
            if [ "$round" = 1 ]; then note_memory "$peer" restarted; fi
            for _ in 1 2 3; do drive read "$peer" --events "$events_count"; done
            stop_server
        done
        say "bench: reads, round $round of $rounds"
    done
}

find_umadb
build
pin_cores
work=$(mktemp -d "$bench_dir/daybook-bench.XXXXXX")
note_machine
measure_appends
if [ -n "$(stores)" ]; then
    fill_stores
    measure_reads
fi
[ -z "${RESULTS:-}" ] || cp "$work/results" "$RESULTS"
awk -f tests/bench/report.awk "$work/results"
