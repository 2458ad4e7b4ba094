#!/usr/bin/env bash
# A demo as a user runs it: demo_test.sh examples/NAME/demo.sh [ARGUMENT...]. The binaries are found where `make build` leaves
# them. What a sanitizer finds in one of them is in a file of its own, and the test fails.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -rL "$TEST_SRCDIR/daybook/examples" "$work/"
ln -s "$TEST_SRCDIR/daybook" "$work/bazel-bin"
mkdir "$work/reports"
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:log_path=$work/reports/report TSAN_OPTIONS=${TSAN_OPTIONS:-}:log_path=$work/reports/report
"$work/$1" "${@:2}"
if compgen -G "$work/reports/*" >/dev/null; then
  cat "$work"/reports/*
  exit 1
fi
