# server.sh: servers under test, one at a time, and the load generator that acts on them. Read by run.sh, which has set
# peers, rounds, round_seconds and bench_dir; `part` is the part of the suite that runs.
cores_max=2
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
    redis) redis_command "$server_port" "$data" ;;
    *) die "there is no peer '$peer'" ;;
    esac
    server_started_us=$(date +%s%6N)
    "${command[@]}" >"$work/server.log" 2>&1 &
    server_pid=$!
}

# keep: keeps what it reads as lines of results, and notes the part that they belong to.
keep() { sed "s/$/ part=$part/" >>"$work/results"; }

# drive PHASE PEER [OPTION...]: lets the load generator act on the server that runs and keeps its lines.
drive() {
    local phase=$1 peer=$2
    shift 2
    # A fill or a long run ends by number, on a slow disk much later than it should.
    local limit=$((round_seconds + 1800)) lines
    if ! lines=$(timeout "$limit" "$load" "$phase" --peer "$peer" --target "127.0.0.1:$server_port" \
        --server-pid "$server_pid" "$@"); then
        say "bench: $phase on $peer failed; the server's last lines:"
        tail -n 20 "$work/server.log" >&2
        exit 2
    fi
    printf '%s\n' "$lines" | keep
}

# start_ready PEER DATA: starts it and waits until it answers.
start_ready() {
    start_server "$@"
    drive start "$1" --started-us "$server_started_us"
    check_server "$1"
}

# What has answered must be the server that was started, not another one that has taken its port.
check_server() { kill -0 "$server_pid" 2>/dev/null || die "$1 has ended: $(tail -n 3 "$work/server.log")"; }

has_peer() { case " $peers " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
has_part() { case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# peers_among NAME...: those of them that are measured, in the order of PEERS.
peers_among() {
    local peer
    for peer in $peers; do case " $* " in *" $peer "*) printf '%s\n' "$peer" ;; esac done
}

# without_peer NAME TEXT: goes on without a server that is not there.
without_peer() {
    say "bench: $1 is not there, its bars are skipped ($2)"
    peers=$(printf '%s\n' $peers | grep -v "^$1\$" | tr '\n' ' ')
}

find_peers() {
    local candidate found=
    if has_peer umadb; then
        for candidate in "$umadb" "$(command -v umadb || true)" "${HOME:-/root}/.cargo/bin/umadb" \
            /opt/bench/umadb/bin/umadb; do
            if [ -z "$found" ] && [ -n "$candidate" ] && [ -x "$candidate" ]; then found=$candidate; fi
        done
        umadb=$found
        [ -n "$found" ] || without_peer umadb "cargo install umadb, or UMADB=path"
    fi
    if has_peer redis && ! { has_part many && has_redis; }; then
        if has_part many; then without_peer redis "Debian's redis-server and redis-tools"; else
            peers=$(printf '%s\n' $peers | grep -v '^redis$' | tr '\n' ' ')
        fi
    fi
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
        printf 'machine parts %s\n' "$parts"
        printf 'machine load %s rounds of %s s\n' "$rounds" "$round_seconds"
        if has_peer umadb; then
            printf 'machine umadb %s, --read-method mmap, events with id, 4096 a message\n' \
                "$("$umadb" --version | tail -n 1)"
        fi
        if has_peer redis; then printf 'machine redis %s\n' "$(redis_settings)"; fi
    } >>"$work/results"
}

# note_memory PEER WHEN: what the server that runs has in memory, KiB; anonymous is what only it can free.
note_memory() {
    awk -v peer="$1" -v when="$2" '
        /^VmRSS:/ { resident = $2 } /^RssAnon:/ { anonymous = $2 } /^RssFile:/ { file = $2 }
        END { printf "phase=memory peer=%s when=%s resident_kib=%d anonymous_kib=%d file_kib=%d\n",
              peer, when, resident, anonymous, file }' "/proc/$server_pid/status" | keep
}
