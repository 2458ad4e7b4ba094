#!/usr/bin/env bash
set -euo pipefail
if [ ! -x "${DAYBOOK_TOOLS:-}/python/bin/python" ]; then
  echo "DAYBOOK_TOOLS does not name the test tools; run the tests by 'make test'" >&2
  exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$DAYBOOK_TOOLS/python/bin/python" "$TEST_SRCDIR/daybook/tests/tidy/tidy_test.py"
