#!/usr/bin/env bash
# Runs attack.py: run.sh [ARGUMENT...], from Bazel or from the checkout after `make build`.
set -euo pipefail
if [ -n "${TEST_SRCDIR:-}" ]; then
  root=$TEST_SRCDIR/daybook
else
  cd "$(dirname "$0")/../.."
  root=$PWD
  export DAYBOOK_TOOLS=$PWD/.tools
fi
if [ ! -x "${DAYBOOK_TOOLS:-}/python/bin/python" ]; then
  echo "DAYBOOK_TOOLS does not name the test tools; run the tests by 'make test'" >&2
  exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$DAYBOOK_TOOLS/python/bin/python" "$root/tests/attack/attack.py" "$@"
