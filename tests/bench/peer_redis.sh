# peer_redis.sh: Redis Streams, Debian's redis-server: XADD with appendfsync always, each on disk before its answer.
# Its own load generator drives it: it knows its protocol best, and costs less than ours.
redis_fields=(id 0192f3a4-7c1e-4d52-9b0a-5a7e3c1d9f48 type ProductSold data)
# With its names the event has about the 200 bytes that the others' have.
redis_data_bytes=146

has_redis() { command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null && command -v redis-cli >/dev/null; }

redis_settings() {
    printf '%s, appendonly, appendfsync always, no snapshots; redis-benchmark -c 256' \
        "$(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')"
}

# redis_command PORT DATA: sets `command` of start_server.
redis_command() {
    command=(redis-server --port "$1" --bind 127.0.0.1 --dir "$2" --appendonly yes --appendfsync always --save ""
        --auto-aof-rewrite-percentage 0)
}

redis_wait() {
    local tries=0
    until redis-cli -p "$server_port" ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || die "Redis does not answer"
        sleep 0.1
    done
}

# redis_append SECONDS: XADDs to a thousand streams, 256 clients, for about that long; every one must have been taken.
redis_append() {
    local data rate requests taken line
    data=$(head -c "$redis_data_bytes" /dev/zero | tr '\0' x)
    local command=(XADD order-__rand_int__ '*' "${redis_fields[@]}" "$data")
    # The first run warms up and tells how many requests make up the time.
    rate=$(redis-benchmark -p "$server_port" -c 256 -n 50000 -r 1000 --csv "${command[@]}" | redis_rate)
    requests=$((rate * $1))
    line=$(redis-benchmark -p "$server_port" -c 256 -n "$requests" -r 1000 --csv "${command[@]}" | tail -n 1)
    taken=$(redis-cli -p "$server_port" info commandstats | sed -n 's/^cmdstat_xadd:calls=\([0-9]*\),.*failed_calls=0.*/\1/p')
    [ "$taken" = $((requests + 50000)) ] || die "Redis took '$taken' XADDs of $((requests + 50000))"
    printf '%s\n' "$line" | awk -F'","' -v requests="$requests" '
        { printf "phase=append peer=redis in_flight=256 calls=%d calls_per_second=%.0f events_per_second=%.0f " \
                 "p50_us=%.0f p99_us=%.0f\n", requests, $2, $2, $5 * 1000, $7 * 1000 }' | keep
}

# The requests a second of a line of redis-benchmark's, as a whole number.
redis_rate() { tail -n 1 | awk -F'","' '{ printf "%d\n", $2 }'; }
