#!/usr/bin/env bash
# Runs one of the Python files here, run.sh half_open_test.py [ARGUMENT...]: from Bazel, or from the checkout after
# `bazel build //tests/network:all //service:daybookd //sdk/cli:daybook`.
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
script=$1
shift
exec "$DAYBOOK_TOOLS/python/bin/python" "$root/tests/network/$script" "$@"
