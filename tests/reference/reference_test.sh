#!/usr/bin/env bash
# Doxygen over the public headers, as `make docs` does it: a warning is an error. Then the test itself is tested: a header
# with something undocumented, and one that documents what is not there, must fail.
set -euo pipefail
cd "$TEST_SRCDIR/daybook"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

tools/docs "$scratch/reference"
for page in index call_8h server_8h subscriber_8h structdaybook__call__options; do
  [ -s "$scratch/reference/html/$page.html" ] || { echo "the reference has no page $page" >&2; exit 1; }
done

cp -rL . "$scratch/tree"
chmod -R u+w "$scratch/tree"
cd "$scratch/tree"
refused() { # refused HEADER WHAT: the reference of this header must not be made
  printf '%s\n' "$1" >sdk/include/daybook/extra.h
  if tools/docs "$scratch/wrong" >"$scratch/said" 2>&1; then
    echo "the reference was made of a header with $2" >&2
    exit 1
  fi
  grep -q 'extra\.h' "$scratch/said" || { cat "$scratch/said" >&2; exit 1; }
}
refused $'/** @file extra.h\n * Extra. */\nvoid daybook_extra(int number);' 'an undocumented function'
refused $'/** @file extra.h\n * Extra. */\n/** Extra.\n * @param nothing that is there */\nvoid daybook_extra(int number);' \
  'a parameter that is not there'
