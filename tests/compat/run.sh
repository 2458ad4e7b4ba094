#!/usr/bin/env bash
# Runs the Python test of this folder with the interpreter that has gRPC: run.sh format_test.py
set -euo pipefail
if [ ! -x "${DAYBOOK_TOOLS:-}/python/bin/python" ]; then
  echo "DAYBOOK_TOOLS does not name the test tools; run the tests by 'make test'" >&2
  exit 1
fi
cd "$TEST_SRCDIR/daybook/tests/compat"
export PYTHONDONTWRITEBYTECODE=1
exec "$DAYBOOK_TOOLS/python/bin/python" "$1"
