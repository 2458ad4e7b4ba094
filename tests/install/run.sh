#!/usr/bin/env bash
# Runs one of the Python tests of this folder: run.sh NAME_test.py
set -euo pipefail
cd "$TEST_SRCDIR/daybook/tests/install"
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$1"
