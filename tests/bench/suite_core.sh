# suite_core.sh: plain events: one by one on an empty store, and a full read. Read by run.sh. Options, by environment:
#   IN_FLIGHT      unary calls in flight; the bars hold the largest, the others are for information ("256")
#   EVENTS_COUNT   events of the store that is read and started on (1000000); the bars are meant for that many
#   EVENT_BYTES    encoded size of an event (200)
core_parts="appends reads"
in_flight=${IN_FLIGHT:-256}
events_count=${EVENTS_COUNT:-1000000}
event_bytes=${EVENT_BYTES:-200}
fill_request_events=1000
# Requests are written before the clock starts; more than any server here answers.
calls_per_second_max=80000

# append_plain PEER CALLS: one event a call, on the server that runs.
append_plain() {
    drive append "$1" --event-bytes "$event_bytes" --in-flight "$2" --window-ms $((round_seconds * 1000)) \
        --requests $(((round_seconds + 1) * calls_per_second_max))
}

# Appends one event a call, durable before each answer. Every measurement has a server and a store of its own.
part_appends() {
    local round peer calls data=$work/append
    for round in $(seq "$rounds"); do
        for peer in $(peers_among echo umadb daybook); do
            for calls in $in_flight; do
                start_ready "$peer" "$data"
                if [ "$round" = 1 ]; then note_memory "$peer" fresh; fi
                append_plain "$peer" "$calls"
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
    for peer in $(peers_among umadb daybook); do
        start_ready "$peer" "$work/$peer"
        drive fill "$peer" --event-bytes "$event_bytes" --events "$events_count" \
            --events-per-request "$fill_request_events" --in-flight 8 --requests $((events_count / fill_request_events))
        # What a server gives back when it rests is not idle memory.
        sleep 3
        note_memory "$peer" filled
        stop_server
        printf 'phase=disk peer=%s mib=%s\n' "$peer" "$(du -sm "$work/$peer" | cut -f1)" | keep
        say "bench: filled $peer with $events_count events"
    done
}

# Starts each server on its full store, and reads everything on one stream, three times before the next server's turn.
part_reads() {
    local round peer
    fill_stores
    for round in $(seq "$rounds"); do
        for peer in $(peers_among umadb daybook); do
            start_ready "$peer" "$work/$peer"
            if [ "$round" = 1 ]; then note_memory "$peer" restarted; fi
            for _ in 1 2 3; do drive read "$peer" --events "$events_count"; done
            stop_server
        done
        say "bench: reads, round $round of $rounds"
    done
    rm -rf "$work/umadb" "$work/daybook"
}
