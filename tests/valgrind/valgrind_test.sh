#!/usr/bin/env bash
# Runs tests under valgrind's memcheck; whatever it says beyond suppressions.txt is a failure, leaks included.
#
#   valgrind_test.sh TEST [FILTER]...   with Criterion's filters, each after its test; '*' for all of it
set -euo pipefail
here="$TEST_SRCDIR/daybook/tests/valgrind"
logs=$(mktemp -d "$TEST_TMPDIR/valgrind.XXXXXX")
if ! command -v valgrind >/dev/null; then
  echo "valgrind is missing; run the tests by 'make test'" >&2
  exit 1
fi

failed=0
while [ $# -gt 0 ]; do
  # Criterion runs every test in a process of its own, so what valgrind says is taken from its logs, not from an exit code.
  # What is only possibly lost belongs to threads of gRPC that still run at the exit.
  valgrind --quiet --trace-children=yes --leak-check=full --errors-for-leak-kinds=definite \
    --show-leak-kinds=definite --error-exitcode=99 --num-callers=30 \
    --suppressions="$here/suppressions.txt" --log-file="$logs/%p" "$1" --filter "$2" || failed=1
  shift 2
done
said=$(find "$logs" -type f -size +0)
if [ -n "$said" ]; then
  echo "$said" | xargs cat
  failed=1
fi
exit "$failed"
