#!/usr/bin/env bash
# Runs golden_test.py with what Bazel has put beside it.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$TEST_SRCDIR/daybook/tests/golden/golden_test.py"
