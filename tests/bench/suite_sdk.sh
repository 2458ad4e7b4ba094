# suite_sdk.sh: the generated C SDK as a client, against the same calls written by hand on gRPC core's C API and against
# gRPC's C++; the server is the same for all. Read by run.sh. Options, by environment:
#   SDK_PEERS      whose calls are measured ("core sdk cpp"); cpp needs Debian's libgrpc++-dev and protobuf-compiler-grpc
#   SDK_THREADS    threads that make blocking calls, one figure each ("1 8")
sdk_parts="calls streams"
sdk_peers=${SDK_PEERS:-core sdk cpp}
sdk_threads=${SDK_THREADS:-1 8}
sdk_bin=bazel-bin/tests/bench/sdk

build_sdk() {
    local targets=(//tests/bench/sdk:server //tests/bench/sdk:peer_core //tests/bench/sdk:peer_sdk) kept= peer
    for peer in $sdk_peers; do
        if [ "$peer" = cpp ] && ! { command -v grpc_cpp_plugin && [ -e /usr/include/grpcpp/grpcpp.h ]; } >/dev/null; then
            say "bench: gRPC's C++ is not there, its bars are skipped (apt-get install libgrpc++-dev protobuf-compiler-grpc)"
            continue
        fi
        if [ "$peer" = cpp ]; then targets+=(//tests/bench/sdk:peer_cpp); fi
        kept="$kept $peer"
    done
    sdk_peers=$kept
    bazel build "${targets[@]}" >&2
}

start_sdk_server() {
    server_port=$("$load" free-port)
    "$sdk_bin/server" "127.0.0.1:$server_port" >"$work/server.log" 2>&1 &
    server_pid=$!
    local tries=0
    until (exec 3<>"/dev/tcp/127.0.0.1/$server_port") 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || die "the server does not listen: $(tail -n 3 "$work/server.log")"
        sleep 0.05
    done
}

# measure_sdk MODE [OPTION...]: each peer in its turn.
measure_sdk() {
    local mode=$1 peer lines
    shift
    for peer in $sdk_peers; do
        if ! lines=$(timeout 120 "$sdk_bin/peer_$peer" --target "127.0.0.1:$server_port" --mode "$mode" \
            --window-ms $((round_seconds * 1000)) --server-pid "$server_pid" "$@"); then
            die "$peer failed in mode $mode: $(tail -n 3 "$work/server.log")"
        fi
        printf '%s\n' "$lines" | keep
    done
}

part_calls() {
    local round threads
    build_sdk
    start_sdk_server
    for round in $(seq "$rounds"); do
        for threads in $sdk_threads; do measure_sdk blocking --threads "$threads"; done
        measure_sdk future --in-flight 64
        say "bench: calls, round $round of $rounds"
    done
    stop_server
}

part_streams() {
    local round mode
    build_sdk
    start_sdk_server
    for round in $(seq "$rounds"); do
        for mode in pull push talk; do measure_sdk "$mode"; done
        say "bench: streams, round $round of $rounds"
    done
    stop_server
}
