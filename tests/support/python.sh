#!/usr/bin/env bash
# Runs a Python program of the tests with the interpreter that has gRPC: python.sh tests/FOLDER/NAME.py [ARGUMENT...], as a test of
# Bazel's (python_test.bzl), or in the checkout after `bazel build //tests/FOLDER:all //service:daybookd //sdk/cli:daybook`.
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
program=$1
shift
export PYTHONDONTWRITEBYTECODE=1
exec "$DAYBOOK_TOOLS/python/bin/python" "$root/$program" "$@"
