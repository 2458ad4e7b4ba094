# report_overload.awk: the table and the bars of suite_overload.sh.

# The name of what one kind of crowd has done: requests of so many events, which wait for so long.
function overload_kind() {
    return "overload " value["events_per_request"] " " value["deadline_ms"]
}

function print_overload_kind(kind,    s, stage, stages, name) {
    stages = split("before overload after", stage, " ")
    for (s = 1; s <= stages; s++) {
        name = kind " " stage[s]
        printf "  %-10s %10s %10s %10.0f %10s %10s %10s %10s %10s   %s\n", stage[s], shown("%.0f", name " offered", 1),
            shown("%.0f", name " sent", 1), median(name " accepted"), shown("%.0f", name " refused", 1),
            shown("%.0f", name " expired", 1), shown("%.1f", name " p50", 1000), shown("%.1f", name " p99", 1000),
            shown("%.0f", name " memory", 1024), all_rounds(name " accepted", 1000)
    }
}

function print_overload(    k, title) {
    for (k = 1; k <= overload_kinds; k++) {
        split(overload_kind_of[k], title, " ")
        printf "\nOverload: appends of %d events, %s times the rate that was accepted before, callers wait %s\n", title[2],
            overload_times, title[3] == 0 ? "for ever" : title[3] " ms"
        printf "  %-10s %10s %10s %10s %10s %10s %10s %10s %10s   %s\n", "stage", "offered/s", "sent/s", "accepted/s",
            "refused/s", "expired/s", "p50 ms", "p99 ms", "memory MiB", "rounds, thousand a second"
        print_overload_kind(overload_kind_of[k])
    }
}

function bars_overload(    k, kind, title, of) {
    for (k = 1; k <= overload_kinds; k++) {
        kind = overload_kind_of[k]
        split(kind, title, " ")
        of = " (" title[2] " events, " (title[3] == 0 ? "no deadline" : title[3] " ms") ")"
        ratio_bar("Offered / accepted before" of, kind " overload offered", kind " before accepted", 3.5)
        ratio_bar("Accepted under overload / before" of, kind " overload accepted", kind " before accepted", 0.8)
        ratio_bar("Accepted after / before" of, kind " after accepted", kind " before accepted", 0.9)
        limit_bar("p99 of what is accepted, ms" of, kind " overload p99", 1000, title[3] == 0 ? 5000 : title[3] + 500)
        limit_bar("Anonymous memory under overload, MiB" of, kind " overload memory", 1024, 384)
        limit_bar("Anonymous memory at rest afterwards, MiB" of, kind " rest-after memory", 1024, 96)
        limit_bar("Descriptors more than before" of, kind " descriptors", 1, 1)
    }
}

value["phase"] == "overload" {
    kind = overload_kind()
    if (!(kind in overload_seen)) {
        overload_seen[kind] = 1
        overload_kind_of[++overload_kinds] = kind
    }
    name = kind " " value["stage"]
    if (value["stage"] == "rest-before") overload_descriptors = value["descriptors"]
    if (value["stage"] == "rest-after") {
        add(name " memory", value["anonymous_kib"])
        add(kind " descriptors", value["descriptors"] - overload_descriptors)
    }
    if (value["stage"] == "overload") {
        overload_times = value["times"]
        add(name " offered", value["offered_per_second"])
        add(name " sent", value["sent_per_second"])
        add(name " refused", value["refused_per_second"])
        add(name " expired", value["expired_per_second"])
    }
    if (value["stage"] !~ /^rest/) {
        add(name " accepted", value["calls_per_second"])
        add(name " p50", value["p50_us"])
        add(name " p99", value["p99_us"])
        add(name " memory", value["anonymous_kib_most"])
    }
}
