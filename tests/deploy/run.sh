#!/usr/bin/env bash
# Runs one of the Python tests of this folder with the interpreter and the tools of DAYBOOK_TOOLS: run.sh NAME_test.py
set -euo pipefail
if [ ! -x "${DAYBOOK_TOOLS:-}/python/bin/python" ]; then
  echo "DAYBOOK_TOOLS does not name the test tools; run the tests by 'make test'" >&2
  exit 1
fi
cd "$TEST_SRCDIR/daybook/tests/deploy"
export PYTHONDONTWRITEBYTECODE=1
exec "$DAYBOOK_TOOLS/python/bin/python" "$1"
