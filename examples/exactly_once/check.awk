# Reads `daybook read --json` and compares invoices with orders: one each, in the order of the orders, numbered 1, 2, 3, ...
#
# Prints what it has found and exits with 1 when anything is wrong.

function number(key, found) {
  if (!match($0, "\\\\\"" key "\\\\\":[0-9]+")) return -1
  found = substr($0, RSTART, RLENGTH)
  sub(/.*:/, "", found)
  return found + 0
}

function wrong(text) {
  print "wrong: " text
  wrongs++
}

/"type":"OrderPlaced"/ { orders[++orders_count] = number("order") }

/"type":"InvoiceIssued"/ {
  invoices_count++
  if (number("invoice") != invoices_count) wrong("invoice " invoices_count " has the number " number("invoice"))
  if (invoices_count > orders_count) wrong("invoice " invoices_count " comes before its order")
  else if (number("order") != orders[invoices_count]) wrong("invoice " invoices_count " is for order " number("order"))
  if (match($0, /"instance":"[0-9]+"/)) instances[substr($0, RSTART, RLENGTH)] = 1
}

END {
  if (orders_count == 0) wrong("there is no order")
  if (invoices_count != orders_count) wrong(invoices_count + 0 " invoices for " orders_count + 0 " orders")
  for (instance in instances) instances_count++
  if (wrongs) exit 1
  print orders_count " orders, " invoices_count " invoices by " instances_count " instances: one each, in order, no number left out."
}
