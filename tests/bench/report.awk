# report.awk: turns the lines of run.sh and of the load generator into the report of `make bench`, and holds the bars; each
# suite has its tables and bars in a file of its own, which awk reads after this one. Exits with 1 when a bar is missed. A figure is the median of its rounds; a ratio is the median of the ratios of each
# round, because the servers took their turns in it and the machine may be faster in one round than in another.

# Splits a line of key=value pairs into value[].
function parse_pairs(    i, cut) {
    split("", value)
    for (i = 1; i <= NF; i++) {
        cut = index($i, "=")
        if (cut > 0) value[substr($i, 1, cut - 1)] = substr($i, cut + 1)
    }
}

# Remembers one measurement of `name`.
function add(name, number) {
    samples[name, ++count[name]] = number + 0
}

function median_of(list, n,    i, j, key) {
    for (i = 2; i <= n; i++) {
        key = list[i]
        for (j = i - 1; j >= 1 && list[j] > key; j--) list[j + 1] = list[j]
        list[j + 1] = key
    }
    return n % 2 == 1 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function median(name,    i, list) {
    for (i = 1; i <= count[name]; i++) list[i] = samples[name, i]
    return median_of(list, count[name])
}

# The median of the ratios of two names, round by round.
function ratio(over, under,    i, n, list) {
    n = count[over] < count[under] ? count[over] : count[under]
    for (i = 1; i <= n; i++) list[i] = samples[over, i] / samples[under, i]
    return median_of(list, n)
}

# The figure, or a dash where it was not measured.
function shown(format, name, scale) {
    return name in count ? sprintf(format, median(name) / scale) : "-"
}

function all_rounds(name, scale,    i, text) {
    for (i = 1; i <= count[name]; i++) text = text sprintf("%s%.1f", i > 1 ? " " : "", samples[name, i] / scale)
    return text
}

# One bar: `got` against `limit`. `is_least`: at least so much, else less than that.
function bar(text, format, got, limit, is_least,    holds) {
    holds = is_least ? got >= limit : got < limit
    if (!holds) missed++
    printf "  %-58s %10s   %-9s %6s   %s\n", text, sprintf(format, got), is_least ? "at least" : "less than", limit,
        holds ? "pass" : "MISSED"
}

function ratio_bar(text, over, under, limit) {
    if (!(over in count)) return
    if (under in count) bar(text, "%.2f", ratio(over, under), limit, 1)
    else printf "  %-58s %10s\n", text, "skipped: that server was not measured"
}

function limit_bar(text, name, scale, limit) {
    if (name in count) bar(text, "%.1f", median(name) / scale, limit, 0)
}

# A ratio of two figures of the same server that must stay below a limit.
function growth_bar(text, over, under, limit) {
    if (over in count && under in count) bar(text, "%.2f", ratio(over, under), limit, 0)
}

function largest(name,    i, most) {
    for (i = 1; i <= count[name]; i++) if (samples[name, i] > most) most = samples[name, i]
    return most + 0
}

$1 == "machine" {
    title = $2
    $1 = $2 = ""
    machine = machine sprintf("  %-10s%s\n", title, $0)
    next
}

{ parse_pairs() }

value["phase"] != "sdk" && value["peer"] != "" && !(value["peer"] in peer_seen) { peer_seen[value["peer"]] = 1; peer[++peers] = value["peer"] }

END {
    printf "%s", machine
    print_core()
    print_model()
    print_sdk()
    print_overload()
    print "\nBars"
    bars_core()
    bars_model()
    bars_sdk()
    bars_overload()
    exit missed > 0
}
