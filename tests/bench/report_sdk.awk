# report_sdk.awk: the table and the bars of suite_sdk.sh.
function print_sdk(    m, p, name) {
    if (!sdk_modes) return
    print "\nThe C SDK as a client: 200-byte messages, the same server for all"
    printf "  %-22s %-6s %12s %11s %11s %13s   %s\n", "mode", "client", "per second", "client us", "server us",
        "others, cores", "rounds, thousand a second"
    for (m = 1; m <= sdk_modes; m++) for (p = 1; p <= sdk_peers; p++) {
        name = "sdk " sdk_mode[m] " " sdk_peer[p]
        if (!((name " rate") in count)) continue
        printf "  %-22s %-6s %12.0f %11s %11s %13s   %s\n", sdk_mode[m], sdk_peer[p], median(name " rate"),
            shown("%.2f", name " client", 1), shown("%.2f", name " server", 1), shown("%.2f", name " others", 1),
            all_rounds(name " rate", 1000)
    }
}

function sdk_bar(mode, least,    own) {
    own = "sdk " mode " sdk rate"
    ratio_bar("SDK, " mode " / gRPC core by hand", own, "sdk " mode " core rate", least)
    ratio_bar("SDK, " mode " / gRPC C++", own, "sdk " mode " cpp rate", 1.0)
}

function bars_sdk(    m) {
    for (m = 1; m <= sdk_modes; m++) sdk_bar(sdk_mode[m], sdk_mode[m] ~ /^(pull|push|talk)/ ? 0.95 : 0.9)
}

value["phase"] == "sdk" {
    mode = value["mode"] == "blocking" ? "blocking, threads: " value["threads"] : value["mode"]
    if (!(mode in sdk_mode_seen)) { sdk_mode_seen[mode] = 1; sdk_mode[++sdk_modes] = mode }
    if (!(value["peer"] in sdk_peer_seen)) { sdk_peer_seen[value["peer"]] = 1; sdk_peer[++sdk_peers] = value["peer"] }
    name = "sdk " mode " " value["peer"]
    add(name " rate", value["per_second"])
    add(name " client", value["client_us"])
    add(name " server", value["server_us"])
    add(name " others", value["others_cores"])
}
