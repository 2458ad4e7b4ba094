# suite_overload.sh: several times the load that the daemon can carry. Read by run.sh. Options, by environment:
#   OVERLOAD_TIMES      how many times (4)
#   OVERLOAD_IN_FLIGHT  calls that the crowd has under way at most; more than the daemon's queue holds (16384)
overload_parts="overload"
overload_times=${OVERLOAD_TIMES:-4}
overload_in_flight=${OVERLOAD_IN_FLIGHT:-16384}
overload_request_events=10

# The most that it takes from clients that wait, a multiple of that rate from clients that do not, and the first again; each
# round on a store of its own.
part_overload() {
    local round data=$work/overload
    for round in $(seq "$rounds"); do
        start_ready daybook "$data"
        drive overload daybook $(for_window) --events-per-request "$overload_request_events" --in-flight 256 \
            --times "$overload_times" --overload-in-flight "$overload_in_flight"
        stop_server
        rm -rf "$data"
        say "bench: overload, round $round of $rounds"
    done
}
