# report_core.awk: tables and bars of suite_core.sh.
function print_appends(    p, f, name) {
    if (!flights) return
    print "\nUnary append: one plain event a call, on disk before the answer, closed loop"
    printf "  %-9s %9s %9s %9s %9s %9s %11s %11s %13s   %s\n", "server", "in flight", "calls/s", "p50 ms", "p99 ms",
        "p99.9 ms", "server us", "client us", "others, cores", "rounds, thousand calls/s"
    for (f = 1; f <= flights; f++) for (p = 1; p <= peers; p++) {
        name = "append " peer[p] " " flight[f]
        if (!((name " rate") in count)) continue
        printf "  %-9s %9d %9.0f %9s %9s %9s %11s %11s %13s   %s\n", peer[p], flight[f], median(name " rate"),
            shown("%.2f", name " p50", 1000), shown("%.2f", name " p99", 1000), shown("%.2f", name " p999", 1000),
            shown("%.1f", name " server", 1), shown("%.1f", name " client", 1), shown("%.2f", name " others", 1),
            all_rounds(name " rate", 1000)
    }
}

function print_stores(    p, name) {
    if (!events) return
    print "\nFull read of " events " events on one stream, after appends of 1000 events a request"
    printf "  %-9s %11s %9s %14s %14s %11s %11s %13s %14s   %s\n", "server", "events/s", "MiB/s", "bytes an event",
        "KiB a message", "server us", "client us", "others, cores", "fill events/s", "rounds, million events/s"
    for (p = 1; p <= peers; p++) {
        name = peer[p]
        if (!(("read " name) in count)) continue
        printf "  %-9s %11.0f %9s %14s %14s %11s %11s %13s %14s   %s\n", name, median("read " name),
            shown("%.0f", "read mib " name, 1), shown("%.0f", "read bytes " name, 1),
            shown("%.0f", "read message " name, 1024), shown("%.3f", "read server " name, 1),
            shown("%.3f", "read client " name, 1), shown("%.2f", "read others " name, 1),
            shown("%.0f", "fill " name, 1), all_rounds("read " name, 1000000)
    }
    print "\nStart until it answers, and memory when idle (MiB); anonymous is what is not the files' page cache"
    printf "  %-9s %10s %10s | %14s %14s %10s %10s | %9s\n", "server", "empty, ms", "full, ms", "fresh", "started full",
        "filled", "anonymous", "disk, MiB"
    for (p = 1; p <= peers; p++) {
        name = peer[p]
        printf "  %-9s %10s %10s | %14s %14s %10s %10s | %9s\n", name, shown("%.0f", "start empty " name, 1),
            shown("%.0f", "start full " name, 1), shown("%.1f", "memory fresh " name, 1024),
            shown("%.1f", "memory restarted " name, 1024), shown("%.1f", "memory filled " name, 1024),
            shown("%.1f", "anonymous filled " name, 1024), shown("%.0f", "disk " name, 1)
    }
}

function print_core() {
    print_appends()
    print_stores()
}

function bars_core(    most, f, append) {
    for (f = 1; f <= flights; f++) if (flight[f] > most) most = flight[f]
    append = "append %s " most " rate"
    ratio_bar("unary append, " most " in flight: daybook / echo", sprintf(append, "daybook"), sprintf(append, "echo"), 0.5)
    ratio_bar("unary append, " most " in flight: daybook / umadb", sprintf(append, "daybook"), sprintf(append, "umadb"), 1.0)
    ratio_bar("full read on one stream: daybook / umadb", "read daybook", "read umadb", 5.0)
    limit_bar("idle memory, fresh store, MiB", "memory fresh daybook", 1024, 32)
    limit_bar("idle memory, started on a full store, MiB", "memory restarted daybook", 1024, 32)
    limit_bar("idle memory after filling it, anonymous, MiB", "anonymous filled daybook", 1024, 32)
    limit_bar("start on a full store, ms", "start full daybook", 1, 1000)
}

{ core = value["part"] == "appends" || value["part"] == "reads" }

core && value["phase"] == "append" {
    if (!(value["in_flight"] in flight_seen)) { flight_seen[value["in_flight"]] = 1; flight[++flights] = value["in_flight"] + 0 }
    name = "append " value["peer"] " " value["in_flight"]
    add(name " rate", value["calls_per_second"])
    add(name " p50", value["p50_us"])
    add(name " p99", value["p99_us"])
    add(name " p999", value["p999_us"])
    add(name " server", value["server_us"])
    add(name " client", value["client_us"])
    add(name " others", value["others_cores"])
}

core && value["phase"] == "fill" { add("fill " value["peer"], value["events_per_second"]) }

core && value["phase"] == "read" {
    events = value["events"]
    add("read " value["peer"], value["events_per_second"])
    add("read mib " value["peer"], value["mib_per_second"])
    add("read message " value["peer"], value["bytes_per_message"])
    add("read bytes " value["peer"], value["bytes_per_event"])
    add("read server " value["peer"], value["server_us"])
    add("read client " value["peer"], value["client_us"])
    add("read others " value["peer"], value["others_cores"])
}

core && value["phase"] == "start" { add("start " (value["head"] + 0 > 0 ? "full " : "empty ") value["peer"], value["start_ms"]) }

core && value["phase"] == "memory" {
    add("memory " value["when"] " " value["peer"], value["resident_kib"])
    add("anonymous " value["when"] " " value["peer"], value["anonymous_kib"])
}

core && value["phase"] == "disk" { add("disk " value["peer"], value["mib"]) }
