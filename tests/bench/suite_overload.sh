# suite_overload.sh: several times the load that the daemon can carry. Read by run.sh. Options, by environment:
#   OVERLOAD_TIMES        how many times (4)
#   OVERLOAD_SHARE        how much of the cores the daemon may have, in percent, so that the load generator beside it can offer
#                         so much (25)
#   OVERLOAD_DEADLINE_MS  how long those wait who do not wait for ever (2000)
overload_parts="overload"
overload_times=${OVERLOAD_TIMES:-4}
overload_share=${OVERLOAD_SHARE:-25}
overload_deadline_ms=${OVERLOAD_DEADLINE_MS:-2000}

# The most that it takes from clients that wait, a multiple of that rate from clients that do not, and the first again; each
# round on a store of its own, with requests of one event and of a hundred, and with callers that wait for ever and that do
# not. A crowd has as many calls under way as the daemon carries in a second or two.
part_overload() {
    local round request_events data=$work/overload
    for round in $(seq "$rounds"); do
        for request_events in 1 100; do
            overload_once "$data" "$request_events"
            overload_once "$data" "$request_events" --overload-deadline-ms "$overload_deadline_ms"
        done
        say "bench: overload, round $round of $rounds"
    done
}

# overload_once DATA EVENTS [OPTION...]
overload_once() {
    local data=$1 request_events=$2
    shift 2
    start_ready daybook "$data"
    drive overload daybook $(for_window) --events-per-request "$request_events" --in-flight 256 \
        --times "$overload_times" --server-share "$overload_share" --overload-threads 8 \
        --overload-in-flight $((request_events == 1 ? 4096 : 1024)) "$@"
    # What it was stopped by may have ended before it let the daemon go on.
    kill -CONT "$server_pid"
    stop_server
    rm -rf "$data"
}
