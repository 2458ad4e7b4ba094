# report_overload.awk: the table and the bars of suite_overload.sh.
function print_overload(    s, stage, stages, name) {
    if (!overload_seen) return
    printf "\nOverload: appends of 10 events, %s times the rate that was accepted before\n", overload_times
    printf "  %-10s %12s %12s %12s %10s %10s %12s   %s\n", "stage", "offered/s", "accepted/s", "refused/s", "p50 ms",
        "p99 ms", "memory MiB", "rounds, thousand a second"
    stages = split("before overload after", stage, " ")
    for (s = 1; s <= stages; s++) {
        name = "overload " stage[s]
        printf "  %-10s %12s %12.0f %12s %10s %10s %12s   %s\n", stage[s], shown("%.0f", name " offered", 1),
            median(name " accepted"), shown("%.0f", name " refused", 1), shown("%.1f", name " p50", 1000),
            shown("%.1f", name " p99", 1000), shown("%.0f", name " memory", 1024), all_rounds(name " accepted", 1000)
    }
}

function bars_overload() {
    if (!overload_seen) return
    ratio_bar("Accepted under overload / before", "overload overload accepted", "overload before accepted", 0.8)
    ratio_bar("Accepted after the overload / before", "overload after accepted", "overload before accepted", 0.9)
    ratio_bar("Offered under overload / accepted before", "overload overload offered", "overload before accepted", 2)
    limit_bar("p99 of what is accepted under overload, ms", "overload overload p99", 1000, 5000)
    limit_bar("Memory of the daemon under overload, MiB", "overload overload memory", 1024, 768)
}

value["phase"] == "overload" {
    overload_seen = 1
    name = "overload " value["stage"]
    if (value["stage"] == "overload") {
        overload_times = value["times"]
        add(name " offered", value["offered_per_second"])
        add(name " refused", value["refused_per_second"])
    }
    add(name " accepted", value["calls_per_second"])
    add(name " p50", value["p50_us"])
    add(name " p99", value["p99_us"])
    add(name " memory", value["anonymous_kib"])
}
