# suite_model.sh: events with streams, tags, types and ids (workload.h), as services record them: appends, conditions,
# streams of appends, queries, and a store that grows. Read by run.sh. Options, by environment:
#   REALISTIC_EVENTS    events that are there before realistic and condition are measured (1000000)
#   REQUESTS_IN_FLIGHT  requests of 100 events in flight (64)
#   MANY_IN_FLIGHT      messages in flight on the four streams of appends (4096)
#   QUERY_EVENTS        events of the store that is queried, ten for each customer's tag (1000000)
#   QUERY_IN_FLIGHT     queries in flight (64)
#   FLAT_EVENTS         events of the long fill, a multiple of 2000 (20000000: 10 GB, and two minutes)
#   DISK_SECONDS        how long the disk alone is measured, before and after the long fill (10)
model_parts="realistic condition many tag filter flat"
realistic_events=${REALISTIC_EVENTS:-1000000}
requests_in_flight=${REQUESTS_IN_FLIGHT:-64}
many_in_flight=${MANY_IN_FLIGHT:-4096}
query_events=${QUERY_EVENTS:-1000000}
query_in_flight=${QUERY_IN_FLIGHT:-64}
flat_events=${FLAT_EVENTS:-20000000}
disk_seconds=${DISK_SECONDS:-10}
request_events=100
# Needles: tags with 100 events each. Enough of them that a first read of each tells more than the first of all.
needles=50
small_events=10000

# for_window: the options of a measurement that goes by time.
for_window() { printf -- '--window-ms %s' $((round_seconds * 1000)); }

# fill_workload PEER DATA EVENTS [OPTION...]: leaves a store with so many events of the workload.
fill_workload() {
    local peer=$1 data=$2 events=$3
    shift 3
    start_ready "$peer" "$data"
    drive workload-fill "$peer" --events "$events" --events-per-request "$request_events" \
        --in-flight "$requests_in_flight" "$@"
    stop_server
    say "bench: filled $peer with $events events of the workload"
}

# The stores of realistic and condition: filled by whichever comes first.
fill_realistic() {
    local peer
    [ ! -d "$work/realistic" ] || return 0
    for peer in $(peers_among umadb daybook); do
        fill_workload "$peer" "$work/realistic/$peer" "$realistic_events"
    done
}

# The realistic load, in requests of 100 events and one by one.
part_realistic() {
    local round peer
    fill_realistic
    for round in $(seq "$rounds"); do
        for peer in $(peers_among umadb daybook); do
            start_ready "$peer" "$work/realistic/$peer"
            drive workload "$peer" $(for_window) --events-per-request "$request_events" --in-flight "$requests_in_flight"
            drive workload "$peer" $(for_window) --in-flight 256
            stop_server
        done
        say "bench: realistic load, round $round of $rounds"
    done
}

# One by one, without and with a condition each; half of the types are appended, conditions ask for the other half.
part_condition() {
    local round peer
    fill_realistic
    for round in $(seq "$rounds"); do
        for peer in $(peers_among umadb daybook); do
            start_ready "$peer" "$work/realistic/$peer"
            drive workload "$peer" $(for_window) --in-flight 256 --types 5
            drive workload "$peer" $(for_window) --in-flight 256 --types 5 --conditional
            stop_server
        done
        say "bench: conditions, round $round of $rounds"
    done
}

# Plain events: one a message on four streams of appends; the peers, which have no such call, one a call.
part_many() {
    local round peer data=$work/many
    for round in $(seq "$rounds"); do
        for peer in $(peers_among umadb redis daybook); do
            if [ "$peer" = redis ]; then
                start_server redis "$data"
                redis_wait
                check_server redis
                redis_append "$round_seconds"
            else
                start_ready "$peer" "$data"
                if [ "$peer" = umadb ]; then append_plain umadb 256; else
                    drive append-many daybook $(for_window) --event-bytes "$event_bytes" --streams 4 \
                        --in-flight "$many_in_flight"
                fi
            fi
            stop_server
            rm -rf "$data"
        done
        say "bench: streams of appends, round $round of $rounds"
    done
}

# The stores of tag and filter: a customer's tag has ten events.
fill_query() {
    local peer
    [ ! -d "$work/query" ] || return 0
    for peer in $(peers_among umadb daybook); do
        fill_workload "$peer" "$work/query/$peer" "$query_events" --customers $((query_events / 10)) --customers-even \
            --needles "$needles"
    done
}

# Reads of one tag with ten events.
part_tag() {
    local round peer
    fill_query
    for round in $(seq "$rounds"); do
        for peer in $(peers_among umadb daybook); do
            start_ready "$peer" "$work/query/$peer"
            drive query "$peer" $(for_window) --query customer --customers $((query_events / 10)) --matches 10 \
                --events "$query_events" --in-flight "$query_in_flight"
            stop_server
        done
        say "bench: reads of a tag, round $round of $rounds"
    done
}

# query_needles DATA EVENTS: reads of 100 matches, one at a time, from a store with so many events: of every needle once
# after a start, then again and again.
query_needles() {
    local data=$1 events=$2 query
    for query in needle needle-type; do
        start_ready daybook "$data"
        local options=(--query "$query" --needles "$needles" --events "$events" --matches 100 --in-flight 1 --threads 1)
        drive query daybook "${options[@]}" --label first --calls "$needles"
        drive query daybook "${options[@]}" --label warm --calls $((needles * 20))
        stop_server
    done
}

# Whether a read costs what matches, not what there is.
part_filter() {
    local round
    has_peer daybook || return 0
    fill_query
    fill_workload daybook "$work/small" "$small_events" --customers $((small_events / 10)) --customers-even \
        --needles "$needles"
    for round in $(seq "$rounds"); do
        query_needles "$work/small" "$small_events"
        query_needles "$work/query/daybook" "$query_events"
        say "bench: filters, round $round of $rounds"
    done
}

disk_alone() {
    "$load" disk --directory "$work" --window-ms $((disk_seconds * 1000)) | keep
}

# Whether the rate holds while the store grows, and how long it pauses; the disk alone before and after tells how much of
# that is the machine's.
part_flat() {
    has_peer daybook || return 0
    rm -rf "$work/realistic" "$work/query" "$work/small"
    disk_alone
    start_ready daybook "$work/flat"
    drive flat daybook --events "$flat_events" --events-per-request "$request_events" --in-flight "$requests_in_flight"
    stop_server
    printf 'phase=disk peer=daybook mib=%s\n' "$(du -sm "$work/flat" | cut -f1)" | keep
    disk_alone
    rm -rf "$work/flat"
    say "bench: long fill of $flat_events events"
}
