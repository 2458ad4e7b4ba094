# report_model.awk: tables and bars of suite_model.sh.

# One line of a table of appends.
function print_load(title, name) {
    if (!((name " rate") in count)) return
    printf "  %-34s %10.0f %9s %9s %9s %9s %11s %11s %8s   %s\n", title, median(name " rate"),
        shown("%.2f", name " p50", 1000), shown("%.2f", name " p99", 1000), shown("%.2f", name " p999", 1000),
        shown("%.1f", name " max", 1000), shown("%.2f", name " server", 1), shown("%.2f", name " client", 1),
        shown("%.2f", name " others", 1), all_rounds(name " rate", 1000)
}

function print_loads(    p, c) {
    if (!loads) return
    print "\nThe realistic load: 200000 streams, 300000 customers, 10 types; microseconds of processor are by event"
    printf "  %-34s %10s %9s %9s %9s %9s %11s %11s %8s   %s\n", "what", "events/s", "p50 ms", "p99 ms", "p99.9 ms",
        "max ms", "server us", "client us", "others", "rounds, thousand events/s"
    for (p = 1; p <= peers; p++) print_load(peer[p] ", fill, requests of 100", "load fill " peer[p])
    for (p = 1; p <= peers; p++) print_load(peer[p] ", requests of 100", "load 100 " peer[p])
    for (p = 1; p <= peers; p++) print_load(peer[p] ", one a request", "load 1 " peer[p])
    for (p = 1; p <= peers; p++) for (c = 0; c <= 1; c++)
        print_load(peer[p] ", one a request, " (c ? "condition" : "no condition"), "condition " c " " peer[p])
}

function print_many(    p) {
    if (!manies) return
    print "\nPlain events, one a message, on disk before the answer: daybook on 4 streams of appends, the others by calls"
    printf "  %-34s %10s %9s %9s %9s %9s %11s %11s %8s   %s\n", "what", "events/s", "p50 ms", "p99 ms", "p99.9 ms",
        "max ms", "server us", "client us", "others", "rounds, thousand events/s"
    for (p = 1; p <= peers; p++) print_load(peer[p], "many " peer[p])
    printf "  daybook: %s answers a message\n", shown("%.0f", "many answers daybook", 1)
}

function print_tags(    p, name) {
    if (!tags) return
    print "\nReads of one tag with 10 of " tag_events " events"
    printf "  %-10s %10s %9s %9s %9s %11s %11s %8s   %s\n", "server", "reads/s", "p50 ms", "p99 ms", "max ms",
        "server us", "client us", "others", "rounds, thousand reads/s"
    for (p = 1; p <= peers; p++) {
        name = "tag " peer[p]
        if (!((name " rate") in count)) continue
        printf "  %-10s %10.0f %9s %9s %9s %11s %11s %8s   %s\n", peer[p], median(name " rate"),
            shown("%.2f", name " p50", 1000), shown("%.2f", name " p99", 1000), shown("%.1f", name " max", 1000),
            shown("%.1f", name " server", 1), shown("%.1f", name " client", 1), shown("%.2f", name " others", 1),
            all_rounds(name " rate", 1000)
    }
}

function print_filters(    i) {
    if (!filters) return
    print "\nReads of 100 matches, one at a time, microseconds: the first of each tag after a start, and later ones"
    printf "  %-14s %12s %10s %10s %10s   %s\n", "filter", "events", "reads", "p50 us", "p99 us", "rounds, p50 us"
    for (i = 1; i <= filters; i++)
        printf "  %-14s %12s %10s %10.0f %10.0f   %s\n", filter_query[i], filter_events[i], filter_pass[i],
            median("filter " filter[i] " p50"), median("filter " filter[i] " p99"),
            all_rounds("filter " filter[i] " p50", 1)
}

# The rate over pieces first..last of the long fill, from 0.
function flat_rate(first, last,    i, events, seconds) {
    for (i = first; i <= last; i++) { events += flat_events[i]; seconds += flat_seconds[i] }
    return seconds > 0 ? events / seconds : 0
}

function print_flat(    i) {
    if (!flats) return
    print "\nThe long fill, requests of 100; a pause is the longest time between two answers with requests in flight"
    printf "  %-26s %10s %9s %9s %9s %9s %10s %16s\n", "events, million", "events/s", "p50 ms", "p99 ms", "p99.9 ms",
        "max ms", "pause ms", "machine's, ms"
    for (i = 0; i < flats; i++)
        printf "  %8.2f to %8.2f        %10.0f %9.1f %9.1f %9.1f %9.1f %10.1f %16.1f\n", i * flat_events[i] / 1000000,
            (i + 1) * flat_events[i] / 1000000, flat_rate(i, i), flat_p50[i] / 1000, flat_p99[i] / 1000,
            flat_p999[i] / 1000, flat_max[i] / 1000, flat_pause[i] / 1000, flat_stall[i] / 1000
    printf "  all requests: p50 %s ms, p99 %s ms, p99.9 %s ms, max %s ms; server %s us an event, client %s; %s MiB on disk\n",
        shown("%.1f", "flat p50", 1000), shown("%.1f", "flat p99", 1000), shown("%.1f", "flat p999", 1000),
        shown("%.1f", "flat max", 1000), shown("%.2f", "flat server", 1), shown("%.2f", "flat client", 1),
        shown("%.0f", "flat disk", 1)
    print "  machine's: how much later than asked for a thread of the load generator was woken, at most"
    printf "  the disk alone, 256 KiB written and synced 512 times a second: p50 %s ms, p99 %s ms, p99.9 %s ms, max %.1f ms\n",
        shown("%.1f", "disk p50", 1000), shown("%.1f", "disk p99", 1000), shown("%.1f", "disk p999", 1000),
        largest("disk max") / 1000
}

function print_model() {
    print_loads()
    print_many()
    print_tags()
    print_filters()
    print_flat()
}

function filter_bar(query, pass,    large, small) {
    large = "filter " query " " filter_large " " pass " p50"
    small = "filter " query " " filter_small " " pass " p50"
    growth_bar("100 matches, " query ", " pass ": of " filter_large " / of " filter_small, large, small, 5)
}

function bars_model(    quarter) {
    ratio_bar("realistic load, requests of 100: daybook / umadb", "load 100 daybook rate", "load 100 umadb rate", 8)
    ratio_bar("realistic load, one by one: daybook / umadb", "load 1 daybook rate", "load 1 umadb rate", 1.5)
    ratio_bar("same tags, 100 a request: daybook / umadb", "load 100 daybook rate", "load 100 umadb rate", 1.0)
    ratio_bar("conditional / unconditional append", "condition 1 daybook rate", "condition 0 daybook rate", 0.9)
    ratio_bar("conditional append: daybook / umadb", "condition 1 daybook rate", "condition 1 umadb rate", 1.0)
    ratio_bar("streams of appends / umadb's append", "many daybook rate", "many umadb rate", 5)
    ratio_bar("streams of appends / redis' XADD", "many daybook rate", "many redis rate", 2)
    ratio_bar("reads of one tag: daybook / umadb", "tag daybook rate", "tag umadb rate", 2)
    if (filters) {
        filter_bar("needle", "first")
        filter_bar("needle", "warm")
        filter_bar("needle-type", "first")
        filter_bar("needle-type", "warm")
    }
    if (!flats) return
    quarter = flats / 4
    bar("long fill: rate of the last quarter / of 1/20 to 1/4", "%.2f", flat_rate(flats - quarter, flats - 1) / flat_rate(1, quarter - 1), 0.8, 1)
    bar("long fill: longest pause, ms", "%.1f", largest("flat pause") / 1000, 100, 0)
}

# Remembers a measurement of appends; processor times come by call.
function add_load(name) {
    add(name " rate", value["events_per_second"])
    add(name " p50", value["p50_us"])
    add(name " p99", value["p99_us"])
    if (!("server_us" in value)) return
    add(name " p999", value["p999_us"])
    add(name " max", value["max_us"])
    events_per_request = value["events_per_request"] > 0 ? value["events_per_request"] : 1
    add(name " server", value["server_us"] / events_per_request)
    add(name " client", value["client_us"] / events_per_request)
    add(name " others", value["others_cores"])
}

value["phase"] == "workload-fill" && (value["part"] == "realistic" || value["part"] == "condition") {
    loads++
    add_load("load fill " value["peer"])
}

value["phase"] == "workload" && value["part"] == "realistic" {
    loads++
    add_load("load " value["events_per_request"] " " value["peer"])
}

value["phase"] == "workload" && value["part"] == "condition" {
    loads++
    add_load("condition " value["conditional"] " " value["peer"])
}

value["part"] == "many" && (value["phase"] == "append" || value["phase"] == "append-many") {
    manies++
    add_load("many " value["peer"])
    if (value["phase"] == "append-many") add("many answers " value["peer"], value["answers_per_message"])
}

value["part"] == "tag" && value["phase"] == "query" {
    tags++
    tag_events = value["events"]
    name = "tag " value["peer"]
    add(name " rate", value["reads_per_second"])
    add(name " p50", value["p50_us"])
    add(name " p99", value["p99_us"])
    add(name " max", value["max_us"])
    add(name " server", value["server_us"])
    add(name " client", value["client_us"])
    add(name " others", value["others_cores"])
}

value["part"] == "filter" && value["phase"] == "query" {
    name = value["query"] " " value["events"] " " value["pass"]
    if (!(name in filter_seen)) {
        filter_seen[name] = 1
        filter[++filters] = name
        filter_query[filters] = value["query"]
        filter_events[filters] = value["events"]
        filter_pass[filters] = value["pass"]
        if (filter_small == "" || value["events"] + 0 < filter_small + 0) filter_small = value["events"]
        if (value["events"] + 0 > filter_large + 0) filter_large = value["events"]
    }
    add("filter " name " p50", value["p50_us"])
    add("filter " name " p99", value["p99_us"])
}

value["phase"] == "flat" {
    flats = value["piece"] + 1
    flat_events[value["piece"]] = value["events"]
    flat_seconds[value["piece"]] = value["seconds"]
    flat_p50[value["piece"]] = value["p50_us"]
    flat_p99[value["piece"]] = value["p99_us"]
    flat_p999[value["piece"]] = value["p999_us"]
    flat_max[value["piece"]] = value["max_us"]
    flat_pause[value["piece"]] = value["pause_max_us"]
    flat_stall[value["piece"]] = value["stall_max_us"]
    add("flat pause", value["pause_max_us"])
}

value["phase"] == "flat-all" {
    add("flat p50", value["p50_us"])
    add("flat p99", value["p99_us"])
    add("flat p999", value["p999_us"])
    add("flat max", value["max_us"])
    add("flat server", value["server_us"] / value["events_per_request"])
    add("flat client", value["client_us"] / value["events_per_request"])
}

value["part"] == "flat" && value["phase"] == "disk" { add("flat disk", value["mib"]) }

value["phase"] == "disk-alone" {
    add("disk p50", value["p50_us"])
    add("disk p99", value["p99_us"])
    add("disk p999", value["p999_us"])
    add("disk max", value["max_us"])
}
