# Stock levels straight from the CSV, without Daybook and without the catalog's reader: what the inventory must arrive at.
# Splits on commas outside of quotes; the fourth field is the quantity, the second the product.
function field(line, wanted,    at, quoted, count, text, character) {
    count = 1; text = ""; quoted = 0
    for (at = 1; at <= length(line); at++) {
        character = substr(line, at, 1)
        if (character == "\"") quoted = !quoted
        else if (character == "," && !quoted) { if (count == wanted) return text; count++; text = "" }
        else text = text character
    }
    return text
}
NR > 1 { sub(/\r$/, ""); level[field($0, 2)] -= field($0, 4) }
END { for (code in level) print code, level[code] + 0 }
